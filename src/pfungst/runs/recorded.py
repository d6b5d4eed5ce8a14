"""Map a task over many items and keep a record of each: on disk as it is finished, taken up again later.

A run is a folder: its manifest, its journal of records (:mod:`pfungst.runs.journal`) and the arrays of
each (:mod:`pfungst.runs.arrays`). It may be interrupted or killed at any moment: the same call goes on from
there.
Without a folder the run lives in a temporary one, so that memory never grows with the number of items.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from numpy.typing import NDArray

from pfungst.contract.plain import from_plain
from pfungst.errors import ConfigError, DataError, Failure, PfungstError
from pfungst.files import shown
from pfungst.progress import Progress, silent
from pfungst.runs.arrays import ArrayStore, digest
from pfungst.runs.executor import Workers, executor_of
from pfungst.runs.journal import (
    MACHINES,
    Journal,
    read_configuration,
    read_entries,
    read_records,
)
from pfungst.runs.lock import locked
from pfungst.runs.manifest import read_manifest, write_manifest
from pfungst.runs.recording import BatchTask, Done, Finished, OneByOne, Recording, Work

__all__ = [
    "ARRAYS_FOLDER",
    "RECORDS_FILE",
    "Done",
    "Finished",
    "Run",
    "Work",
    "open_run",
    "run_batches",
    "run_items",
]

Item = TypeVar("Item")
Row = TypeVar("Row")
RECORDS_FILE = "records.jsonl"
ARRAYS_FOLDER = "arrays"


class Run:
    """The outcome of :func:`run_items`: records in the items' order, arrays on demand, failures.

    A run without a folder of its own deletes its temporary one when it is closed or collected.
    """

    def __init__(
        self,
        folder: Path,
        order: Sequence[str],
        failures: Sequence[Failure],
        *,
        configuration: Mapping[str, Any],
        temporary: bool = False,
    ) -> None:
        self.folder = folder
        self.configuration = dict(configuration)
        self.failures = tuple(failures)
        self._arrays = ArrayStore(folder / ARRAYS_FOLDER)
        self._order = tuple(dict.fromkeys(order))
        self._delete = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        if not temporary:
            self._delete.detach()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete the folder if it is a temporary one."""
        self._delete()

    def records(self) -> list[dict[str, Any]]:
        """All records, in the order of the items."""
        found = {record["image"]: record for record in read_records(self.folder / RECORDS_FILE)}
        return [found[name] for name in self._order if name in found]

    def rows(self, kind: type[Row]) -> list[Row]:
        """All records as dataclasses, in the order of the items.

        Raises
        ------
        DataError
            If one is not of this kind; the message says which, and what is wrong with it.
        """
        return [self._row(kind, record) for record in self.records()]

    def _row(self, kind: type[Row], record: Mapping[str, Any]) -> Row:
        try:
            return from_plain(kind, record, f"the record of {shown(record['image'])}")
        except ValueError as error:
            raise DataError(
                self.folder / RECORDS_FILE, f"cannot be used: {error}", hint="another --out folder"
            ) from error

    def arrays(self, key: str) -> dict[str, NDArray[Any]]:
        """The arrays of one item; empty where it has none.

        Raises
        ------
        DataError
            If they are not those that the item's record was made with, or are gone.
        """
        found = self._arrays.load(key)
        if digest(found) != self._digests.get(key, digest({})):
            raise DataError(
                self.folder / ARRAYS_FOLDER,
                f"does not hold the arrays of {shown(key)} that its record was made with",
                hint="a new --out folder",
            )
        return found

    @cached_property
    def _digests(self) -> dict[str, str]:
        entries = read_entries(self.folder / RECORDS_FILE)
        return {record["image"]: value for record, value in entries if value is not None}


def open_run(folder: str | Path) -> Run:
    """A finished run from its folder alone; records in the order in which they were written.

    Raises
    ------
    DataError
        If there is no run.
    """
    file = Path(folder) / RECORDS_FILE
    configuration = read_configuration(file)
    keys: dict[str, None] = {}
    for record in read_records(file):
        key = record.get("image")
        if not isinstance(key, str):
            raise DataError(file, f"has a record of the image {shown(key)}", allowed="the name of a photo")
        keys[key] = None
    manifest = read_manifest(folder)
    stated = manifest["counts"]["finished"]
    if manifest["state"] == "finished" and stated != len(keys):
        raise DataError(
            file, f"has {len(keys)} records, its manifest states {shown(stated)}", hint="another --out folder"
        )
    return Run(Path(folder), tuple(keys), (), configuration=configuration)


