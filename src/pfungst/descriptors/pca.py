"""Principal component analysis of descriptors: mean subtracted, no whitening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError
from pfungst.runs.executor import Workers
from pfungst.runs.shards import Shards


@dataclass(frozen=True, kw_only=True)
class PCA:
    """A fitted projection ``y = (x − mean) componentsᵀ``.

    Attributes
    ----------
    mean : (d,) float64
    components : (n_components, d) float64
        Orthonormal rows, by descending variance; the largest entry of each row is positive.
    explained_variance : (n_components,) float64
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    explained_variance: NDArray[np.float64]

    def __post_init__(self) -> None:
        shapes = self.mean.shape, self.components.shape, self.explained_variance.shape
        if self.components.ndim != 2 or shapes != (shapes[1][1:], shapes[1], shapes[1][:1]):
            raise ConfigError(
                f"PCA arrays of shapes {', '.join(map(str, shapes))}", allowed="(d,), (D, d) and (D,)"
            )

    @property
    def n_inputs(self) -> int:
        """Dimension d before projection."""
        return int(self.components.shape[1])

    @property
    def n_components(self) -> int:
        """Dimension D after projection."""
        return len(self.components)

    def transform(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Project ``(N, d)`` to ``(N, n_components)``, float32."""
        rotation = self.components.T.astype(np.float32)
        shift = (self.mean @ self.components.T).astype(np.float32)
        projected: NDArray[np.float32] = values @ rotation - shift
        return projected


def fit_pca(values: NDArray[np.float32], n_components: int, *, workers: Workers = 1) -> PCA:
    """Fit PCA to a sample of descriptors by the eigenvectors of their covariance.

    Parameters
    ----------
    values : (N, d) float32
        The sample; it is read in shards and not copied, so it may be a memory-mapped file.
    n_components : int
        D; at most ``min(N, d)``.
    workers : int or Cluster
        Threads, or a cluster, that share the sums over shards; the result does not depend on it.

    Raises
    ------
    ConfigError
        If there are fewer descriptors or dimensions than components.
    """
    n_samples, dimension = values.shape
    if not 1 <= n_components <= min(n_samples, dimension):
        raise ConfigError(
            f"{n_components} PCA dimensions of {n_samples} descriptors of dimension {dimension}",
            allowed=f"1 to {min(n_samples, dimension)}",
            hint="a smaller --dims, or more photos",
        )
    with Shards(values, workers) as shards:
        mean = sum(shards.map(_sum, None), np.zeros(dimension)) / n_samples
        scatter = sum(shards.map(_scatter, mean), np.zeros((dimension, dimension)))
    variance, vectors = np.linalg.eigh(scatter / max(n_samples - 1, 1))
    order = np.argsort(variance)[::-1][:n_components]
    components = vectors[:, order].T
    largest = np.argmax(np.abs(components), axis=1)
    components *= np.sign(components[np.arange(n_components), largest])[:, None]
    return PCA(mean=mean, components=components, explained_variance=np.maximum(variance[order], 0.0))


def _sum(block: NDArray[np.float32], _: None) -> NDArray[np.float64]:
    total: NDArray[np.float64] = block.sum(axis=0, dtype=np.float64)
    return total


def _scatter(block: NDArray[np.float32], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = block - mean
    return centred.T @ centred
