"""The figures that the paper published for PASCAL VOC 2007 test, in per cent.

References
----------
Lapuschkin, Binder, Montavon, Müller, Samek: Analyzing Classifiers: Fisher Vectors and Deep Neural Networks,
CVPR 2016; the row of Fisher vectors is that of the paper's table of average precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FISHER_AP: Mapping[str, float] = MappingProxyType({
    "aeroplane": 79.08, "bicycle": 66.44, "bird": 45.90, "boat": 70.88, "bottle": 27.64, "bus": 69.67,
    "car": 80.96, "cat": 59.92, "chair": 51.92, "cow": 47.60, "diningtable": 58.06, "dog": 42.28,
    "horse": 80.45, "motorbike": 69.34, "person": 85.10, "pottedplant": 28.62, "sheep": 49.58, "sofa": 49.31,
    "train": 82.71, "tvmonitor": 54.33,
})  # fmt: skip
"""Average precision of Fisher vectors by class."""

FISHER_MEAN_AP = 59.99
"""Their mean."""

NETWORK_MEAN_AP: Mapping[str, float] = MappingProxyType({"center": 72.12, "sliding": 75.9})
"""Mean average precision of the retrained CaffeNet by what it is scored on; classes were not published."""
