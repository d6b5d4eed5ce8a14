"""Twins: the same measures written from their definitions, threshold by threshold, in plain Python."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfungst.contract.ranking import (
    average_precision,
    average_precision_11pt,
    equal_error_threshold,
    precision_recall,
)
from pfungst.errors import ConfigError

MEASURES = (precision_recall, average_precision, average_precision_11pt, equal_error_threshold)

# few distinct scores make ties; labels of all three kinds
rankings = st.lists(
    st.tuples(st.sampled_from([-1, -1, 0, 1]), st.integers(-4, 4).map(lambda n: n / 4)), max_size=25
)


def curve(pairs):
    """(recall, precision) for each threshold that a score sets, as exact fractions."""
    pairs = [(label, score) for label, score in pairs if label != 0]
    positives = sum(label > 0 for label, _ in pairs)
    points = []
    for threshold in sorted({score for _, score in pairs}, reverse=True):
        taken = [label for label, score in pairs if score >= threshold]
        right = sum(label > 0 for label in taken)
        points.append((Fraction(right, max(positives, 1)), Fraction(right, len(taken))))
    return points if positives else []


def best_precision(points, level):
    return max((precision for recall, precision in points if recall >= level), default=Fraction(0))


def area(points):
    total, last = Fraction(0), Fraction(0)
    for recall, _ in points:
        total += (recall - last) * best_precision(points, recall)
        last = recall
    return total


def arrays(pairs):
    return np.array([label for label, _ in pairs], dtype=np.int8), np.array(
        [s for _, s in pairs], dtype=float
    )


@settings(max_examples=300)
@given(rankings)
def test_average_precision_equals_its_definition(pairs):
    labels, scores = arrays(pairs)
    points = curve(pairs)
    if not points:
        assert math.isnan(average_precision(labels, scores))
        assert math.isnan(average_precision_11pt(labels, scores))
        return
    assert average_precision(labels, scores) == pytest.approx(float(area(points)), abs=1e-12)
    eleven = sum(best_precision(points, Fraction(n, 10)) for n in range(11)) / 11
    assert average_precision_11pt(labels, scores) == pytest.approx(float(eleven), abs=1e-12)
    precision, recall = precision_recall(labels, scores)
    np.testing.assert_allclose(precision, [float(p) for _, p in points])
    np.testing.assert_allclose(recall, [float(r) for r, _ in points])


@given(rankings, st.randoms())
def test_order_of_images_and_difficult_ones_do_not_matter(pairs, random):
    labels, scores = arrays(pairs)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    easy = [pair for pair in shuffled if pair[0] != 0]
    for measure in (average_precision, average_precision_11pt, equal_error_threshold):
        expected = measure(labels, scores)
        for other in (shuffled, easy):
            assert measure(*arrays(other)) == pytest.approx(expected, nan_ok=True)


def test_average_precision_by_hand():
    labels, scores = np.array([1, -1, 1, -1, 1]), np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    # recall 1/3, 2/3, 1 at precision 1, 2/3, 3/5
    assert average_precision(labels, scores) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    # levels 0..0.3 reach 1, 0.4..0.6 reach 2/3, 0.7..1 reach 3/5
    assert average_precision_11pt(labels, scores) == pytest.approx((4 + 3 * 2 / 3 + 4 * 3 / 5) / 11)


def test_recall_levels_are_met_exactly():
    """Seven of ten found is recall 0.7, although 7/10 and 7 * 0.1 differ as floats."""
    labels = np.array([1] * 7 + [-1] * 3 + [1] * 3)
    scores = -np.arange(13.0)
    expected = (8 * 1 + 3 * 10 / 13) / 11
    assert average_precision_11pt(labels, scores) == pytest.approx(expected)


def test_ties_are_taken_together():
    labels, scores = np.array([1, -1]), np.array([1.0, 1.0])
    assert average_precision(labels, scores) == average_precision(labels[::-1], scores) == 0.5


def error_rates(pairs, threshold):
    missed = [score <= threshold for label, score in pairs if label > 0]
    false = [score > threshold for label, score in pairs if label < 0]
    return Fraction(sum(missed), len(missed)), Fraction(sum(false), len(false))


@settings(max_examples=300)
@given(rankings)
def test_equal_error_threshold_is_the_best_there_is(pairs):
    threshold = equal_error_threshold(*arrays(pairs))
    if not {1, -1} <= {label for label, _ in pairs}:
        assert math.isnan(threshold)
        return
    scores = sorted({score for label, score in pairs if label != 0})
    candidates = [scores[0] - 1, *scores]  # every way to divide the scores
    quality = [
        (abs(miss - false), miss + false)
        for miss, false in (error_rates(pairs, candidate) for candidate in candidates)
    ]
    miss, false = error_rates(pairs, threshold)
    assert (abs(miss - false), miss + false) == min(quality)
    assert threshold not in scores


def test_equal_error_threshold_by_hand():
    assert equal_error_threshold(np.array([1, 1, -1, -1]), np.array([4.0, 3.0, 1.0, 0.0])) == 2.0
    # one error on either side wherever it lies between 2 and 3
    assert equal_error_threshold(np.array([1, -1, 1, -1]), np.array([4.0, 3.0, 2.0, 1.0])) == 2.5
    assert equal_error_threshold(np.array([1, 0, -1]), np.array([2.0, 1.5, 1.0])) == 1.5


@pytest.mark.parametrize("low", [1.0, -1.0, 1 - 2**-53, 1e17, 5e-324])
def test_equal_error_threshold_between_neighbouring_floats(low):
    high = np.nextafter(low, np.inf)
    for labels, scores in (([1, -1], [high, low]), ([-1, 1], [high, low])):
        threshold = equal_error_threshold(np.array(labels), np.array(scores))
        predicted = np.array(scores) > threshold
        if labels[0] == 1:
            assert predicted.tolist() == [True, False]
        else:
            assert predicted.tolist() in ([True, True], [False, False], [True, False])


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_scores_are_refused(measure, bad):
    with pytest.raises(ConfigError, match=r"1 of 2 scores are NaN or infinite\. Allowed: finite scores\."):
        measure(np.array([1, -1]), np.array([0.5, bad]))


@pytest.mark.parametrize("measure", MEASURES)
def test_shapes_must_agree(measure):
    with pytest.raises(ConfigError, match=r"labels of shape \(3,\) with scores of shape \(2,\)"):
        measure(np.array([1, -1, 1]), np.array([0.5, 1]))
    with pytest.raises(ConfigError, match=r"labels of shape \(1, 2\)"):
        measure(np.array([[1, -1]]), np.array([[0.5, 1]]))


def test_no_images_at_all():
    nothing = np.empty(0, dtype=int), np.empty(0)
    assert math.isnan(average_precision(*nothing))
    assert math.isnan(equal_error_threshold(*nothing))
