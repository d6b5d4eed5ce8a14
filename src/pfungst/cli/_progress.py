"""How a command shows that it moves: a bar for each stage on a terminal, a line for each stage elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import typer

from pfungst.progress import Progress

_SILENCE = 30.0
"""Seconds after which a stage that goes on tells so, where there is no terminal."""


@dataclass
class Pace:
    """How fast a stage goes, told from what it did while it was watched.

    What an earlier run has done already arrives at once and says nothing of the time that the rest takes.

    Attributes
    ----------
    began : float
        When the stage was begun, in seconds.
    """

    began: float
    done: int = 0
    total: int = 0
    at: float = 0.0
    _known: int | None = field(default=None, repr=False)
    _since: float = field(default=0.0, repr=False)

    def report(self, done: int, total: int, now: float) -> None:
        """So many of all are done by now."""
        if self._known is None:
            first = done <= 1
            self._known, self._since = (0, self.began) if first else (done, now)
        self.done, self.total, self.at = done, total, now

    def left(self, now: float) -> float | None:
        """Seconds until the end, or None as long as nothing tells.

        The mean time of what was done, times what is not; where the unit at hand has been taking longer than
        that mean, it counts as one more.
        """
        n = self.done - (self._known or 0)
        if n < 1:
            return None
        mean = max((self.at - self._since) / n, (now - self._since) / (n + 1))
        return max(mean * (self.total - self.done) - (now - self.at), 0.0)


def clock(seconds: float) -> str:
    """``0:07``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """Tell on standard error how far a command is, with the time left."""
    from rich.console import Console

    console = Console(stderr=True)
    with _bars(console) if console.is_terminal else _lines(time.monotonic) as show:
        yield show


@contextlib.contextmanager
def _lines(now: Callable[[], float]) -> Iterator[Progress]:
    """A line for each stage when it ends, and now and then one that it goes on."""
    paces: dict[str, Pace] = {}
    told = last = now()

    def show(stage: str, done: int, total: int, /) -> None:
        nonlocal told, last
        pace = paces.setdefault(stage, Pace(last))
        ended = pace.total > 0 and pace.done == pace.total
        last = now()
        pace.report(done, total, last)
        if (done == total and not ended) or last - told > _SILENCE:
            told = last
            typer.echo(_line(stage, pace, last), err=True)

    yield show


def _line(stage: str, pace: Pace, now: float) -> str:
    text = f"{stage}: {pace.done} of {pace.total}, {clock(now - pace.began)}"
    left = pace.left(now)
    return text if pace.done == pace.total or left is None else f"{text}, about {clock(left)} left"


@contextlib.contextmanager
def _bars(console: Any) -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars
    from rich.table import Column
    from rich.text import Text

    paces: dict[Any, Pace] = {}

    class Left(ProgressColumn):
        def render(self, task: Any) -> Text:
            if task.finished:
                return Text("")
            pace = paces.get(task.id)
            left = None if pace is None else pace.left(time.monotonic())
            return Text("left …" if left is None else f"left {clock(left)}")

    name = Column(ratio=1, no_wrap=True, overflow="ellipsis", min_width=12)
    columns = (
        TextColumn("{task.description}", table_column=name),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        Left(),
    )
    with Bars(*columns, console=console, expand=True) as bars:
        tasks: dict[str, Any] = {}
        last = time.monotonic()

        def show(stage: str, done: int, total: int, /) -> None:
            nonlocal last
            if stage not in tasks:
                identity = bars.add_task(stage, total=total)
                tasks[stage], paces[identity] = identity, Pace(last)
            last = time.monotonic()
            paces[tasks[stage]].report(done, total, last)
            bars.update(tasks[stage], completed=done, total=total)

        yield show
