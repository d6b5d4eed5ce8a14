r"""Average precision with bootstrap intervals over photos, and its difference between two models.

A resample draws as many photos as there are, with replacement: photo j counts ``n_j`` times, so with photos
in descending order of their scores ``precision_i = Σ_{j≤i} n_j y_j / Σ_{j≤i} n_j`` and recall likewise; AP is
the area under the interpolated curve (:func:`pfungst.contract.ranking.average_precision`). Two models on the
same photos meet the same draws, so that what they share cancels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.ranking import average_precision
from pfungst.errors import ConfigError
from pfungst.evaluation.statistics import BootstrapConfig, Estimate, draw_blocks


def precision_over_images(
    labels: NDArray[np.integer], scores: NDArray[np.floating], config: BootstrapConfig | None = None
) -> Estimate | None:
    """Average precision of one class with a percentile interval; None where there are no positives.

    Parameters
    ----------
    labels : (n,) int
        +1, 0 (difficult: ignored) or −1, a photo each.
    scores : (n,) float
    config : BootstrapConfig, optional
        Level, resamples and seed; the interval is by percentiles.
    """
    value = average_precision(labels, scores)
    if np.isnan(value):
        return None
    return _estimate(value, _resampled(labels, scores, config or BootstrapConfig()), labels, config)


def precision_difference(
    labels: NDArray[np.integer],
    before: NDArray[np.floating],
    after: NDArray[np.floating],
    config: BootstrapConfig | None = None,
) -> Estimate | None:
    """AP of ``after`` minus AP of ``before``, both scores of the same photos; None without positives.

    Raises
    ------
    ConfigError
        If the scores are not of as many photos.
    """
    if np.shape(before) != np.shape(after):
        raise ConfigError(
            f"scores of {len(before)} and {len(after)} photos", allowed="scores of the same photos"
        )
    value = average_precision(labels, after) - average_precision(labels, before)
    if np.isnan(value):
        return None
    drawn = config or BootstrapConfig()
    resampled = _resampled(labels, after, drawn) - _resampled(labels, before, drawn)
    return _estimate(value, resampled, labels, config)


def _estimate(
    value: float,
    resampled: NDArray[np.float64],
    labels: NDArray[np.integer],
    config: BootstrapConfig | None,
) -> Estimate:
    tail = (1 - (config or BootstrapConfig()).level) / 2
    known = resampled[np.isfinite(resampled)]  # a resample without positives has no AP
    low, high = np.quantile(known, [tail, 1 - tail]) if known.size and len(labels) > 1 else (np.nan,) * 2
    counted = int(np.count_nonzero(labels))
    return Estimate(mean=value, low=float(low), high=float(high), n_images=counted, n_values=counted)


def _resampled(
    labels: NDArray[np.integer], scores: NDArray[np.floating], config: BootstrapConfig
) -> NDArray[np.float64]:
    """AP of each resample, ``(n_resamples,)``."""
    kept = np.flatnonzero(np.asarray(labels) != 0)
    order = kept[np.argsort(-np.asarray(scores, dtype=np.float64)[kept], kind="stable")]
    sorted_scores, positive = np.asarray(scores)[order], np.asarray(labels)[order] > 0
    last_of_tie = np.flatnonzero(np.append(sorted_scores[1:] != sorted_scores[:-1], True))
    parts = [
        _weighted_precision(counts[:, order], positive, last_of_tie)
        for counts in draw_blocks(len(labels), config)
    ]
    return np.concatenate(parts)


def _weighted_precision(
    counts: NDArray[np.float64], positive: NDArray[np.bool_], last_of_tie: NDArray[np.intp]
) -> NDArray[np.float64]:
    """AP of photos in descending order that count several times or not at all, a row a resample."""
    true = np.cumsum(counts * positive, axis=1)[:, last_of_tie]
    every = np.cumsum(counts, axis=1)[:, last_of_tie]
    precision = np.divide(true, every, out=np.zeros_like(true), where=every > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    gained = np.diff(true, axis=1, prepend=0.0)
    total = true[:, -1]
    area: NDArray[np.float64] = (gained * envelope).sum(axis=1)
    area[total > 0] /= total[total > 0]
    area[total <= 0] = np.nan
    return area
