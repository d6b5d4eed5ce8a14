"""What chance reaches, held against every order there is and against scores that know nothing."""

from __future__ import annotations

from itertools import permutations
from math import comb

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pfungst.contract.ranking import average_precision
from pfungst.errors import ConfigError
from pfungst.evaluation.chance import chance_of_precision


@pytest.mark.parametrize(("positives", "negatives"), [(1, 3), (2, 2), (3, 4), (2, 0)])
def test_chance_is_that_of_every_order(positives, negatives):
    labels = [1] * positives + [-1] * negatives
    orders = {tuple(order) for order in permutations(labels)}
    falling = np.arange(len(labels), 0, -1.0)
    values = np.array([average_precision(np.array(order), falling) for order in orders])
    assert len(orders) == comb(len(labels), positives)
    for observed in sorted(set(values))[:: max(1, len(set(values)) // 3)]:
        found = chance_of_precision(observed, positives, negatives, orders=8000)
        assert found.level == pytest.approx(values.mean(), abs=0.015)
        assert found.probability == pytest.approx(np.mean(values >= observed - 1e-12), abs=0.03)
    assert found.least == pytest.approx(1 / len(orders))


def test_a_score_that_knows_nothing_is_called_so_and_one_that_does_is_not():
    rng = np.random.default_rng(3)
    labels = np.where(rng.random(200) < 0.2, 1, -1)
    counts = int((labels > 0).sum()), int((labels < 0).sum())
    by_chance = []
    for _ in range(60):
        scores = rng.normal(size=200)
        found = chance_of_precision(average_precision(labels, scores), *counts)
        by_chance.append(found.probability > 0.05)
        assert found.level == pytest.approx(counts[0] / 200, abs=0.05)
    assert np.mean(by_chance) == pytest.approx(0.95, abs=0.08)
    telling = rng.normal(size=200) + labels
    assert roc_auc_score(labels > 0, telling) > 0.8
    assert chance_of_precision(average_precision(labels, telling), *counts).probability < 0.01


def test_the_same_seed_gives_the_same_and_blocks_do_not_matter(monkeypatch):
    first = chance_of_precision(0.4, 5, 30)
    assert first == chance_of_precision(0.4, 5, 30)
    monkeypatch.setattr("pfungst.evaluation.chance._BLOCK", 50)
    assert chance_of_precision(0.4, 5, 30).level == pytest.approx(first.level, abs=0.02)


def test_no_photo_of_the_class_is_refused():
    with pytest.raises(ConfigError, match="0 photos with the class"):
        chance_of_precision(0.5, 0, 4)
