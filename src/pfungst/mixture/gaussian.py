"""A mixture of Gaussians with diagonal covariances: the model λ of local descriptors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError
from pfungst.mixture.posterior import log_joint_matrix, posterior_chunks, summed_moments


@dataclass(frozen=True, kw_only=True)
class GaussianMixture:
    """λ = {(π_k, μ_k, Σ_k)}, k = 1..K, with diagonal Σ_k (METHOD section 1).

    Attributes
    ----------
    weights : (K,) float64
        π_k ≥ 0 with sum 1.
    means : (K, D) float64
        μ_k.
    variances : (K, D) float64
        σ_k², positive.
    history : tuple of float
        Mean log-likelihood per descriptor after each iteration of the fit; empty if not fitted here.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]
    history: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        shape = self.means.shape
        if len(shape) != 2 or self.variances.shape != shape or self.weights.shape != shape[:1]:
            raise ConfigError(
                f"mixture arrays of shapes {self.weights.shape}, {self.means.shape}, {self.variances.shape}",
                allowed="(K,), (K, D) and (K, D)",
            )
        if (
            not (self.variances > 0).all()
            or (self.weights < 0).any()
            or not np.isclose(self.weights.sum(), 1)
        ):
            raise ConfigError(
                "a mixture with a variance that is not positive, or weights that are no distribution",
                allowed="variances > 0, weights >= 0 with sum 1",
            )

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.means.shape[1])

    def log_joint_matrix(self) -> NDArray[np.float64]:
        """The ``(K, 1 + 2D)`` matrix of :func:`pfungst.mixture.posterior.log_joint_matrix`."""
        return log_joint_matrix(self.weights, self.means, self.variances)

    def responsibilities(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """γ_k(l) = π_k N(l; μ_k, Σ_k) / Σ_j π_j N(l; μ_j, Σ_j), ``(N, K)`` float64; rows sum to 1."""
        result = np.empty((len(values), self.n_components))
        for chunk in posterior_chunks(values, self.log_joint_matrix(), dtype=np.float64):
            result[chunk.rows] = chunk.posteriors.toarray().T
        return result

    def log_likelihood(self, values: NDArray[np.float32]) -> float:
        """Mean of log Σ_k π_k N(l; μ_k, Σ_k) over the descriptors."""
        _, total = summed_moments(values, self.log_joint_matrix(), dtype=np.float64)
        return total / len(values)

    def sample(self, n_samples: int, random_state: int | np.random.Generator) -> NDArray[np.float32]:
        """Draw ``(n_samples, D)`` descriptors l ~ λ, float32."""
        generator = np.random.default_rng(random_state)
        chosen = generator.choice(self.n_components, size=n_samples, p=self.weights / self.weights.sum())
        noise = generator.standard_normal((n_samples, self.dimension))
        drawn = self.means[chosen] + noise * np.sqrt(self.variances)[chosen]
        return drawn.astype(np.float32)
