"""Thresholds, or the highest score."""

import numpy as np
import pytest

from pfungst.contract.deciding import checked_decision, decided, predicted
from pfungst.errors import ConfigError

SCORES = np.array([[3.0, 2.0, -1.0], [-5.0, -4.0, -4.0], [0.5, 0.5, 0.0]])


def test_thresholds_decide_class_by_class():
    found = decided(SCORES, np.array([2.5, 2.0, -2.0]))
    assert found.tolist() == [[True, False, True], [False, False, False], [False, False, True]]


def test_the_highest_score_decides_alone_and_the_first_of_equals():
    found = decided(SCORES, np.array([9.0, 9.0, 9.0]), "highest")
    assert found.argmax(axis=1).tolist() == [0, 1, 0]
    assert found.sum(axis=1).tolist() == [1, 1, 1]


def test_a_classifier_that_does_not_say_decides_by_thresholds():
    class Plain:
        thresholds = np.zeros(3)

    class Single(Plain):
        decision = "highest"

    assert predicted(Plain(), SCORES)[0].tolist() == [True, True, False]
    assert predicted(Single(), SCORES)[0].tolist() == [True, False, False]
    with pytest.raises(ConfigError, match=r"unknown decision 'best'. Allowed: thresholds, highest"):
        checked_decision("best")
