"""Do two clusters stand apart, or is one cloud cut in two?

Any cloud can be cut, so a cut proves nothing. Two clusters that stand apart have a valley between them: along
the line that joins their means few rows lie in the middle. Each row is projected on that line with the means
taken without it, else its own noise would push it to its side; the projections are then tested for having
one mode only by the dip (:mod:`pfungst.evaluation.dip`), as Kalogeratos and Likas 2012 do, who divide
clusters by such tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pfungst.evaluation.dip import dip_p_value

_MOST = 400


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
