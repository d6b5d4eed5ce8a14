"""The items of a run on their way: handed to a task in batches, kept as they are finished."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from numpy.typing import NDArray

from pfungst.errors import ConfigError, Failure, PfungstError
from pfungst.progress import Progress
from pfungst.runs.arrays import ArrayStore, digest
from pfungst.runs.crew import WorkerLostError
from pfungst.runs.executor import Outcome, Workers, map_items
from pfungst.runs.identity import (
    FileIdentity,
    file_identity,
    known_identity,
    learn_identity,
    require_same_files,
)
from pfungst.runs.journal import ARRAYS_DIGEST, FILE_IDENTITY, Journal

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """What a task returns: a small record of plain JSON, and arrays too large for it (no ``/`` in names)."""

    record: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Work(NamedTuple, Generic[Item]):
    """One item of a batch on its way to a task: its name, its file, and what is known of that file."""

    key: str
    item: Item
    path: Path | None = None
    known: FileIdentity | None = None


class Done(NamedTuple):
    """What became of one item of a batch, and which file was read for it."""

    result: Finished | PfungstError
    identity: FileIdentity | None = None


Batch: TypeAlias = Sequence[Work[Item]]
BatchTask: TypeAlias = Callable[[Batch[Item]], list[Done]]


class Recording(Generic[Item]):
    """The items of a run that are still to be done, and what becomes of them."""

    def __init__(
        self,
        journal: Journal,
        arrays: ArrayStore,
        keys: Sequence[str],
        items: Sequence[Item],
        files: Sequence[Path] | None,
    ) -> None:
        if len(set(keys)) != len(keys):
            raise ConfigError("two items of a run have the same name", allowed="each name once")
        paths = [None] * len(keys) if files is None else files
        every = list(zip(keys, items, paths, strict=True))
        require_same_files(
            [(path, before) for key, _, path in every if path and (before := journal.finished.get(key))]
        )
        self.failures: list[Failure] = []
        self._journal, self._arrays = journal, arrays
        self._arrays.recover(journal.finished)
        for key in [key for key in journal.digests if not arrays.holds(key)]:
            journal.forget(key)  # its arrays were lost: it is made again
        self._works = [
            Work(key, item, path, None if path is None else known_identity(path)) for key, item, path in every
        ]
        self.n_finished = sum(key in journal.finished for key in keys)
        self._done = self.n_finished

    def work(
        self,
        task: BatchTask[Item],
        batch_size: int,
        *,
        workers: Workers,
        progress: Progress,
        stage: str,
    ) -> None:
        """Do what is left; a batch that ends its worker is taken apart."""
        progress(stage, self._done, len(self._works))
        map_batches = partial(map_items, task, workers=workers, name=_batch_name)
        lost: list[Batch[Item]] = []
        for batches in (self._batches(batch_size), lost):
            with contextlib.closing(map_batches(batches)) as outcomes:
                for outcome in outcomes:
                    if isinstance(outcome.error, WorkerLostError) and len(outcome.item) > 1:
                        lost += [[work] for work in outcome.item]
                        continue
                    self._take(outcome)
                    self._done += len(outcome.item)
                    progress(stage, self._done, len(self._works))

    def _batches(self, size: int) -> list[Batch[Item]]:
        """What has no record, in batches that do not depend on what has one."""
        batches = [self._works[start : start + size] for start in range(0, len(self._works), size)]
        left = [[work for work in batch if work.key not in self._journal.finished] for batch in batches]
        return [batch for batch in left if batch]

    def _take(self, outcome: Outcome[Batch[Item], list[Done]]) -> None:
        error = outcome.error
        done = outcome.unwrap() if error is None else [Done(error) for _ in outcome.item]
        for work, (result, identity) in zip(outcome.item, done, strict=True):
            if isinstance(result, ConfigError):
                raise result  # a wrong option would fail for every item
            if isinstance(result, PfungstError):
                self.failures.append(Failure(work.key, str(result)))
            else:
                self._keep(work, result, identity)

    def _keep(self, work: Work[Item], finished: Finished, identity: FileIdentity | None) -> None:
        """Arrays first, then the record: an item with a record is complete."""
        self._arrays.save(work.key, finished.arrays)
        if identity is not None and work.path is not None:
            learn_identity(work.path, identity)
        notes: dict[str, Any] = {} if identity is None else {FILE_IDENTITY: identity}
        if finished.arrays:
            notes[ARRAYS_DIGEST] = digest(finished.arrays)
        self._journal.append({**finished.record, **notes})
        self._arrays.pack_if_full()
        self.n_finished += 1


def _batch_name(batch: Batch[Any]) -> str:
    more = f" and {len(batch) - 1} more" if len(batch) > 1 else ""
    return f"{batch[0].key}{more}"


@dataclass(frozen=True)
class OneByOne(Generic[Item]):
    """A task for single items as one for batches, which also finds out which file was read."""

    task: Callable[[Item], Finished]

    def __call__(self, batch: Batch[Item]) -> list[Done]:
        """Each item of the batch, one after the other."""
        return [self._done(work) for work in batch]

    def _done(self, work: Work[Item]) -> Done:
        readable = work.path is not None and work.path.is_file()  # if it is not, the task says so better
        identity = file_identity(work.path, work.known) if work.path is not None and readable else None
        return Done(self.task(work.item), identity)
