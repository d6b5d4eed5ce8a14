"""Expectation-maximisation for diagonal Gaussian mixtures on millions of descriptors.

One iteration is one pass of matrix products in float32 with float64 sums (sufficient statistics
``(K, 1 + 2D)``), so memory does not grow with the number of descriptors beyond the sample itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError
from pfungst.mixture.gaussian import GaussianMixture
from pfungst.mixture.posterior import log_joint_matrix, summed_moments
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.shards import Shards

_CHUNK = 65_536


@dataclass(frozen=True, kw_only=True)
class MixtureConfig:
    """How a mixture is fitted.

    Attributes
    ----------
    n_components : int
        K.
    init : {"k-means", "random"}
        Start from a k-means partition of a subsample, or from randomly chosen descriptors.
    max_iter : int
        Iterations of expectation-maximisation at the most.
    tol : float
        Stop when the mean log-likelihood per descriptor gains less than this in an iteration.
    variance_floor : float
        No variance falls below this share of the sample's variance of that dimension.
    empty_mass : float
        A component with less than this many descriptors (sum of responsibilities) is placed anew: it takes
        half of the heaviest component, its mean moved by half a standard deviation.
    init_samples : int
        Size of the k-means subsample.
    random_state : int
        Seed.
    """

    n_components: int = 256
    init: Literal["k-means", "random"] = "k-means"
    max_iter: int = 40
    tol: float = 1e-3
    variance_floor: float = 1e-3
    empty_mass: float = 1.0
    init_samples: int = 50_000
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.n_components < 1 or self.max_iter < 1:
            raise ConfigError(
                f"n_components = {self.n_components}, max_iter = {self.max_iter}", allowed="1 or more of each"
            )
        if self.init not in ("k-means", "random"):
            raise ConfigError(f"init = {self.init!r}", allowed="'k-means' or 'random'")
        if not 0 < self.variance_floor < 1:
            raise ConfigError(f"variance_floor = {self.variance_floor}", allowed="above 0 and below 1")


def fit_mixture(
    values: NDArray[np.float32],
    config: MixtureConfig | None = None,
    *,
    workers: Workers = 1,
    progress: Progress = silent,
) -> GaussianMixture:
    """Fit a mixture to a sample of descriptors.

    Parameters
    ----------
    values : (N, D) float32
        The sample; a memory-mapped ``.npy`` file may be larger than memory.
    config : MixtureConfig, optional
    workers : int or Cluster
        Threads, or a cluster (for a memory-mapped file), that share an iteration; the result does not depend
        on it.
    progress : Progress
        Told after each iteration.

    Returns
    -------
    GaussianMixture
        With its log-likelihood history.

    Raises
    ------
    ConfigError
        If there are fewer descriptors than components, or a descriptor is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> sample = np.concatenate([rng.normal(-3, 1, (500, 2)), rng.normal(3, 0.5, (500, 2))])
    >>> mixture = fit_mixture(sample.astype(np.float32), MixtureConfig(n_components=2))
    >>> sorted(mixture.means[:, 0].round().tolist())
    [-3.0, 3.0]
    """
    config = config or MixtureConfig()
    if len(values) < config.n_components:
        raise ConfigError(
            f"{config.n_components} mixture components from {len(values)} descriptors",
            allowed="at least one descriptor a component",
            hint="fewer --components, or more photos",
        )
    spread = _variance(values)
    floor = np.maximum(config.variance_floor * spread, np.finfo(np.float32).tiny)
    generator = np.random.default_rng(config.random_state)
    weights, means, variances = _start(values, config, np.maximum(spread, floor), generator)
    history: list[float] = []
    with Shards(values, workers) as shards:
        for iteration in range(config.max_iter):
            moments, likelihood = _expectation(shards, log_joint_matrix(weights, means, variances))
            weights, means, variances = _maximise(moments, floor, config.empty_mass)
            history.append(likelihood / len(values))
            progress("mixture", iteration + 1, config.max_iter)
            if iteration and abs(history[-1] - history[-2]) < config.tol:
                progress("mixture", config.max_iter, config.max_iter)
                break
    return GaussianMixture(weights=weights, means=means, variances=variances, history=tuple(history))


def _expectation(shards: Shards, matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Σ_l γ_k(l) [1, l, l²] and the log-likelihood; shards of fixed size, added in a fixed order."""
    total, likelihood = np.zeros(matrix.shape), 0.0
    for moments, part in shards.map(summed_moments, matrix):
        total += moments
        likelihood += part
    return total, likelihood


