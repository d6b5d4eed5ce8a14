"""One place that maps work over many items: here, in processes of this machine, or on a Dask cluster.

The numbers are the same in all three: every task runs with one thread of linear algebra, and outcomes come in
the items' order. A failing item, or one whose worker dies, is an outcome; the run goes on.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar, cast

from pfungst.errors import ConfigError, PfungstError
from pfungst.progress import Progress, silent
from pfungst.runs.cluster import Cluster
from pfungst.runs.crew import Answer, Crew, Executor, Here
from pfungst.runs.local import Processes
from pfungst.runs.machine import machine_kind
from pfungst.runs.single import single_thread

__all__ = [
    "Cluster",
    "Executor",
    "Outcome",
    "Workers",
    "check_workers",
    "default_workers",
    "executor_of",
    "local_workers",
    "map_items",
    "single_thread",
    "standing_crew",
]

Item = TypeVar("Item")
Value = TypeVar("Value")

Workers: TypeAlias = int | Executor
"""A number of processes on this machine (1: this process alone), or an executor such as a Cluster."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Value]):
    """What became of one item: its value, or the error that stopped it."""

    item: Item
    value: Value | None
    error: PfungstError | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.error is None

    def unwrap(self) -> Value:
        """The value, or its error raised."""
        if self.error is not None:
            raise self.error
        return cast(Value, self.value)  # a task may well return None


def default_workers() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class ThisMachine:
    """So many processes here; one is the process that calls."""

    fixed: int

    def machines(self) -> list[str]:
        """That of the process that calls."""
        return [machine_kind()]

    def crew(self, task: Callable[[Any], Any], name: Callable[[Any], str], n_items: int | None) -> Crew:
        """Processes, or this one alone."""
        size = self.fixed if n_items is None else min(self.fixed, n_items)
        return Here(task, name) if size <= 1 else Processes(task, name, size=size)


def executor_of(workers: Workers) -> Executor:
    """The executor that a number of workers stands for, or the one given.

    Raises
    ------
    ConfigError
        If the number is below 1.
    """
    if not isinstance(workers, int):
        return workers
    if workers < 1:
        raise ConfigError(f"workers = {workers}", allowed="1 or more, or a Cluster")
    return ThisMachine(workers)


def check_workers(workers: Workers) -> None:
    """Refuse a number of workers below 1.

    Raises
    ------
    ConfigError
    """
    executor_of(workers)


def local_workers(workers: Workers) -> int:
    """Processors for what is done here in any case: as many as there are where workers come and go."""
    return executor_of(workers).fixed or default_workers()


def map_items(
    task: Callable[[Item], Value],
    items: Sequence[Item],
    *,
    workers: Workers = 1,
    in_flight: int | None = None,
    progress: Progress = silent,
    stage: str = "images",
    name: Callable[[Item], str] = repr,
) -> Generator[Outcome[Item, Value], None, None]:
    """Apply ``task`` to every item, in order, with a bounded number of items under way.

    Parameters
    ----------
    task : callable
        Picklable unless ``workers`` is 1; it travels once to each worker, so a model may be part of it.
    items : sequence
        Small picklable things (records, not images).
    workers : int or Cluster
        Processes, 1 being this one; or a Dask cluster.
    in_flight : int, optional
        Items handed out at a time; default 4 for each worker.
    progress : Progress
        Told after each item.
    stage : str
        The name of the work for ``progress``.
    name : callable
        From an item to what a message calls it.

    Yields
    ------
    Outcome
        One for each item, in the items' order. Only :class:`~pfungst.errors.PfungstError`, and the death of
        every worker that tried the item, becomes an outcome; any other exception is a fault of the program
        and is raised.

    Raises
    ------
    ConfigError
        If there are fewer than 1 workers, or the task cannot travel.
    PfungstError
        If worker after worker dies, or the cluster goes away.
    """
    executor = executor_of(workers)
    progress(stage, 0, len(items))
    if not items:
        return
    with _standing(executor.crew(task, name, len(items))) as crew:
        for done, outcome in enumerate(crew(items, in_flight), start=1):
            progress(stage, done, len(items))
            yield outcome


class StandingCrew(Generic[Item, Value]):
    """A crew that stays for several rounds of items; from :func:`standing_crew`."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def __call__(self, items: Iterable[Item], in_flight: int | None = None) -> Iterator[Outcome[Item, Value]]:
        """One round: the outcome of each item, in order."""
        pending: deque[tuple[Item, Future[Answer]]] = deque()
        for item in items:
            pending.append((item, self._crew.submit(item)))
            if len(pending) >= (in_flight or self._crew.in_flight):
                yield self._collect(pending)
        while pending:
            yield self._collect(pending)

    def _collect(self, pending: deque[tuple[Item, Future[Answer]]]) -> Outcome[Item, Value]:
        """The first item's outcome; if its worker died, all under way are seen to before anything new."""
        if self._crew.is_lost(pending[0][1]):
            under_way = [
                (item, self._crew.rescued(item) if self._crew.is_lost(future) else future)
                for item, future in pending
            ]
            pending.clear()
            pending.extend(under_way)
        item, future = pending.popleft()
        value, error = self._crew.answer(future)
        return Outcome(item, value, error)


def standing_crew(
    task: Callable[[Item], Value], workers: Workers, *, name: Callable[[Item], str] = repr
) -> contextlib.AbstractContextManager[StandingCrew[Item, Value]]:
    """Workers that hold ``task`` for the block, stopped at once if it ends by an error."""
    return _standing(executor_of(workers).crew(task, name, None))


@contextlib.contextmanager
def _standing(crew: Crew) -> Iterator[StandingCrew[Any, Any]]:
    at_once = True
    try:
        yield StandingCrew(crew)
        at_once = False
    finally:
        crew.stop(at_once=at_once)
