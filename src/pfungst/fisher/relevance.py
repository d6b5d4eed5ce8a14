r"""Relevance of Fisher-vector predictions: (3) dimensions → (2) descriptors → (1) pixels.

``Σ_d R_d^(3) = Σ_l R_l^(2) = Σ_p R_p^(1) = f(x)``, up to what a stabiliser absorbs, which is accounted for.

The naive and ε rules reduce to matrix products: per component k, Σ_d q_d Ψ(l)_d is γ_k(l) times a quadratic
in l. The absolute rule needs the pairs of descriptors and components themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from pfungst.fisher.encoding import Encoding, monomial_coefficients
from pfungst.fisher.rules import Absolute, Epsilon, Rule
from pfungst.mixture.gaussian import GaussianMixture
from pfungst.mixture.posterior import CHUNK_ROWS, monomials


@dataclass(frozen=True, kw_only=True)
class DescriptorRelevance:
    """R^(2) of one image for C classes, and what did not come of R^(3).

    Attributes
    ----------
    values : (N, C) float64
        R_l of every descriptor.
    absorbed : (C,) float64
        Relevance that the stabiliser took and that is missing from ``values`` (negative: generated).
    spread_empty : (C,) float64
        Relevance of the empty dimensions Z(x), spread evenly and so part of ``values``.
    spread_absorbed : (C,) float64
        What the stabiliser took and ``absorbed="spread"`` returned evenly: part of ``values``.
    """

    values: NDArray[np.float64]
    absorbed: NDArray[np.float64]
    spread_empty: NDArray[np.float64]
    spread_absorbed: NDArray[np.float64]


def dimension_relevance(
    weights: NDArray[np.floating], bias: NDArray[np.floating], phi: NDArray[np.floating]
) -> NDArray[np.float64]:
    """R_d^(3) = w_d Φ(x)_d + b / V for C classes, ``(C, V)``; each row sums to f(x).

    Parameters
    ----------
    weights : (C, V)
        w = Σ_i α_i y_i Φ(x_i), a row for each class.
    bias : (C,)
        b.
    phi : (V,)
        Φ(x).
    """
    exact = np.asarray(weights, dtype=np.float64)
    return exact * phi + np.asarray(bias, dtype=np.float64)[:, None] / phi.size


def split_bias(bias: NDArray[np.float64], rule: Rule) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """b of each class in two parts: what is spread over the dimensions, and what the ledger takes at once."""
    nothing = np.zeros_like(bias)
    return (nothing, bias) if rule.bias == "separate" else (bias, nothing)


def dimension_relevance_dual(
    dual_coefficients: NDArray[np.floating],
    support: NDArray[np.floating],
    bias: NDArray[np.floating],
    phi: NDArray[np.floating],
) -> NDArray[np.float64]:
    """R_d^(3) = Σ_i α_i y_i Φ(x_i)_d Φ(x)_d + b / V from support vectors; same values as the primal form.

    Parameters
    ----------
    dual_coefficients : (C, S)
        α_i y_i.
    support : (S, V)
        Φ(x_i) of the S support vectors.
    bias : (C,)
        b.
    phi : (V,)
        Φ(x).
    """
    products = np.asarray(support, dtype=np.float64) * phi
    shares = np.asarray(bias, dtype=np.float64)[:, None] / phi.size
    relevance: NDArray[np.float64] = np.asarray(dual_coefficients, dtype=np.float64) @ products + shares
    return relevance


def descriptor_relevance(
    values: NDArray[np.float32],
    mixture: GaussianMixture,
    encoding: Encoding,
    dimensions: NDArray[np.float64],
    rule: Rule,
) -> DescriptorRelevance:
    """R_l^(2) = Σ_{d ∉ Z(x)} R_d q_d(l) + Σ_{d ∈ Z(x)} R_d / |L| for C classes at once.

    Parameters
    ----------
    values : (N, D) float32
        The image's descriptors after PCA.
    mixture : GaussianMixture
        λ.
    encoding : Encoding
        Of the same descriptors, whose posteriors are used; of float64 products for the naive rule.
    dimensions : (C, V) float64
        R^(3).
    rule : Naive, Epsilon or Absolute
        q_d(l).

    Notes
    -----
    Quotients R_d / Z_d are float64. Products over descriptors are of the encoding's precision, for which
    ``rule.dtype`` asks: float64 where quotients amplify rounding errors (naive, and ε small against
    sqrt(|L|)), else float32. What rounding of these
    products adds to or takes from Σ_l R_l (some 1e-5 of it) is taken back evenly, so that the account closes.
    """
    empty = encoding.empty
    spread_empty = dimensions[:, empty].sum(axis=1)
    live = np.where(empty, 0.0, dimensions)
    if isinstance(rule, Absolute):
        relevance, lost = _absolute(values, mixture, encoding, live, rule)
        absorbed, spread_absorbed = np.zeros_like(lost), np.zeros_like(lost)
        spread_empty = spread_empty + lost
        relevance += spread_empty / len(values)
    else:
        stabilised = encoding.sums + _stabiliser(encoding, rule)
        quotient = np.divide(live, stabilised, out=np.zeros_like(live), where=stabilised != 0)
        relevance = _linear(values, mixture, encoding, quotient)
        arrived = np.sum(quotient * encoding.sums, axis=1)
        relevance += (arrived - relevance.sum(axis=0)) / len(values)
        absorbed = live.sum(axis=1) - arrived
        spread = isinstance(rule, Epsilon) and rule.absorbed == "spread"
        spread_absorbed = absorbed if spread else np.zeros_like(absorbed)
        absorbed = np.zeros_like(absorbed) if spread else absorbed
        relevance += (spread_empty + spread_absorbed) / len(values)
    return DescriptorRelevance(
        values=relevance, absorbed=absorbed, spread_empty=spread_empty, spread_absorbed=spread_absorbed
    )


def _stabiliser(encoding: Encoding, rule: Rule) -> NDArray[np.float64]:
    """ε sgn(Z_d) with sgn(0) = +1; zero for the naive rule."""
    if isinstance(rule, Epsilon):
        epsilon = rule.scaled(encoding.n_descriptors)
        return np.where(encoding.sums >= 0, epsilon, -epsilon)
    return np.zeros_like(encoding.sums)


def _linear(
    values: NDArray[np.float32],
    mixture: GaussianMixture,
    encoding: Encoding,
    quotient: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Σ_d (R_d / Z_d) m_d(l), ``(N, C)``: a quadratic in l whose coefficients are Σ_k γ_k(l) C_k."""
    dtype = encoding.posteriors[0].dtype
    coefficients = [monomial_coefficients(row, mixture).astype(dtype) for row in quotient]
    relevance = np.empty((len(values), len(coefficients)))
    space = np.empty((CHUNK_ROWS, 1 + 2 * mixture.dimension), dtype=dtype)
    start = 0
    for posteriors in encoding.posteriors:
        rows = slice(start, start + posteriors.shape[1])
        powers = monomials(values[rows], space[: posteriors.shape[1]])
        for column, matrix in enumerate(coefficients):
            relevance[rows, column] = np.einsum("lj,lj->l", posteriors.T @ matrix, powers)
        start = rows.stop
    return relevance


