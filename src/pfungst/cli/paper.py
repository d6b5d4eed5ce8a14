"""``pfungst paper voc2007``: the paper's whole experiment by one command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import grouped
from pfungst.cli._progress import progress_bar
from pfungst.cli._tables import print_table
from pfungst.cli._work import Crew


@grouped
def voc2007(
    crew: Crew,
    data: Annotated[
        Path,
        typer.Option(help="VOCdevkit (`pfungst data voc2007` fetches it), or any folder in VOC layout with "
                          "splits train, val and test."),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder of models, records and the page.")
    ] = Path("pfungst-paper"),
    caffenet: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="DEPLOY WEIGHTS", help="The reference CaffeNet: prototxt and caffemodel. "
                     "Without it EfficientNet-Lite0 takes its place."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="A partial run: so many photos of each split, stratified.")
    ] = None,
    classes: _options.Classes = None,
    components: Annotated[int, typer.Option(help="K, components of the Gaussian mixture.")] = 256,
    samples: Annotated[int, typer.Option(help="Descriptors sampled for PCA and mixture.")] = 1_000_000,
    region_photos: Annotated[
        int, typer.Option(help="Photos on which the network's regions are perturbed.")
    ] = 200,
    seed: _options.Seed = 0,
    json: _options.JsonTarget = None,
) -> None:  # fmt: skip
    """Repeat the experiment of "Analyzing Classifiers: Fisher Vectors and Deep Neural Networks".

    Trains Fisher vectors and the network, measures average precision beside the published figures, the
    quality of the heatmaps (Figure 1), context ratios and artefacts, and writes a page. The same command goes
    on after an interrupt; finished stages are not repeated.
    """
    from pfungst.fisher import FisherTraining
    from pfungst.images import VOC_CLASSES
    from pfungst.images.names import named_classes
    from pfungst.paper import PaperConfig, run_paper

    config = PaperConfig(
        caffenet=caffenet,
        classes=named_classes(classes, VOC_CLASSES),
        limit=limit,
        fisher=FisherTraining(n_components=components, n_sampled=samples),
        region_photos=region_photos,
        random_state=seed,
    )
    with progress_bar() as progress:
        result = run_paper(data, out, config, workers=crew.hired, progress=progress)
    if json is not None:
        _run.write_json(json, dict(result.numbers))
    if json != "-":
        _print(result.numbers)
        typer.echo(f"Open {result.page.resolve()} in a browser.")
    _run.finish(result.failures)


def _print(numbers: Mapping[str, Any]) -> None:
    from pfungst.paper import tables

    for note in numbers["notes"]:
        typer.echo(note)
    header, cells = tables.precision_cells(numbers["precision"], numbers["network"])
    print_table(f"{numbers['data']}: average precision (11 points) %", header, cells)
    for model, rows in numbers["quality"].items():
        header, cells = tables.quality_cells(rows)
        print_table(f"{model}: heatmap quality", header, cells)
