"""Tables that fit the terminal: intervals go first, then columns, and it is said what went."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

import typer

from pfungst.cli._run import settings

_INTERVAL = re.compile(r" \[[^\[\]]*\]$")
_GAP = 3
"""Characters between two columns."""
_NARROW = 16
"""Characters that a long name of the first column is cut to at the least."""
_ENDLESS = 10_000
"""Characters of a line where there is no terminal."""


@dataclass(frozen=True)
class Shown:
    """A table as it is printed.

    Attributes
    ----------
    header : tuple of str
        A column's heading may have several lines.
    rows : tuple of tuples of str
    notes : tuple of str
        What was left out.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Characters of a line, with the headings broken between words as narrow as they can be."""
        return sum(self.widths) + _GAP * (len(self.widths) - 1)

    @property
    def widths(self) -> list[int]:
        """Of each column the longest cell, or the longest word of the heading."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.header)
        return [
            max(map(len, (*cells, *title.split()))) if cells or title else 0
            for title, cells in zip(self.header, columns, strict=True)
        ]


def fitted(header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> Shown:
    """The table in a width: without its intervals if need be, then without the last columns.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences of str
        As many cells as the header has titles.
    width : int or None
        Characters of a line; None for as many as it takes.
    """
    shown = Shown(tuple(header), tuple(tuple(row) for row in rows))
    if width is None or shown.width <= width:
        return shown
    for step in (_without_intervals, _cut_names):
        shown = step(shown, width)
        if shown.width <= width:
            return shown
    gone: list[str] = []
    while shown.width > width and len(shown.header) > 2:
        gone.insert(0, shown.header[-1])
        shown = replace(shown, header=shown.header[:-1], rows=tuple(row[:-1] for row in shown.rows))
    return replace(shown, notes=(*shown.notes, f"the columns {', '.join(gone)}")) if gone else shown


def _without_intervals(shown: Shown, _width: int) -> Shown:
    rows = tuple(tuple(_INTERVAL.sub("", cell) for cell in row) for row in shown.rows)
    if rows == shown.rows:
        return shown
    return replace(shown, rows=rows, notes=(*shown.notes, "intervals"))


def _cut_names(shown: Shown, width: int) -> Shown:
    """Long names of the first column end in …; no column of numbers is ever cut."""
    room = max(shown.widths[0] - max(shown.width - width, 0), _NARROW)
    rows = tuple((_cut(row[0], room), *row[1:]) for row in shown.rows)
    return replace(shown, rows=rows)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, totals: int = 0) -> None:
    """A table on standard output: the first column names, the others hold numbers.

    The last ``totals`` rows stand below a line.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = None if settings.wide else terminal_width()
    shown = fitted(header, rows, width)
    table = Table(show_edge=False, pad_edge=False)
    for position, heading in enumerate(_headings(shown, width)):
        table.add_column(Text(heading), justify="left" if position == 0 else "right", no_wrap=True)
    for position, row in enumerate(shown.rows, 1):
        table.add_row(*map(Text, row), end_section=position == len(rows) - totals)
    console = Console(width=_ENDLESS if width is None else max(width, shown.width))
    console.print(Text(title, style="italic"), soft_wrap=True)
    console.print(table, soft_wrap=True, crop=False)
    if shown.notes:
        typer.echo(f"Left out to fit {width} columns: {'; '.join(shown.notes)} (all: --wide, or --json FILE)")


def _headings(shown: Shown, width: int | None) -> list[str]:
    """On one line each where there is room, else in lines as long as the column is wide."""
    broken = zip(shown.header, shown.widths, strict=True)
    more = sum(max(len(name) - cells, 0) for name, cells in broken)
    if width is None or shown.width + more <= width:
        return list(shown.header)
    return [textwrap.fill(name, cells) for name, cells in zip(shown.header, shown.widths, strict=True)]


def terminal_width() -> int | None:
    """Characters of a line on standard output; None where it is no terminal and none is stated."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        return None
    return shutil.get_terminal_size().columns
