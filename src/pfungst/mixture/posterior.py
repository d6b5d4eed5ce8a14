r"""Soft assignments of descriptors to Gaussians as one matrix product a chunk.

The log joint density log π_k N(l; μ_k, Σ_k) of a diagonal Gaussian is linear in ``[1, l, l²]``:

    log π_k − ½ Σ_d log(2π σ_kd²) − ½ Σ_d μ_kd² / σ_kd²  +  Σ_d l_d μ_kd / σ_kd²  −  ½ Σ_d l_d² / σ_kd²

so one product of a ``(K, 1 + 2D)`` matrix with the monomials of a chunk of descriptors gives it for all K
components. Arrays are component-major, ``(K, n)``: maxima and sums over components then run along rows, which
is twice as fast as along columns. Encoding, relevance and expectation-maximisation all run on these
chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK_ROWS = 2048
"""Rows a chunk: its monomials and posteriors stay in the processor's second-level cache."""

_LOWEST_EXPONENT: dict[type, float] = {np.float32: -60.0, np.float64: -600.0}
"""exp() of less would be denormal, alone or in a product, and denormal numbers cost ten times the time."""

_NO_WEIGHT = -5e29
"""Constants of components of weight zero lie below."""

RealArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Posteriors of a chunk of descriptors, up to one factor a descriptor, with the descriptors' monomials.

    Attributes
    ----------
    rows : slice
        Which descriptors.
    monomials : (1 + 2D, n) float
        ``[1, l, l²]``.
    unnormalised : (K, n) float
        exp(log joint − maximum over k).
    scale : (n,) float
        1 / Σ_k of ``unnormalised``: γ_k(l) = ``unnormalised * scale``.
    log_likelihood : float
        Σ_l log Σ_k π_k N(l; μ_k, Σ_k) over the chunk.

    Notes
    -----
    The arrays are work space: the next chunk overwrites them.
    """

    rows: slice
    monomials: RealArray
    unnormalised: RealArray
    scale: RealArray
    log_likelihood: float

    def moments(self) -> RealArray:
        """Σ_l γ_k(l) [1, l, l²] over the chunk, ``(K, 1 + 2D)``; one matrix product.

        It scales ``monomials`` in place, so it must be the last use of the chunk.
        """
        np.multiply(self.monomials, self.scale, out=self.monomials)
        product: RealArray = self.unnormalised @ self.monomials.T
        return product

    def responsibilities(self) -> RealArray:
        """γ_k(l), ``(K, n)``; columns sum to 1."""
        return self.unnormalised * self.scale


def log_joint_matrix(
    weights: NDArray[np.float64], means: NDArray[np.float64], variances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The ``(K, 1 + 2D)`` matrix that maps monomials ``[1, l, l²]`` to log π_k N(l; μ_k, Σ_k).

    A component of weight zero gets a constant of about −1e30: no descriptor is ever assigned to it.
    """
    with np.errstate(divide="ignore"):
        log_weights = np.maximum(np.log(weights), 2 * _NO_WEIGHT)
    normaliser = np.sum(np.log(2 * np.pi * variances) + means**2 / variances, axis=1)
    constant = log_weights - 0.5 * normaliser
    return np.concatenate([constant[:, None], means / variances, -0.5 / variances], axis=1)


def posterior_chunks(
    values: NDArray[np.float32],
    matrix: NDArray[np.float64],
    *,
    dtype: type[np.float32] | type[np.float64] = np.float32,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[Chunk]:
    """Posteriors of all descriptors, chunk by chunk.

    Parameters
    ----------
    values : (N, D) float32
        Descriptors.
    matrix : (K, 1 + 2D) float64
        From :func:`log_joint_matrix`.
    dtype : float32 or float64
        Of all products; float64 costs about twice the time.
    chunk_rows : int
        Descriptors a chunk.

    Yields
    ------
    Chunk
        Valid until the next one is asked for.
    """
    n_rows, dimension = values.shape
    level, levelled = _levelled(matrix)
    cast = levelled.astype(dtype)
    size = min(chunk_rows, max(n_rows, 1))
    monomials = np.empty((1 + 2 * dimension, size), dtype=dtype)
    density = np.empty((len(matrix), size), dtype=dtype)
    ones = np.ones(len(matrix), dtype=dtype)
    lowest = dtype(_LOWEST_EXPONENT[dtype])
    for start in range(0, n_rows, size):
        rows = slice(start, min(start + size, n_rows))
        count = rows.stop - rows.start
        part, joint = monomials[:, :count], density[:, :count]
        part[0] = 1
        part[1 : 1 + dimension] = values[rows].T
        np.square(part[1 : 1 + dimension], out=part[1 + dimension :])
        np.matmul(cast, part, out=joint)
        peak = joint.max(axis=0)
        joint -= peak
        np.maximum(joint, lowest, out=joint)
        np.exp(joint, out=joint)
        total = ones @ joint
        likelihood = float(np.sum(peak, dtype=np.float64) + np.sum(np.log(total), dtype=np.float64))
        likelihood += count * level
        yield Chunk(rows=rows, monomials=part, unnormalised=joint, scale=1 / total, log_likelihood=likelihood)


def _levelled(matrix: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The components' common level, and the matrix without it.

    Posteriors do without what all components share. Constants of a few hundred, rounded to float32, would
    move each component's posteriors of all descriptors alike by up to 1e-5.
    """
    level = float(np.median(matrix[matrix[:, 0] > _NO_WEIGHT, 0]))
    levelled = matrix.copy()
    levelled[:, 0] -= level
    return level, levelled


def summed_moments(
    values: NDArray[np.float32],
    matrix: NDArray[np.float64],
    *,
    dtype: type[np.float32] | type[np.float64] = np.float32,
) -> tuple[NDArray[np.float64], float]:
    """Σ_l γ_k(l) [1, l, l²] over all descriptors, ``(K, 1 + 2D)`` float64, and the log-likelihood.

    Products are of ``dtype``; their sums over chunks are float64.
    """
    total = np.zeros(matrix.shape)
    likelihood = 0.0
    for chunk in posterior_chunks(values, matrix, dtype=dtype):
        likelihood += chunk.log_likelihood
        total += chunk.moments()
    return total, likelihood
