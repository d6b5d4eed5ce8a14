"""Scores of a data set and the evaluation table."""

from __future__ import annotations

import numpy as np
import pytest

from pfungst.errors import DataError
from pfungst.evaluation.scoring import ScoredSet, class_results, evaluated, score_dataset


def scored(labels, scores, classes=("a", "b")):
    labels = np.array(labels, np.int8)
    return ScoredSet(
        classes=classes,
        ids=tuple(map(str, range(len(labels)))),
        labels=labels,
        scores=np.array(scores, float),
    )


def test_counts_and_decisions():
    table = scored([[1, -1], [1, -1], [-1, -1], [0, -1]], [[2, 0], [-1, 1], [1, 2], [9, 3]])
    found = class_results(table, [0.0, 1.5])
    a, b = found["a"], found["b"]
    assert (a.positives, a.negatives, a.difficult) == (2, 1, 1)
    assert (a.true_positives, a.false_positives) == (1, 1)  # the difficult photo counts for neither
    assert a.ap == pytest.approx((1 + 2 / 3) / 2)
    assert (b.positives, b.false_positives) == (0, 2)
    assert np.isnan(b.ap)


def test_means_leave_out_classes_without_positives():
    content = evaluated(scored([[1, -1], [-1, -1]], [[1, 0], [0, 1]]), [0.0, 0.0])
    assert content.mean_ap == content.mean_ap_11pt == 1.0
    assert content.classes_without_positives == ("b",)
    assert content.images == 2


def test_photos_are_scored_in_order_and_bad_ones_listed(fisher_model, photos):
    wanted = photos.select(("cat", "dog"))
    broken = wanted.records[1].path
    broken.write_bytes(b"no picture")
    found = score_dataset(fisher_model, photos)
    assert found.classes == ("cat", "dog")
    assert found.ids == ("p0", "p2", "p3", "p4", "p5")
    np.testing.assert_array_equal(found.labels, np.delete(wanted.labels(), 1, axis=0))
    assert [str(broken) in str(error) for error in found.failures] == [True]
    twice = score_dataset(fisher_model, photos, workers=2)
    np.testing.assert_array_equal(found.scores, twice.scores)


def test_a_class_that_the_data_does_not_know(fisher_model, photos):
    with pytest.raises(DataError, match="no class 'cat'"):
        score_dataset(fisher_model, photos.select(("dog", "owl")))
