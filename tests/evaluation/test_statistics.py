import numpy as np
import pytest

from pfungst.errors import ConfigError
from pfungst.evaluation.statistics import (
    BootstrapConfig,
    curve_over_images,
    draw_blocks,
    mean_over_images,
    ratio_over_images,
    share_over_images,
)

QUICK = BootstrapConfig(n_resamples=500)


def coverage(truth, draw, *, runs=300, config=QUICK):
    """Share of intervals that hold the truth; ``draw(generator)`` gives images and values."""
    hits = 0
    for run in range(runs):
        images, values = draw(np.random.default_rng(run))
        estimate = mean_over_images(images, values, config)
        hits += estimate.low <= truth <= estimate.high
    return hits / runs


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_interval_covers_the_mean_of_normal_values(method):
    config = BootstrapConfig(n_resamples=500, method=method)
    found = coverage(3.0, lambda rng: (range(40), rng.normal(3.0, 2.0, 40)), config=config)
    assert 0.91 <= found <= 0.985


def test_interval_covers_the_mean_of_skewed_values():
    truth = np.exp(0.5 * 0.6**2)
    found = coverage(truth, lambda rng: (range(50), rng.lognormal(0.0, 0.6, 50)))
    assert 0.90 <= found <= 0.985


def clustered(rng):
    """40 images that give 1 to 5 values each; most of the variance is between images."""
    sizes = rng.integers(1, 6, 40)
    images = np.repeat(np.arange(40), sizes)
    return images, rng.normal(0.0, 1.0, 40)[images] + rng.normal(0.0, 0.2, images.size) + 1.0


def test_several_values_of_one_image_are_not_independent():
    assert 0.90 <= coverage(1.0, clustered) <= 0.985
    # the same values taken as if each were an image of its own: far too narrow

    def as_if_independent(rng):
        _, values = clustered(rng)
        return range(values.size), values

    naive = coverage(1.0, as_if_independent)
    assert naive < 0.85


def test_estimate_pools_values_over_images():
    estimate = mean_over_images(["a", "a", "b"], [1.0, 2.0, 6.0], QUICK)
    assert estimate.mean == pytest.approx(3.0)
    assert (estimate.n_images, estimate.n_values) == (2, 3)


def test_one_image_has_no_interval():
    estimate = mean_over_images(["a", "a"], [1.0, 2.0])
    assert estimate.mean == 1.5
    assert np.isnan(estimate.low)
    assert np.isnan(estimate.high)


def test_percentile_interval_is_that_of_resampled_means():
    values = np.random.default_rng(5).normal(size=30)
    config = BootstrapConfig(n_resamples=4000, method="percentile")
    estimate = mean_over_images(range(30), values, config)
    rng = np.random.default_rng(99)
    means = [rng.choice(values, 30).mean() for _ in range(4000)]
    assert [estimate.low, estimate.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.03)


def test_bca_agrees_with_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(6).lognormal(0, 1, 40)
    ours = mean_over_images(range(40), values, BootstrapConfig(n_resamples=9000))
    theirs = bootstrap((values,), np.mean, n_resamples=9000, method="BCa", random_state=0)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, rel=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, rel=0.02)


def test_a_share_of_one_is_not_certain():
    from scipy.stats import binomtest

    estimate = share_over_images(range(20), np.ones(20))
    assert (estimate.mean, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(0.025 ** (1 / 20))
    exact = binomtest(20, 20).proportion_ci(method="exact")
    assert (estimate.low, estimate.high) == pytest.approx((exact.low, exact.high))
    none = share_over_images(range(20), np.zeros(20))
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert none.low == 0.0


def test_curve_band_is_pointwise():
    rng = np.random.default_rng(0)
    curves = rng.normal(size=(60, 4)) + np.arange(4)
    band = curve_over_images(range(60), curves, QUICK)
    assert band.mean == pytest.approx(curves.mean(axis=0))
    assert (band.low < band.mean).all()
    assert (band.mean < band.high).all()
    assert band.high - band.low == pytest.approx(2 * 1.96 * curves.std(axis=0) / np.sqrt(60), rel=0.15)


def test_same_seed_same_interval():
    values = np.random.default_rng(1).normal(size=25)
    assert mean_over_images(range(25), values, QUICK) == mean_over_images(range(25), values, QUICK)
    other = BootstrapConfig(n_resamples=500, random_state=1)
    assert mean_over_images(range(25), values, QUICK) != mean_over_images(range(25), values, other)


def test_errors_say_what_is_allowed():
    with pytest.raises(ConfigError, match="2 values of 1 images"):
        mean_over_images(["a"], [1.0, 2.0])
    with pytest.raises(ConfigError, match=r"confidence level 1\.5"):
        BootstrapConfig(level=1.5)
    with pytest.raises(ConfigError, match="n_resamples = 10"):
        BootstrapConfig(n_resamples=10)
    with pytest.raises(ConfigError, match="unknown bootstrap method 'mean'"):
        BootstrapConfig(method="mean")


def test_a_ratio_is_that_of_means_and_its_interval_that_of_resampled_ratios():
    rng = np.random.default_rng(7)
    below = rng.gamma(3.0, 1.0, 40)
    above = 0.5 * below + rng.normal(0, 0.3, 40)
    config = BootstrapConfig(n_resamples=4000, method="percentile")
    estimate = ratio_over_images(range(40), above, below, config)
    assert estimate.mean == pytest.approx(sum(above) / sum(below))
    other, ratios = np.random.default_rng(99), []
    for _ in range(4000):
        drawn = other.integers(0, 40, 40)
        ratios.append(sum(above[drawn]) / sum(below[drawn]))
    assert [estimate.low, estimate.high] == pytest.approx(np.quantile(ratios, [0.025, 0.975]), abs=0.01)


def test_a_ratio_agrees_with_scipy_under_bca():
    from scipy.stats import bootstrap

    rng = np.random.default_rng(8)
    above, below = rng.lognormal(0, 0.8, 30), rng.lognormal(0, 0.5, 30)
    ours = ratio_over_images(range(30), above, below, BootstrapConfig(n_resamples=9000))
    theirs = bootstrap(
        (above, below),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        n_resamples=9000,
        method="BCa",
        random_state=0,
    ).confidence_interval
    assert [ours.low, ours.high] == pytest.approx([theirs.low, theirs.high], rel=0.03)


def test_resamples_without_a_finite_estimate_are_left_out():
    # one image has the numerator, another the denominator: half of the resamples have no ratio
    estimate = ratio_over_images(["a", "b"], [3.0, 0.0], [0.0, 2.0], QUICK)
    assert (estimate.mean, estimate.low) == (1.5, 0.0)
    assert estimate.high == pytest.approx(1.5)


def test_a_ratio_without_a_denominator_is_nan():
    estimate = ratio_over_images(["a", "b"], [1.0, 2.0], [0.0, 0.0])
    assert np.isnan(estimate.low)
    assert not np.isfinite(estimate.mean)
    single = ratio_over_images(["a"], [1.0], [2.0])
    assert (single.mean, single.n_images) == (0.5, 1)
    assert np.isnan(single.low)


def test_resamples_in_blocks_are_those_drawn_at_once_and_bounded():
    n = 1_300
    blocks = list(draw_blocks(n, QUICK))
    assert len(blocks) > 1
    assert max(block.size for block in blocks) <= 500_000
    at_once = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), QUICK.n_resamples)
    assert np.array_equal(np.concatenate(blocks), at_once)
