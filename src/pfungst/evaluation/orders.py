"""In which order components are perturbed, and where every random number comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import unknown_name

Order = Literal["morf", "lerf", "random"]
ORDERS: tuple[str, ...] = get_args(Order)
"""Most relevant first, least relevant first, and the control that ignores relevance."""


def perturbation_order(
    relevance: NDArray[np.floating], order: str, generator: np.random.Generator
) -> NDArray[np.intp]:
    """Order ``o`` in which components are perturbed [13].

    Equal relevances are put in random order, so that a map with many zeros is not perturbed row by row.

    Parameters
    ----------
    relevance : (n,) float
        Of each component.
    order : {"morf", "lerf", "random"}
    generator : numpy.random.Generator
        For the random order and for ties.

    Returns
    -------
    (n,) int
        Indices of components, the first to be perturbed first.

    Examples
    --------
    >>> perturbation_order(np.array([1.0, 3.0, 2.0]), "morf", np.random.default_rng(0)).tolist()
    [1, 2, 0]
    """
    checked_orders([order])
    shuffled = generator.permutation(len(relevance))
    if order == "random":
        return shuffled
    sign = -1.0 if order == "morf" else 1.0
    ranked: NDArray[np.intp] = shuffled[np.argsort(sign * relevance[shuffled], kind="stable")]
    return ranked


def checked_orders(orders: Sequence[str]) -> tuple[str, ...]:
    """The same orders.

    Raises
    ------
    ConfigError
        If one is unknown.
    """
    for order in orders:
        if order not in ORDERS:
            raise unknown_name("order", order, ORDERS)
    return tuple(orders)


def generator_for(seed: int, *parts: object) -> np.random.Generator:
    """A random stream of its own for each image, class and repetition.

    It depends on the seed and the parts alone, so neither the number of workers nor what ran before matters.
    """
    text = "\x1f".join(str(part) for part in (seed, *parts))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little"))
