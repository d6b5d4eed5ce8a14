"""Heatmap quality for a page: the figure of each method in two colour schemes, and its numbers."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from pfungst.audit.schema import ModelAudit
from pfungst.evaluation.rows import ALL, CurveRow, Quality
from pfungst.report.quality_figure import chosen_curves, quality_figure, step_size

_ORDERS = {"morf": "most relevant first", "random": "random", "lerf": "least relevant first"}
_LIGHT: Any = {"figure.facecolor": "#ffffff", "axes.facecolor": "#ffffff"}
_DARK: Any = {
    "figure.facecolor": "#1c1f21", "axes.facecolor": "#1c1f21", "text.color": "#e9eaea",
    "axes.edgecolor": "#a3a9ae", "axes.labelcolor": "#e9eaea", "xtick.color": "#a3a9ae",
    "ytick.color": "#a3a9ae",
}  # fmt: skip


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
        "dark": _figure_uri(quality.curves, _DARK, options),
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


def _figure_uri(curves: Sequence[CurveRow], scheme: Any, options: Mapping[str, Any]) -> str:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(scheme):
        quality_figure(curves, title=" ", legend="below", **options).savefig(buffer, format="png", dpi=125)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
