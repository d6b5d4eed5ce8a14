"""Photos with one class each, decided by the highest score: accuracy and confusion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.deciding import decided


@dataclass(frozen=True, kw_only=True)
class SingleLabel:
    """What the highest score says of photos that show exactly one class.

    Attributes
    ----------
    photos : int
        Photos with one positive class and no difficult one.
    other_photos : int
        The rest, which take no part.
    accuracy : float
        Share of ``photos`` whose highest score is that of their class; NaN without any.
    mean_recall : float
        The mean over classes of :attr:`recall`, for sets in which classes are not equally frequent.
    recall, precision : dict of str to float
        By class; NaN where it is not shown, or never predicted.
    confusion : dict of str to dict of str to int
        How many photos of a class (outer) were taken for a class (inner); zeros left out.
    """

    photos: int
    other_photos: int
    accuracy: float
    mean_recall: float
    recall: dict[str, float]
    precision: dict[str, float]
    confusion: dict[str, dict[str, int]]


def single_label(
    labels: NDArray[np.int8],
    scores: NDArray[np.float64],
    classes: Sequence[str],
    *,
    all_scores: NDArray[np.float64] | None = None,
    all_classes: Sequence[str] | None = None,
) -> SingleLabel:
    """Accuracy and confusion of the highest score.

    ``accuracy = (1/n) Σ_i [argmax_c f_c(x_i) = y_i]`` over the photos with one class.

    Parameters
    ----------
    labels : (n, n_classes) int8
        +1, 0 (difficult) or −1.
    scores : (n, n_classes) float
    classes : sequence of str
        Of the columns of both.
    all_scores, all_classes : optional
        All scores of the model, where it knows classes that the photos have no labels for: the highest of
        those decides, and a photo taken for a class without labels is wrong.
    """
    wide = scores if all_scores is None else all_scores
    names = tuple(classes if all_classes is None else all_classes)
    alone = (labels > 0).sum(axis=1) == 1
    alone &= ~(labels == 0).any(axis=1)
    truth = [classes[column] for column in labels[alone].argmax(axis=1)] if alone.any() else []
    chosen = decided(wide[alone], np.zeros(len(names)), "highest").argmax(axis=1) if alone.any() else []
    pairs = [(true, names[column]) for true, column in zip(truth, chosen, strict=True)]
    recall = {name: _share([said == name for true, said in pairs if true == name]) for name in classes}
    precision = {name: _share([true == name for true, said in pairs if said == name]) for name in classes}
    known = [value for value in recall.values() if not np.isnan(value)]
    return SingleLabel(
        photos=len(pairs),
        other_photos=len(labels) - len(pairs),
        accuracy=_share([true == said for true, said in pairs]),
        mean_recall=float(np.mean(known)) if known else float("nan"),
        recall=recall,
        precision=precision,
        confusion=_confusion(pairs, classes),
    )


def _share(right: Sequence[bool]) -> float:
    return float(np.mean(right)) if right else float("nan")


def _confusion(pairs: Sequence[tuple[str, str]], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    counts = Counter(pairs)
    return {
        true: {said: count for (of, said), count in sorted(counts.items()) if of == true} for true in classes
    }
