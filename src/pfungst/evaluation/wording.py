"""Finished numbers as words: how pages, tables and figures write a value, a share, an interval, a gap."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pfungst.evaluation.statistics import Estimate

MISSING = "–"
_THIN = "\N{NARROW NO-BREAK SPACE}"


def number(value: float | None, digits: int = 2) -> str:
    """A value with so many decimals and a true minus sign; ``–`` if there is none."""
    if value is None or not isfinite(value):
        return "∞" if value == float("inf") else MISSING
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def signed(value: float | None, digits: int = 2) -> str:
    """As :func:`number`, with a plus sign."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 and isfinite(value) else text


def percent(value: float | None) -> str:
    """A share in per cent: whole, with one decimal below ten."""
    if value is None or not isfinite(value):
        return MISSING
    return f"{number(100 * value, 0 if abs(value) >= 0.0995 or value == 0 else 1)}{_THIN}%"


def against(score: float | None, threshold: float | None) -> str:
    """A score held against its threshold: ``−0.97 > −0.98``."""
    if score is None or threshold is None or not (isfinite(score) and isfinite(threshold)):
        return signed(score)
    return f"score {signed(score)} {'>' if score > threshold else '≤'} threshold {signed(threshold)}"


def interval(estimate: Estimate | None, digits: int = 2) -> str:
    """``1.08 to 1.34``; empty where there is no interval."""
    if estimate is None or not (isfinite(estimate.low) and isfinite(estimate.high)):
        return ""
    return f"{number(estimate.low, digits)} to {number(estimate.high, digits)}"


def with_interval(estimate: Estimate | None, *, scale: float = 1.0, digits: int | None = None) -> str:
    """``1.20 [1.08, 1.34]``: a mean with its interval, if it has one.

    Parameters
    ----------
    estimate : Estimate or None
    scale : float
        100 writes shares in per cent.
    digits : int, optional
        Decimals; default 2, and 1 in per cent.
    """
    if estimate is None or not isfinite(estimate.mean):
        return MISSING
    digits = (1 if scale >= 100 else 2) if digits is None else digits
    mean, low, high = (
        number(scale * value, digits) for value in (estimate.mean, estimate.low, estimate.high)
    )
    return f"{mean} [{low}, {high}]" if isfinite(estimate.low) else mean


def share(value: float | None, digits: int = 0) -> str:
    """A share in per cent without its sign, for a column that has it in its head."""
    return number(None if value is None else 100 * value, digits)


def percent_interval(estimate: Estimate | None) -> str:
    """``12 to 34 %``; empty where there is no interval."""
    if estimate is None or not (isfinite(estimate.low) and isfinite(estimate.high)):
        return ""
    return f"{number(100 * estimate.low, 0)} to {percent(estimate.high)}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 photo``, ``2 photos``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}".replace(",", _THIN)


def flattened(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as lines of dotted name and value."""
    lines: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            lines += flattened(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            lines.append((f"{prefix}{name}", text))
    return lines
