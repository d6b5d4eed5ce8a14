import numpy as np
import pytest

from pfungst.descriptors import fit_pca
from pfungst.errors import ConfigError
from pfungst.mixture import MixtureConfig, fit_mixture
from pfungst.runs import shards as module
from pfungst.runs.executor import Cluster
from pfungst.runs.shards import Shards


@pytest.fixture
def values(monkeypatch):
    monkeypatch.setattr(module, "SHARD_ROWS", 100)
    rng = np.random.default_rng(0)
    return (rng.normal(size=(1050, 6)) @ rng.normal(size=(6, 6))).astype(np.float32)


def weighted(shard, weight):
    return len(shard), weight * shard.sum(axis=0, dtype=np.float64)


def test_shards_come_in_order_from_an_array_and_from_a_file(values, tmp_path):
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    for source, workers in ((values, 1), (values, 3), (mapped, 2)):
        with Shards(source, workers) as shards:
            for weight in (2.0, 3.0):
                found = list(shards.map(weighted, weight))
                assert [rows for rows, _ in found] == [100] * 10 + [50]
                for index, (_, total) in enumerate(found):
                    part = values[100 * index : 100 * (index + 1)]
                    np.testing.assert_array_equal(total, weight * part.sum(axis=0, dtype=np.float64))


def test_fits_are_the_same_with_any_workers_and_from_a_file(values, tmp_path):
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    config = MixtureConfig(n_components=3, init="random", max_iter=6)
    pca, mixture = fit_pca(values, 4), fit_mixture(values, config)
    np.testing.assert_allclose(pca.mean, values.astype(np.float64).mean(axis=0), atol=1e-6)
    exact = np.linalg.eigvalsh(np.cov(values.T.astype(np.float64)))[::-1][:4]
    np.testing.assert_allclose(pca.explained_variance, exact, rtol=1e-6)
    np.testing.assert_array_equal(fit_pca(mapped, 4, workers=3).components, pca.components)
    np.testing.assert_array_equal(fit_mixture(mapped, config, workers=3).variances, mixture.variances)


def test_a_cluster_cannot_read_our_memory(values):
    with pytest.raises(ConfigError, match="cannot work on an array in memory"):
        Shards(values, Cluster("tcp://127.0.0.1:1"))
