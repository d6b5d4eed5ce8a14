"""How long work tells that it moves: a callable, so that no room depends on a terminal."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as ``progress(stage, done, total)``; ``total`` counts the units of that stage."""

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Take note that ``done`` of ``total`` units of ``stage`` are finished."""


def silent(_stage: str, _done: int, _total: int, /) -> None:
    """Report to nobody."""


def named(progress: Progress, name: str) -> Progress:
    """The same progress with a name before each stage, such as that of the model which is worked on."""

    def told(stage: str, done: int, total: int, /) -> None:
        progress(f"{name}: {stage}", done, total)

    return told