def _absolute(
    values: NDArray[np.float32],
    mixture: GaussianMixture,
    encoding: Encoding,
    live: NDArray[np.float64],
    rule: Absolute,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Σ_d R_d |m_d(l)| / Σ_l' |m_d(l')|, ``(N, C)``, and the relevance of dimensions left without a pair."""
    size, dimension = mixture.n_components, mixture.dimension
    pairs = _pairs(encoding, rule.gamma_threshold)
    relevance, lost = _absolute_zeroth(pairs, mixture.weights, live[:, :size])
    parts = live[:, size:].reshape(-1, 2, size, dimension)
    deviations = np.sqrt(mixture.variances)
    for k in range(size):
        members = slice(pairs.indptr[k], pairs.indptr[k + 1])
        if members.start == members.stop:
            lost += parts[:, :, k].sum(axis=(1, 2))
            continue
        rows, gamma = pairs.indices[members], pairs.data[members]
        first = values[rows] - mixture.means[k].astype(np.float32)
        first *= (1 / deviations[k]).astype(np.float32)
        second = np.square(first)
        second -= np.float32(1)
        for moment, part in ((first, parts[:, 0, k]), (second, parts[:, 1, k])):
            np.abs(moment, out=moment)
            total = (gamma @ moment).astype(np.float64)
            share = np.divide(part, total, out=np.zeros_like(part), where=total > 0)
            lost += part[:, total <= 0].sum(axis=1)
            relevance[rows] += gamma[:, None] * (moment @ share.T.astype(np.float32))
    return relevance, lost


def _pairs(encoding: Encoding, threshold: float) -> csr_array:
    """γ_k(l) above the threshold as a sparse ``(K, N)`` float32 array."""
    pairs: csr_array = hstack(encoding.posteriors, format="csr", dtype=np.float32)
    pairs.data[pairs.data <= threshold] = 0
    pairs.eliminate_zeros()
    return pairs


def _absolute_zeroth(
    pairs: csr_array, weights: NDArray[np.float64], zeroth: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The zeroth-order part: |γ_k(l) − π_k| is π_k wherever a pair is left out, so only pairs are visited."""
    prior = np.repeat(weights, np.diff(pairs.indptr))
    beyond = pairs.astype(np.float64)
    beyond.data = np.abs(beyond.data - prior) - prior
    totals = beyond.sum(axis=1) + pairs.shape[1] * weights
    share = np.divide(zeroth, totals, out=np.zeros_like(zeroth), where=totals > 0)
    return beyond.T @ share.T + share @ weights, zeroth[:, totals <= 0].sum(axis=1)


def pixel_relevance(
    values: NDArray[np.floating], areas: NDArray[np.integer], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """R_p^(1) = Σ_{l: p ∈ area(l)} R_l / |area(l)| [10], ``(height, width)``; its sum is Σ_l R_l.

    Each rectangle is four corner entries of a difference array; two cumulative sums fill all of them.

    Parameters
    ----------
    values : (N,)
        R^(2).
    areas : (N, 4) int
        ``left, top, right, bottom``, half-open, within the image.
    shape : (int, int)
        ``(height, width)``.
    """
    height, width = shape
    left, top, right, bottom = np.asarray(areas, dtype=np.intp).T
    density = np.asarray(values, dtype=np.float64) / ((right - left) * (bottom - top))
    stride = width + 1
    corners = np.concatenate(
        [top * stride + left, top * stride + right, bottom * stride + left, bottom * stride + right]
    )
    signed = np.concatenate([density, -density, -density, density])
    difference = np.bincount(corners, weights=signed, minlength=(height + 1) * stride)
    filled = difference.reshape(height + 1, stride)
    for axis in (0, 1):
        np.cumsum(filled, axis=axis, out=filled)  # in place: of a large photo, each copy is large
    return np.ascontiguousarray(filled[:height, :width])
