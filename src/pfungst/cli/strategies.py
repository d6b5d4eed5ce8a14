"""``pfungst strategies``: groups of a class's photos whose heatmaps are alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import grouped
from pfungst.cli._models import Model
from pfungst.cli._photos import Measured
from pfungst.cli._progress import progress_bar
from pfungst.cli._surveys import Surveyed
from pfungst.cli._tables import print_table
from pfungst.cli._work import Crew
from pfungst.evaluation import wording

if TYPE_CHECKING:
    from pfungst.audits.schema import Strategies


@grouped
def strategies(
    model: Model,
    data_set: Measured,
    surveyed: Surveyed,
    crew: Crew,
    out: Annotated[
        Path, typer.Option(help="Folder for heatmaps, figures and numbers; an interrupted run goes on there.")
    ],
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
    json: _options.JsonTarget = None,
) -> None:
    """Find the different ways in which a model recognises a class, by grouping its heatmaps.

    A class whose photos fall into two groups, one of them with its relevance in a corner, may live off a
    mark there. Each group is shown by its mean heatmap and its most typical photos; the text says whether
    the groups really stand apart.
    """
    from pfungst.audits.strategies.finding import StrategiesConfig, find_strategies
    from pfungst.report.strategies_figure import save_strategies

    config = StrategiesConfig(
        photos=photos,  # type: ignore[arg-type]  # checked there
        part=part,  # type: ignore[arg-type]
        side=side,
        n_neighbours=neighbours,
        max_clusters=max_clusters,
        random_state=data_set.seed,
    )
    with model.loaded() as (classifier, identity):
        dataset, used = data_set.new_to({model.name: classifier})
        with progress_bar() as progress:
            seen = surveyed.of(
                classifier,
                dataset,
                model.name,
                seed=data_set.seed,
                classes=data_set.classes,
                identity=identity,
                out=out,
                workers=crew.hired,
                progress=progress,
            )
            found: dict[str, Strategies] = {}
            for position, name in enumerate(seen.classes, 1):
                found[name] = find_strategies(seen, name, config, out=out)
                progress("strategies", position, len(seen.classes))
        title = f"{model.model} on {dataset.name}"
        save_strategies(out, found, title=title, thumbnail=seen.thumbnail)
        if json is not None:
            _run.write_json(json, {"classes": found, "photos": used, "failures": seen.failures})
        if json != "-":
            _print(found, title)
    _run.finish(seen.failures)


def _print(found: dict[str, Strategies], title: str) -> None:
    rows = [
        (name, str(cluster.index + 1), str(cluster.size), wording.share(cluster.share),
         wording.share(cluster.share_outside), wording.number(cluster.blend, 3),
         ", ".join(cluster.exemplars[:3]))
        for name, result in found.items()
        for cluster in result.clusters
    ]  # fmt: skip
    header = ("class", "group", "photos", "share %", "off object %", "p", "most typical")
    print_table(title, header, rows)
    for name, result in found.items():
        typer.echo(f"{name}: {result.note}")
