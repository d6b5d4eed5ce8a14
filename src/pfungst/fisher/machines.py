"""The linear machines of a Fisher-vector classifier, one a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import unknown_name


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearMachines:
    """``f_c(x) = b_c + w_cᵀ Φ(x)`` of C classes.

    Attributes
    ----------
    classes : tuple of str
    weights : (C, V) float32
        w.
    bias : (C,) float64
        b.
    """

    classes: tuple[str, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float64]

    @cached_property
    def _exact(self) -> NDArray[np.float64]:
        return self.weights.T.astype(np.float64)

    def __getstate__(self) -> dict[str, object]:
        """Without the float64 copy: workers make their own."""
        return {name: value for name, value in self.__dict__.items() if name != "_exact"}

    def scores(self, phi: NDArray[np.floating]) -> NDArray[np.float64]:
        """f from Φ(x): ``(..., V)`` → ``(..., C)``; float64 sums of float32 weights."""
        found: NDArray[np.float64] = np.asarray(phi, np.float64) @ self._exact + self.bias
        return found

    def columns(self, names: Sequence[str]) -> list[int]:
        """Positions of the named classes.

        Raises
        ------
        ConfigError
            If one is unknown.
        """
        for name in names:
            if name not in self.classes:
                raise unknown_name("class", name, self.classes)
        return [self.classes.index(name) for name in names]
