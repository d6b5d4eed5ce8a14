r"""What a perturbation trace f(x^(0)), f(x^(1)), … f(x^(I)) says about a heatmap.

- ``A = (1/I) Σ_{i=1..I} (f(x) − f(x^(i)))`` [14]: the mean drop; larger is better.
- ``AOPC = (1/(L+1)) Σ_{i=0..L} (f(x) − f(x^(i)))`` (Samek et al. 2016), with L = I steps; the term i = 0 is
  zero, so ``AOPC = A · L / (L + 1)``.
- ``ABPC = (1/(L+1)) Σ_{i=0..L} (f(x_LeRF^(i)) − f(x_MoRF^(i)))``: the area between the two curves.
- ``changed(i)``: whether the prediction at step i is no longer that of x; V is the share of traces with
  ``changed(i)`` at some step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError


@dataclass(frozen=True, kw_only=True, eq=False)
class Traces:
    """Repetitions of one perturbation of one image for one class.

    Attributes
    ----------
    start : float
        f(x).
    scores : (n_repetitions, n_steps) float64
        f(x^(i)), i = 1..I.
    threshold : float
        ``f > threshold`` predicts the class.
    """

    start: float
    scores: NDArray[np.float64]
    threshold: float

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or self.scores.shape[1] < 1:
            raise ConfigError(f"traces of shape {self.scores.shape}", allowed="(n_repetitions, n_steps >= 1)")

    @property
    def drop(self) -> NDArray[np.float64]:
        """f(x) − f(x^(i)), averaged over repetitions, ``(n_steps,)``."""
        mean: NDArray[np.float64] = self.start - self.scores.mean(axis=0)
        return mean

    @property
    def changed(self) -> NDArray[np.float64]:
        """Share of repetitions that predict otherwise at each step, ``(n_steps,)``."""
        mean: NDArray[np.float64] = self._flipped().mean(axis=0)
        return mean

    @property
    def switched(self) -> float:
        """V of these repetitions: the share that predicted otherwise at some step."""
        return float(self._flipped().any(axis=1).mean())

    def _flipped(self) -> NDArray[np.bool_]:
        flipped: NDArray[np.bool_] = (self.scores > self.threshold) != (self.start > self.threshold)
        return flipped


def mean_drop(drop: NDArray[np.float64]) -> float:
    """A [14] of a curve of drops ``(n_steps,)``, i = 1..I."""
    return float(np.mean(drop))


def aopc(drop: NDArray[np.float64]) -> float:
    """Area over the perturbation curve in its L + 1 form: ``drop`` holds i = 1..L, and i = 0 counts as 0."""
    return float(np.sum(drop) / (len(drop) + 1))


def abpc(morf_drop: NDArray[np.float64], lerf_drop: NDArray[np.float64]) -> float:
    """Area between the LeRF and the MoRF curve in the L + 1 form; larger is better.

    Raises
    ------
    ConfigError
        If the curves have different numbers of steps.
    """
    if len(morf_drop) != len(lerf_drop):
        raise ConfigError(
            f"a MoRF curve of {len(morf_drop)} steps and a LeRF curve of {len(lerf_drop)}",
            allowed="as many steps in both",
        )
    return aopc(morf_drop) - aopc(lerf_drop)
