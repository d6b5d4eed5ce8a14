r"""The dip of a sample: how far its distribution function is from any that has one mode only.

With F the empirical distribution function and 𝒰 the functions that are convex before some place, the mode,
and concave after it, where they alone may jump,

    dip = min over G in 𝒰 of sup_x |F(x) − G(x)| .

It is at least 1 / (2n) for n values none of which recur, and at most 1/4.

References
----------
Hartigan and Hartigan 1985, The dip test of unimodality.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST = 8
"""Values below which nothing is tested."""
_SIZES = (8, 10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 400)
_LEVELS = (1.0, 0.99, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001)
_SCALED_DIPS = (
    (0.0, 0.177, 0.232, 0.273, 0.314, 0.348, 0.402, 0.437, 0.463, 0.490, 0.506, 0.550),
    (0.0, 0.193, 0.246, 0.278, 0.309, 0.360, 0.412, 0.441, 0.467, 0.504, 0.526, 0.568),
    (0.0, 0.204, 0.251, 0.276, 0.316, 0.369, 0.416, 0.450, 0.480, 0.514, 0.538, 0.588),
    (0.0, 0.212, 0.247, 0.282, 0.325, 0.374, 0.428, 0.462, 0.493, 0.529, 0.555, 0.605),
    (0.0, 0.212, 0.258, 0.289, 0.333, 0.385, 0.441, 0.476, 0.508, 0.547, 0.575, 0.627),
    (0.0, 0.218, 0.261, 0.294, 0.338, 0.392, 0.448, 0.485, 0.518, 0.559, 0.584, 0.648),
    (0.0, 0.221, 0.266, 0.299, 0.345, 0.400, 0.458, 0.496, 0.530, 0.572, 0.601, 0.662),
    (0.0, 0.225, 0.270, 0.303, 0.349, 0.405, 0.463, 0.502, 0.536, 0.580, 0.610, 0.676),
    (0.0, 0.228, 0.274, 0.308, 0.354, 0.411, 0.471, 0.510, 0.546, 0.588, 0.620, 0.688),
    (0.0, 0.230, 0.276, 0.311, 0.358, 0.414, 0.475, 0.515, 0.552, 0.596, 0.626, 0.688),
    (0.0, 0.233, 0.280, 0.314, 0.361, 0.419, 0.481, 0.521, 0.556, 0.600, 0.630, 0.699),
    (0.0, 0.235, 0.281, 0.316, 0.364, 0.422, 0.484, 0.524, 0.560, 0.606, 0.639, 0.704),
    (0.0, 0.237, 0.284, 0.319, 0.367, 0.426, 0.489, 0.530, 0.568, 0.615, 0.649, 0.714),
)
"""√n · dip that a uniform sample of each of the sizes exceeds with each of the probabilities."""


def dip_p_value(values: NDArray[np.float64]) -> float:
    """How often a uniform sample has a dip as large as that of ``values``; NaN for fewer than eight values.

    The uniform distribution is the flattest with one mode. Quantiles of √n · dip are tabulated, each from
    100,000 samples or more, and interpolated in n; beyond the largest size they hardly depend on it. The
    p-value lies between 0.001 and 1.
    """
    size = len(values)
    if size < FEWEST:
        return float("nan")
    quantiles = [np.interp(size, _SIZES, column) for column in zip(*_SCALED_DIPS, strict=True)]
    return float(np.exp(np.interp(np.sqrt(size) * dip(values), quantiles, np.log(_LEVELS))))


def dip(values: NDArray[np.float64]) -> float:
    """The dip of a sample; 0 where all values are the same.

    By the algorithm of Hartigan and Hartigan. Between two places that close in on the mode, F lies below its
    least concave majorant and above its greatest convex minorant. Where these two are furthest apart lie the
    next two places; outside of them F must be met by the minorant before and by the majorant after the mode,
    and twice the dip is the largest distance there. It ends where the two inside are no further apart.

    Parameters
    ----------
    values : (n,) float
        In any order; equal ones are one jump of F.
    """
    places, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    top = np.cumsum(counts) / counts.sum()
    foot = top - counts / counts.sum()
    distance, low, high = 0.0, 0, len(places) - 1
    while low < high:
        x, tops, feet = (part[low : high + 1] for part in (places, top, foot))
        below, above = _hull(x, feet, 1.0), _hull(x, tops, -1.0)
        minorant, majorant = np.interp(x, x[below], feet[below]), np.interp(x, x[above], tops[above])
        first, last, apart = _furthest(below, above, majorant - minorant)
        if apart <= distance:
            break
        before, after = (tops - minorant)[:first], (majorant - feet)[last + 1 :]
        distance = max(distance, before.max(initial=0.0), after.max(initial=0.0))
        if (first, last) == (0, high - low):
            break
        low, high = low + first, low + last
    return float(distance / 2)


def _furthest(
    below: NDArray[np.intp], above: NDArray[np.intp], gap: NDArray[np.float64]
) -> tuple[int, int, float]:
    """Where the two hulls are furthest apart: a corner of the lower one, one of the upper one, how far."""
    under, over = below[gap[below].argmax()], above[gap[above].argmax()]
    if gap[under] > gap[over]:
        return int(under), int(above[np.searchsorted(above, under)]), float(gap[under])
    return int(below[np.searchsorted(below, over, side="right") - 1]), int(over), float(gap[over])


def _hull(x: NDArray[np.float64], y: NDArray[np.float64], side: float) -> NDArray[np.intp]:
    """Corners of the convex hull of points from left to right: below them for side 1, above for −1."""
    corners: list[int] = []
    for index in range(len(x)):
        while len(corners) > 1 and side * _turn(x, y, corners[-2], corners[-1], index) <= 0:
            corners.pop()
        corners.append(index)
    return np.array(corners)


def _turn(x: NDArray[np.float64], y: NDArray[np.float64], first: int, middle: int, last: int) -> float:
    """Above 0 where the way over three points turns upwards."""
    run, rise = x[middle] - x[first], y[middle] - y[first]
    return float(run * (y[last] - y[first]) - rise * (x[last] - x[first]))
