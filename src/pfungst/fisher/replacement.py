r"""Algorithm 1 for Fisher vectors, incrementally: only replaced and drawn descriptors are encoded.

Each batch of replacements moves the plain sums ``Z_d = Σ_l Ψ_λ(l)_d`` by the drawn descriptors' sums minus
the replaced ones' (the paper's ``x ← x + (1/|L|) Ψ(l_λ) − (1/|L|) Ψ(l_o(i))``, times |L|; Φ does not see the
factor). The sums of all batches are segment products on the chunks of posteriors; running sums are float64;
then ``f(x^(i)) = b + w Φ(x^(i))`` of all points at once, a block of dimensions at a time:

    f(x^(i)) = b + Σ_d w_d sign(Z_d) sqrt(|Z_d|) / sqrt(Σ_d |Z_d|)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError
from pfungst.fisher.encoding import Encoding, encode, improved
from pfungst.fisher.machines import LinearMachines
from pfungst.fisher.relevance import descriptor_relevance, dimension_relevance, split_bias
from pfungst.fisher.rules import parse_rule
from pfungst.mixture.gaussian import GaussianMixture
from pfungst.mixture.posterior import CHUNK_ROWS, posterior_chunks

_BLOCK = 2048
"""Dimensions a block: its running sums for 100 points stay in the second-level cache."""

BatchSums = NDArray[np.float32]
"""Σ (Ψ_λ(l) − Ψ_λ at γ = 0) over each batch of descriptors, ``(n_batches, V)``, component by component.

