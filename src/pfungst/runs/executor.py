"""One place that maps work over many items: here, or in local worker processes; same numbers either way.

Every task runs with one thread of linear algebra, so that results do not depend on the number of workers.
A failing item is recorded and the run goes on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pfungst.errors import ConfigError, PfungstError
from pfungst.progress import Progress, silent

Item = TypeVar("Item")
Value = TypeVar("Value")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_task: Callable[[Any], Any] | None = None


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


def map_items(
    task: Callable[[Item], Value],
    items: Sequence[Item],
    *,
    workers: int = 1,
    in_flight: int | None = None,
    progress: Progress = silent,
    stage: str = "images",
) -> Iterator[Outcome[Item, Value]]:
    """Apply ``task`` to every item, in order, with a bounded number of items under way.

    Parameters
    ----------
    task : callable
        Picklable if ``workers > 1``; it travels once to each worker, so a model may be part of it.
    items : sequence
        Small picklable things (records, not images).
    workers : int
        Processes; 1 works in this one.
    in_flight : int, optional
        Items handed out at a time; default ``2 * workers``.
    progress : Progress
        Told after each item.
    stage : str
        The name of the work for ``progress``.

    Yields
    ------
    Outcome
        One for each item, in the items' order. Only :class:`~pfungst.errors.PfungstError` becomes an
        outcome; any other exception is a fault of the program and is raised.
    """
    if workers < 1:
        raise ConfigError(f"workers = {workers}", allowed="1 or more")
    outcomes = (
        _here(task, items) if workers == 1 or len(items) < 2 else _pool(task, items, workers, in_flight)
    )
    progress(stage, 0, len(items))
    for done, outcome in enumerate(outcomes, start=1):
        progress(stage, done, len(items))
        yield outcome


def _here(task: Callable[[Item], Value], items: Sequence[Item]) -> Iterator[Outcome[Item, Value]]:
    for item in items:
        with single_thread():
            value, error = _attempt(task, item)
        yield Outcome(item, value, error)


def _pool(
    task: Callable[[Item], Value], items: Sequence[Item], workers: int, in_flight: int | None
) -> Iterator[Outcome[Item, Value]]:
    limit = in_flight or 2 * workers
    pending: deque[tuple[Item, Future[tuple[Value | None, PfungstError | None]]]] = deque()
    remaining = iter(items)
    with _single_thread_environment():
        pool = ProcessPoolExecutor(
            min(workers, len(items)), multiprocessing.get_context("spawn"), _install, (task,)
        )
    try:
        for item in remaining:
            pending.append((item, _submit(pool, item)))
            if len(pending) >= limit:
                yield _collect(pending)
        while pending:
            yield _collect(pending)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, item: Any) -> Future[Any]:
    try:
        with _single_thread_environment():  # a spawned worker inherits it; processes start on submit
            return pool.submit(_run, item)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"the work cannot be sent to other processes ({error})",
            allowed="a classifier or function that pickle can copy, defined at the top of a module",
            hint="workers = 1",
        ) from error


def _collect(pending: deque[tuple[Item, Future[Any]]]) -> Outcome[Item, Any]:
    item, future = pending.popleft()
    try:
        value, error = future.result()
    except BrokenProcessPool as broken:
        raise PfungstError(
            f"a worker process died while {item!r} or a neighbour was under way",
            hint="fewer --workers if memory ran out, or --workers 1 to see the cause",
        ) from broken
    return Outcome(item, value, error)


def _attempt(task: Callable[[Item], Value], item: Item) -> tuple[Value | None, PfungstError | None]:
    try:
        return task(item), None
    except PfungstError as error:
        return None, error


def _install(task: Callable[[Any], Any]) -> None:
    global _task  # noqa: PLW0603 - a worker process holds one task for its life
    _task = task


def _run(item: Any) -> tuple[Any, PfungstError | None]:
    assert _task is not None
    with single_thread():
        return _attempt(_task, item)


@contextlib.contextmanager
def single_thread() -> Iterator[None]:
    """One thread of BLAS, OpenMP and (if it is loaded) torch within the block."""
    import sys

    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 1
    with threadpool_limits(limits=1):
        if torch is not None and before != 1:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch is not None and before != 1:
                torch.set_num_threads(before)


@contextlib.contextmanager
def _single_thread_environment() -> Iterator[None]:
    saved = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
