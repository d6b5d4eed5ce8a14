"""``pfungst strategies``: groups of a class's photos whose heatmaps are alike."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _options, _run

if TYPE_CHECKING:
    from pfungst.audit.schema import Strategies


def strategies(
    model: Annotated[Path, typer.Argument(help=_options.MODEL_HELP)],
    data: Annotated[Path, typer.Argument(help="Data set: VOC layout, COCO JSON, or a folder per class.")],
    out: Annotated[
        Path, typer.Option(help="Folder for heatmaps, figures and numbers; an interrupted run goes on there.")
    ],
    split: Annotated[str, typer.Option(help="Which photos; 'all' for every one.")] = "test",
    class_: Annotated[
        str | None,
        typer.Option("--class", "--classes", help="Only these classes, separated by commas."),
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Rule of the heatmaps; default the model's own.")] = None,
    photos: Annotated[
        str, typer.Option(help="'true-positives' (shown and predicted), or all that are 'shown'.")
    ] = "true-positives",
    part: Annotated[
        str, typer.Option(help="What is compared: 'positive', 'signed' or 'absolute' relevance.")
    ] = "positive",
    side: Annotated[int, typer.Option(help="Cells along each side of the grid laid over every photo.")] = 24,
    neighbours: Annotated[
        int | None, typer.Option(help="Neighbours that each heatmap is joined to; default by their number.")
    ] = None,
    max_clusters: Annotated[int, typer.Option(help="At most so many groups.")] = 8,
    seed: _options.Seed = 0,
    weights: _options.Weights = None,
    labels: _options.Labels = None,
    workers: _options.Workers = 0,
    scheduler: _options.Scheduler = None,
    json: _options.JsonTarget = None,
) -> None:
    """Find the different ways in which a model recognises a class, by grouping its heatmaps.

    A class whose photos fall into two groups, one of them with its relevance in a corner, may live off a
    mark there. Each group is shown by its mean heatmap and its most typical photos; the text says whether
    the groups really stand apart.
    """
    from pfungst.audit.strategies.finding import StrategiesConfig, find_strategies
    from pfungst.report.strategies_figure import save_strategies_figure

    config = StrategiesConfig(
        photos=photos,  # type: ignore[arg-type]  # checked there
        part=part,  # type: ignore[arg-type]
        side=side,
        n_neighbours=neighbours,
        max_clusters=max_clusters,
        random_state=seed,
    )
    with _options.loaded_model(model, weights=weights, labels=labels) as (classifier, identity):
        dataset = _options.open_split(data, split, seed=seed)
        with _run.progress_bar() as progress:
            seen = _options.surveyed(
                classifier,
                dataset,
                rule,
                _run.comma_list(class_),
                identity=identity,
                out=out / "survey",
                workers=_options.crew(workers, scheduler),
                progress=progress,
            )
            found: dict[str, Strategies] = {}
            for position, name in enumerate(seen.classes, 1):
                found[name] = find_strategies(seen, name, config, out=out)
                if found[name].clusters:
                    save_strategies_figure(
                        out / f"{_figure_name(position, name)}.png",
                        found[name],
                        folder=out,
                        title=f"{name}: {found[name].n_images} heatmaps of {model} on {dataset.name}",
                        thumbnail=seen.thumbnail,
                    )
                progress("strategies", position, len(seen.classes))
        _write(found, out, json)
        if json != "-":
            _print(found, f"{model} on {dataset.name}")
    _run.finish([f"{image}: {error}" for image, error in seen.failures])


def _figure_name(position: int, name: str) -> str:
    from pfungst.audit.schema import safe_name

    return f"strategies-{position:02d}-{safe_name(name)}"


def _write(found: dict[str, Strategies], out: Path, json: str | None) -> None:
    from pfungst.contract.plain import to_plain

    content = {"classes": {name: to_plain(result) for name, result in found.items()}}
    _run.write_json(str(out / "strategies.json"), content)
    if json is not None:
        _run.write_json(json, content)


def _print(found: dict[str, Strategies], title: str) -> None:
    rows = [
        (name, str(cluster.index + 1), str(cluster.size), f"{100 * cluster.share:.0f}",
         _number(100 * cluster.share_outside, 0), _number(cluster.blend, 3), ", ".join(cluster.exemplars[:3]))
        for name, result in found.items()
        for cluster in result.clusters
    ]  # fmt: skip
    header = ("class", "group", "photos", "share %", "off object %", "p", "most typical")
    _run.print_table(title, header, rows)
    for name, result in found.items():
        typer.echo(f"{name}: {result.note}")


def _number(value: float, digits: int) -> str:
    return "–" if isnan(value) else f"{value:.{digits}f}"