The dropped constant −√π_k of Ψ_πk is the same for every descriptor, so replacing one leaves it as it is.
"""


class FisherTracer:
    """One photo's descriptors for Algorithm 1 (a :class:`~pfungst.contract.look.Trace`).

    Parameters
    ----------
    values : (N, D) float32
        The photo's descriptors after PCA.
    mixture : GaussianMixture
        λ.
    machines : LinearMachines
        w and b of each class.
    encoding : Encoding, optional
        Of these descriptors, from float64 products, where it is known already.
    """

    def __init__(
        self,
        values: NDArray[np.float32],
        mixture: GaussianMixture,
        machines: LinearMachines,
        *,
        encoding: Encoding | None = None,
    ) -> None:
        self._values = values
        self._mixture = mixture
        self._machines = machines
        # all traces start from these sums: their rounding errors, unlike those of the batches, do not average
        self._encoding = encoding or encode(values, mixture, dtype=np.float64)
        self._phi = improved(self._encoding.sums)
        self._matrix = mixture.log_joint_matrix()
        self._start = _by_component(self._encoding.sums, mixture)
        self._columns = np.ascontiguousarray(_by_component(machines.weights, mixture).T, dtype=np.float32)
        self._mapping = _MomentMapping(mixture)

    @property
    def n_descriptors(self) -> int:
        """|L|."""
        return len(self._values)

    @property
    def scores(self) -> NDArray[np.float64]:
        """f(x) of the untouched photo, ``(C,)``."""
        return self._machines.scores(self._phi)

    def relevance(
        self, class_names: Sequence[str], *, rule: Any = None, **options: Any
    ) -> NDArray[np.float64]:
        """R^(2), ``(len(class_names), |L|)``; ``rule`` and ``options`` as for ``explain``.

        Raises
        ------
        ConfigError
            If a class or rule is unknown.
        """
        decomposition = parse_rule("epsilon" if rule is None else rule, **options)
        rows = self._machines.columns(class_names)
        bias, _ = split_bias(self._machines.bias[rows], decomposition)
        dimensions = dimension_relevance(self._machines.weights[rows], bias, self._phi)
        found = descriptor_relevance(self._values, self._mixture, self._encoding, dimensions, decomposition)
        return np.ascontiguousarray(found.values.T)

    def draw(self, n_batches: int, batch_size: int, random_state: int | np.random.Generator) -> BatchSums:
        """Batches of descriptors l ~ λ, as their sums Σ Ψ_λ(l), ``(n_batches, V)`` float32."""
        return self._batch_sums(self._mixture.sample(n_batches * batch_size, random_state), n_batches)

    def replace(self, order: NDArray[np.intp], draws: Sequence[BatchSums]) -> NDArray[np.float64]:
        """f(x^(i)) after each batch, ``(len(draws), n_batches, C)`` float64.

        Parameters
        ----------
        order : (n_batches * batch_size,) int
            Distinct indices of descriptors, the first to be replaced first.
        draws : sequence of (n_batches, V)
            From :meth:`draw`, one per repetition.

        Raises
        ------
        ConfigError
            If ``order`` does not hold one descriptor for each that was drawn.
        """
        n_batches = len(draws[0])
        if len(order) % n_batches or len(order) > self.n_descriptors or not len(order):
            raise ConfigError(
                f"{len(order)} of {self.n_descriptors} descriptors replaced in {n_batches} batches",
                allowed="whole batches, at most as many as the photo has descriptors",
            )
        removed = self._batch_sums(self._values[order], n_batches)
        return np.stack([self._trace(drawn, removed) for drawn in draws])

    def _batch_sums(self, values: NDArray[np.float32], n_batches: int) -> BatchSums:
        """Sums over each of ``n_batches`` equal batches of consecutive rows."""
        size = len(values) // n_batches
        sums = np.zeros((n_batches, *self._matrix.shape), dtype=np.float32)
        per_chunk = max(CHUNK_ROWS // size, 1)
        for chunk in posterior_chunks(values, self._matrix, chunk_rows=per_chunk * size):
            by_descriptor = chunk.posteriors.T.tocsr()
            for start in range(0, len(chunk.monomials), size):
                moments = sums[(chunk.rows.start + start) // size]
                for first in range(
                    start, start + size, CHUNK_ROWS
                ):  # float32 sums of so many are exact enough
                    part = slice(first, min(first + CHUNK_ROWS, start + size))
                    moments += by_descriptor[part].T @ chunk.monomials[part]
                self._mapping.apply(moments)
        return sums.reshape(n_batches, -1)

    def _trace(self, drawn: BatchSums, removed: BatchSums) -> NDArray[np.float64]:
        """f at every point of measurement of one repetition, ``(n_batches, C)``."""
        product = np.zeros((len(drawn), len(self._machines.bias)))
        length = np.zeros(len(drawn))
        ones = np.ones(_BLOCK, dtype=np.float32)
        for first in range(0, self._start.size, _BLOCK):
            block = slice(first, first + _BLOCK)
            sums = drawn[:, block] - removed[:, block]
            running = self._start[block].copy()
            for row in sums:  # faster than cumsum along the first axis, and float64 for one row only
                running += row
                row[...] = running
            root = np.abs(sums)
            length += root @ ones[: root.shape[1]]
            np.sqrt(root, out=root)
            np.copysign(root, sums, out=root)
            product += root @ self._columns[block]
        norm = np.sqrt(np.maximum(length, np.finfo(np.float64).tiny))
        scores: NDArray[np.float64] = product / norm[:, None] + self._machines.bias
        return scores


class _MomentMapping:
    """From Σ_l γ_k(l) [1, l, l²] to Σ_l Ψ_λ(l) without its constant part, in place and in float32."""

    def __init__(self, mixture: GaussianMixture) -> None:
        root = np.sqrt(np.where(mixture.weights > 0, mixture.weights, 1.0))[:, None]
        self._dimension = mixture.dimension
        self._means = mixture.means.astype(np.float32)
        self._twice = (2 * mixture.means).astype(np.float32)
        self._offset = (mixture.means**2 - mixture.variances).astype(np.float32)
        first = 1 / np.sqrt(mixture.variances) / root
        second = 1 / mixture.variances / (np.sqrt(2) * root)
        self._scale = np.concatenate([1 / root, first, second], axis=1).astype(np.float32)

    def apply(self, moments: NDArray[np.float32]) -> None:
        """Map ``(K, 1 + 2D)`` moments of one batch."""
        split = 1 + self._dimension
        mass, first, second = moments[:, :1], moments[:, 1:split], moments[:, split:]
        second -= self._twice * first
        second += self._offset * mass
        first -= self._means * mass
        moments *= self._scale


def _by_component(values: NDArray[np.floating], mixture: GaussianMixture) -> NDArray[np.floating]:
    """``(..., V)`` from the order [all Ψ_π, all Ψ_μ, all Ψ_σ] to that of moments: 1 + 2D a component."""
    size, dimension = mixture.n_components, mixture.dimension
    lead = values.shape[:-1]
    zeroth = values[..., :size].reshape(*lead, size, 1)
    parts = (values[..., size:].reshape(*lead, 2, size, dimension)[..., order, :, :] for order in (0, 1))
    return np.concatenate([zeroth, *parts], axis=-1).reshape(*lead, -1)
