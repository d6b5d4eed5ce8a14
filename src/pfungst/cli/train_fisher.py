"""``pfungst train fisher``: a Fisher-vector classifier from a labelled photo set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import Group, grouped
from pfungst.cli._photos import Learned
from pfungst.cli._progress import progress_bar
from pfungst.cli._tables import print_table
from pfungst.cli._targets import ModelTarget
from pfungst.cli._work import Crew
from pfungst.errors import Failure

if TYPE_CHECKING:
    from pfungst.descriptors import Descriptor
    from pfungst.fisher.training import TrainedFisher


@dataclass(frozen=True, kw_only=True)
class Descriptors(Group):
    """Which local descriptors, and where they lie."""

    panel: ClassVar[str] = "Descriptors"

    descriptor: Annotated[str, typer.Option(help="Local descriptors: 'sift' or 'colour'.")] = "sift"
    step: Annotated[
        int | None,
        typer.Option(help="Distance of neighbouring descriptors in pixels. Default: 3; 4 for colour."),
    ] = None
    bin_sizes: Annotated[
        str | None,
        typer.Option(
            help="Sides of a bin (a quarter of a descriptor) in pixels, one a scale, separated by commas. "
            "Default: 4,6,8,10; 4,6,8,12,16 for colour."
        ),
    ] = None
    contrast: Annotated[
        float | None,
        typer.Option(help="SIFT with less gradient mass per pixel is dropped. Default: 0.005."),
    ] = None
    max_height: Annotated[
        int | None, typer.Option(help="Reduce taller photos to this height first (useful for large photos).")
    ] = None
    longest_side: Annotated[
        int | None,
        typer.Option(min=0, help="Reduce photos with a longer side to it first; 0 for none. Default: 2000."),
    ] = None

    def chosen(self) -> Descriptor:
        """The descriptor of that name; what was not stated is its own default."""
        from pfungst.descriptors import descriptor_from_dict

        stated: dict[str, Any] = {
            "step": self.step,
            "bin_sizes": None if self.bin_sizes is None else _run.numbers("--bin-sizes", self.bin_sizes, int),
            "contrast_threshold": self.contrast,
            "max_height": self.max_height,
        }
        given = {name: value for name, value in stated.items() if value is not None}
        if self.longest_side is not None:
            given["longest_side"] = self.longest_side or None
        return descriptor_from_dict({"name": self.descriptor, **given})


@grouped
def fisher(
    photos: Learned,
    target: ModelTarget,
    descriptors: Descriptors,
    crew: Crew,
    components: Annotated[int, typer.Option(help="K, components of the Gaussian mixture.")] = 256,
    dims: Annotated[int, typer.Option(help="D, descriptor dimensions after PCA.")] = 80,
    samples: Annotated[int, typer.Option(help="Descriptors sampled for PCA and mixture.")] = 1_000_000,
    mixture_start: Annotated[str, typer.Option(help="'k-means' or 'random'.")] = "k-means",
    iterations: Annotated[int, typer.Option(help="Of expectation-maximisation, at the most.")] = 40,
    c: Annotated[
        str, typer.Option("--c", help="Values of the SVM's C to choose from, separated by commas.")
    ] = "0.1,1,10,100",
    json: _options.JsonTarget = None,
) -> None:
    """Train a Fisher-vector classifier: local descriptors, PCA, Gaussian mixture, linear SVMs.

    C and the decision thresholds come from the validation photos; the final machines learn from training and
    validation photos together. Defaults are the paper's. The same command goes on after an interrupt (from
    OUT.training, which goes when the model is written).
    """
    from pfungst.fisher import FisherTraining, train_fisher
    from pfungst.writing import remove_folder

    target.check()
    train, validation, unread = photos.parts()
    config = FisherTraining(
        n_components=components,
        dims=dims,
        descriptor=descriptors.chosen(),
        n_sampled=samples,
        mixture_init=mixture_start,  # type: ignore[arg-type]  # checked by FisherTraining
        mixture_iterations=iterations,
        c_values=tuple(_run.numbers("--c", c, float)),
        random_state=photos.seed,
    )
    with progress_bar() as progress:
        trained = train_fisher(
            train,
            validation,
            config,
            out=target.unfinished,
            workers=crew.hired,
            progress=progress,
        )
    trained.classifier.save(target.out)
    remove_folder(target.unfinished)
    _report(trained, (*unread, *trained.failures), target.out, json)


def _report(trained: TrainedFisher, failures: Sequence[Failure], out: Path, json: str | None) -> None:
    summary = {
        "model": str(out),
        "classes": list(trained.classifier.classes),
        "c": trained.c,
        "validation_map": trained.classifier.training["validation_map"],
        "failed": [str(error) for error in failures],
    }
    if json is not None:
        _run.write_json(json, summary)
    if json != "-":
        rows = [
            (c, "–" if score is None else f"{100 * score:.2f}")
            for c, score in summary["validation_map"].items()
        ]
        print_table(f"{out}: C = {trained.c:g} chosen", ("C", "validation mAP %"), rows)
    _run.finish(failures)
