"""The page of the experiment: average precision against the published figures, Figure 1, cost."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pfungst.paper import tables
from pfungst.report.drawing import save_figure
from pfungst.report.templating import environment
from pfungst.writing import write_whole

PAGE_FILE = "paper.html"
_NOTE = (
    "VOC's average precision in per cent, by 11 points as in 2007; published figures stand where photos and "
    "classes are the paper's. The network is scored on its centre crop, and as the mean over sliding windows."
)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page: a text, a picture, a table of finished cells, a link to another file."""

    title: str
    text: str = ""
    picture: Path | None = None
    alt: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    link: str = ""


def write_page(
    folder: Path,
    *,
    title: str,
    introduction: str,
    notes: Sequence[str],
    network: str,
    precision: Sequence[Mapping[str, Any]],
    sections: Sequence[Section],
) -> Path:
    """Write ``paper.html``, its pictures part of it; all text is escaped."""
    header, cells = tables.precision_cells(precision, network)
    html = environment("pfungst.paper").get_template("paper.html.j2").render(
        title=title,
        introduction=introduction,
        notes=notes,
        network=network,
        precision={"header": header, "rows": _bars(precision, cells), "note": _NOTE},
        sections=[_content(section) for section in sections],
    )  # fmt: skip
    target = folder / PAGE_FILE
    write_whole(target, html)
    return target


def _bars(rows: Sequence[Mapping[str, Any]], cells: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    return [
        {
            "cells": line,
            "fisher": row["fisher"] or 0.0,
            "network": row["network"] or 0.0,
            "published": row["published_fisher"],
            "published_network": row["published_network"],
        }
        for row, line in zip(rows, cells, strict=True)
    ]


def _content(section: Section) -> dict[str, Any]:
    picture = ""
    if section.picture is not None:
        encoded = base64.b64encode(section.picture.read_bytes()).decode("ascii")
        picture = f"data:image/png;base64,{encoded}"
    return {**vars(section), "picture": picture}


def save_precision_figure(path: Path, rows: Sequence[Mapping[str, Any]], *, network: str, title: str) -> Path:
    """Draw measured and published average precision as bars, class by class."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.0, 0.55 * len(rows) + 2), 4.2), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))
    for shift, name, colour, label in (
        (-0.2, "fisher", "#0a7d6c", "Fisher vectors"),
        (0.2, "network", "#7a4fb5", network),
    ):
        heights = [0.0 if row[name] is None else row[name] for row in rows]
        axes.bar(places + shift, heights, 0.4, color=colour, label=label)
        known = [(x, row[f"published_{name}"]) for x, row in zip(places, rows, strict=True)]
        marks = [(x + shift, value) for x, value in known if value is not None]
        if marks:
            axes.plot(*zip(*marks, strict=True), "_", color="#c2410c", markersize=12, markeredgewidth=2,
                      label=f"published ({label})")  # fmt: skip
    axes.set_xticks(places, [row["class"] for row in rows], rotation=45, ha="right")
    axes.set_ylabel("average precision (11 points) %")
    axes.set_ylim(0, 100)
    axes.set_title(title, fontsize=10, loc="left")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    save_figure(path, figure, dpi=130)
    return path
