"""Mixtures against slow float64 twins on unequal weights and variances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from pfungst.errors import ConfigError
from pfungst.mixture import GaussianMixture, MixtureConfig, fit_mixture
from pfungst.mixture.posterior import posterior_chunks, summed_moments


def generic_mixture(n_components=5, dimension=3, seed=0):
    generator = np.random.default_rng(seed)
    weights = generator.dirichlet(np.full(n_components, 2.0))
    means = generator.normal(size=(n_components, dimension)) * 1.5
    return GaussianMixture(
        weights=weights, means=means, variances=generator.uniform(0.2, 2.5, size=(n_components, dimension))
    )


def log_joint(mixture, values):
    """log π_k N(l; μ_k, Σ_k) by SciPy's density, dimension by dimension."""
    table = np.empty((len(values), mixture.n_components))
    for k in range(mixture.n_components):
        densities = norm.logpdf(values.astype(np.float64), mixture.means[k], np.sqrt(mixture.variances[k]))
        table[:, k] = np.log(mixture.weights[k]) + densities.sum(axis=1)
    return table


def test_responsibilities_and_likelihood():
    mixture = generic_mixture()
    values = np.random.default_rng(1).normal(size=(37, 3)).astype(np.float32) * 2
    table = log_joint(mixture, values)
    expected = np.exp(table - logsumexp(table, axis=1, keepdims=True))
    np.testing.assert_allclose(mixture.responsibilities(values), expected, rtol=1e-9, atol=1e-300)
    assert mixture.log_likelihood(values) == pytest.approx(logsumexp(table, axis=1).mean(), rel=1e-9)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("n_rows", [1, 64, 5000])
def test_summed_moments(dtype, tolerance, n_rows):
    mixture = generic_mixture()
    values = np.random.default_rng(2).normal(size=(n_rows, 3)).astype(np.float32) * 2
    gamma = np.exp(log_joint(mixture, values))
    gamma /= gamma.sum(axis=1, keepdims=True)
    exact = values.astype(np.float64)
    expected = gamma.T @ np.concatenate([np.ones((n_rows, 1)), exact, exact**2], axis=1)
    found, likelihood = summed_moments(values, mixture.log_joint_matrix(), dtype=dtype)
    np.testing.assert_allclose(found, expected, atol=tolerance * n_rows)
    assert likelihood == pytest.approx(logsumexp(log_joint(mixture, values), axis=1).sum(), rel=1e-4)


def test_a_common_level_of_the_densities_costs_no_accuracy():
    generator = np.random.default_rng(3)
    weights = np.array([0.0, 0.0, 0.0, 0.0, 0.3, 0.25, 0.45])  # most without weight: no level of theirs
    means = generator.normal(0, 0.002, size=(7, 40))
    mixture = GaussianMixture(
        weights=weights, means=means, variances=generator.uniform(1.8e-4, 2e-4, size=(7, 40))
    )
    assert mixture.log_joint_matrix()[4:, 0].min() > 130
    values = mixture.sample(20_000, 0)
    matrix = mixture.log_joint_matrix()
    found, likelihood = summed_moments(values, matrix)
    exact, expected = summed_moments(values, matrix, dtype=np.float64)
    np.testing.assert_allclose(found[4:, 0], exact[4:, 0], rtol=1e-6)
    assert likelihood == pytest.approx(expected, rel=1e-6)
    assert np.abs(found[:4]).max() < 1e-15


def test_far_descriptors_and_weightless_components_stay_finite():
    mixture = generic_mixture()
    weights = mixture.weights.copy()
    weights[1] = 0.0
    mixture = GaussianMixture(
        weights=weights / weights.sum(), means=mixture.means, variances=mixture.variances
    )
    values = np.array([[1e3, -1e3, 1e3], [0, 0, 0]], dtype=np.float32)
    for chunk in posterior_chunks(values, mixture.log_joint_matrix()):
        gamma = chunk.posteriors.toarray()
        assert np.isfinite(gamma).all()
        np.testing.assert_allclose(gamma.sum(axis=0), 1, rtol=1e-5)
        assert gamma[1].max() < 1e-20


