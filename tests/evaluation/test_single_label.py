"""Accuracy and confusion against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_score, recall_score

from pfungst.contract.plain import to_plain
from pfungst.evaluation.single_label import single_label

CLASSES = ("cat", "dog", "owl")


def test_against_scikit_learn():
    rng = np.random.default_rng(4)
    truth = rng.choice(3, 60, p=[0.6, 0.3, 0.1])
    labels = np.where(np.arange(3) == truth[:, None], 1, -1).astype(np.int8)
    scores = rng.normal(size=(60, 3)) + (labels > 0)
    found, said = single_label(labels, scores, CLASSES), scores.argmax(axis=1)
    assert found.photos == 60
    assert found.accuracy == pytest.approx(accuracy_score(truth, said))
    assert found.mean_recall == pytest.approx(recall_score(truth, said, average="macro"))
    np.testing.assert_allclose(list(found.recall.values()), recall_score(truth, said, average=None))
    np.testing.assert_allclose(list(found.precision.values()), precision_score(truth, said, average=None))
    matrix = [[found.confusion[a].get(b, 0) for b in CLASSES] for a in CLASSES]
    assert matrix == confusion_matrix(truth, said).tolist()


def test_photos_of_several_or_difficult_classes_take_no_part():
    labels = np.array([[1, -1, -1], [1, 1, -1], [-1, -1, -1], [1, 0, -1]], dtype=np.int8)
    found = single_label(labels, np.array([[0.0, 2.0, 1.0]] * 4), CLASSES)
    assert (found.photos, found.other_photos, found.accuracy) == (1, 3, 0.0)
    assert found.confusion == {"cat": {"dog": 1}, "dog": {}, "owl": {}}


def test_a_class_without_labels_can_be_the_highest():
    labels = np.array([[1, -1], [-1, 1]], dtype=np.int8)
    everything = np.array([[3.0, 0.0, 5.0], [0.0, 4.0, 1.0]])
    found = single_label(labels, everything[:, :2], CLASSES[:2], all_scores=everything, all_classes=CLASSES)
    assert found.accuracy == 0.5
    assert found.confusion["cat"] == {"owl": 1}


def test_nothing_to_decide():
    table = to_plain(single_label(np.zeros((0, 3), np.int8), np.zeros((0, 3)), CLASSES))
    assert table["photos"] == 0
    assert table["accuracy"] is None or np.isnan(table["accuracy"])
