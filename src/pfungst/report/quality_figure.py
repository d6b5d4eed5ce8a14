"""The figure of heatmap quality, as the paper's Figure 1: mean drops, bars of changed traces, A and V."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pfungst.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
_ORDERS = {"morf": 0, "random": 1, "lerf": 2}
_GREY = "#777777"
_STYLES = {"morf": "-", "random": ":", "lerf": "--"}
_BAR_GROUPS = 10
_UNITS = {"descriptors": "descriptors replaced", "regions": "regions perturbed"}


def quality_figure(
    curves: Sequence[Row],
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
    curves : sequence of mapping
        Rows of :attr:`pfungst.evaluation.summary.Quality.curves`.
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
        _draw_curve(above, row, colours[row["rule"]], per_step)
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


def save_quality_figure(path: str | Path, curves: Sequence[Row], **options: Any) -> Path:
    """Write :func:`quality_figure` (see there for the options) as PNG or SVG, by the name's ending."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    quality_figure(curves, **options).savefig(target, dpi=150)
    return target


def chosen_curves(
    curves: Sequence[Row], method: str, operator: str, class_name: str
) -> tuple[list[Row], int]:
    """Rows with the most steps, in the order of the legend, and how many true positives have fewer.

    Raises
    ------
    ConfigError
        If there is no such row.
    """
    wanted = {"method": method, "operator": operator, "class": class_name}
    rows = [row for row in curves if all(row[key] == value for key, value in wanted.items())]
    if not rows:
        raise ConfigError(
            f"no traces of method {method!r}, operator {operator!r}, class {class_name!r}",
            allowed=", ".join(sorted({f"{row['method']} {row['operator']}" for row in curves}))
            or "none at all",
        )
    steps = max(row["steps"] for row in rows)
    full = [row for row in rows if row["steps"] == steps]
    first = (full[0]["rule"], full[0]["order"])
    short = [row for row in rows if row["steps"] < steps and (row["rule"], row["order"]) == first]
    full.sort(key=lambda row: (_ORDERS[row["order"]], -row["A"]["mean"]))
    return full, sum(row["n_true_positives"] for row in short)


def _colours(rows: Sequence[Row]) -> dict[str, Any]:
    """A colour for each rule, the same for all its orders; grey for the random control."""
    from matplotlib import colormaps

    rules = list(dict.fromkeys(row["rule"] for row in rows if row["order"] != "random"))
    palette = colormaps["tab10"].colors if len(rules) <= 10 else colormaps["tab20"].colors  # type: ignore[attr-defined]
    chosen = {rule: palette[index % len(palette)] for index, rule in enumerate(rules)}
    return {row["rule"]: chosen.get(row["rule"], _GREY) for row in rows}


def _draw_curve(axes: Axes, row: Row, colour: Any, per_step: int) -> None:
    points = per_step * np.arange(row["steps"] + 1)
    mean, low, high = (
        np.concatenate([[0.0], _numbers(row["drop"][name])]) for name in ("mean", "low", "high")
    )
    axes.plot(points, mean, color=colour, linestyle=_STYLES[row["order"]], linewidth=1.5, label=_label(row))
    axes.fill_between(points, low, high, color=colour, alpha=0.12, linewidth=0)


def _draw_bars(axes: Axes, rows: Sequence[Row], colours: Mapping[str, Any], per_step: int) -> None:
    """Groups of bars, one bar a line above, at evenly spaced points of measurement."""
    steps = rows[0]["steps"]
    centres = np.unique(np.linspace(0, steps, _BAR_GROUPS + 1).round().astype(int))[1:]
    shown = [row for row in rows if row["order"] != "lerf"]
    width = 0.8 * per_step * float(np.diff(centres, prepend=0).min()) / len(shown)
    for index, row in enumerate(shown):
        shift = (index - (len(shown) - 1) / 2) * width
        heights = _numbers(row["changed"])[centres - 1]
        axes.bar(per_step * centres + shift, heights, width, color=colours[row["rule"]])
    axes.set_ylim(0, 1)


def _numbers(values: Sequence[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Floats; None (as JSON has it for NaN) becomes NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _label(row: Row) -> str:
    name = "random order" if row["order"] == "random" else f"{row['rule']}, {row['order'].upper()}"
    name = name.replace("MORF", "MoRF").replace("LERF", "LeRF")
    a, v = row["A"], row["V"]
    interval = "" if a["low"] is None or np.isnan(a["low"]) else f" [{a['low']:.2f}, {a['high']:.2f}]"
    return f"{name}:  {a['mean']:.2f}{interval}   {v['mean']:.2f}"


def _title(rows: Sequence[Row]) -> str:
    row = rows[0]
    counts = sorted({number for item in rows for number in item["repetitions"]})
    repetitions = " or ".join(str(number) for number in counts)
    return (
        f"{row['method']}, operator {row['operator']}, class {row['class']}: {row['n_true_positives']} true "
        f"positives in {row['n_images']} photos, {repetitions} repetition{'s' if counts != [1] else ''}"
    )


def _left_out_text(count: int) -> str:
    return f"   ({count} true positives with fewer steps are not drawn)" if count else ""
