"""Do two clusters stand apart, or is one cloud cut in two?

Any cloud can be cut, so a cut proves nothing. Two clusters that stand apart have a valley between them: along
the line that joins their means few rows lie in the middle. Each row is projected on that line with the means
taken without it, else its own noise would push it to its side; the projections are then tested for having
one mode only (as Kalogeratos and Likas 2012 do, who divide clusters by such tests).

References
----------
Hartigan and Hartigan 1985 (the dip).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FEWEST, _MOST = 8, 400
_LEVELS = (1.0, 0.99, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001)
_SCALED_DIPS = (0.0, 0.222, 0.261, 0.291, 0.330, 0.378, 0.429, 0.460, 0.490, 0.529, 0.556, 0.615)
"""√n · dip that a uniform sample exceeds with the probability beside it."""


def blend_values(
    rows: NDArray[np.float64], labels: NDArray[np.integer], *, random_state: int = 0
) -> NDArray[np.float64]:
    """For each cluster the p-value of the hypothesis that it and its nearest neighbour have one mode.

    Parameters
    ----------
    rows : (n, d) float
        What was clustered.
    labels : (n,) int
        Clusters 0, 1, …, at least two.
    random_state : int
        Of the sample that is tested where two clusters have more than 400 rows together.

    Returns
    -------
    (n_clusters,) float64
        NaN where there are fewer than eight rows to test.
    """
    n_clusters = int(labels.max()) + 1
    means = np.stack([rows[labels == index].mean(axis=0) for index in range(n_clusters)])
    distances = np.linalg.norm(means[:, None] - means[None, :], axis=2)
    np.fill_diagonal(distances, np.inf)
    generator = np.random.default_rng(random_state)
    values = []
    for index, nearest in enumerate(distances.argmin(axis=1)):
        along = line_projections(rows[labels == index], rows[labels == nearest])
        if len(along) > _MOST:
            along = generator.choice(along, _MOST, replace=False)
        values.append(dip_p_value(along))
    return np.array(values)


def line_projections(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row along the line from the mean of ``other`` to that of ``one``, 0 half-way, ``(n + m,)``.

    ``t = (x − (a + b)/2) · (a − b) / |a − b|`` with a and b the means of both without x itself.
    """
    along = np.empty(len(one) + len(other))
    sums, counts = (one.sum(axis=0), other.sum(axis=0)), (len(one), len(other))
    for position, row in enumerate(np.concatenate([one, other])):
        own = 0 if position < len(one) else 1
        means = [
            (total - row) / (count - 1) if side == own and count > 1 else total / count
            for side, (total, count) in enumerate(zip(sums, counts, strict=True))
        ]
        line = means[0] - means[1]
        length = np.linalg.norm(line)
        along[position] = (row - (means[0] + means[1]) / 2) @ line / length if length > 0 else 0.0
    return along


def dip_p_value(values: NDArray[np.float64]) -> float:
    """How often a uniform sample has a dip as large as that of ``values``; NaN for fewer than eight values.

    The uniform distribution is the flattest with one mode. √n · dip of its samples hardly depends on n; its
    quantiles are tabulated, the largest of those for n = 8 to 64, and the p-value lies between 0.001 and 1.
    """
    if len(values) < _FEWEST:
        return float("nan")
    return float(np.exp(np.interp(np.sqrt(len(values)) * dip(values), _SCALED_DIPS, np.log(_LEVELS))))


def dip(values: NDArray[np.float64]) -> float:
    r"""How far a sample is from having one mode.

    With F the empirical distribution function and m a mode, F is convex before m and concave after it where
    there is one mode only; the dip is ``min_m ½ max( sup_{x < m} F − G_m, sup_{x > m} H_m − F )`` with G_m
    the greatest convex minorant of F up to m and H_m its least concave majorant from m on; at m itself F may
    jump. The first term rises with m and the second falls, so that their crossing is found by bisection.
    """
    places, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    shares = counts / counts.sum()

    def before(mode: int) -> float:
        return _convex_distance(places[: mode + 1], shares[: mode + 1])

    def after(mode: int) -> float:
        return _convex_distance(-places[mode:][::-1], shares[mode:][::-1])

    low, high = 0, len(places) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if before(middle) < after(middle):
            low = middle
        else:
            high = middle
    return min(max(before(mode), after(mode)) for mode in (low, high)) / 2


def _convex_distance(places: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    """Largest F − G before the last place, F rising by a share at each, G the convex hull of F's feet."""
    top = np.cumsum(shares)
    foot = top - shares
    hull: list[int] = []
    for index in range(len(places)):
        while len(hull) > 1 and _above(places, foot, hull[-2], hull[-1], index):
            hull.pop()
        hull.append(index)
    minorant = np.interp(places, places[hull], foot[hull])
    return float(np.max((top - minorant)[:-1], initial=0.0))


def _above(x: NDArray[np.float64], y: NDArray[np.float64], first: int, middle: int, last: int) -> bool:
    """Whether the middle point lies on or above the line from the first to the last."""
    across, along = x[last] - x[first], x[middle] - x[first]
    return bool(along * (y[last] - y[first]) <= (y[middle] - y[first]) * across)
