"""``pfungst evaluate``: average precision of a model on a labelled photo set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import grouped
from pfungst.cli._models import Model
from pfungst.cli._photos import Measured
from pfungst.cli._progress import progress_bar
from pfungst.cli._tables import print_table
from pfungst.cli._work import Crew
from pfungst.evaluation import wording

if TYPE_CHECKING:
    from pfungst.evaluation.scoring import Evaluation
    from pfungst.evaluation.single_label import SingleLabel


@grouped
def evaluate(
    model: Model,
    photos: Measured,
    crew: Crew,
    views: Annotated[
        str | None,
        typer.Option(help="Networks only: 'center' (one crop) or 'sliding' (mean over windows)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the scores; an interrupted run goes on there.")
    ] = None,
    json: _options.JsonTarget = None,
) -> None:
    """Measure how well a model ranks photos: average precision as PASCAL VOC defines it, class by class.

    For a model that predicts the class of its highest score, also accuracy and what is taken for what.
    Difficult objects are ignored, as VOC does. Thresholds are the model's own, from its validation photos.
    """
    from pfungst.contract.plain import to_plain
    from pfungst.evaluation.scoring import evaluate as evaluate_dataset

    with model.loaded(views) as (classifier, identity):
        dataset, used = photos.new_to({model.name: classifier})
        with progress_bar() as progress:
            found = evaluate_dataset(
                classifier,
                dataset,
                classes=photos.classes,
                identity=identity,
                out=out,
                workers=crew.hired,
                progress=progress,
            )
        if json is not None:
            about = {"model": str(model.model), "data": str(photos.data), "split": photos.split}
            _run.write_json(json, about | to_plain(found) | {"photos": to_plain(used)})
        if json != "-":
            _print(found, f"{model.model} on {dataset.name}")
            if found.single_label is not None:
                _print_single(found.single_label)
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
    print_table(title, header, rows, totals=1)


def _print_single(alone: SingleLabel) -> None:
    header = ("class", "recall %", "precision %", "taken for")
    rows = [
        (
            name,
            wording.share(alone.recall[name], 2),
            wording.share(alone.precision[name], 2),
            _others(name, row),
        )
        for name, row in alone.confusion.items()
    ]
    share = wording.share(alone.accuracy, 2)
    title = f"highest score: accuracy {share} % of {alone.photos} photos with one class"
    print_table(title, header, rows)


def _others(name: str, row: Mapping[str, int]) -> str:
    """What else photos of a class were taken for, the most frequent first."""
    wrong = sorted((count, said) for said, count in row.items() if said != name)[::-1]
    return ", ".join(f"{said} {count}" for count, said in wrong[:3]) or "–"
