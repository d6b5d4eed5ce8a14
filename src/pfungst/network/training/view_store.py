"""What training reads again and again: views of photos, computed once, in a memory-mapped file.

Computing them is a run like any other (:mod:`pfungst.runs.photos`): it can be interrupted, a photo that has
changed since is refused, and one that could not be read is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.errors import ConfigError, Failure
from pfungst.images.dataset import DataSet
from pfungst.network.preprocess import Preprocess
from pfungst.network.training.backbone import Backbone
from pfungst.network.views import center_view, place, training_views
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.photos import Photo, PhotoTask, run_photos
from pfungst.runs.recorded import Finished
from pfungst.writing import reserve, writing

_VIEWS = "views"
TRAINING_VIEWS = 10
CENTER = 4
"""Position of the centre crop, not mirrored, among the ten views of ``training_views``."""


@dataclass(frozen=True)
class FeatureTask:
    """Features of a photo's ten training views, or of the centre view alone where no more is needed.

    Attributes
    ----------
    backbone : Backbone
        What computes them.
    center_only : frozenset of str
        Ids of records that are only scored: the rows of their other views stay zero.
    """

    backbone: Backbone
    center_only: frozenset[str] = frozenset()

    def __call__(self, photos: Sequence[Photo]) -> list[Finished]:
        """``(10, n_features)`` float32 of each photo."""
        return [_finished(photo, self._features(photo)) for photo in photos]

    def _features(self, photo: Photo) -> NDArray[np.float32]:
        preprocess = self.backbone.preprocess
        if photo.record.id not in self.center_only:
            return self.backbone.features(training_views(photo.image, preprocess))
        center = self.backbone.features(center_view(photo.image, preprocess)[0][None])[0]
        rows = np.zeros((TRAINING_VIEWS, center.size), dtype=np.float32)
        rows[CENTER] = center
        return rows


@dataclass(frozen=True)
class CanvasTask:
    """A photo's canvas, from which every training view is cropped."""

    preprocess: Preprocess

    def __call__(self, photos: Sequence[Photo]) -> list[Finished]:
        """``(length, length, 3)`` uint8 of each photo."""
        return [_finished(photo, self._canvas(photo.image)) for photo in photos]

    def _canvas(self, image: ImageArray) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        placement = place(height, width, self.preprocess)
        return placement.draw(image)


def _finished(photo: Photo, views: NDArray[Any]) -> Finished:
    return Finished(record={"image": photo.record.id}, arrays={_VIEWS: views})


@dataclass(frozen=True)
class StoredViews:
    """Views of the photos that could be read.

    Attributes
    ----------
    array : (n_records, ...)
        Memory-mapped; rows of unreadable photos are zero.
    readable : (n_records,) bool
        Which rows hold a photo.
    failures : tuple of Failure
        The others, and why they do not.
    """

    array: NDArray[Any]
    readable: NDArray[np.bool_]
    failures: tuple[Failure, ...]


def store_views(
    folder: Path,
    data: DataSet,
    task: PhotoTask,
    row: tuple[int, ...],
    dtype: type[np.generic],
    *,
    settings: Mapping[str, Any],
    workers: Workers = 1,
    progress: Progress = silent,
) -> StoredViews:
    """Compute ``task`` for every photo, going on where an earlier call was stopped.

    Parameters
    ----------
    folder : path
        Of the run; beside it, with the suffix .dat, all views are laid into one file.
    data : DataSet
        One row for each of its photos.
    task : callable
        :class:`FeatureTask` or :class:`CanvasTask`.
    row, dtype
        Shape and type of one row.
    settings : mapping
        Plain JSON: everything that the training depends on beside version and data.
    workers, progress
        As for :func:`~pfungst.runs.photos.run_photos`.

    Raises
    ------
    ConfigError
        If the folder holds the views of a training with another configuration.
    DataError
        If a photo has changed since its views were computed.
    FileError
        If the disk is full.
    """
    run = run_photos(
        task,
        data,
        settings=settings,
        out=folder,
        workers=workers,
        progress=progress,
        stage=folder.name,
    )
    failed = {failure.item for failure in run.failures}
    readable = np.array([record.id not in failed for record in data], dtype=bool)
    array = _reserved(folder.with_suffix(".dat"), (len(data), *row), dtype)
    for index, record in enumerate(data):
        if readable[index]:
            array[index] = run.arrays(record.id)[_VIEWS]
    return StoredViews(array, readable, run.failures)


def check_size(n_records: int, row: tuple[int, ...], dtype: type[np.generic], limit: int) -> None:
    """Refuse a store that would be larger than ``limit`` bytes: the run's records and the file made of them.

    Raises
    ------
    ConfigError
        With the size that it needs.
    """
    needed = 2 * n_records * int(np.prod(row)) * np.dtype(dtype).itemsize
    if needed > limit:
        raise ConfigError(
            f"the views of {n_records} photos need {needed / 2**30:.1f} GiB on disk",
            allowed=f"at most {limit / 2**30:.1f} GiB",
            hint="a larger max_cache_bytes (--cache-gib), or fewer photos",
        )


def _reserved(file: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> Any:
    """A memory-mapped array of zeros whose space on the disk is there: writing to it cannot fail later."""
    reserve(file, int(np.prod(shape)) * np.dtype(dtype).itemsize)
    with writing(file):
        return np.memmap(file, mode="r+", dtype=dtype, shape=shape)
