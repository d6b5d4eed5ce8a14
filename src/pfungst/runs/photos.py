"""One loop over photos: each file read once, decoded once, hashed at most once, a record of each on disk.

A task gets a small batch of decoded photos and answers with a record for each. A processor works best with
one photo at a time; a classifier on an accelerator says with its ``batch_size`` how many it likes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pfungst import __version__
from pfungst.contract.classifier import ImageArray
from pfungst.errors import ConfigError, PfungstError, about_photo
from pfungst.images.dataset import DataSet, Record
from pfungst.images.decode import decode_bytes
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.identity import (
    FileIdentity,
    data_identity,
    identity_of,
    is_unchanged,
    known_identity,
    learn_identity,
    read_photo_file,
)
from pfungst.runs.recorded import Done, Finished, Run, Work, run_batches


@dataclass(frozen=True, eq=False)
class Photo:
    """One decoded photo of a batch.

    Attributes
    ----------
    record : Record
    image : (height, width, 3) uint8
        Its pixels; a task does not write into them.
    beside : object
        What the caller of :func:`run_photos` gave for this photo.
    """

    record: Record
    image: ImageArray
    beside: Any = None


PhotoTask: TypeAlias = Callable[[Sequence[Photo]], Sequence[Finished]]
"""A batch of photos in, a record for each out, in their order; picklable. Records name the photo's id."""


def run_photos(
    task: PhotoTask,
    data: DataSet,
    *,
    settings: Mapping[str, Any],
    identity: Mapping[str, Any] | None = None,
    records: Sequence[Record] | None = None,
    beside: Mapping[str, Any] | None = None,
    batch_size: int = 1,
    keep: int = 0,
    out: str | Path | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
    stage: str = "photos",
) -> Run:
    """Apply ``task`` to the photos of a data set that have no record yet.

    Photos that cannot be decoded never reach the task. If a batch fails, its photos are tried one by one, so
    that only those that fail alone are failures; so they are if a batch ends its worker.

    Parameters
    ----------
    task : callable
        See :data:`PhotoTask`.
    data : DataSet
    settings : mapping
        Plain JSON: everything that the records depend on beside version, data and model, seeds among it.
    identity : mapping, optional
        What tells the model from another (:func:`~pfungst.contract.storage.model_identity`).
    records : sequence of Record, optional
        The photos to work on, if not all of ``data``.
    beside : mapping of str to object, optional
        What the task needs beside a photo, by the photo's id; picklable.
    batch_size : int
        Photos handed to the task at a time: a classifier's ``batch_size``. Batches are cut from the list of
        photos, not from what is left of it, so that a resumed run makes the same ones.
    keep : int
        Bytes of decoded photos that each worker keeps for a task which asks for them again
        (:func:`decoded`), or for the next run of this process.
    out, workers, progress, stage
        As for :func:`~pfungst.runs.recorded.run_items`.

    Returns
    -------
    Run
        Records in the photos' order, arrays on demand, failures.

    Raises
    ------
    ConfigError
        If the run was begun with another configuration, or the task meets a wrong option.
    DataError
        If a photo has changed since it was measured, or a file of the run is damaged.
    FileError
        If another process is at work on the run, or the disk is full or cannot be written to.
    """
    chosen = data.records if records is None else records
    extra = beside or {}
    return run_batches(
        _ReadPhotos(task, keep),
        [(record, extra.get(record.id)) for record in chosen],
        keys=[record.id for record in chosen],
        files=[record.path for record in chosen],
        batch_size=batch_size,
        problems=data.problems,
        configuration={
            "version": __version__,
            "data": data_identity(data),
            "model": dict(identity or {}),
            **settings,
        },
        out=out,
        workers=workers,
        progress=progress,
        stage=stage,
    )


@dataclass(frozen=True)
class _ReadPhotos:
    """On a worker: files to photos, photos to records, and which files they were."""

    task: PhotoTask
    keep: int

    def __call__(self, batch: Sequence[Work[tuple[Record, Any]]]) -> list[Done]:
        read = [self._read(work) for work in batch]
        usable = [photo for photo, _ in read if isinstance(photo, Photo)]
        finished = iter(self._finished(usable) if usable else ())
        return [
            Done(next(finished) if isinstance(photo, Photo) else photo, identity) for photo, identity in read
        ]

    def _read(self, work: Work[tuple[Record, Any]]) -> tuple[Photo | PfungstError, FileIdentity | None]:
        record, beside = work.item
        try:
            image, identity = _decoded.get(record.path, work.known, self.keep)
        except PfungstError as error:
            return error, None
        return Photo(record, image, beside), identity

    def _finished(self, photos: Sequence[Photo]) -> list[Finished | PfungstError]:
        if len(photos) > 1:
            try:
                return list(self._checked(photos))
            except ConfigError:
                raise
            except PfungstError:
                pass  # one of them is at fault: alone, it is found
        return [self._alone(photo) for photo in photos]

    def _alone(self, photo: Photo) -> Finished | PfungstError:
        try:
            with about_photo(photo.record.path):
                return self._checked([photo])[0]
        except ConfigError:
            raise  # a wrong option would fail for every photo
        except PfungstError as error:
            return error

    def _checked(self, photos: Sequence[Photo]) -> Sequence[Finished]:
        finished = self.task(photos)
        if len(finished) != len(photos):
            raise ValueError(f"a task answered {len(photos)} photos with {len(finished)} records")
        return finished


class _DecodedPhotos:
    """The decoded photos that a process keeps, those used last, up to a number of bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[FileIdentity, ImageArray]] = OrderedDict()
        self._bytes = 0

    def get(self, path: Path, known: FileIdentity | None, limit: int) -> tuple[ImageArray, FileIdentity]:
        """Pixels and file identity of a photo, from memory if the file is still the same."""
        name = str(path)
        if name in self._kept:
            identity, image = self._kept[name]
            if is_unchanged(path, identity):
                self._kept.move_to_end(name)
                return image, identity
            self._drop(name)
        content, state = read_photo_file(path)
        image = decode_bytes(content, name=name)
        identity = identity_of(content, state, known)
        if image.nbytes <= limit:
            image.flags.writeable = False
            self._kept[name] = identity, image
            self._bytes += image.nbytes
        while self._kept and self._bytes > limit:
            self._drop(next(iter(self._kept)))
        return image, identity

    def _drop(self, name: str) -> None:
        self._bytes -= self._kept.pop(name)[1].nbytes


_decoded = _DecodedPhotos()


def decoded(path: Path, *, keep: int = 2**28) -> ImageArray:
    """A photo's pixels, kept by this process for the next call: for tasks that come back to a photo.

    Parameters
    ----------
    path : path
    keep : int
        Bytes of decoded photos to keep in all; those not used for longest go first.

    Returns
    -------
    (height, width, 3) uint8
        Read-only where it is kept.

    Raises
    ------
    ImageError
        If it cannot be decoded.
    """
    image, identity = _decoded.get(path, known_identity(path), keep)
    learn_identity(path, identity)
    return image
