import numpy as np
import pytest

from pfungst.audits.strategies.unimodality import blend_values, dip, dip_p_value, line_projections


def slow_dip(values):
    """Every mode, every chord: the convex minorant at x is the lowest chord of the feet over x."""
    n = len(values)
    best = 1.0
    for mode in sorted(set(values)):
        left = [(x, sum(v < x for v in values) / n, sum(v <= x for v in values) / n)
                for x in sorted(set(values)) if x <= mode]  # fmt: skip
        right = [(-x, sum(v > x for v in values) / n, sum(v >= x for v in values) / n)
                 for x in sorted(set(values), reverse=True) if x >= mode]  # fmt: skip
        best = min(best, max(_slow_distance(left), _slow_distance(right)))
    return best / 2


def _slow_distance(points):
    """The largest distance of the tops to the hull of the feet, the mode (the last point) left out."""
    worst = 0.0
    for x, foot, top in points[:-1]:
        minorant = foot
        for a, foot_a, _ in points:
            for b, foot_b, _ in points:
                if a <= x <= b and a < b:
                    share = (x - a) / (b - a)
                    minorant = min(minorant, (1 - share) * foot_a + share * foot_b)
        worst = max(worst, top - minorant)
    return worst


@pytest.mark.parametrize("seed", range(8))
def test_the_dip_equals_its_slow_twin(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(size=rng.integers(1, 12)), rng.normal(3, 0.5, rng.integers(1, 9))])
    if seed % 2:
        values = np.round(values, 1)  # with ties
    assert dip(values) == pytest.approx(slow_dip(values.tolist()), abs=1e-12)


def test_one_mode_passes_and_two_do_not():
    rng = np.random.default_rng(0)
    two = np.concatenate([rng.normal(0, 1, 60), rng.normal(6, 1, 40)])
    assert dip_p_value(two) <= 0.01
    for values in (rng.normal(size=100), rng.exponential(size=100), np.full(20, 3.0)):
        assert dip_p_value(values) > 0.3
    assert np.isnan(dip_p_value(np.arange(7.0)))
    assert dip_p_value(two * 1e-9 + 5) == dip_p_value(two)


def test_a_uniform_sample_is_called_two_modes_as_rarely_as_promised():
    rng = np.random.default_rng(1)
    for size in (10, 40, 100):
        values = np.array([dip_p_value(rng.random(size)) for _ in range(400)])
        for level in (0.5, 0.25, 0.05):
            assert level / 3 < np.mean(values <= level) < level + 2.5 * np.sqrt(level * (1 - level) / 400)


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
