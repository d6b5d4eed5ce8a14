"""From scores to predicted classes: any number of them by thresholds, or the one with the highest score."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import Classifier
from pfungst.errors import unknown_name

Decision = Literal["thresholds", "highest"]
DECISIONS: tuple[str, ...] = get_args(Decision)


def checked_decision(decision: object) -> Decision:
    """The name itself, if it is one.

    Raises
    ------
    ConfigError
        If it is unknown.
    """
    if decision not in DECISIONS:
        raise unknown_name("decision", str(decision)[:80], DECISIONS)
    return decision  # type: ignore[return-value]


def decided(
    scores: NDArray[np.floating], thresholds: NDArray[np.floating], decision: Decision = "thresholds"
) -> NDArray[np.bool_]:
    """Which classes are predicted.

    ``thresholds``: class ``c`` where ``f_c(x) > t_c``, for models of several labels a photo. ``highest``: the
    class of the highest score alone, the first of equal ones, for models trained with a softmax: their scores
    mean something only beside each other, and no threshold separates them.

    Parameters
    ----------
    scores : (n, n_classes) float
    thresholds : (n_classes,) float
    decision : {"thresholds", "highest"}

    Returns
    -------
    (n, n_classes) bool

    Examples
    --------
    >>> decided(np.array([[3.0, 2.0, -1.0]]), np.zeros(3), "highest").tolist()
    [[True, False, False]]
    """
    if decision == "thresholds":
        above: NDArray[np.bool_] = scores > thresholds
        return above
    chosen = np.zeros(scores.shape, dtype=np.bool_)
    chosen[np.arange(len(scores)), scores.argmax(axis=1)] = True
    return chosen


def decision_of(classifier: Classifier) -> Decision:
    """How a classifier decides; ``thresholds`` for one that does not say.

    A classifier says so by an attribute ``decision``.
    """
    return checked_decision(getattr(classifier, "decision", "thresholds"))


def predicted(classifier: Classifier, scores: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which classes a classifier predicts for photos of these scores, ``(n, n_classes)``."""
    return decided(scores, classifier.thresholds, decision_of(classifier))
