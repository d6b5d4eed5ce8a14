"""What training reads again and again: views of photos, computed once, in a memory-mapped file.

Computing them is a run like any other (:mod:`pfungst.runs.recorded`): it can be interrupted, a photo that has
changed since is refused, and one that could not be read is tried again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError, PfungstError
from pfungst.images.dataset import Record
from pfungst.images.decode import decode
from pfungst.network.preprocess import Preprocess
from pfungst.network.training.backbone import Backbone
from pfungst.network.views import Placement, center_view, training_views
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.recorded import Finished, run_items
from pfungst.writing import writing

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

    def __call__(self, record: Record) -> Finished:
        """``(10, n_features)`` float32."""
        image, preprocess = decode(record.path), self.backbone.preprocess
        if record.id not in self.center_only:
            return _finished(record, self.backbone.features(training_views(image, preprocess)))
        center = self.backbone.features(center_view(image, preprocess)[0][None])[0]
        rows = np.zeros((TRAINING_VIEWS, center.size), dtype=np.float32)
        rows[CENTER] = center
        return _finished(record, rows)


@dataclass(frozen=True)
class CanvasTask:
    """A photo's canvas, from which every training view is cropped."""

    preprocess: Preprocess

    def __call__(self, record: Record) -> Finished:
        """``(length, length, 3)`` uint8."""
        image = decode(record.path)
        height, width = image.shape[:2]
        placement = Placement.plan(height, width, self.preprocess.resize, self.preprocess.resize_length)
        return _finished(record, placement.draw(image))


def _finished(record: Record, views: NDArray[Any]) -> Finished:
    return Finished(record={"image": record.id}, arrays={_VIEWS: views})


@dataclass(frozen=True)
class StoredViews:
    """Views of the photos that could be read.

    Attributes
    ----------
    array : (n_records, ...)
        Memory-mapped; rows of unreadable photos are zero.
    readable : (n_records,) bool
        Which rows hold a photo.
    failures : tuple of PfungstError
        Why the others do not.
    """

    array: NDArray[Any]
    readable: NDArray[np.bool_]
    failures: tuple[PfungstError, ...]


def store_views(
    folder: Path,
    records: Sequence[Record],
    task: Callable[[Record], Finished],
    row: tuple[int, ...],
    dtype: type[np.generic],
    *,
    configuration: Mapping[str, Any],
    skipped: Sequence[str] = (),
    workers: Workers = 1,
    progress: Progress = silent,
) -> StoredViews:
    """Compute ``task`` for every record, going on where an earlier call was stopped.

    Parameters
    ----------
    folder : path
        Of the run; beside it, with the suffix .npy, all views are laid into one file.
    records : sequence of Record
        One row each.
    task : callable
        :class:`FeatureTask` or :class:`CanvasTask`.
    row, dtype
        Shape and type of one row.
    configuration : mapping
        Plain JSON: everything that the training depends on.
    skipped, workers, progress
        As for :func:`~pfungst.runs.recorded.run_items`.

    Raises
    ------
    ConfigError
        If the folder holds the views of a training with another configuration.
    DataError
        If a photo has changed since its views were computed.
    FileError
        If the disk is full.
    """
    run = run_items(
        task,
        records,
        keys=[record.id for record in records],
        files=[record.path for record in records],
        configuration=configuration,
        skipped=skipped,
        out=folder,
        workers=workers,
        progress=progress,
        stage=folder.name,
    )
    failed = {key for key, _ in run.failures}
    readable = np.array([record.id not in failed for record in records], dtype=bool)
    array = _reserved(folder.with_suffix(".npy"), (len(records), *row), dtype)
    for index, record in enumerate(records):
        if readable[index]:
            array[index] = run.arrays(record.id)[_VIEWS]
    return StoredViews(array, readable, tuple(error for _, error in run.failures))


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
    with writing(file):
        array = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with file.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
    return array
