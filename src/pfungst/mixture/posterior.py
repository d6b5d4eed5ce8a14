r"""Soft assignments of descriptors to Gaussians: one matrix product a chunk, and what is left of it.

The log joint density log π_k N(l; μ_k, Σ_k) of a diagonal Gaussian is linear in ``[1, l, l²]``:

    log π_k − ½ Σ_d log(2π σ_kd²) − ½ Σ_d μ_kd² / σ_kd²  +  Σ_d l_d μ_kd / σ_kd²  −  ½ Σ_d l_d² / σ_kd²

so one product of a ``(K, 1 + 2D)`` matrix with the monomials of a chunk of descriptors gives it for all K
components. Of the posteriors, only those are kept that are not lost in the rounding of their sum, 1: on
photos some 15 of 256 a descriptor in float32. Exponentials are taken of those alone, and sums over
descriptors are sparse products. Encoding, relevance and expectation-maximisation all run on these chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

CHUNK_ROWS = 512
"""Rows a chunk: its monomials and densities stay in the processor's second-level cache."""

_LOWEST_EXPONENT = {np.dtype(kind): kind(np.log(np.finfo(kind).eps / 8)) for kind in (np.float32, np.float64)}
"""Logarithm of the smallest share of a posterior that is kept."""

_NO_WEIGHT = -5e29
"""Constants of components of weight zero lie below."""

RealArray = NDArray[np.floating[Any]]
Dtype = type[np.float32] | type[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunk:
    """Posteriors of a chunk of descriptors, with the descriptors' monomials.

    Attributes
    ----------
    rows : slice
        Which descriptors.
    monomials : (n, 1 + 2D) float
        ``[1, l, l²]``; work space that the next chunk overwrites.
    posteriors : (K, n) sparse
        γ_k(l), without those below 1/8 of the smallest step of numbers at 1.
    log_likelihood : float
        Σ_l log Σ_k π_k N(l; μ_k, Σ_k) over the chunk.
    """

    rows: slice
    monomials: RealArray
    posteriors: csr_array
    log_likelihood: float

    def moments(self) -> RealArray:
        """Σ_l γ_k(l) [1, l, l²] over the chunk, ``(K, 1 + 2D)``."""
        product: RealArray = self.posteriors @ self.monomials
        return product


def monomials(values: NDArray[np.floating], out: RealArray) -> RealArray:
    """``[1, l, l²]`` of descriptors, ``(n, D)`` to ``(n, 1 + 2D)``."""
    dimension = values.shape[1]
    out[:, 0] = 1
    out[:, 1 : 1 + dimension] = values
    np.square(out[:, 1 : 1 + dimension], out=out[:, 1 + dimension :])
    return out


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
    dtype: Dtype = np.float32,
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
    space = np.empty((size, 1 + 2 * dimension), dtype=dtype)
    density = np.empty(len(matrix) * size, dtype=dtype)
    for start in range(0, n_rows, size):
        rows = slice(start, min(start + size, n_rows))
        count = rows.stop - rows.start
        part = monomials(values[rows], space[:count])
        joint = np.matmul(cast, part.T, out=density[: len(matrix) * count].reshape(-1, count))
        posteriors, likelihood = _normalised(joint)
        yield Chunk(
            rows=rows,
            monomials=part,
            posteriors=posteriors,
            log_likelihood=likelihood + count * level,
        )


def _normalised(joint: RealArray) -> tuple[csr_array, float]:
    """exp(log joint) over its sum over components, sparse, and the sum of the logarithms of those sums."""
    size, count = joint.shape
    peak = joint.max(axis=0)
    index = np.flatnonzero(joint > peak + _LOWEST_EXPONENT[joint.dtype])
    column = index % count
    kept = joint.ravel()[index]
    kept -= peak[column]
    np.exp(kept, out=kept)
    total = np.bincount(column, weights=kept, minlength=count)
    kept *= (1 / total).astype(joint.dtype)[column]
    starts = np.searchsorted(index, np.arange(size + 1) * count)
    posteriors = csr_array(
        (kept, column.astype(np.int32), starts.astype(np.int32)), shape=joint.shape, copy=False
    )
    return posteriors, float(np.sum(peak, dtype=np.float64) + np.sum(np.log(total)))


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
    dtype: Dtype = np.float32,
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
