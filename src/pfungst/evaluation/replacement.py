"""Algorithm 1: local descriptors replaced by draws from the model's own mixture, in order of relevance.

Every repetition draws its descriptors once and uses them for all orders and rules of an image and class, so
that rules are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.look import Trace
from pfungst.errors import ConfigError, PfungstError


@dataclass(frozen=True, kw_only=True)
class ReplacementConfig:
    """How many descriptors are replaced; the defaults are the paper's.

    Attributes
    ----------
    n_replaced : int
        Descriptors replaced in all; where a photo has fewer, as many whole batches as it has.
    batch_size : int
        Descriptors replaced between two measurements.
    repetitions : int
        Traces with new draws.
    """

    n_replaced: int = 10_000
    batch_size: int = 100
    repetitions: int = 5

    def __post_init__(self) -> None:
        if min(self.batch_size, self.repetitions) < 1 or self.n_replaced < self.batch_size:
            raise ConfigError(
                f"n_replaced = {self.n_replaced}, batch_size = {self.batch_size}, "
                f"repetitions = {self.repetitions}",
                allowed="1 or more of each, and at least one whole batch",
            )

    @property
    def n_steps(self) -> int:
        """Points of measurement where the photo has enough descriptors."""
        return self.n_replaced // self.batch_size

    def steps_of(self, n_descriptors: int) -> int:
        """Points of measurement for a photo of so many descriptors; 0 if it has not one whole batch."""
        return min(self.n_steps, n_descriptors // self.batch_size)


def replacement_scores(
    trace: Trace,
    orders: Mapping[str, tuple[NDArray[np.intp], ...]],
    generators: tuple[np.random.Generator, ...],
    config: ReplacementConfig,
) -> dict[str, NDArray[np.float64]]:
    """Scores along the traces of several orders.

    Parameters
    ----------
    trace : Trace
        The photo.
    orders : mapping of str to tuple of (|L|,) int
        By name: one order used by all repetitions, or one for each repetition.
    generators : tuple of numpy.random.Generator
        One for the draws of each repetition.
    config : ReplacementConfig

    Returns
    -------
    dict of str to (repetitions, n_steps, n_classes) float64
        f(x^(i)), i = 1..n_steps.

    Raises
    ------
    PfungstError
        If the photo has fewer descriptors than one batch.
    """
    n_steps = config.steps_of(trace.n_descriptors)
    if not n_steps:
        raise PfungstError(
            f"a photo with {trace.n_descriptors} descriptors", allowed=f"at least {config.batch_size}"
        )
    first = slice(0, n_steps * config.batch_size)
    draws = [trace.draw(n_steps, config.batch_size, generator) for generator in generators]
    scores = {}
    for name, chosen in orders.items():
        if len(chosen) == 1:
            scores[name] = trace.replace(chosen[0][first], draws)
        else:
            single = zip(chosen, draws, strict=True)
            scores[name] = np.concatenate([trace.replace(order[first], [draw]) for order, draw in single])
    return scores
