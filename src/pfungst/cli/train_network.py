"""``pfungst train network``: retrain a network for the classes of a labelled photo set."""

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
    from pfungst.network import NetworkTraining
    from pfungst.network.training.train import TrainedNetwork


@dataclass(frozen=True, kw_only=True)
class Descent(Group):
    """How the network learns."""

    panel: ClassVar[str] = "Training"

    freeze: Annotated[
        bool, typer.Option("--freeze/--train-all", help="Train the last layer only, or every layer.")
    ] = True
    epochs: Annotated[int | None, typer.Option(help="Passes over all views.")] = None
    batch_size: Annotated[int, typer.Option(help="Views in a step.")] = 64
    learning_rate: Annotated[float | None, typer.Option(help="At the start.")] = None
    momentum: Annotated[float, typer.Option(help="Of the descent.")] = 0.9
    weight_decay: Annotated[float | None, typer.Option(help="Of weights, not of biases.")] = None
    step_epochs: Annotated[
        int | None, typer.Option(help="Epochs between falls of the learning rate.  [default: a third]")
    ] = None
    step_factor: Annotated[float, typer.Option(help="What the learning rate falls to.")] = 0.1
    geometry: Annotated[
        str, typer.Option(help="longest+pad keeps the aspect and pads; warp makes a square.")
    ] = "longest+pad"
    refit: Annotated[
        bool, typer.Option(help="Train again on training and validation photos for the best epochs.")
    ] = True
    threads: Annotated[
        int, typer.Option(min=1, help="Of --train-all; the last digits depend on it, not on --workers.")
    ] = 1
    cache_gib: Annotated[float, typer.Option(help="Largest size of stored views on disk.")] = 8.0

    def config(self, seed: int) -> NetworkTraining:
        """As the training takes it."""
        from pfungst.network import NetworkTraining

        return NetworkTraining(
            freeze=self.freeze,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            step_epochs=self.step_epochs,
            step_factor=self.step_factor,
            geometry=self.geometry,  # type: ignore[arg-type]  # checked by NetworkTraining
            refit=self.refit,
            max_cache_bytes=int(self.cache_gib * 2**30),
            threads=self.threads,
            random_state=seed,
        )


@grouped
def network(
    photos: Learned,
    target: ModelTarget,
    descent: Descent,
    crew: Crew,
    init: Annotated[
        str,
        typer.Option(
            help="Where to start: efficientnet-lite0, small-cnn, timm:NAME, torchvision:NAME, a Hugging Face "
            "folder or a model folder."
        ),
    ],
    weights: Annotated[
        Path | None,
        typer.Option(help="State dict (.safetensors, .pth) to start from instead; 'random' for a seed's."),
    ] = None,
    json: _options.JsonTarget = None,
) -> None:
    """Train a network for several labels a photo: sum of hinge losses, ten views a photo.

    Views and checkpoints are kept in OUT.training until the model is written: the same command goes on after
    an interrupt, to the same numbers. Remove that folder to start anew.
    """
    from pfungst.network import initial_network, train_network
    from pfungst.writing import remove_folder

    target.check()
    train, validation, unread = photos.parts()
    start = initial_network(init, train.classes, weights=weights, random_state=photos.seed)
    with progress_bar() as progress:
        trained = train_network(
            start,
            train,
            validation,
            descent.config(photos.seed),
            out=target.unfinished,
            workers=crew.hired,
            progress=progress,
        )
    trained.classifier.save(target.out)
    remove_folder(target.unfinished)
    _report(trained, (*unread, *trained.failures), target.out, json)


def _report(trained: TrainedNetwork, failures: Sequence[Failure], out: Path, json: str | None) -> None:
    summary: dict[str, Any] = {
        "model": str(out),
        "classes": list(trained.classifier.classes),
        "best_epoch": trained.best_epoch + 1,
        "history": [{"loss": epoch.loss, "validation_map": epoch.mean_ap} for epoch in trained.history],
        "thresholds": trained.classifier.thresholds.tolist(),
        "undefined_thresholds": list(trained.undefined_thresholds),
        "failed": [str(error) for error in failures],
    }
    if json is not None:
        _run.write_json(json, summary)
    if json != "-":
        rows = [
            (f"{number}{' *' if number == trained.best_epoch + 1 else ''}", f"{epoch.loss:.4f}",
             "–" if epoch.mean_ap is None else f"{100 * epoch.mean_ap:.2f}")
            for number, epoch in enumerate(trained.history, start=1)
        ]  # fmt: skip
        print_table(f"{out}: epoch {trained.best_epoch + 1} chosen",
                         ("epoch", "loss", "validation mAP %"), rows)  # fmt: skip
    _run.finish(failures)
