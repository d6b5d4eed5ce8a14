"""A crew of processes on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any

from pfungst.runs.crew import Answer, Crew, attempt, cannot_travel
from pfungst.runs.single import single_thread_environment

_task: Callable[[Any], Any] | None = None
_problem: str | None = None


class Processes(Crew):
    """Worker processes that get the task once each, as they start.

    When a worker dies its neighbours go with it (one process pool); a new pool takes their place, and what
    was under way is tried again item by item.

    Raises
    ------
    ConfigError
        If the task cannot be pickled.
    """

    tries = 2

    def __init__(self, task: Callable[[Any], Any], name: Callable[[Any], str], *, size: int) -> None:
        super().__init__(name)
        self._size = size
        self._payload = _pickled(task)
        self._pool: _Pool | None = None

    @property
    def in_flight(self) -> int:
        """Four items for each process: one slow item does not keep the others waiting."""
        return 4 * self._size

    def submit(self, item: Any) -> Future[Answer]:
        """Hand out an item; to a broken pool it is lost at once, and rescued with the others."""
        if self._pool is None:
            self._pool = _Pool(self._payload, self._size)
        try:
            return self._pool.submit(item)
        except (BrokenProcessPool, BrokenPipeError) as error:
            lost: Future[Answer] = Future()
            lost.set_exception(BrokenProcessPool(str(error)))
            return lost

    def is_lost(self, future: Future[Answer]) -> bool:
        """Wait for the future; whether its pool broke."""
        return isinstance(future.exception(), BrokenProcessPool)

    def again(self, item: Any) -> Answer | None:
        """Try an item in a process of its own while nothing else is under way."""
        self.stop(at_once=True)
        pool = _Pool(self._payload, 1)
        try:
            return pool.submit(item).result()
        except (BrokenProcessPool, BrokenPipeError):
            return None
        finally:
            pool.close(at_once=True)

    def stop(self, *, at_once: bool) -> None:
        """End the processes."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.close(at_once=at_once)


class _Pool:
    """A process pool, and a line by which its processes notice that they are to end or that we have died."""

    def __init__(self, payload: bytes, size: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._far_end, self._line = multiprocessing.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(size, context, _install, (payload, self._far_end))

    def submit(self, item: Any) -> Future[Answer]:
        # processes start on submit; they inherit both the environment and the mask
        with single_thread_environment(), _interrupt_held():
            return self._executor.submit(_run, item)

    def close(self, *, at_once: bool) -> None:
        if at_once:
            self._line.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._line.close()
        self._far_end.close()


def _pickled(task: Callable[[Any], Any]) -> bytes:
    try:
        return pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise cannot_travel(error) from error


@contextlib.contextmanager
def _interrupt_held() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal: workers leave it to us, who stop them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _install(payload: bytes, line: Connection) -> None:
    """Begin a worker's life: watch the line, unpack the task."""
    global _task, _problem  # noqa: PLW0603 - a worker process holds one task for its life
    threading.Thread(target=_watch, args=(line,), daemon=True).start()
    try:
        _task = pickle.loads(payload)
    except Exception as error:  # whatever it is, it must reach the user
        _problem = repr(error)


def _watch(line: Connection) -> None:
    """End this process when the other end of the line is closed, by its owner or by its owner's death."""
    with contextlib.suppress(EOFError, OSError):
        line.recv_bytes()
    os._exit(1)


def _run(item: Any) -> Answer:
    if _task is None:
        raise cannot_travel(_problem)
    return attempt(_task, item)