def test_sampling_has_the_mixture_s_moments():
    mixture = generic_mixture()
    drawn = mixture.sample(200_000, 4).astype(np.float64)
    mean = mixture.weights @ mixture.means
    second = mixture.weights @ (mixture.variances + mixture.means**2)
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(drawn.var(axis=0), second - mean**2, rtol=0.02)
    np.testing.assert_array_equal(mixture.sample(10, 4), mixture.sample(10, 4))


@pytest.mark.parametrize("init", ["k-means", "random"])
def test_a_planted_mixture_is_recovered(init):
    means = np.array([[-4.0, 0, 1], [4, 1, -1], [0, 6, 2]])
    truth = GaussianMixture(
        weights=np.array([0.5, 0.3, 0.2]),
        means=means,
        variances=np.array([[0.5, 1, 2], [1.5, 0.3, 1], [1, 1, 0.2]]),
    )
    sample = truth.sample(20_000, 0)
    found = fit_mixture(sample, MixtureConfig(n_components=3, init=init, max_iter=200, tol=1e-7))
    order = [int(np.linalg.norm(found.means - mean, axis=1).argmin()) for mean in means]
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(found.weights[order], truth.weights, atol=0.02)
    np.testing.assert_allclose(found.means[order], truth.means, atol=0.06)
    np.testing.assert_allclose(found.variances[order], truth.variances, rtol=0.08)
    gains = np.diff(found.history)
    assert (gains > -1e-5).all()
    assert found.log_likelihood(sample) == pytest.approx(found.history[-1], abs=1e-3)


def test_one_iteration_is_textbook_expectation_maximisation():
    from pfungst.mixture.fitting import _maximise

    mixture = generic_mixture()
    values = mixture.sample(3000, 1)
    gamma = mixture.responsibilities(values)
    exact = values.astype(np.float64)
    moments, _ = summed_moments(values, mixture.log_joint_matrix(), dtype=np.float64)
    weights, means, variances = _maximise(moments, np.full(3, 1e-9), 0.0)
    for k in range(mixture.n_components):
        share = gamma[:, k] / gamma[:, k].sum()
        mean = share @ exact
        np.testing.assert_allclose(weights[k], gamma[:, k].mean(), rtol=1e-9)
        np.testing.assert_allclose(means[k], mean, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(variances[k], share @ (exact - mean) ** 2, rtol=1e-7)


def test_empty_components_are_placed_anew_and_variances_keep_their_floor():
    generator = np.random.default_rng(0)
    clump = np.zeros((500, 2), np.float32)  # a point mass would drive a variance to zero
    cloud = generator.normal(5, 1, size=(500, 2)).astype(np.float32)
    config = MixtureConfig(n_components=6, variance_floor=0.01, max_iter=60, empty_mass=20.0)
    values = np.concatenate([clump, cloud])
    found = fit_mixture(values, config)
    assert (found.variances >= 0.01 * values.astype(np.float64).var(axis=0) * 0.999).all()
    assert (found.weights * len(values) > 1).all()


def test_same_numbers_with_one_or_two_workers_and_the_same_seed():
    values = generic_mixture().sample(150_000, 3)
    config = MixtureConfig(n_components=4, max_iter=5, init_samples=2000, random_state=9)
    one, two = fit_mixture(values, config), fit_mixture(values, config, workers=2)
    np.testing.assert_array_equal(one.means, two.means)
    assert one.history == two.history
    other = fit_mixture(values, MixtureConfig(n_components=4, max_iter=5, init_samples=2000, random_state=8))
    assert not np.array_equal(one.means, other.means)


def test_refusals():
    with pytest.raises(ConfigError, match="256 mixture components from 3 descriptors"):
        fit_mixture(np.ones((3, 2), np.float32))
    with pytest.raises(ConfigError, match="NaN or infinity"):
        fit_mixture(np.full((10, 2), np.nan, np.float32), MixtureConfig(n_components=2))
    with pytest.raises(ConfigError, match="'k-means' or 'random'"):
        MixtureConfig(init="best")
    with pytest.raises(ConfigError, match="variance that is not positive"):
        GaussianMixture(weights=np.ones(1), means=np.zeros((1, 2)), variances=np.zeros((1, 2)))
    with pytest.raises(ConfigError, match=r"\(K,\), \(K, D\) and \(K, D\)"):
        GaussianMixture(weights=np.ones(2) / 2, means=np.zeros((1, 2)), variances=np.ones((1, 2)))
