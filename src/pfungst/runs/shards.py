"""Blocks of rows of one large array, worked on side by side and answered in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError
from pfungst.runs.executor import StandingCrew, Workers, executor_of, standing_crew

Value = TypeVar("Value")
SHARD_ROWS = 65_536


class Shards:
    """The rows of an array in shards of fixed size, so that sums over them do not depend on who adds.

    Threads of this process share the array, which may be a memory-mapped file larger than memory. Workers of
    a cluster read their shards from the file, which must lie where they see it. Use it in a ``with`` block.

    Parameters
    ----------
    values : (N, d)
        An array, or a memory-mapped ``.npy`` file.
    workers : int or Cluster
        Threads, or a cluster.

    Raises
    ------
    ConfigError
        If a cluster is to work on an array that is no file.
    """

    def __init__(self, values: NDArray[Any], workers: Workers = 1) -> None:
        self._threads = executor_of(workers).fixed
        file = getattr(values, "filename", None)
        if self._threads is None and file is None:
            raise ConfigError(
                "a cluster cannot work on an array in memory", allowed="a memory-mapped .npy file, or threads"
            )
        self._values, self._workers, self._file = values, workers, str(file)
        starts = range(0, len(values), SHARD_ROWS)
        self._bounds = [(start, min(start + SHARD_ROWS, len(values))) for start in starts]
        self._stack = ExitStack()
        self._map: Callable[..., Iterator[Any]]

    def __enter__(self) -> Shards:
        if self._threads is None:
            crew = self._stack.enter_context(standing_crew(_FileShard(self._file), self._workers))
            self._map = partial(_on_cluster, crew)
        else:
            pool = self._stack.enter_context(ThreadPoolExecutor(self._threads))
            self._map = partial(_in_threads, pool, self._threads, self._values)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def map(self, function: Callable[[NDArray[Any], Any], Value], argument: Any) -> Iterator[Value]:
        """``function(shard, argument)`` of every shard, in their order; a function at the top of a module."""
        return self._map(function, self._bounds, argument)


def _on_cluster(
    crew: StandingCrew[Any, Any],
    function: Callable[[NDArray[Any], Any], Value],
    bounds: list[tuple[int, int]],
    argument: Any,
) -> Iterator[Value]:
    for outcome in crew((function, *bound, argument) for bound in bounds):
        yield outcome.unwrap()


def _in_threads(  # noqa: PLR0917
    pool: ThreadPoolExecutor,
    workers: int,
    values: NDArray[Any],
    function: Callable[[NDArray[Any], Any], Value],
    bounds: list[tuple[int, int]],
    argument: Any,
) -> Iterator[Value]:
    """Results in order, a bounded number of them waiting."""
    pending: deque[Future[Value]] = deque()
    for start, stop in bounds:
        pending.append(pool.submit(function, values[start:stop], argument))
        if len(pending) >= 2 * workers:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


@dataclass(frozen=True)
class _FileShard:
    """On a worker: the shard is read there."""

    file: str

    def __call__(self, work: tuple[Callable[[NDArray[Any], Any], Any], int, int, Any]) -> Any:
        function, start, stop, argument = work
        return function(np.load(self.file, mmap_mode="r")[start:stop], argument)
