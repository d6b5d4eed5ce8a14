"""Relevance (3) → (2) → (1) against the formulas, dimension by dimension and pixel by pixel."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pfungst.fisher.encoding import encode, improved
from pfungst.fisher.relevance import (
    descriptor_relevance,
    dimension_relevance,
    dimension_relevance_dual,
    pixel_relevance,
    split_bias,
)
from pfungst.fisher.rules import Absolute, Epsilon, Naive
from pfungst.mixture import GaussianMixture

_spec = importlib.util.spec_from_file_location(
    "_encoding_twins", Path(__file__).with_name("test_encoding.py")
)
assert _spec is not None
assert _spec.loader is not None
twins = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(twins)

RULES = [
    Naive(),
    Epsilon(epsilon=3.0),
    Epsilon(epsilon=0.5, relative=True),
    Epsilon(epsilon=3.0, absorbed="spread"),
    Absolute(gamma_threshold=0.0),
]


def with_an_empty_component(mixture):
    means = mixture.means.copy()
    means[2] = 500.0
    return GaussianMixture(weights=mixture.weights, means=means, variances=mixture.variances)


def problem(empty=False, n=60, n_classes=3):
    mixture = twins.generic_mixture()
    mixture = with_an_empty_component(mixture) if empty else mixture
    values = twins.descriptors(n)
    generator = np.random.default_rng(5)
    weights, bias = generator.normal(size=(n_classes, 35)), generator.normal(size=n_classes)
    return mixture, values, weights, bias


def twin(values, mixture, dimensions, rule):
    """R_l^(2) of one class by METHOD section 2; and what the stabiliser absorbed."""
    contributions = twins.mapping(values, mixture)
    n_descriptors = len(values)
    relevance, absorbed = np.zeros(n_descriptors), 0.0
    for d, amount in enumerate(dimensions):
        m = contributions[:, d]
        total = m.sum()
        if np.abs(m).sum() == 0:  # Z(x)
            relevance += amount / n_descriptors
        elif isinstance(rule, Absolute):
            relevance += amount * np.abs(m) / np.abs(m).sum()
        else:
            epsilon = rule.scaled(n_descriptors) if isinstance(rule, Epsilon) else 0.0
            denominator = total + epsilon * (1.0 if total >= 0 else -1.0)
            relevance += amount * m / denominator
            absorbed += amount * (1 - total / denominator)
    if isinstance(rule, Epsilon) and rule.absorbed == "spread":
        relevance += absorbed / n_descriptors
    return relevance, absorbed


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_descriptor_relevance_equals_the_twin(rule, empty):
    mixture, values, weights, bias = problem(empty)
    encoding = encode(values, mixture, dtype=np.float64)
    assert encoding.empty.any() == empty
    dimensions = dimension_relevance(weights, bias, improved(encoding.sums))
    found = descriptor_relevance(values, mixture, encoding, dimensions, rule)
    for c in range(3):
        expected, absorbed = twin(values, mixture, dimensions[c], rule)
        tolerance = 1e-9 if isinstance(rule, Naive) else 1e-4
        np.testing.assert_allclose(found.values[:, c], expected, atol=tolerance * np.abs(expected).max())
        if isinstance(rule, Epsilon):
            reported = found.spread_absorbed if rule.absorbed == "spread" else found.absorbed
            assert reported[c] == pytest.approx(absorbed, rel=1e-8)


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_account_closes(rule, empty):
    mixture, values, weights, bias = problem(empty)
    encoding = encode(values, mixture, dtype=np.float64 if isinstance(rule, Naive) else np.float32)
    phi = improved(encoding.sums)
    dimensions = dimension_relevance(weights, bias, phi)
    np.testing.assert_allclose(dimensions.sum(axis=1), weights @ phi + bias, rtol=1e-12)
    found = descriptor_relevance(values, mixture, encoding, dimensions, rule)
    np.testing.assert_allclose(found.values.sum(axis=0) + found.absorbed, weights @ phi + bias, rtol=1e-5)
    assert (np.abs(found.absorbed) > 1e-3).all() == (rule in RULES[1:3])
    if empty:
        lost = dimensions[:, encoding.empty].sum(axis=1)
        np.testing.assert_allclose(found.spread_empty, lost, rtol=1e-6)


def test_spreading_what_was_absorbed_keeps_the_ranking():
    mixture, values, weights, bias = problem()
    encoding = encode(values, mixture)
    dimensions = dimension_relevance(weights, bias, improved(encoding.sums))
    report = descriptor_relevance(values, mixture, encoding, dimensions, Epsilon(epsilon=5.0)).values
    spread = descriptor_relevance(
        values, mixture, encoding, dimensions, Epsilon(epsilon=5.0, absorbed="spread")
    ).values
    np.testing.assert_allclose(spread - spread.mean(axis=0), report - report.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(spread.sum(axis=0), dimensions.sum(axis=1), rtol=1e-5)


def test_many_classes_equal_one_at_a_time():
    mixture, values, weights, bias = problem()
    encoding = encode(values, mixture)
    dimensions = dimension_relevance(weights, bias, improved(encoding.sums))
    for rule in (Epsilon(), Absolute()):
        together = descriptor_relevance(values, mixture, encoding, dimensions, rule).values
        for c in range(3):
            alone = descriptor_relevance(values, mixture, encoding, dimensions[c : c + 1], rule).values
            np.testing.assert_allclose(together[:, c], alone[:, 0], rtol=1e-6, atol=1e-9)


def test_dual_form_of_dimension_relevance():
    generator = np.random.default_rng(0)
    support, phi = generator.normal(size=(6, 35)), generator.normal(size=35)
    coefficients, bias = generator.normal(size=(2, 6)), generator.normal(size=2)
    primal = dimension_relevance(coefficients @ support, bias, phi)
    np.testing.assert_allclose(dimension_relevance_dual(coefficients, support, bias, phi), primal, rtol=1e-12)


def test_cancelling_contributions_never_give_nan():
    mixture = GaussianMixture(weights=np.ones(1), means=np.zeros((1, 1)), variances=np.ones((1, 1)))
    values = np.array([[1.5], [-1.5], [0.25], [-0.25]], np.float32)  # first order: Z = 0 exactly
    encoding = encode(values, mixture, dtype=np.float64)
    for rule in RULES:
        found = descriptor_relevance(values, mixture, encoding, np.ones((1, 3)), rule)
        assert np.isfinite(found.values).all()
        np.testing.assert_allclose(found.values.sum() + found.absorbed, 3.0, rtol=1e-6)


def test_leaving_out_small_posteriors_changes_little_and_conserves():
    mixture = twins.generic_mixture(40, 6, seed=2)
    values = mixture.sample(3000, 0)
    encoding = encode(values, mixture)
    dimensions = dimension_relevance(
        np.random.default_rng(1).normal(size=(1, encoding.sums.size)), np.ones(1), improved(encoding.sums)
    )
    exact = descriptor_relevance(values, mixture, encoding, dimensions, Absolute(gamma_threshold=0.0)).values
    fast = descriptor_relevance(values, mixture, encoding, dimensions, Absolute()).values
    assert np.linalg.norm(fast - exact) < 5e-3 * np.linalg.norm(exact)
    assert fast.sum() == pytest.approx(dimensions.sum(), rel=1e-5)


def test_pixel_relevance_equals_the_double_loop():
    generator = np.random.default_rng(0)
    left, top = generator.integers(0, 9, 30), generator.integers(0, 6, 30)
    right = left + generator.integers(1, 6, 30)
    bottom = top + generator.integers(1, 5, 30)
    areas = np.stack([left, top, np.minimum(right, 13), np.minimum(bottom, 9)], axis=1)
    values = generator.normal(size=30)
    expected = np.zeros((9, 13))
    for (x0, y0, x1, y1), amount in zip(areas, values, strict=True):
        for row in range(y0, y1):
            for column in range(x0, x1):
                expected[row, column] += amount / ((x1 - x0) * (y1 - y0))
    found = pixel_relevance(values, areas, (9, 13))
    np.testing.assert_allclose(found, expected, atol=1e-13)
    assert found.sum() == pytest.approx(values.sum(), rel=1e-6)


@pytest.mark.parametrize("epsilon", [1e-30, 1e-3, 1.0, 20.0, 30.0])
def test_a_small_epsilon_is_as_exact_as_a_large_one(epsilon):
    """Precision follows what the quotient amplifies: against float64, 2e-5 of the norm at any ε."""
    mixture = twins.generic_mixture(24, 8, seed=3)
    values = (mixture.sample(8000, 0) * 0.8 + 0.3).astype(np.float32)
    rule = Epsilon(epsilon=epsilon)
    found, exact = (
        descriptor_relevance(
            values, mixture, encoding, dimension_relevance(np.ones((1, 24 * 17)), np.ones(1), phi), rule
        ).values
        for encoding in (
            encode(values, mixture, dtype=rule.dtype(8000)),
            encode(values, mixture, dtype=np.float64),
        )
        for phi in [improved(encoding.sums)]
    )
    assert np.linalg.norm(found - exact) < 2e-5 * np.linalg.norm(exact)
    assert rule.dtype(8000) is (np.float64 if epsilon < 0.3 * np.sqrt(8000) else np.float32)


@pytest.mark.parametrize("rule", [Naive, Epsilon, Absolute])
def test_a_separate_bias_is_not_spread(rule):
    """R^(3) = w_d Φ(x)_d; the decomposition is linear in R^(3), so b's part is what is missing."""
    bias = np.array([0.7, -0.4, 0.2])
    spread, none = split_bias(bias, rule())
    np.testing.assert_array_equal(spread, bias)
    np.testing.assert_array_equal(none, 0)
    spread, separate = split_bias(bias, rule(bias="separate"))
    np.testing.assert_array_equal(spread, 0)
    np.testing.assert_array_equal(separate, bias)
