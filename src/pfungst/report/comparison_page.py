"""The page of a comparison: what changed between two audits, artefacts first, then every measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pfungst.audits.comparing import Comparison
from pfungst.report import charts
from pfungst.report.page import write_page

COMPARISON_PAGE = "comparison.html"
_STATUSES = ("gone", "new", "kept")


def write_comparison(comparison: Comparison, folder: str | Path) -> Path:
    """Write ``comparison.html``, self-contained, into a folder.

    Parameters
    ----------
    comparison : Comparison
        Finished records of :func:`pfungst.audits.comparing.compare_audits`.
    folder : path
        Made if it is missing.

    Returns
    -------
    Path
        The page.
    """
    found = {status: [item for item in comparison.artefacts if item.status == status] for status in _STATUSES}
    return write_page(
        Path(folder) / COMPARISON_PAGE,
        "comparison.html.j2",
        comparison=comparison,
        artefacts=found,
        changed=[item for item in comparison.changes if item.changed],
        several_models=len({item.model for item in comparison.changes}) > 1,
        axes=_axes(comparison),
        bar=charts.bar,
    )


def _axes(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """For each measure one scale of its values and one of its differences, the latter even around zero."""
    scales: dict[str, dict[str, Any]] = {}
    for measure in dict.fromkeys(item.measure for item in comparison.changes):
        rows = [item for item in comparison.changes if item.measure == measure]
        reach = charts.axis(row.difference for row in rows)
        half = max(reach.high, -reach.low)
        scales[measure] = {
            "values": charts.axis(value for row in rows for value in (row.before, row.after)),
            "difference": charts.Axis(low=-half, high=half),
        }
    return scales
