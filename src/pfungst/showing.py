"""How results show themselves in a notebook: a short HTML table, every name escaped, of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

MOST_ROWS = 30
"""Rows of a table; what is left out is counted."""
MOST_LETTERS = 80
"""Characters of a cell."""


def table_html(
    title: str, lines: Sequence[str], header: Sequence[str] = (), rows: Sequence[Sequence[object]] = ()
) -> str:
    """A heading, lines of text and a table as a piece of HTML.

    Examples
    --------
    >>> table_html("2 photos", ["of <b>"], ["class"], [["cat"]])
    '<b>2 photos</b><br>of &lt;b&gt;<table><thead><tr><th>class</th></tr></thead><tbody><tr><td>cat</td></tr>\
</tbody></table>'
    """
    text = "<br>".join([f"<b>{_cell(title)}</b>", *(_cell(line, 500) for line in lines[:MOST_ROWS])])
    if not rows:
        return text
    head = "".join(f"<th>{_cell(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows[:MOST_ROWS]
    )
    left = f"<p>and {len(rows) - MOST_ROWS} more</p>" if len(rows) > MOST_ROWS else ""
    return f"{text}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{left}"


def shortened(text: str, most: int = MOST_LETTERS) -> str:
    """The beginning of a text that is too long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def listed(names: Sequence[str], most: int = 5) -> str:
    """``cat, dog, … (20)``."""
    kept = ", ".join(shortened(name, 30) for name in names[:most])
    return kept if len(names) <= most else f"{kept}, … ({len(names)})"


def _cell(value: object, most: int = MOST_LETTERS) -> str:
    return escape(shortened(str(value), most))
