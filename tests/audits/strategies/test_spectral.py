import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from pfungst.audits.strategies import spectral
from pfungst.audits.strategies.spectral import (
    Spectrum,
    by_size,
    cluster_labels,
    default_neighbours,
    eigengap,
    embedded,
    neighbour_affinity,
    plane,
    smallest_eigenpairs,
)


def slow_affinity(rows, k, mutual):
    n = len(rows)
    near = [[False] * n for _ in range(n)]
    for i in range(n):
        others = sorted((sum((rows[i] - rows[j]) ** 2), j) for j in range(n) if j != i)
        for _, j in others[:k]:
            near[i][j] = True
    join = (lambda a, b: a and b) if mutual else (lambda a, b: a or b)
    return np.array([[float(join(near[i][j], near[j][i])) for j in range(n)] for i in range(n)])


def slow_laplacian(affinity):
    degree = [sum(row) for row in affinity]
    n = len(affinity)
    laplacian = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if degree[i] > 0:
                laplacian[i, j] = (i == j) - affinity[i][j] / (degree[i] * degree[j] or 1) ** 0.5
    return laplacian


def families(seed, sizes, *, noise=0.15, d=60):
    rng = np.random.default_rng(seed)
    centres = rng.random((len(sizes), d)) ** 6
    truth = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.maximum(centres[truth] + noise * rng.normal(size=(len(truth), d)), 0)
    return rows / rows.sum(axis=1, keepdims=True), truth


@pytest.mark.parametrize("kind", ["union", "mutual"])
def test_affinity_and_eigenpairs_equal_their_slow_twins(kind):
    rows = np.random.default_rng(3).normal(size=(23, 4)) * [1, 2, 0.5, 1]
    affinity = neighbour_affinity(rows, 4, kind)
    expected = slow_affinity(rows, 4, kind == "mutual")
    np.testing.assert_array_equal(affinity.toarray(), expected)
    laplacian = slow_laplacian(expected)
    spectrum = smallest_eigenpairs(affinity, 6)
    np.testing.assert_allclose(spectrum.values, np.linalg.eigvalsh(laplacian)[:6], atol=1e-12)
    for value, vector in zip(spectrum.values, spectrum.vectors.T, strict=True):
        np.testing.assert_allclose(laplacian @ vector, value * vector, atol=1e-12)
    np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(6), atol=1e-12)


def test_iteration_finds_what_the_dense_solver_finds(monkeypatch):
    rows, _ = families(0, (90, 60, 50), noise=0.25)
    affinity = neighbour_affinity(rows, 11)
    dense = smallest_eigenpairs(affinity, 7)
    monkeypatch.setattr(spectral, "_DENSE", 10)
    iterated = smallest_eigenpairs(affinity, 7, random_state=5)
    np.testing.assert_allclose(iterated.values, dense.values, atol=1e-7)
    gaps = np.diff(dense.values)
    alone = [i for i in range(1, 6) if min(gaps[i - 1], gaps[i]) > 1e-3]
    np.testing.assert_allclose(iterated.vectors[:, alone], dense.vectors[:, alone], atol=1e-5)


def test_each_component_is_one_zero():
    rows = np.concatenate([np.random.default_rng(i).normal(size=(12, 3)) + 100 * i for i in range(3)])
    spectrum = smallest_eigenpairs(neighbour_affinity(rows, 5), 9)
    assert (spectrum.values[:3] == 0).all()
    assert spectrum.values[3] > 0.1
    assert eigengap(spectrum.values, 8)[0] == 3
    np.testing.assert_array_equal(cluster_labels(spectrum, 3), np.repeat([0, 1, 2], 12))
    lonely = neighbour_affinity(np.array([[0.0], [1.0], [1.1], [50.0]]), 1, "mutual")
    assert (smallest_eigenpairs(lonely, 4).values[:3] == 0).all()


def test_the_gap_chooses_the_number_of_clusters():
    assert eigengap(np.array([0, 0.6, 0.7, 0.75]), 3) == (1, 0.6)
    assert eigengap(np.array([0, 0.01, 0.5, 0.55]), 3) == (2, 0.49)
    assert eigengap(np.array([0, 0.1, 0.2, 0.3]), 3)[0] == 1  # a tie: the fewest
    assert eigengap(np.array([0, 0.1, 0.2, 0.9]), 2)[0] == 1  # beyond the bound nothing counts
    assert eigengap(np.zeros(5), 3) == (3, 0.0)
    number, gap = eigengap(np.zeros(1), 3)
    assert number == 1
    assert np.isnan(gap)


@pytest.mark.parametrize("sizes", [(40, 40), (120, 30), (30, 40, 50), (15, 15)])
def test_planted_families_are_recovered(sizes):
    rows, truth = families(1, sizes)
    spectrum = smallest_eigenpairs(neighbour_affinity(rows, default_neighbours(len(rows))), 9)
    number, _ = eigengap(spectrum.values, 8)
    assert number == len(sizes)
    labels = cluster_labels(spectrum, number)
    assert adjusted_rand_score(truth, labels) >= 0.95
    assert (np.diff(np.bincount(labels)) <= 0).all()


@pytest.mark.parametrize("n", [15, 60, 300])
def test_one_family_is_one_cluster(n):
    rows, _ = families(2, (n,))
    spectrum = smallest_eigenpairs(neighbour_affinity(rows, default_neighbours(n)), 9)
    assert eigengap(spectrum.values, 8)[0] == 1


def test_few_rows_and_equal_rows():
    for n in (1, 2, 3):
        spectrum = smallest_eigenpairs(neighbour_affinity(np.eye(4)[:n], 5), 9)
        assert len(spectrum.values) == n
        assert plane(spectrum).shape == (n, 2)
    same = np.ones((30, 5))
    affinity = neighbour_affinity(same, 4)
    assert affinity.diagonal().sum() == 0
    spectrum = smallest_eigenpairs(affinity, 9)
    number, _ = eigengap(spectrum.values, 8)
    assert cluster_labels(spectrum, number).max() < 8
    assert np.isfinite(plane(spectrum)).all()
    two = Spectrum(values=np.zeros(3), vectors=np.eye(3)[[0] * 5 + [1] * 5])
    np.testing.assert_array_equal(cluster_labels(two, 3), [0] * 5 + [1] * 5)  # no third cluster to find


def test_rows_of_the_embedding_have_length_one_or_zero():
    spectrum = Spectrum(values=np.zeros(2), vectors=np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(embedded(spectrum, 2), [[0.6, 0.8], [0, 0]])
    np.testing.assert_array_equal(by_size(np.array([5, 7, 7, 2, 2])), [2, 0, 0, 1, 1])


def test_the_plane_keeps_families_together_and_is_the_same_each_time():
    rows, truth = families(1, (25, 25))
    spectrum = smallest_eigenpairs(neighbour_affinity(rows, 6), 9)
    places = plane(spectrum, random_state=3)
    np.testing.assert_array_equal(places, plane(spectrum, random_state=3))
    between = np.linalg.norm(places[truth == 0].mean(axis=0) - places[truth == 1].mean(axis=0))
    assert between > 2 * places[truth == 0].std(axis=0).max()
