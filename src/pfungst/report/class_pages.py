"""Galleries in files of their own, for audits with more photos than one file should hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pfungst.report.page import write_page
from pfungst.report.photo_data import Key, Sources, Zero, page_data

FOLDER = "report"


@dataclass(frozen=True, kw_only=True)
class LinkedPage:
    """A page beside the report."""

    href: str
    title: str
    count: int


def remove_class_pages(folder: Path) -> None:
    """Delete the pages of an earlier report."""
    for file in (folder / FOLDER).glob("class-*.html"):
        file.unlink()


def write_class_pages(
    folder: Path, sources: Sources, max_bytes: int, zero: Zero, **content: Any
) -> list[LinkedPage]:
    """Write the photos of each class to ``report/class-1.html`` and so on, several files where it must be."""
    pages = []
    for index, name in enumerate(sources.audit.classes):
        left: Sequence[Key] = [key for key in sources.seen if key[1] == name]
        part = 0
        while left:
            part += 1
            data, rest = page_data(sources, left, max_bytes=max_bytes, zero=zero)
            href = f"{FOLDER}/class-{index + 1}{f'-{part}' if part > 1 else ''}.html"
            title = name if part == 1 and not rest else f"{name}, part {part}"
            write_page(folder / href, "class.html.j2", data, audit=sources.audit, heading=title, **content)
            pages.append(LinkedPage(href=href, title=title, count=len(left) - len(rest)))
            left = rest
    return pages
