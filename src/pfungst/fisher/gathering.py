"""What a training reads of its photos: a descriptor sample and Fisher vectors.

Both are runs (:mod:`pfungst.runs.recorded`), so that they can be interrupted; the arrays of their items are
then laid into one memory-mapped file, which may be larger than memory.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst import __version__
from pfungst.descriptors import PCA, Descriptor, described
from pfungst.errors import Failure, PfungstError, about_photo
from pfungst.fisher.pipeline import FisherPipeline
from pfungst.fisher.settings import FisherTraining
from pfungst.images import DataSet, Record, decode
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.identity import data_identity
from pfungst.runs.recorded import Finished, Run, run_items
from pfungst.runs.shards import SHARD_ROWS
from pfungst.writing import make_folder, reserve, writing

ROWS = "rows"
"""The array of each item."""


@contextmanager
def opened_gathering(out: str | Path | None, workers: Workers) -> Iterator[Gathering]:
    """A folder for a training: the user's, or a temporary one for the block."""
    if out is not None:
        make_folder(Path(out))
        yield Gathering(Path(out), workers, keep=True)
        return
    with tempfile.TemporaryDirectory(prefix="pfungst-") as folder:
        yield Gathering(Path(folder), workers, keep=False)


@dataclass(frozen=True)
class Gathering:
    """Where a training keeps what it has read.

    Attributes
    ----------
    folder : Path
    workers : int or Cluster
    keep : bool
        Whether the runs are kept, to be taken up again.
    """

    folder: Path
    workers: Workers
    keep: bool

    def rows(
        self,
        name: str,
        task: Callable[[Record], Finished],
        data: DataSet,
        configuration: Mapping[str, Any],
        progress: Progress,
    ) -> tuple[NDArray[np.float32], tuple[str, ...], tuple[Failure, ...]]:
        """All photos' rows in one memory-mapped file, the photos that have some, and what failed."""
        run = run_items(
            task,
            data.records,
            keys=[record.id for record in data],
            files=[record.path for record in data],
            problems=data.problems,
            configuration={"version": __version__, "data": data_identity(data), **configuration},
            out=self.folder / name.replace(" ", "-") if self.keep else None,
            workers=self.workers,
            progress=progress,
            stage=name,
        )
        with run:
            records = run.records()
            if not records:
                raise PfungstError("no photo could be used", hint=f"the first reason was: {run.failures[0]}")
            rows = _joined(run, records, self.folder / f"{name.replace(' ', '-')}.rows")
        return rows, tuple(record["image"] for record in records), tuple(run.failures)

    def projected(self, sample: NDArray[np.float32], pca: PCA) -> NDArray[np.float32]:
        """The sample after PCA, in a file of its own."""
        shape = (len(sample), pca.n_components)
        target: NDArray[np.float32] = _mapped(self.folder / "projected.rows", shape)
        for start in range(0, len(sample), SHARD_ROWS):
            rows = slice(start, start + SHARD_ROWS)
            target[rows] = pca.transform(sample[rows])
        return target


def _joined(run: Run, records: list[dict[str, Any]], file: Path) -> NDArray[np.float32]:
    """Every item's rows, one after the other."""
    width = run.arrays(records[0]["image"])[ROWS].shape[1]
    target: NDArray[np.float32] = _mapped(file, (sum(record[ROWS] for record in records), width))
    filled = 0
    for record in records:
        target[filled : filled + record[ROWS]] = run.arrays(record["image"])[ROWS]
        filled += record[ROWS]
    return target


def _mapped(file: Path, shape: tuple[int, int]) -> Any:
    """A memory-mapped array whose space on the disk is its own."""
    reserve(file, 4 * math.prod(shape))
    with writing(file):
        return np.memmap(file, mode="r+", dtype=np.float32, shape=shape)


@dataclass(frozen=True)
class _SampleTask:
    """Draw a share of one photo's descriptors; the draw depends on the seed and the photo's id only."""

    descriptor: Descriptor
    share: int
    random_state: int

    def __call__(self, record: Record) -> Finished:
        image = decode(record.path)
        with about_photo(record.path):
            values = described(self.descriptor, image).values
        generator = np.random.default_rng([self.random_state, zlib.crc32(record.id.encode())])
        chosen = generator.choice(len(values), min(self.share, len(values)), replace=False)
        rows = values[np.sort(chosen)]
        return Finished(record={"image": record.id, ROWS: len(rows)}, arrays={ROWS: rows})


def sample_descriptors(
    train: DataSet, config: FisherTraining, *, gathering: Gathering, progress: Progress = silent
) -> tuple[NDArray[np.float32], tuple[Failure, ...]]:
    """A seeded sample ``(n, d)`` in equal parts from the photos, memory-mapped.

    Raises
    ------
    PfungstError
        If no photo can be used.
    """
    generator = np.random.default_rng(config.random_state)
    count = min(config.max_sampled_images, len(train))
    positions = np.sort(generator.choice(len(train), count, replace=False))
    chosen = replace(train, records=tuple(train.records[position] for position in positions))
    share = -(-config.n_sampled // max(count, 1))
    sample, _, failures = gathering.rows(
        "descriptor sample",
        _SampleTask(config.descriptor, share, config.random_state),
        chosen,
        {"descriptor": config.descriptor.as_dict(), "share": share, "random_state": config.random_state},
        progress,
    )
    return sample[: config.n_sampled], failures


@dataclass(frozen=True)
class _EncodeTask:
    """Fisher vector of one photo."""

    pipeline: FisherPipeline

    def __call__(self, record: Record) -> Finished:
        image = decode(record.path)
        with about_photo(record.path):
            vector = self.pipeline.vector(image)
        return Finished(record={"image": record.id, ROWS: 1}, arrays={ROWS: vector[None]})


def encode_photos(
    pipeline: FisherPipeline,
    train: DataSet,
    validation: DataSet,
    *,
    gathering: Gathering,
    progress: Progress = silent,
) -> tuple[NDArray[np.float32], NDArray[np.intp], tuple[Failure, ...]]:
    """Improved Fisher vectors of both sets, training photos first, in a memory-mapped file.

    Returns
    -------
    vectors : (n_usable, V) float32
    kept : (n_usable,) int
        Which photos they belong to.
    failures : tuple of Failure
    """
    parts = {"train": train, "val": validation}  # a photo may be in both
    records = [replace(record, id=f"{name}/{record.id}") for name, part in parts.items() for record in part]
    both = replace(train, records=tuple(records))
    vectors, ids, failures = gathering.rows(
        "Fisher vectors", _EncodeTask(pipeline), both, {"pipeline": _fingerprint(pipeline)}, progress
    )
    position = {record.id: index for index, record in enumerate(both)}
    return vectors, np.array([position[name] for name in ids], dtype=np.intp), failures


def _fingerprint(pipeline: FisherPipeline) -> dict[str, Any]:
    """What a Fisher vector depends on."""
    mixture, pca = pipeline.mixture, pipeline.pca
    digest = hashlib.sha256()
    for array in (pca.mean, pca.components, mixture.weights, mixture.means, mixture.variances):
        digest.update(np.ascontiguousarray(array).tobytes())
    return {"descriptor": pipeline.descriptor.as_dict(), "arrays_sha256": digest.hexdigest()}
