import numpy as np
import pytest

from pfungst.audits.strategies.unimodality import blend_values, line_projections


def test_projections_take_each_row_out_of_its_mean():
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(4, 3)), rng.normal(1, 1, size=(3, 3))
    found = line_projections(one, other)
    for i in range(4):
        a, b = np.delete(one, i, axis=0).mean(axis=0), other.mean(axis=0)
        expected = (one[i] - (a + b) / 2) @ (a - b) / np.linalg.norm(a - b)
        assert found[i] == pytest.approx(expected)
    b = np.delete(other, 2, axis=0).mean(axis=0)
    a = one.mean(axis=0)
    assert found[6] == pytest.approx((other[2] - (a + b) / 2) @ (a - b) / np.linalg.norm(a - b))
    np.testing.assert_array_equal(line_projections(np.ones((2, 3)), np.ones((2, 3))), np.zeros(4))


def test_a_cut_through_one_cloud_blends_and_real_clusters_do_not():
    rng = np.random.default_rng(3)
    cloud = rng.random((120, 5)) * [4, 1, 1, 1, 1]
    assert (blend_values(cloud, (cloud[:, 0] > 2).astype(int)) > 0.05).all()
    apart = rng.normal(size=(900, 5)) + np.repeat([0, 9, 18], 300)[:, None]
    labels = np.repeat([0, 1, 2], 300)
    values = blend_values(apart, labels)
    assert (values <= 0.01).all()
    np.testing.assert_array_equal(values, blend_values(apart, labels))
