"""Ranking measures that training and evaluation share: VOC average precision and the equal error rate.

Labels are +1 (shown), −1 (not shown) and 0 (difficult: ignored), scores finite real numbers; equal scores
are taken together, so that no measure depends on the order of the images. NaN or infinite scores, and labels
of another shape than the scores, raise :class:`~pfungst.errors.ConfigError`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError


def precision_recall(
    labels: NDArray[np.integer], scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall after each distinct score, in descending order of scores.

    Parameters
    ----------
    labels : (n,) int
        +1, 0 (ignored) or −1.
    scores : (n,) float

    Returns
    -------
    precision, recall : (m,) float64
        Empty where there are no positives.
    """
    true_positives, false_positives, _ = _cumulative_counts(labels, scores)
    if true_positives.size == 0 or true_positives[-1] == 0:
        return np.empty(0), np.empty(0)
    precision = true_positives / (true_positives + false_positives)
    return precision, true_positives / true_positives[-1]


def average_precision(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> float:
    """Area under the interpolated precision-recall curve, as VOC computes it from 2010 on.

    Precision at recall r is the largest precision at any recall ≥ r. NaN where there are no positives.
    """
    precision, recall = precision_recall(labels, scores)
    if precision.size == 0:
        return float("nan")
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))


def average_precision_11pt(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> float:
    """Mean interpolated precision at recall 0, 0.1, … 1, as VOC 2007 computes it (NaN without positives)."""
    precision, recall = precision_recall(labels, scores)
    if precision.size == 0:
        return float("nan")
    levels = np.arange(11) / 10
    reached = [precision[recall >= level - 1e-12] for level in levels]
    return float(np.mean([part.max(initial=0.0) for part in reached]))


def equal_error_threshold(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> float:
    """The threshold at which the false positive rate equals the false negative rate most closely.

    A class is predicted where ``score > threshold``; the threshold lies half-way between two neighbouring
    scores (or just outside their range). Among equally good ones the one with the smaller mean error is
    taken, then the larger. NaN where there are no positives or no negatives.
    """
    true_positives, false_positives, distinct = _cumulative_counts(labels, scores)
    if distinct.size == 0 or true_positives[-1] == 0 or false_positives[-1] == 0:
        return float("nan")
    miss_rate = 1 - np.concatenate([[0.0], true_positives / true_positives[-1]])
    false_rate = np.concatenate([[0.0], false_positives / false_positives[-1]])
    gap, mean = np.abs(miss_rate - false_rate), (miss_rate + false_rate) / 2
    best = int(np.lexsort((np.arange(gap.size), np.round(mean, 12), np.round(gap, 12)))[0])
    half_way = (distinct[:-1] + distinct[1:]) / 2
    below = np.nextafter(distinct, -np.inf)  # half-way between adjacent floats may round up to the upper one
    edges = np.concatenate(
        [[distinct[0] + 1.0], np.minimum(half_way, below[:-1]), [min(distinct[-1] - 1.0, below[-1])]]
    )
    return float(edges[best])


def mean_average_precision(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> float | None:
    """Mean area AP of ``(n, C)`` labels and scores over the classes that have positives; None if none has."""
    values = [average_precision(labels[:, c], scores[:, c]) for c in range(labels.shape[1])]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else None


def equal_error_thresholds(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """:func:`equal_error_threshold` of each class, ``(C,)``; NaN where it is undefined."""
    values = [equal_error_threshold(labels[:, c], scores[:, c]) for c in range(labels.shape[1])]
    return np.array(values, dtype=np.float64)


def _cumulative_counts(
    labels: NDArray[np.integer], scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """True and false positives counted down to each distinct score, and those scores, descending."""
    signs, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if signs.shape != values.shape or values.ndim != 1:
        raise ConfigError(
            f"labels of shape {signs.shape} with scores of shape {values.shape}", allowed="(n,)"
        )
    kept = signs != 0
    values, signs = values[kept], signs[kept]
    if not np.isfinite(values).all():
        raise ConfigError(
            f"{np.count_nonzero(~np.isfinite(values))} of {values.size} scores are NaN or infinite",
            allowed="finite scores",
        )
    order = np.argsort(-values, kind="stable")
    values, signs = values[order], signs[order]
    last_of_tie = (
        np.flatnonzero(np.append(values[1:] != values[:-1], True)) if values.size else np.empty(0, int)
    )
    true_positives = np.cumsum(signs > 0, dtype=np.float64)[last_of_tie]
    false_positives = np.cumsum(signs < 0, dtype=np.float64)[last_of_tie]
    return true_positives, false_positives, values[last_of_tie]
