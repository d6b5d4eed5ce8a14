"""The figure of heatmap quality, as the paper's Figure 1: mean drops, bars of changed traces, A and V."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pfungst.contract.plain import to_json
from pfungst.errors import ConfigError
from pfungst.evaluation.rows import CurveRow, Quality
from pfungst.evaluation.wording import number, with_interval
from pfungst.report.drawing import save_figure
from pfungst.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUALITY_FILE = "quality.json"
_ORDERS = {"morf": 0, "random": 1, "lerf": 2}
_GREY = "#777777"
_STYLES = {"morf": "-", "random": ":", "lerf": "--"}
_BAR_GROUPS = 10
_UNITS = {"descriptors": "descriptors replaced", "regions": "regions perturbed"}


def quality_figure(
    curves: Sequence[CurveRow],
    *,
    method: str,
    operator: str,
    class_name: str = "all",
    per_step: int = 1,
    title: str | None = None,
    legend: Literal["right", "below"] = "right",
) -> Figure:
    """Draw the traces of one method and operator.

    Above: mean f(x) − f(x^(i)) with its band, one line for each rule and order; A is the mean height of a
    line. Below: the share of traces that have changed class, as bars at ten points of measurement. The legend
    holds A with its interval and V. Only traces with the largest number of steps are drawn; the figure says
    how many true positives that leaves out.

    Parameters
    ----------
    curves : sequence of CurveRow
        Of :attr:`pfungst.evaluation.rows.Quality.curves`.
    method, operator, class_name : str
        Which of them; ``all`` is all classes together.
    per_step : int
        Descriptors or regions between two points of measurement.
    title : str, optional
    legend : {"right", "below"}
        Where the legend stands.

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window.

    Raises
    ------
    ConfigError
        If there is no such row.
    """
    from matplotlib.figure import Figure

    rows, left_out = chosen_curves(curves, method, operator, class_name)
    figure = Figure(figsize=(9.6, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    colours = _colours(rows)
    for row in rows:
        _draw_curve(above, row, colours[row.rule], per_step)
    _draw_bars(below, rows, colours, per_step)
    above.axhline(0, color="black", linewidth=0.6)
    above.set_ylabel("mean drop of the score,  f(x) − f(x⁽ⁱ⁾)")
    below.set_ylabel("share of traces\nthat changed class")
    below.set_xlabel(_UNITS.get(method, "steps") + _left_out_text(left_out))
    above.set_title(title or _title(rows), fontsize=10, loc="left")
    place: dict[str, Any] = (
        {"loc": "outside right upper"} if legend == "right" else {"loc": "outside lower center", "ncols": 2}
    )
    figure.legend(fontsize=8, frameon=False, title="A [interval]   V", **place)
    return figure


def save_quality_figure(path: str | Path, curves: Sequence[CurveRow], **options: Any) -> Path:
    """Write :func:`quality_figure` (see there for the options) as PNG or SVG, by the name's ending."""
    return save_figure(path, quality_figure(curves, **options))


def save_quality(folder: str | Path, result: Quality) -> Path:
    """Write ``quality.json`` and the figure of each method and operator into a folder.

    Raises
    ------
    FileError
        If the disk is full or cannot be written to.
    """
    target = write_whole(Path(folder) / QUALITY_FILE, to_json(result))
    for method, operator in dict.fromkeys((row.method, row.operator) for row in result.curves):
        save_quality_figure(
            Path(folder) / f"{method}-{operator}.png",
            result.curves,
            method=method,
            operator=operator,
            per_step=step_size(result, method),
        )
    return target


def step_size(result: Quality, method: str) -> int:
    """Descriptors or regions between two points of measurement, as the manifest states it; else 1."""
    found: Any = result.manifest
    names = ("replacement", "batch_size") if method == "descriptors" else ("regions", "per_step")
    for name in ("config", *names):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, int) else 1


def chosen_curves(
    curves: Sequence[CurveRow], method: str, operator: str, class_name: str
) -> tuple[list[CurveRow], int]:
    """Rows with the most steps, in the order of the legend, and how many true positives have fewer.

    Raises
    ------
    ConfigError
        If there is no such row.
    """
    wanted = (method, operator, class_name)
    rows = [row for row in curves if (row.method, row.operator, row.class_name) == wanted]
    if not rows:
        raise ConfigError(
            f"no traces of method {method!r}, operator {operator!r}, class {class_name!r}",
            allowed=", ".join(sorted({f"{row.method} {row.operator}" for row in curves})) or "none at all",
        )
    steps = max(row.steps for row in rows)
    full = [row for row in rows if row.steps == steps]
    first = (full[0].rule, full[0].order)
    short = [row for row in rows if row.steps < steps and (row.rule, row.order) == first]
    full.sort(key=lambda row: (_ORDERS[row.order], -row.a.mean))
    return full, sum(row.n_true_positives for row in short)


def _colours(rows: Sequence[CurveRow]) -> dict[str, Any]:
    """A colour for each rule, the same for all its orders; grey for the random control."""
    from matplotlib import colormaps

    rules = list(dict.fromkeys(row.rule for row in rows if row.order != "random"))
    palette = colormaps["tab10"].colors if len(rules) <= 10 else colormaps["tab20"].colors  # type: ignore[attr-defined]
    chosen = {rule: palette[index % len(palette)] for index, rule in enumerate(rules)}
    return {row.rule: chosen.get(row.rule, _GREY) for row in rows}


def _draw_curve(axes: Axes, row: CurveRow, colour: Any, per_step: int) -> None:
    points = per_step * np.arange(row.steps + 1)
    mean, low, high = (np.concatenate([[0.0], getattr(row.drop, name)]) for name in ("mean", "low", "high"))
    axes.plot(points, mean, color=colour, linestyle=_STYLES[row.order], linewidth=1.5, label=_label(row))
    axes.fill_between(points, low, high, color=colour, alpha=0.12, linewidth=0)


def _draw_bars(axes: Axes, rows: Sequence[CurveRow], colours: Mapping[str, Any], per_step: int) -> None:
    """Groups of bars, one bar a line above, at evenly spaced points of measurement."""
    steps = rows[0].steps
    centres = np.unique(np.linspace(0, steps, _BAR_GROUPS + 1).round().astype(int))[1:]
    shown = [row for row in rows if row.order != "lerf"]
    width = 0.8 * per_step * float(np.diff(centres, prepend=0).min()) / len(shown)
    for index, row in enumerate(shown):
        shift = (index - (len(shown) - 1) / 2) * width
        heights = np.array(row.changed)[centres - 1]
        axes.bar(per_step * centres + shift, heights, width, color=colours[row.rule])
    axes.set_ylim(0, 1)


def _label(row: CurveRow) -> str:
    name = "random order" if row.order == "random" else f"{row.rule}, {row.order.upper()}"
    name = name.replace("MORF", "MoRF").replace("LERF", "LeRF")
    return f"{name}:  {with_interval(row.a)}   {number(row.v.mean)}"


def _title(rows: Sequence[CurveRow]) -> str:
    row = rows[0]
    counts = sorted({number for item in rows for number in item.repetitions})
    repetitions = " or ".join(str(number) for number in counts)
    return (
        f"{row.method}, operator {row.operator}, class {row.class_name}: {row.n_true_positives} true "
        f"positives in {row.n_images} photos, {repetitions} repetition{'s' if counts != [1] else ''}"
    )


def _left_out_text(count: int) -> str:
    return f"   ({count} true positives with fewer steps are not drawn)" if count else ""
