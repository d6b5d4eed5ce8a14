"""Fisher vectors against the definition, descriptor by descriptor, in float64."""

from __future__ import annotations

import numpy as np
import pytest

from pfungst.errors import ConfigError
from pfungst.fisher.encoding import (
    EMPTY_MASS,
    encode,
    hellinger_kernel,
    improved,
    monomial_coefficients,
)
from pfungst.mixture import GaussianMixture


def generic_mixture(n_components=5, dimension=3, seed=0):
    """Unequal priors, variances far from one."""
    generator = np.random.default_rng(seed)
    return GaussianMixture(
        weights=generator.dirichlet(np.full(n_components, 2.0)),
        means=generator.normal(size=(n_components, dimension)) * 1.5,
        variances=generator.uniform(0.2, 2.5, size=(n_components, dimension)),
    )


def descriptors(n=41, dimension=3, seed=1):
    return (np.random.default_rng(seed).normal(size=(n, dimension)) * 2).astype(np.float32)


def mapping(values, mixture):
    """Ψ_λ(l) of every descriptor, ``(N, V)``, written out from METHOD section 1."""
    gamma = mixture.responsibilities(values)
    rows = []
    for l, value in enumerate(values.astype(np.float64)):  # noqa: E741
        zeroth, first, second = [], [], []
        for k in range(mixture.n_components):
            g, prior = gamma[l, k], mixture.weights[k]
            deviation = np.sqrt(mixture.variances[k])
            zeroth.append((g - prior) / np.sqrt(prior))
            first.append(g * (value - mixture.means[k]) / deviation / np.sqrt(prior))
            second.append(g * ((value - mixture.means[k]) ** 2 / deviation**2 - 1) / np.sqrt(2 * prior))
        rows.append(np.concatenate([zeroth, np.concatenate(first), np.concatenate(second)]))
    return np.array(rows)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-11)])
def test_sums_and_mass(dtype, tolerance):
    mixture, values = generic_mixture(), descriptors()
    table = mapping(values, mixture)
    found = encode(values, mixture, dtype=dtype)
    assert found.sums.shape == ((1 + 2 * 3) * 5,)
    np.testing.assert_allclose(
        found.sums, table.sum(axis=0), atol=tolerance * np.abs(table).sum(axis=0).max()
    )
    np.testing.assert_allclose(found.raw, table.mean(axis=0), atol=tolerance * np.abs(table).max())
    np.testing.assert_allclose(found.mass, mixture.responsibilities(values).sum(axis=0), rtol=1e-4)


def test_order_of_descriptors_does_not_matter():
    mixture, values = generic_mixture(), descriptors()
    shuffled = np.random.default_rng(0).permutation(values)
    np.testing.assert_allclose(encode(values, mixture).sums, encode(shuffled, mixture).sums, atol=1e-4)


def test_sums_are_small_under_the_mixture_itself():
    """Each Ψ_d has about unit variance under λ, so Z_d is noise of about sqrt(|L|)."""
    mixture = generic_mixture()
    values = mixture.sample(40_000, 0)
    spread = encode(values, mixture).sums / np.sqrt(len(values))
    assert np.abs(spread).max() < 5
    assert 0.3 < np.sqrt(np.mean(spread**2)) < 1.5


def test_monomial_coefficients_give_the_weighted_mapping():
    mixture, values = generic_mixture(), descriptors()
    per_dimension = np.random.default_rng(3).normal(size=35)
    coefficients = monomial_coefficients(per_dimension, mixture)
    exact = values.astype(np.float64)
    monomials = np.concatenate([np.ones((len(values), 1)), exact, exact**2], axis=1)
    quadratic = monomials @ coefficients.T
    found = np.sum(mixture.responsibilities(values) * quadratic, axis=1)
    np.testing.assert_allclose(found, mapping(values, mixture) @ per_dimension, rtol=1e-9)


def test_components_without_mass_are_empty_in_first_and_second_order_only():
    mixture = generic_mixture()
    means = mixture.means.copy()
    means[2] = 500.0
    mixture = GaussianMixture(weights=mixture.weights, means=means, variances=mixture.variances)
    found = encode(descriptors(), mixture)
    assert found.mass[2] < EMPTY_MASS
    expected = np.zeros(35, bool)
    expected[5 + 6 : 5 + 9] = True
    expected[20 + 6 : 20 + 9] = True
    np.testing.assert_array_equal(found.empty, expected)
    assert found.sums[2] == pytest.approx(-41 * np.sqrt(mixture.weights[2]))


def test_improved_vector():
    raw = np.array([4.0, -9.0, 0.0, 0.25])
    root = np.array([2.0, -3.0, 0.0, 0.5])
    np.testing.assert_allclose(improved(raw), root / np.linalg.norm(root))
    np.testing.assert_allclose(np.linalg.norm(improved(raw)), 1.0)
    np.testing.assert_allclose(improved(raw), improved(17 * raw))
    np.testing.assert_array_equal(improved(np.zeros(3)), np.zeros(3))


def test_hellinger_kernel_is_the_double_sum_of_its_definition():
    generator = np.random.default_rng(0)
    left, right = generator.normal(size=(4, 9)), generator.normal(size=(3, 9))
    expected = np.zeros((4, 3))
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            root = np.sqrt(np.abs(x) * np.abs(y))
            scale = np.sqrt(np.abs(x).sum() * np.abs(y).sum())
            expected[i, j] = np.sum(np.sign(x) * np.sign(y) * root) / scale
    np.testing.assert_allclose(hellinger_kernel(left, right), expected, rtol=1e-12)


def test_refusals():
    mixture = generic_mixture()
    with pytest.raises(ConfigError, match=r"descriptors of shape \(0, 3\).*N at least 1"):
        encode(np.empty((0, 3), np.float32), mixture)
    with pytest.raises(ConfigError, match=r"descriptors of shape \(4, 2\).*\(N, 3\)"):
        encode(np.ones((4, 2), np.float32), mixture)
