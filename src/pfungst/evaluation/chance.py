r"""What average precision a score that knows nothing reaches on the same photos.

With R photos of a class among N, every order of the photos is equally likely by chance. With
``r_1 < … < r_R`` the ranks of the class's photos in such an order, its average precision is

    ``AP = (1/R) Σ_k max_{l ≥ k} l / r_l``

(the interpolated area of :func:`pfungst.contract.ranking.average_precision`). The chance level is its mean;
the chance of an observed AP is the share of orders that reach it (a permutation test). One order in
``C(N, R)`` is perfect, so with few photos even a perfect score cannot be told from chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError

ORDERS = 2000
"""Orders drawn."""
_BLOCK = 500_000
"""Numbers drawn at a time; bounds the memory."""


@dataclass(frozen=True, kw_only=True)
class Chance:
    """What chance does.

    Attributes
    ----------
    level : float
        Mean average precision of random orders.
    probability : float
        Share of random orders that reach the observed one, the observed one counted among them.
    least : float
        The smallest probability that any score could get: ``1 / C(N, R)``.
    """

    level: float
    probability: float
    least: float


def chance_of_precision(
    observed: float, positives: int, negatives: int, *, orders: int = ORDERS, random_state: int = 0
) -> Chance:
    """How an average precision compares with that of random orders.

    Parameters
    ----------
    observed : float
        Average precision (area).
    positives, negatives : int
        Photos with and without the class; at least one with it.
    orders : int
        Random orders drawn.
    random_state : int
        Seed.

    Raises
    ------
    ConfigError
        If there is no positive photo.

    Examples
    --------
    >>> chance = chance_of_precision(0.5, positives=2, negatives=2)
    >>> chance.probability > 0.9, round(chance.least, 3)
    (True, 0.167)
    """
    if positives < 1 or negatives < 0 or orders < 1:
        raise ConfigError(
            f"{positives} photos with the class, {negatives} without, {orders} orders",
            allowed="at least one photo with the class, and one order",
        )
    drawn = np.concatenate(list(_drawn(positives, positives + negatives, orders, random_state)))
    reached = int(np.count_nonzero(drawn >= observed - 1e-12))
    return Chance(
        level=float(drawn.mean()),
        probability=(reached + 1) / (orders + 1),
        least=1 / comb(positives + negatives, positives),
    )


def _drawn(positives: int, total: int, orders: int, random_state: int) -> Iterator[NDArray[np.float64]]:
    """Average precision of random orders, a block at a time."""
    generator = np.random.default_rng([random_state, positives, total])
    step = max(1, _BLOCK // total)
    hits = np.arange(1, positives + 1)
    for start in range(0, orders, step):
        places = generator.random((min(step, orders - start), total))
        ranks = 1 + np.sort(np.argpartition(places, positives - 1, axis=1)[:, :positives], axis=1)
        precision = hits / ranks
        yield np.maximum.accumulate(precision[:, ::-1], axis=1).mean(axis=1)
