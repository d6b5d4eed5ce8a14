import numpy as np
import pytest

from pfungst.errors import ConfigError
from pfungst.evaluation.orders import generator_for, perturbation_order

RELEVANCE = np.array([0.3, -2.0, 5.0, 0.0, 1.0])


def test_orders():
    rng = np.random.default_rng(0)
    assert perturbation_order(RELEVANCE, "morf", rng).tolist() == [2, 4, 0, 3, 1]
    assert perturbation_order(RELEVANCE, "lerf", rng).tolist() == [1, 3, 0, 4, 2]
    assert sorted(perturbation_order(RELEVANCE, "random", rng)) == [0, 1, 2, 3, 4]


def test_ties_are_broken_at_random():
    firsts = {int(perturbation_order(np.zeros(50), "morf", np.random.default_rng(s))[0]) for s in range(40)}
    assert len(firsts) > 15


def test_streams_depend_on_every_part_and_on_nothing_else():
    first = generator_for(0, "image", "cat", 1, "draws").random(3)
    assert (generator_for(0, "image", "cat", 1, "draws").random(3) == first).all()
    others = [
        (0, "other", "cat", 1, "draws"),
        (0, "image", "dog", 1, "draws"),
        (1, "image", "cat", 1, "draws"),
        (0, "image", "cat", 2, "draws"),
        (0, "image", "cat", 1, "order"),
        (0, "imagecat", "", 1, "draws"),
    ]
    for parts in others:
        assert (generator_for(*parts).random(3) != first).all()


def test_unknown_order():
    with pytest.raises(ConfigError, match=r"unknown order 'best'.*morf, lerf, random"):
        perturbation_order(RELEVANCE, "best", np.random.default_rng(0))
