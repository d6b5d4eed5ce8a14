"""Heatmap quality for a page: the figure of each method in two colour schemes, and its numbers."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from pfungst.audits.schema import ModelAudit
from pfungst.evaluation.rows import ALL, CurveRow, Quality
from pfungst.report.quality_figure import chosen_curves, quality_figure, step_size

_ORDERS = {"morf": "most relevant first", "random": "random", "lerf": "least relevant first"}
_LIGHT: Any = {"figure.facecolor": "#ffffff", "axes.facecolor": "#ffffff"}
_DARK: Any = {
    "figure.facecolor": "#1c1f21", "axes.facecolor": "#1c1f21", "text.color": "#e9eaea",
    "axes.edgecolor": "#a3a9ae", "axes.labelcolor": "#e9eaea", "xtick.color": "#a3a9ae",
    "ytick.color": "#a3a9ae",
}  # fmt: skip


_NARROW, _NARROW_SIZE = "(max-width: 44rem)", (4.2, 6.2)
_NARROW_LEGEND: Any = {
    "loc": "outside lower left",
    "ncols": 1,
    "fontsize": 8,
    "frameon": False,
    "title": "A [interval]   V",
}
_IS_DARK = "(prefers-color-scheme: dark)"
_VARIANTS: Any = (
    (True, _DARK, ("screen", _NARROW, _IS_DARK)),
    (True, _LIGHT, ("screen", _NARROW)),
    (False, _DARK, ("screen", _IS_DARK)),
)
"""Beside the plain one: drawn narrow for phones, where a wide figure's text would be too small to read."""


def quality_items(model: ModelAudit) -> list[dict[str, Any]]:
    """For each method and operator: pictures for light and dark pages, and rows of A and V."""
    if model.quality is None:
        return []
    found = dict.fromkeys((row.method, row.operator) for row in model.quality.find(class_name=ALL))
    return [_item(model, model.quality, method, operator) for method, operator in found]


def _item(model: ModelAudit, quality: Quality, method: str, operator: str) -> dict[str, Any]:
    options = {"method": method, "operator": operator, "per_step": step_size(quality, method)}
    return {
        "method": method,
        "operator": operator,
        "light": _figure_uri(quality.curves, _LIGHT, options),
        "sources": [
            {"uri": _figure_uri(quality.curves, scheme, options, narrow=narrow), "media": " and ".join(media)}
            for narrow, scheme, media in _VARIANTS
        ],
        "rows": [
            {
                "rule": row.rule if row.order != "random" else "control",
                "order": _ORDERS[row.order],
                "own": row.rule == model.quality_rule and row.order == "morf",
                "a": row.a,
                "v": row.v,
                "n_images": row.n_images,
            }
            for row in chosen_curves(quality.curves, method, operator, ALL)[0]
        ],
    }


def _figure_uri(
    curves: Sequence[CurveRow], scheme: Any, options: Mapping[str, Any], *, narrow: bool = False
) -> str:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(scheme):
        figure = quality_figure(curves, title=" ", legend="below", **options)
        if narrow:
            figure.set_size_inches(*_NARROW_SIZE)
            lines, names = figure.axes[0].get_legend_handles_labels()
            figure.legends[0].remove()
            figure.legend(lines, names, **_NARROW_LEGEND)
        figure.savefig(buffer, format="png", dpi=125)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
