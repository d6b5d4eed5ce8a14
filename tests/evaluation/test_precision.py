import numpy as np
import pytest

from pfungst.contract.ranking import average_precision
from pfungst.errors import ConfigError
from pfungst.evaluation.precision import precision_difference, precision_over_images
from pfungst.evaluation.statistics import BootstrapConfig, draw_blocks

CONFIG = BootstrapConfig(n_resamples=200, random_state=3)


def example(seed=0, n=60):
    rng = np.random.default_rng(seed)
    labels = rng.choice([1, 0, -1], n, p=[0.3, 0.1, 0.6])
    return labels, np.round(labels + rng.normal(0, 1.2, n), 1), np.round(labels + rng.normal(0, 2, n), 1)


def slow_resamples(labels, scores):
    """Each resample written out, photo by photo, and its AP taken."""
    values = []
    for counts in np.concatenate(list(draw_blocks(len(labels), CONFIG))):
        drawn = np.repeat(np.arange(len(labels)), counts.astype(int))
        values.append(average_precision(labels[drawn], scores[drawn]))
    return np.array(values)


def test_interval_is_that_of_written_out_resamples():
    labels, scores, _ = example()
    estimate = precision_over_images(labels, scores, CONFIG)
    slow = slow_resamples(labels, scores)
    assert estimate.mean == average_precision(labels, scores)
    np.testing.assert_allclose([estimate.low, estimate.high], np.quantile(slow, [0.025, 0.975]))
    assert estimate.n_images == np.count_nonzero(labels)


def test_difference_is_paired():
    labels, good, bad = example(1)
    estimate = precision_difference(labels, bad, good, CONFIG)
    slow = slow_resamples(labels, good) - slow_resamples(labels, bad)
    np.testing.assert_allclose([estimate.low, estimate.high], np.quantile(slow, [0.025, 0.975]))
    same = precision_difference(labels, good, good, CONFIG)
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    with pytest.raises(ConfigError, match="60 and 59 photos"):
        precision_difference(labels, good, bad[:-1], CONFIG)


def test_few_positives():
    assert precision_over_images(np.array([-1, -1]), np.array([0.0, 1.0]), CONFIG) is None
    one = precision_over_images(np.array([1, -1, -1]), np.array([2.0, 1.0, 0.0]), CONFIG)
    assert (one.mean, one.low, one.high) == (1, 1, 1)  # resamples without it have no AP
