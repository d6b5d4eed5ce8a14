r"""Fisher vectors: the mapping Ψ of descriptors under a mixture, its sums, and their normalisation Φ.

Order of dimensions, for K components and D descriptor dimensions: K zeroth-order parts Ψ_π, then K·D
first-order parts Ψ_μ (component by component), then K·D second-order parts Ψ_σ: V = (1 + 2D)K in all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pfungst.errors import ConfigError
from pfungst.mixture.gaussian import GaussianMixture
from pfungst.mixture.posterior import posterior_chunks

EMPTY_MASS = 1e-6
"""A component with less responsibility than this, summed over an image, counts as empty for that image."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """The Fisher vector of one image before normalisation, as plain sums.

    Attributes
    ----------
    sums : (V,) float64
        Z_d = Σ_{l∈L} Ψ_λ(l)_d, NOT divided by |L|.
    moments : (K, 1 + 2D) float64
        Σ_l γ_k(l) [1, l, l²], of which the sums are made.
    n_descriptors : int
        |L|.
    posteriors : tuple of (K, n) sparse
        γ_k(l), one array for each chunk of descriptors in their order.
    """

    sums: NDArray[np.float64]
    moments: NDArray[np.float64]
    n_descriptors: int
    posteriors: tuple[csr_array, ...]

    @property
    def mass(self) -> NDArray[np.float64]:
        """Σ_l γ_k(l), how many descriptors each component holds, ``(K,)``."""
        return self.moments[:, 0]

    @property
    def raw(self) -> NDArray[np.float64]:
        """Raw Fisher vector x = (1/|L|) Σ_l Ψ_λ(l), ``(V,)``."""
        return self.sums / self.n_descriptors

    @property
    def empty(self) -> NDArray[np.bool_]:
        """Z(x): dimensions that no descriptor maps to, ``(V,)``: Ψ_μ and Ψ_σ of components without mass.

        Ψ_π of such a component is −sqrt(π_k) for every descriptor, hence not empty.
        """
        without = self.mass < EMPTY_MASS
        dimension = (self.sums.size // self.mass.size - 1) // 2
        return np.concatenate([np.zeros(without.size, bool), np.tile(np.repeat(without, dimension), 2)])


def encode(
    values: NDArray[np.float32],
    mixture: GaussianMixture,
    *,
    dtype: type[np.float32] | type[np.float64] = np.float32,
) -> Encoding:
    r"""Sum the Fisher mapping over an image's descriptors (METHOD section 1).

    ``Ψ_πk(l) = (γ_k(l) − π_k) / √π_k``, ``Ψ_μk(l) = γ_k(l) (l − μ_k) / (σ_k √π_k)``,
    ``Ψ_σk(l) = γ_k(l) ((l − μ_k)² / σ_k² − 1) / √(2π_k)``.

    Parameters
    ----------
    values : (N, D) float32
        Descriptors after PCA.
    mixture : GaussianMixture
        λ.
    dtype : float32 or float64
        Of the products; sums over chunks are float64.

    Raises
    ------
    ConfigError
        If there is no descriptor, or its dimension is not the mixture's.
    """
    if values.ndim != 2 or not len(values) or values.shape[1] != mixture.dimension:
        raise ConfigError(
            f"descriptors of shape {values.shape}", allowed=f"(N, {mixture.dimension}) with N at least 1"
        )
    matrix = mixture.log_joint_matrix()
    moments, posteriors = np.zeros(matrix.shape), []
    for chunk in posterior_chunks(values, matrix, dtype=dtype):
        moments += chunk.moments()
        posteriors.append(chunk.posteriors)
    return Encoding(
        sums=sums_from_moments(moments, mixture, len(values)),
        moments=moments,
        n_descriptors=len(values),
        posteriors=tuple(posteriors),
    )


def sums_from_moments(
    moments: NDArray[np.float64], mixture: GaussianMixture, n_descriptors: int
) -> NDArray[np.float64]:
    """Z_d, ``(V,)``, from Σ_l γ_k(l) [1, l, l²], ``(K, 1 + 2D)``, of ``n_descriptors`` descriptors."""
    dimension = mixture.dimension
    mass, first, second = moments[:, :1], moments[:, 1 : 1 + dimension], moments[:, 1 + dimension :]
    deviation = np.sqrt(mixture.variances)
    root = _safe_root(mixture.weights)
    zeroth = (mass[:, 0] - n_descriptors * mixture.weights) / root
    centred = (first - mass * mixture.means) / deviation / root[:, None]
    squares = second - 2 * mixture.means * first + mass * (mixture.means**2 - mixture.variances)
    spread = squares / mixture.variances / (np.sqrt(2) * root[:, None])
    return np.concatenate([zeroth, centred.ravel(), spread.ravel()])


def monomial_coefficients(
    per_dimension: NDArray[np.float64], mixture: GaussianMixture
) -> NDArray[np.float64]:
    """Coefficients that turn Σ_d q_d Ψ_λ(l)_d into Σ_k γ_k(l) (C_kᵀ [1, l, l²]) + constant.

    Parameters
    ----------
    per_dimension : (V,) float64
        q_d, one weight for each dimension of the Fisher vector.
    mixture : GaussianMixture
        λ.

    Returns
    -------
    (K, 1 + 2D) float64
        Σ_d q_d Ψ(l)_d = Σ_k γ_k(l) Σ_j C_kj [1, l, l²]_j − Σ_k q_πk √π_k. Since Σ_k γ_k(l) = 1
        the constant is part of column 0 of C, and nothing is left to add.
    """
    size, dimension = mixture.n_components, mixture.dimension
    zeroth = per_dimension[:size]
    first, second = per_dimension[size:].reshape(2, size, dimension)
    root = _safe_root(mixture.weights)
    slope = first / np.sqrt(mixture.variances) / root[:, None]
    curve = second / mixture.variances / (np.sqrt(2) * root[:, None])
    constant = zeroth / root - np.sum(zeroth * mixture.weights / root)
    constant = constant - np.sum(slope * mixture.means, axis=1)
    constant = constant + np.sum(curve * (mixture.means**2 - mixture.variances), axis=1)
    return np.concatenate([constant[:, None], slope - 2 * curve * mixture.means, curve], axis=1)


def improved(raw: NDArray[np.floating]) -> NDArray[np.float64]:
    """Improved Fisher vector Φ(x) = s / ||s||_2 with s_d = sign(x_d) sqrt(|x_d|); ``(..., V)``.

    A vector of zeros stays zero. Φ does not change if x is multiplied by a positive number, so plain sums
    Z_d may be given instead of x.
    """
    values = np.asarray(raw, dtype=np.float64)
    signed_root = np.sign(values) * np.sqrt(np.abs(values))
    norm = np.sqrt(np.sum(np.abs(values), axis=-1, keepdims=True))  # ||s||_2 = ||x||_1^(1/2)
    phi: NDArray[np.float64] = np.divide(signed_root, norm, out=np.zeros_like(signed_root), where=norm > 0)
    return phi


def hellinger_kernel(left: NDArray[np.floating], right: NDArray[np.floating]) -> NDArray[np.float64]:
    """Hellinger's (Bhattacharyya) kernel of raw Fisher vectors, ``(n, V)`` and ``(m, V)`` → ``(n, m)``.

    k(x, y) = Σ_d sign(x_d) sign(y_d) sqrt(|x_d| |y_d|) / sqrt(||x||_1 ||y||_1) = Φ(x)ᵀ Φ(y).
    """
    kernel: NDArray[np.float64] = improved(left) @ improved(right).T
    return kernel


def _safe_root(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """√π_k; a component of weight zero is never assigned anything and gets 1 instead of a division by 0."""
    return np.sqrt(np.where(weights > 0, weights, 1.0))
