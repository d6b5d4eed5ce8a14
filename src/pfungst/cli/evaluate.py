"""``pfungst evaluate``: average precision of a model on a labelled photo set."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pfungst.cli import _options, _run

if TYPE_CHECKING:
    from pfungst.evaluation.single_label import SingleLabel


def evaluate(
    model: Annotated[Path, typer.Argument(help=_options.MODEL_HELP)],
    data: Annotated[Path, typer.Argument(help="Data set: VOC layout, COCO JSON, or a folder per class.")],
    split: Annotated[str, typer.Option(help="Which photos; 'all' for every one.")] = "test",
    views: Annotated[
        str | None,
        typer.Option(help="Networks only: 'center' (one crop) or 'sliding' (mean over windows)."),
    ] = None,
    weights: _options.Weights = None,
    labels: _options.Labels = None,
    workers: _options.Workers = 0,
    scheduler: _options.Scheduler = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the scores; an interrupted run goes on there.")
    ] = None,
    json: _options.JsonTarget = None,
) -> None:
    """Measure how well a model ranks photos: average precision as PASCAL VOC defines it, class by class.

    For a model that predicts the class of its highest score, also accuracy and what is taken for what.
    Difficult objects are ignored, as VOC does. Thresholds are the model's own, from its validation photos.
    """
    from pfungst.contract.deciding import decision_of
    from pfungst.evaluation.scoring import evaluation_table, score_dataset
    from pfungst.evaluation.single_label import single_label, single_label_table

    with _options.loaded_model(model, views, weights=weights, labels=labels) as (classifier, identity):
        dataset = _options.open_split(data, split)
        with _run.progress_bar() as progress:
            scored = score_dataset(
                classifier,
                dataset,
                identity=identity,
                out=out,
                workers=_options.crew(workers, scheduler),
                progress=progress,
            )
        table = evaluation_table(scored, classifier.thresholds)
        alone = None
        if decision_of(classifier) == "highest":
            alone = single_label(scored.labels, scored.scores, scored.classes)
            table["single_label"] = single_label_table(alone)
        if json is not None:
            _run.write_json(json, {"model": str(model), "data": str(data), "split": split, **table})
        if json != "-":
            _print(table, f"{model} on {dataset.name}")
            if alone is not None:
                _print_single(alone)
    _run.finish(scored.failures)


def _print(table: dict[str, Any], title: str) -> None:
    rows = [
        (name, _percent(row["ap"]), _percent(row["ap_11pt"]), str(row["positives"]), str(row["difficult"]),
         f"{row['eer_threshold']:+.3f}", str(row["true_positives"]), str(row["false_positives"]))
        for name, row in table["classes"].items()
    ]  # fmt: skip
    rows.append(("mean", _percent(table["map"]), _percent(table["map_11pt"]), "", "", "", "", ""))
    header = ("class", "AP %", "AP-11 %", "positives", "difficult", "threshold", "true pos.", "false pos.")
    _run.print_table(title, header, rows)


def _print_single(alone: SingleLabel) -> None:
    header = ("class", "recall %", "precision %", "taken for")
    rows = [
        (name, _percent(alone.recall[name]), _percent(alone.precision[name]), _others(name, row))
        for name, row in alone.confusion.items()
    ]
    title = f"highest score: accuracy {_percent(alone.accuracy)} % of {alone.photos} photos with one class"
    _run.print_table(title, header, rows)


def _others(name: str, row: dict[str, int]) -> str:
    """What else photos of a class were taken for, the most frequent first."""
    wrong = sorted((count, said) for said, count in row.items() if said != name)[::-1]
    return ", ".join(f"{said} {count}" for count, said in wrong[:3]) or "–"


def _percent(value: float) -> str:
    return "–" if isnan(value) else f"{100 * value:.2f}"
