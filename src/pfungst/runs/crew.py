"""Who works on items: a crew that holds one task, with or without a ``concurrent.futures.Executor``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias

from pfungst.errors import ConfigError, PfungstError
from pfungst.runs.single import single_thread

Answer: TypeAlias = tuple[Any, PfungstError | None]
"""What became of an item: a value, or the error that stopped it."""

MAX_LOST = 5
"""So many items, one after the other, may end their worker before the run gives up."""


def attempt(task: Callable[[Any], Any], item: Any) -> Answer:
    """The task's value, or the user's error; a fault of the program is raised."""
    with single_thread():
        try:
            return task(item), None
        except PfungstError as error:
            return None, error


class WorkerLostError(PfungstError):
    """An item ended every worker process that tried it."""


def cannot_travel(error: object) -> ConfigError:
    """The error for a task that cannot be packed, or not be unpacked elsewhere."""
    return ConfigError(
        f"the work cannot be sent to other processes ({error})",
        allowed="a classifier or function that pickle can copy, defined at the top of a module",
        hint="workers = 1",
    )


class Crew(ABC):
    """Workers that hold one task.

    Parameters
    ----------
    name : callable
        From an item to what messages call it.
    """

    tries = 1
    """How often an item whose worker died is tried by itself."""

    def __init__(self, name: Callable[[Any], str]) -> None:
        self._name = name
        self._lost_in_a_row = 0

    @property
    @abstractmethod
    def in_flight(self) -> int:
        """Items that should be handed out at a time, so that no worker waits."""

    @abstractmethod
    def submit(self, item: Any) -> Future[Answer]:
        """Hand out an item."""

    @abstractmethod
    def is_lost(self, future: Future[Answer]) -> bool:
        """Wait for the future; whether there is no answer because its worker died."""

    @abstractmethod
    def again(self, item: Any) -> Answer | None:
        """Try an item whose worker died once more, by itself; None if the worker dies again."""

    @abstractmethod
    def stop(self, *, at_once: bool) -> None:
        """Let go of the workers; ``at_once``, without waiting for what is under way."""

    def answer(self, future: Future[Answer]) -> Answer:
        """The answer of a future that is not lost."""
        answer = future.result()
        if not isinstance(answer[1], WorkerLostError):
            self._lost_in_a_row = 0
        return answer

    def rescued(self, item: Any) -> Future[Answer]:
        """The answer of further tries; an item that ends its worker each time has an error for an answer.

        Raises
        ------
        PfungstError
            If this has happened to several items in a row.
        """
        found: Future[Answer] = Future()
        answer = next(filter(None, (self.again(item) for _ in range(self.tries))), None)
        if answer is not None:
            found.set_result(answer)
            return found
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= MAX_LOST:
            raise PfungstError(
                f"{MAX_LOST} items in a row ended their worker processes, {self._name(item)} the last",
                hint="--workers 1 to see the cause; a script of your own needs `if __name__ == '__main__':`",
            )
        problem = f"{self._name(item)}: its worker process died each time it was tried"
        hint = "more memory for each worker if it ran out, or --workers 1 to see the cause"
        found.set_result((None, WorkerLostError(problem, hint=hint)))
        return found


class Executor(Protocol):
    """Who works: anything that can put a crew together."""

    @property
    def fixed(self) -> int | None:
        """How many workers there are; None if they come and go."""

    def machines(self) -> list[str]:
        """The different kinds of machines that it works on (:func:`~pfungst.runs.machine.machine_kind`)."""

    def crew(self, task: Callable[[Any], Any], name: Callable[[Any], str], n_items: int | None) -> Crew:
        """Workers that hold ``task``; no more than are of use for so many items, if their number is known."""


class Here(Crew):
    """The process that calls."""

    def __init__(self, task: Callable[[Any], Any], name: Callable[[Any], str]) -> None:
        super().__init__(name)
        self._task = task

    @property
    def in_flight(self) -> int:
        """One."""
        return 1

    def submit(self, item: Any) -> Future[Answer]:
        """Do the work at once."""
        done: Future[Answer] = Future()
        done.set_result(attempt(self._task, item))
        return done

    def is_lost(self, future: Future[Answer]) -> bool:
        """Never."""
        return False

    def again(self, item: Any) -> Answer | None:
        """Do it once more."""
        return attempt(self._task, item)

    def stop(self, *, at_once: bool) -> None:
        """There is nothing to stop."""