Parameters = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _maximise(moments: NDArray[np.float64], floor: NDArray[np.float64], empty_mass: float) -> Parameters:
    """Weights, means and variances from the sums Σ_l γ_k(l) [1, l, l²]; empty components are placed anew."""
    dimension = (moments.shape[1] - 1) // 2
    mass = moments[:, 0]
    held = np.maximum(mass, np.finfo(np.float64).tiny)[:, None]
    means = moments[:, 1 : 1 + dimension] / held
    variances = np.maximum(moments[:, 1 + dimension :] / held - means**2, floor)
    weights = mass / mass.sum()
    for empty in np.flatnonzero(mass < empty_mass):
        heaviest = int(np.argmax(weights))
        step = 0.5 * np.sqrt(variances[heaviest])
        means[empty] = means[heaviest] + step
        means[heaviest] = means[heaviest] - step
        variances[empty] = variances[heaviest]
        weights[[empty, heaviest]] = weights[heaviest] / 2
    return weights / weights.sum(), means, variances


def _variance(values: NDArray[np.float32]) -> NDArray[np.float64]:
    total = np.zeros(values.shape[1])
    squares = np.zeros(values.shape[1])
    for start in range(0, len(values), _CHUNK):
        block = values[start : start + _CHUNK].astype(np.float64)
        total += block.sum(axis=0)
        squares += np.square(block).sum(axis=0)
    mean = total / len(values)
    variance: NDArray[np.float64] = squares / len(values) - mean**2
    if not np.isfinite(variance).all():
        raise ConfigError("descriptors with NaN or infinity", allowed="finite numbers")
    return np.maximum(variance, 0.0)


def _start(
    values: NDArray[np.float32],
    config: MixtureConfig,
    spread: NDArray[np.float64],
    generator: np.random.Generator,
) -> Parameters:
    """First parameters: equal weights and global variances at random descriptors, or k-means cells."""
    n_components = config.n_components
    if config.init == "random":
        means = values[generator.choice(len(values), n_components, replace=False)].astype(np.float64)
        return np.full(n_components, 1 / n_components), means, np.tile(spread, (n_components, 1))
    size = min(max(config.init_samples, n_components), len(values))
    subsample = values[np.sort(generator.choice(len(values), size, replace=False))]
    return _from_partition(subsample, _partition(subsample, config, generator), spread, n_components)


def _partition(
    subsample: NDArray[np.float32], config: MixtureConfig, generator: np.random.Generator
) -> NDArray[np.integer]:
    from sklearn.cluster import KMeans

    seed = int(generator.integers(2**31 - 1))
    cells = KMeans(config.n_components, n_init=1, max_iter=15, random_state=seed)
    labels: NDArray[np.integer] = cells.fit_predict(subsample)
    return labels


def _from_partition(
    subsample: NDArray[np.float32],
    labels: NDArray[np.integer],
    spread: NDArray[np.float64],
    n_components: int,
) -> Parameters:
    """Weights, means and variances of k-means cells; variances are shrunk towards the global ones."""
    counts = np.bincount(labels, minlength=n_components).astype(np.float64)
    sums = np.zeros((n_components, subsample.shape[1]))
    squares = np.zeros_like(sums)
    np.add.at(sums, labels, subsample)
    np.add.at(squares, labels, np.square(subsample.astype(np.float64)))
    held = np.maximum(counts, 1)[:, None]
    means = sums / held
    within = np.maximum(squares / held - means**2, 0.0)
    shrink = 10.0  # as if ten descriptors of global variance lay in each cell
    variances = (counts[:, None] * within + shrink * spread) / (counts[:, None] + shrink)
    weights = (counts + 1) / (counts + 1).sum()
    return weights, means, variances
