"""What training reads again and again: views of photos, computed once, in a memory-mapped file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError, FileError, PfungstError
from pfungst.images.dataset import Record
from pfungst.images.decode import decode
from pfungst.network.preprocess import Preprocess
from pfungst.network.training.backbone import Backbone
from pfungst.network.views import center_view, place, training_views
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers, map_items

_FLUSH_EVERY = 64  # photos computed again, at most, after a kill
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

    def __call__(self, record: Record) -> NDArray[np.float32]:
        """``(10, n_features)`` float32."""
        image, preprocess = decode(record.path), self.backbone.preprocess
        if record.id not in self.center_only:
            return self.backbone.features(training_views(image, preprocess))
        center = self.backbone.features(center_view(image, preprocess)[0][None])[0]
        rows = np.zeros((TRAINING_VIEWS, center.size), dtype=np.float32)
        rows[CENTER] = center
        return rows


@dataclass(frozen=True)
class CanvasTask:
    """A photo's canvas, from which every training view is cropped."""

    preprocess: Preprocess

    def __call__(self, record: Record) -> NDArray[np.uint8]:
        """``(length, length, 3)`` uint8."""
        image = decode(record.path)
        height, width = image.shape[:2]
        placement = place(height, width, self.preprocess)
        return placement.draw(image)


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
    file: Path,
    records: Sequence[Record],
    task: Callable[[Record], NDArray[Any]],
    row: tuple[int, ...],
    dtype: type[np.generic],
    *,
    workers: Workers = 1,
    progress: Progress = silent,
) -> StoredViews:
    """Compute ``task`` for every record into ``file`` (.npy), going on where an earlier call was stopped.

    Parameters
    ----------
    file : path
        The array; ``file`` with the suffix .json notes how far it has come.
    records : sequence of Record
        One row each.
    task : callable
        From a record to an array of shape ``row``.
    row, dtype
        Shape and type of one row.
    workers, progress
        As for :func:`~pfungst.runs.executor.map_items`.

    Raises
    ------
    FileError
        If an earlier file is not the array that its note describes.
    """
    note = file.with_suffix(".json")
    shape = (len(records), *row)
    done, failed = _read_note(note) if file.exists() and note.exists() else (0, {})
    array = _open_array(file, shape, dtype, fresh=done == 0)
    outcomes = map_items(task, records[done:], workers=workers, progress=progress, stage=file.stem)
    for index, outcome in enumerate(outcomes, start=done):
        if outcome.ok:
            array[index] = outcome.unwrap()
        else:
            failed[index] = str(outcome.error)
        if (index + 1) % _FLUSH_EVERY == 0 or index + 1 == len(records):
            array.flush()
            _write_note(note, index + 1, failed)
    readable = np.ones(len(records), dtype=bool)
    readable[list(failed)] = False
    return StoredViews(array, readable, tuple(PfungstError(problem) for problem in failed.values()))


def check_size(n_records: int, row: tuple[int, ...], dtype: type[np.generic], limit: int) -> None:
    """Refuse a store that would be larger than ``limit`` bytes.

    Raises
    ------
    ConfigError
        With the size that it needs.
    """
    needed = n_records * int(np.prod(row)) * np.dtype(dtype).itemsize
    if needed > limit:
        raise ConfigError(
            f"the views of {n_records} photos need {needed / 2**30:.1f} GiB on disk",
            allowed=f"at most {limit / 2**30:.1f} GiB",
            hint="a larger max_cache_bytes (--cache-gib), or fewer photos",
        )


def _open_array(file: Path, shape: tuple[int, ...], dtype: type[np.generic], *, fresh: bool) -> Any:
    if fresh:
        return np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
    try:
        array = np.lib.format.open_memmap(file, mode="r+")
    except (ValueError, OSError) as error:
        raise FileError(file, f"is damaged ({error})", hint="starting the training anew") from error
    if array.shape != shape or array.dtype != dtype:
        raise FileError(file, f"holds {array.shape}, not {shape}", hint="starting the training anew")
    return array


def _read_note(note: Path) -> tuple[int, dict[int, str]]:
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        return int(content["done"]), {int(index): str(text) for index, text in content["failed"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(note, f"is damaged ({error})", hint="starting the training anew") from error


def _write_note(note: Path, done: int, failed: dict[int, str]) -> None:
    staging = note.with_suffix(".part")
    staging.write_text(json.dumps({"done": done, "failed": failed}), encoding="utf-8")
    os.replace(staging, note)
