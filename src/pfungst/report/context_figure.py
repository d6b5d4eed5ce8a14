"""The figure of context: for each class the bars of all models side by side, with intervals and controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pfungst.audits.schema import ContextRow
from pfungst.contract.plain import to_json
from pfungst.errors import ConfigError
from pfungst.evaluation.statistics import Estimate
from pfungst.report.drawing import save_figure
from pfungst.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pfungst.audits.context.measuring import Context

CONTEXT_FILE = "context.json"

Tables = Mapping[str, Mapping[str, ContextRow]]
"""By model, then by class."""


class _Panel(NamedTuple):
    label: str
    bar: Callable[[ContextRow], Estimate | None]
    mark: Callable[[ContextRow], Estimate | None]
    mark_label: str


_COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#999999")
_MARK = "#222222"


def context_figure(tables: Tables, *, title: str = "") -> Figure:
    """Draw the context of every class, one bar for each model.

    From above: μ, with the same ratio of the control region as a dash; the share of positive relevance
    outside the boxes, with the share of the area there as a dash; where objects were edited away, the share
    of true positives still predicted without their object, with that of the control as a dash. A class that
    a model is found to take from its context has a star over its bar.

    Parameters
    ----------
    tables : mapping
        By model, then by class.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window.

    Raises
    ------
    ConfigError
        If there is no class.
    """
    from matplotlib.figure import Figure

    classes = list(dict.fromkeys(name for rows in tables.values() for name in rows))
    if not classes:
        raise ConfigError("no class to draw", allowed="a table for each model, with a row for each class")
    panels = _panels(tables)
    size = (max(6.4, 1.6 + len(classes) * (0.35 + 0.28 * len(tables))), 0.8 + 2.3 * len(panels))
    figure = Figure(figsize=size, layout="constrained")
    for axes, panel in zip(np.atleast_1d(figure.subplots(len(panels), 1, sharex=True)), panels, strict=True):
        _draw_panel(axes, panel, tables, classes)
        axes.set_ylabel(panel.label, fontsize=9)
        axes.set_ylim(bottom=0)
    axes.set_xticks(range(len(classes)), classes, rotation=30 if len(classes) > 8 else 0)
    figure.suptitle(title or "Relevance and predictions off the object", fontsize=11)
    return figure


def save_context_figure(path: str | Path, tables: Tables, *, title: str = "") -> Path:
    """Write :func:`context_figure` as PNG or SVG, by the name's ending."""
    return save_figure(path, context_figure(tables, title=title))


def save_context(folder: str | Path, found: Mapping[str, Context], *, data: str) -> Path:
    """Write ``context.json`` and its figure into a folder.

    Parameters
    ----------
    folder : path
    found : mapping
        By the name of the model.
    data : str
        The name of the photos.

    Raises
    ------
    FileError
        If the disk is full or cannot be written to.
    """
    target = write_whole(Path(folder) / CONTEXT_FILE, to_json(context_content(found, data=data)))
    tables = {name: result.rows for name, result in found.items()}
    save_context_figure(Path(folder) / "context.png", tables, title=f"Context on {data}")
    return target


def context_content(found: Mapping[str, Context], *, data: str) -> dict[str, Any]:
    """What ``context.json`` holds."""
    return {"data": data, "models": dict(found)}


def _panels(tables: Tables) -> list[_Panel]:
    panels = [
        _Panel(
            "μ: density of relevance\noutside / inside boxes",
            lambda row: row.ratio,
            lambda row: row.control_ratio,
            "control region / inside",
        ),
        _Panel(
            "share of positive relevance\noutside boxes",
            lambda row: row.share_outside,
            lambda row: row.area_outside,
            "share of the area outside",
        ),
    ]
    if any(row.kept_without_object for rows in tables.values() for row in rows.values()):
        panels.append(
            _Panel(
                "still predicted without\nthe object",
                lambda row: row.kept_without_object,
                lambda row: row.kept_without_control,
                "without an equal area off it",
            )
        )
    return panels


def _draw_panel(axes: Axes, panel: _Panel, tables: Tables, classes: Sequence[str]) -> None:
    width = 0.8 / len(tables)
    for index, (model, rows) in enumerate(tables.items()):
        places = np.arange(len(classes)) + (index - (len(tables) - 1) / 2) * width
        known = [(place, rows[name]) for place, name in zip(places, classes, strict=True) if name in rows]
        where = np.array([place for place, _ in known])
        heights, below, above = np.array([_numbers(panel.bar(row)) for _, row in known]).reshape(-1, 3).T
        axes.bar(where, heights, 0.92 * width, color=_COLOURS[index % len(_COLOURS)], label=model)
        axes.errorbar(where, heights, (below, above), fmt="none", ecolor=_MARK, elinewidth=1, capsize=2)
        marks = [_numbers(panel.mark(row))[0] for _, row in known]
        axes.hlines(marks, where - 0.5 * width, where + 0.5 * width, colors=_MARK, linewidth=2)
        for (place, row), top in zip(known, heights + above, strict=True):
            if row.dependent and np.isfinite(top):
                axes.annotate("★", (place, top), ha="center", va="bottom", fontsize=9)
    axes.plot([], [], color=_MARK, linewidth=2, label=panel.mark_label)
    axes.margins(y=0.12)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _numbers(estimate: Estimate | None) -> tuple[float, float, float]:
    """Height of a bar and the lengths of its whiskers; none where there is no interval."""
    if estimate is None:
        return np.nan, 0.0, 0.0
    below, above = estimate.mean - estimate.low, estimate.high - estimate.mean
    return estimate.mean, float(np.nan_to_num(max(below, 0.0))), float(np.nan_to_num(max(above, 0.0)))
