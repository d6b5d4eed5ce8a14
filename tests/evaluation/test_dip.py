import diptest
import numpy as np
import pytest
from scipy.optimize import linprog

from pfungst.evaluation.dip import dip, dip_p_value


def dip_by_linear_program(values):
    """The definition itself: for every mode the closest function that is convex before and concave after it.

    Unknowns: G at the places up to the mode (its limit from the left there), at the mode and after it, and
    the distance. Between two neighbours F is level and G does not fall, so that its ends bound the distance.
    """
    places, counts = np.unique(values, return_counts=True)
    n = len(places)
    top = np.cumsum(counts) / counts.sum()
    foot = top - counts / counts.sum()
    return min(_distance(places, foot, top, mode) for mode in range(n))


def _distance(x, foot, top, mode):
    n = len(x)
    rows, limits = [], []

    def require(terms, limit):
        row = np.zeros(n + 2)
        for place, factor in terms:
            row[place] += factor
        rows.append(row)
        limits.append(limit)

    d = n + 1
    for i in range(n):
        if i <= mode:
            require([(i, 1), (d, -1)], foot[i])
        if i < mode:
            require([(i, -1), (d, -1)], -top[i])
        if i >= mode:
            require([(i + 1, -1), (d, -1)], -top[i])
        if i > mode:
            require([(i + 1, 1), (d, -1)], foot[i])
    for i in range(n):
        require([(i, 1), (i + 1, -1)], 0)
    for i in range(1, n - 1):
        left, right = 1 / (x[i] - x[i - 1]), 1 / (x[i + 1] - x[i])
        if i < mode:
            require([(i, left + right), (i - 1, -left), (i + 1, -right)], 0)
        if i > mode:
            require([(i + 1, -left - right), (i, left), (i + 2, right)], 0)
    goal = np.zeros(n + 2)
    goal[d] = 1
    solved = linprog(goal, A_ub=rows, b_ub=limits, bounds=[(None, None)] * (n + 1) + [(0, 1)])
    return solved.fun


def samples(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate(
        [
            rng.normal(size=rng.integers(1, 60)),
            rng.normal(rng.uniform(0, 6), rng.uniform(0.1, 2), rng.integers(1, 40)),
        ]
    )
    return np.round(values, 1) if seed % 3 == 0 else values  # some with ties


@pytest.mark.parametrize("seed", range(12))
def test_the_dip_is_what_its_definition_says(seed):
    values = samples(seed)[:24]
    assert dip(values) == pytest.approx(dip_by_linear_program(values), abs=1e-9)


def test_the_dip_is_that_of_another_library():
    for seed in range(200):
        values = samples(seed)
        if len(values) >= 4:
            assert dip(values) == pytest.approx(diptest.dipstat(values), abs=1e-12), seed


@pytest.mark.parametrize(("values", "expected"), [
    ([3.0], 0), ([2.0] * 9, 0), ([1.0, 1, 2, 2], 1 / 4), (range(10), 1 / 20),
    ([0.0, 0, 0, 1, 1, 1, 1, 9], 3 / 16),
])  # fmt: skip
def test_dips_that_can_be_told_by_hand(values, expected):
    assert dip(np.array(values, dtype=float)) == pytest.approx(expected)


def test_p_values_are_those_of_another_library():
    rng = np.random.default_rng(4)
    for size in (8, 14, 30, 75, 200, 350):
        for _ in range(10):
            values = np.concatenate([rng.random(size // 2), rng.uniform(0.2, 1.6) + rng.random(size // 2)])
            expected = diptest.diptest(values)[1]
            assert dip_p_value(values) == pytest.approx(expected, abs=0.03)


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
    for size in (10, 40, 100, 300):
        values = np.array([dip_p_value(rng.random(size)) for _ in range(400)])
        for level in (0.5, 0.25, 0.05):
            assert np.mean(values <= level) == pytest.approx(
                level, abs=3 * np.sqrt(level * (1 - level) / 400)
            )
