"""The calls of the front door, ``import pfungst as pf``: they take what people have."""

from pfungst.front.auditing import audit, compare
from pfungst.front.calls import evaluate, explain, measure_quality

__all__ = ["audit", "compare", "evaluate", "explain", "measure_quality"]
