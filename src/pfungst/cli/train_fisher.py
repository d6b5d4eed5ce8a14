"""``pfungst train fisher``: a Fisher-vector classifier from a labelled photo set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pfungst.cli import _options, _run


def fisher(
    data: Annotated[Path, typer.Argument(help="Data set: VOC layout, COCO JSON, or a folder per class.")],
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
    train_split: Annotated[str, typer.Option(help="Photos to learn from.")] = "train",
    val_split: Annotated[str, typer.Option(help="Photos that choose C and the thresholds.")] = "val",
    classes: _options.Classes = None,
    components: Annotated[int, typer.Option(help="K, components of the Gaussian mixture.")] = 256,
    dims: Annotated[int, typer.Option(help="D, descriptor dimensions after PCA.")] = 80,
    descriptor: Annotated[str, typer.Option(help="Local descriptors: 'sift' or 'colour'.")] = "sift",
    step: Annotated[
        int | None,
        typer.Option(help="Distance of neighbouring descriptors in pixels. Default: 3; 4 for colour."),
    ] = None,
    bin_sizes: Annotated[
        str | None,
        typer.Option(
            help="Sides of a bin (a quarter of a descriptor) in pixels, one a scale, separated by commas. "
            "Default: 4,6,8,10; 4,6,8,12,16 for colour."
        ),
    ] = None,
    contrast: Annotated[
        float | None,
        typer.Option(help="SIFT with less gradient mass per pixel is dropped. Default: 0.005."),
    ] = None,
    max_height: Annotated[
        int | None, typer.Option(help="Reduce taller photos to this height first (useful for large photos).")
    ] = None,
    samples: Annotated[int, typer.Option(help="Descriptors sampled for PCA and mixture.")] = 1_000_000,
    mixture_start: Annotated[str, typer.Option(help="'k-means' or 'random'.")] = "k-means",
    iterations: Annotated[int, typer.Option(help="Of expectation-maximisation, at the most.")] = 40,
    c: Annotated[
        str, typer.Option("--c", help="Values of the SVM's C to choose from, separated by commas.")
    ] = "0.1,1,10,100",
    seed: _options.Seed = 0,
    workers: _options.Workers = 0,
    scheduler: _options.Scheduler = None,
    json: _options.JsonTarget = None,
) -> None:
    """Train a Fisher-vector classifier: local descriptors, PCA, Gaussian mixture, linear SVMs.

    C and the decision thresholds come from the validation photos; the final machines learn from training and
    validation photos together. Defaults are the paper's. The same command goes on after an interrupt (from
    OUT.training, which goes when the model is written).
    """
    from pfungst.contract.storage import check_target
    from pfungst.descriptors import descriptor_from_dict
    from pfungst.fisher import FisherTraining, train_fisher
    from pfungst.writing import remove_folder

    check_target(out)
    dataset = _options.with_splits(_options.open_data(data, _run.comma_list(classes)), seed)
    chosen = {
        "step": step,
        "bin_sizes": None if bin_sizes is None else _run.numbers("--bin-sizes", bin_sizes, int),
        "contrast_threshold": contrast,
        "max_height": max_height,
    }
    config = FisherTraining(
        n_components=components,
        dims=dims,
        descriptor=descriptor_from_dict(
            {"name": descriptor} | {name: value for name, value in chosen.items() if value is not None}
        ),
        n_sampled=samples,
        mixture_init=mixture_start,  # type: ignore[arg-type]  # checked by FisherTraining
        mixture_iterations=iterations,
        c_values=tuple(_run.numbers("--c", c, float)),
        random_state=seed,
    )
    work = out.with_name(out.name + ".training")
    with _run.progress_bar() as progress:
        trained = train_fisher(
            dataset.split(train_split),
            dataset.split(val_split),
            config,
            out=work,
            workers=_options.crew(workers, scheduler),
            progress=progress,
        )
    trained.classifier.save(out)
    remove_folder(work)
    summary = {
        "model": str(out),
        "classes": list(trained.classifier.classes),
        "c": trained.c,
        "validation_map": trained.classifier.training["validation_map"],
        "failed": [str(error) for error in trained.failures],
    }
    if json is not None:
        _run.write_json(json, summary)
    if json != "-":
        rows = [
            (c, "–" if score is None else f"{100 * score:.2f}")
            for c, score in summary["validation_map"].items()
        ]
        _run.print_table(f"{out}: C = {trained.c:g} chosen", ("C", "validation mAP %"), rows)
    _run.finish(trained.failures)
