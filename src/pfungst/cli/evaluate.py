"""``pfungst evaluate``: average precision of a model on a labelled photo set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import grouped
from pfungst.cli._photos import Measured
from pfungst.evaluation import wording

if TYPE_CHECKING:
    from pfungst.evaluation.scoring import Evaluation


@grouped
def evaluate(
    model: Annotated[Path, typer.Argument(help="Model folder that `pfungst train` or `convert` wrote.")],
    photos: Measured,
    views: Annotated[
        str | None,
        typer.Option(help="Networks only: 'center' (one crop) or 'sliding' (mean over windows)."),
    ] = None,
    workers: _options.Workers = 0,
    scheduler: _options.Scheduler = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the scores; an interrupted run goes on there.")
    ] = None,
    json: _options.JsonTarget = None,
) -> None:
    """Measure how well a model ranks photos: average precision as PASCAL VOC defines it, class by class.

    Difficult objects are ignored, as VOC does. Thresholds are the model's own, from its validation photos.
    """
    from pfungst.contract.plain import to_plain
    from pfungst.evaluation.scoring import evaluate as evaluate_dataset

    with _options.loaded_model(model, views) as (classifier, identity):
        dataset, used = photos.new_to({_options.headings([model])[0]: classifier})
        with _run.progress_bar() as progress:
            found = evaluate_dataset(
                classifier,
                dataset,
                classes=photos.classes,
                identity=identity,
                out=out,
                workers=_options.crew(workers, scheduler),
                progress=progress,
            )
        if json is not None:
            about = {"model": str(model), "data": str(photos.data), "split": photos.split}
            _run.write_json(json, about | to_plain(found) | {"photos": to_plain(used)})
        if json != "-":
            _print(found, f"{model} on {dataset.name}")
    _run.finish(found.failures)


def _print(found: Evaluation, title: str) -> None:
    rows = [
        (name, wording.share(row.ap, 2), wording.share(row.ap_11pt, 2), str(row.positives),
         str(row.difficult), wording.signed(row.eer_threshold, 3), str(row.true_positives),
         str(row.false_positives))
        for name, row in found.classes.items()
    ]  # fmt: skip
    means = (wording.share(found.mean_ap, 2), wording.share(found.mean_ap_11pt, 2))
    rows.append(("mean", *means, "", "", "", "", ""))
    header = ("class", "AP %", "AP-11 %", "positives", "difficult", "threshold", "true pos.", "false pos.")
    _run.print_table(title, header, rows)
