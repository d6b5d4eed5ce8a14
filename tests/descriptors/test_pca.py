"""PCA against an eigenvalue problem written out, and what it must keep."""

from __future__ import annotations

import numpy as np
import pytest

from pfungst.descriptors import fit_pca
from pfungst.errors import ConfigError


def correlated(n_samples=400, dimension=7, seed=0):
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(dimension, dimension)) * np.arange(1, dimension + 1)
    return (generator.normal(size=(n_samples, dimension)) @ mixing + 5).astype(np.float32)


def test_projection_has_the_covariance_of_the_leading_eigenvalues():
    values = correlated()
    pca = fit_pca(values, 4)
    projected = pca.transform(values).astype(np.float64)
    exact = np.linalg.eigvalsh(np.cov(values.astype(np.float64).T))[::-1]
    np.testing.assert_allclose(np.cov(projected.T), np.diag(exact[:4]), atol=1e-3 * exact[0])
    np.testing.assert_allclose(pca.explained_variance, exact[:4], rtol=1e-6)
    np.testing.assert_allclose(projected.mean(axis=0), 0, atol=1e-3)


def test_all_components_keep_distances():
    values = correlated()
    projected = fit_pca(values, 7).transform(values)
    before = np.linalg.norm(values[:50, None] - values[None, :50], axis=-1)
    after = np.linalg.norm(projected[:50, None] - projected[None, :50], axis=-1)
    np.testing.assert_allclose(after, before, atol=2e-3)


def test_signs_are_fixed():
    values = correlated()
    components = fit_pca(values, 7).components
    largest = np.abs(components).argmax(axis=1)
    assert (components[np.arange(7), largest] > 0).all()


def test_more_dimensions_than_there_are():
    with pytest.raises(
        ConfigError, match=r"8 PCA dimensions of 400 descriptors of dimension 7.*smaller --dims"
    ):
        fit_pca(correlated(), 8)
