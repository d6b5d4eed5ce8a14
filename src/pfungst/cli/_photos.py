"""The options that say which photos a command works on, shared by all that take a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from pfungst.cli import _options
from pfungst.cli._groups import Group

if TYPE_CHECKING:
    from pfungst.contract.classifier import Classifier
    from pfungst.contract.used import UsedPhotos
    from pfungst.errors import Failure
    from pfungst.images import DataSet


@dataclass(frozen=True, kw_only=True)
class Photos(Group):
    """A data set, as it is."""

    panel: ClassVar[str] = "Photos"

    data: Annotated[
        Path,
        typer.Argument(help="Data set: a folder of photos with their labels, or an annotation file."),
    ]
    layout: _options.Format = None
    images: _options.Images = None
    classes: _options.Classes = None

    def opened(self) -> DataSet:
        """The data set, with the named classes alone if any are named."""
        from pfungst.images import open_dataset
        from pfungst.images.names import named_classes

        found = open_dataset(self.data, format=self.layout, images=self.images)
        chosen = named_classes(self.classes, found.classes)
        return found if chosen is None else found.select(chosen)


@dataclass(frozen=True, kw_only=True)
class Labelled(Photos):
    """A data set to learn from."""

    seed: _options.Seed = 0

    def dealt(self) -> DataSet:
        """With its own splits, or with seeded ones (half train, a quarter each val and test).

        Equal files in two splits are among its problems.
        """
        from pfungst.cli._progress import progress_bar
        from pfungst.images.twins import shared_files

        found = self.opened()
        found = found if found.splits else found.with_random_splits(random_state=self.seed)
        with progress_bar() as progress:
            return shared_files(found, progress=progress)


@dataclass(frozen=True, kw_only=True)
class Learned(Labelled):
    """A data set to learn from, and to choose settings by."""

    train_split: Annotated[str, typer.Option(help="Photos to learn from.")] = "train"
    val_split: Annotated[
        str, typer.Option(help="Photos that choose settings, such as C or the epoch, and the thresholds.")
    ] = "val"

    def parts(self) -> tuple[DataSet, DataSet, tuple[Failure, ...]]:
        """The photos of both splits, and what could not be read."""
        found = self.dealt()
        return found.split(self.train_split), found.split(self.val_split), found.failures


@dataclass(frozen=True, kw_only=True)
class Measured(Labelled):
    """A data set on which models are measured."""

    split: Annotated[
        str, typer.Option(help="Photos the models have not learned from; 'all' for every one.")
    ] = "test"
    include_seen: Annotated[
        bool,
        typer.Option("--include-seen", help="Keep photos that a model has learned from; else left out."),
    ] = False

    def new_to(self, models: Mapping[str, Classifier]) -> tuple[DataSet, UsedPhotos]:
        """The photos that the models, by name, have not learned from, and what there is to tell of them."""
        from pfungst.cli._progress import progress_bar
        from pfungst.contract.used import used_photos
        from pfungst.front.edges import new_photos

        with progress_bar() as progress:
            found = new_photos(
                self.data,
                models,
                include_seen=self.include_seen,
                split=self.split,
                format=self.layout,
                images=self.images,
                random_state=self.seed,
                progress=progress,
            )
        used = used_photos(found, models)
        tell(used)
        return found, used


def tell(used: UsedPhotos) -> None:
    """What a person should know of the photos, on standard error."""
    for line in used.lines:
        typer.secho(f"note: {line}", err=True, fg="yellow")
