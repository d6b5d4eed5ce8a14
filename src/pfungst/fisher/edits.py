"""Scores of a photo under a chain of small edits: only the descriptors that see an edit are encoded again.

The plain sums ``Z_d = Σ_l Ψ_λ(l)_d`` move by the new minus the old contributions of those descriptors; the
number of descriptors may change, since one may gain or lose the contrast that it needs. The result is that of
scoring every edited photo as a whole, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.perturbation import Edit
from pfungst.descriptors import PCA, SiftConfig
from pfungst.descriptors.changes import DescriptorGrid, Taken
from pfungst.errors import PfungstError
from pfungst.fisher.encoding import sums_from_moments
from pfungst.mixture.gaussian import GaussianMixture
from pfungst.mixture.posterior import summed_moments


def sums_along_edits(
    image: ImageArray,
    steps: Sequence[Sequence[Edit]],
    *,
    sift: SiftConfig,
    pca: PCA,
    mixture: GaussianMixture,
) -> Iterator[NDArray[np.float64]]:
    """Z of the photo, then after each step of edits; edits accumulate.

    Parameters
    ----------
    image : (height, width, 3) uint8
        It is left as it is.
    steps : sequence of sequences of Edit
        Edits between two results.
    sift, pca, mixture
        The pipeline from photo to Fisher vector.

    Yields
    ------
    (V,) float64
        ``len(steps) + 1`` times.

    Raises
    ------
    PfungstError
        If the edits leave no descriptor with enough contrast.
    ConfigError
        If the pipeline reduces the photo before it takes descriptors.
    """
    current = image.copy()
    state = _State(DescriptorGrid((image.shape[0], image.shape[1]), sift), pca, mixture)
    for taken in state.grid.take(current):
        state.update(taken)
    yield state.sums()
    for edits in steps:
        for edit in edits:
            edit.apply(current)
        for edit in edits:
            height, width = edit.pixels.shape[:2]
            area = (edit.top, edit.left, edit.top + height, edit.left + width)
            for taken in state.grid.take(current, area):
                state.update(taken)
        yield state.sums()


class _State:
    """The descriptors of the photo as it now is, and their summed moments."""

    def __init__(self, grid: DescriptorGrid, pca: PCA, mixture: GaussianMixture) -> None:
        self.grid, self._pca, self._mixture = grid, pca, mixture
        self._matrix = mixture.log_joint_matrix()
        self._moments = np.zeros(self._matrix.shape)
        self._kept = [np.zeros(scale.shape, dtype=bool) for scale in grid.scales]
        self._values = [np.zeros((*scale.shape, mixture.dimension), np.float32) for scale in grid.scales]

    def update(self, taken: Taken) -> None:
        """Put new descriptors in the place of old ones."""
        kept, values = self._kept[taken.scale][taken.window], self._values[taken.scale][taken.window]
        new = self._pca.transform(taken.values)
        self._moments += self._summed(new) - self._summed(values[kept])
        kept[...] = taken.kept
        values[taken.kept] = new

    def _summed(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        if not len(values):
            return np.zeros_like(self._moments)
        return summed_moments(values, self._matrix)[0]

    def sums(self) -> NDArray[np.float64]:
        count = sum(int(kept.sum()) for kept in self._kept)
        if not count:
            raise PfungstError("after these edits no descriptor of the photo has enough contrast")
        return sums_from_moments(self._moments, self._mixture, count)