def run_items(
    task: Callable[[Item], Finished],
    items: Sequence[Item],
    *,
    keys: Sequence[str],
    configuration: Mapping[str, Any],
    files: Sequence[Path] | None = None,
    problems: Sequence[str] = (),
    out: str | Path | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
    stage: str = "images",
) -> Run:
    """Apply ``task`` to every item that has no record yet.

    Parameters
    ----------
    task : callable
        From an item to a :class:`Finished` whose record has the item's key as ``image``; picklable.
    items : sequence
        Small picklable things.
    keys : sequence of str
        A distinct name for each item.
    configuration : mapping
        Plain JSON: everything the records depend on, the identities of model and data
        (:mod:`pfungst.runs.identity`) among it; a run begun with another one is refused. The kinds of
        machines that work (:mod:`pfungst.runs.machine`) are added to it.
    files : sequence of path, optional
        The file that each item is read from. A run is refused if one that has a record has changed.
    problems : sequence of str
        What was left out of ``items`` and why, for the manifest.
    out : path, optional
        The run's folder; default a temporary one.
    workers, progress, stage
        As for :func:`pfungst.runs.executor.map_items`.

    Raises
    ------
    ConfigError
        If the run was begun with another configuration, or a task meets a wrong option.
    DataError
        If a photo has changed since it was measured, or a file of the run is damaged.
    FileError
        If another process is at work on the run, or the disk is full or cannot be written to. The same call
        goes on from there when that is mended.
    """
    return run_batches(
        OneByOne(task),
        items,
        keys=keys,
        configuration=configuration,
        files=files,
        problems=problems,
        out=out,
        workers=workers,
        progress=progress,
        stage=stage,
    )


def run_batches(
    task: BatchTask[Item],
    items: Sequence[Item],
    *,
    keys: Sequence[str],
    configuration: Mapping[str, Any],
    files: Sequence[Path] | None = None,
    batch_size: int = 1,
    problems: Sequence[str] = (),
    out: str | Path | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
    stage: str = "images",
) -> Run:
    """:func:`run_items` for a task that takes several items at a time and says what became of each.

    Parameters
    ----------
    task : callable
        From a list of :class:`Work` to a list of :class:`Done`; picklable. An error that it raises is that of
        all items of the batch.
    batch_size : int
        Items handed to the task at a time.
    problems : sequence of str
        What was left out of ``items`` and why, for the manifest.
    items, keys, configuration, files, out, workers, progress, stage
        As for :func:`run_items`.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size = {batch_size}", allowed="1 or more")
    configuration = {**configuration, MACHINES: executor_of(workers).machines()}
    with _folder(out) as folder, locked(folder), _journal(folder, configuration, out) as journal:
        arrays = ArrayStore(folder / ARRAYS_FOLDER, durable=out is not None)
        recording = Recording(journal, arrays, keys, items, files)
        note = partial(
            write_manifest, folder, configuration=configuration, n_items=len(keys), problems=problems
        )
        state = "stopped"
        try:
            note(state="running", n_finished=recording.n_finished)
            recording.work(task, batch_size, workers=workers, progress=progress, stage=stage)
            state = "finished"
        finally:
            with contextlib.nullcontext() if state == "finished" else contextlib.suppress(PfungstError):
                note(state=state, n_finished=recording.n_finished, failures=recording.failures)
    return Run(folder, keys, recording.failures, configuration=configuration, temporary=out is None)


@contextlib.contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    """The run's folder; a temporary one is deleted if the run fails."""
    if out is not None:
        yield Path(out)
        return
    folder = Path(tempfile.mkdtemp(prefix="pfungst-run-"))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _journal(folder: Path, configuration: Mapping[str, Any], out: str | Path | None) -> Journal:
    return Journal(folder / RECORDS_FILE, configuration, durable=out is not None)
