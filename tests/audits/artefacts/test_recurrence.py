from math import comb

import pytest
from scipy.stats import fisher_exact

from pfungst.audits.artefacts.recurrence import chance_of_recurrence, recurs


def slow_chance(k, n, m, others):
    """All ways to deal the carriers out to the photos, those with k or more in the class."""
    carriers, photos = k + m, n + others
    ways = sum(comb(n, i) * comb(others, carriers - i) for i in range(k, min(n, carriers) + 1))
    return ways / comb(photos, carriers)


@pytest.mark.parametrize(
    "counts", [(4, 12, 0, 40), (9, 30, 3, 90), (2, 2, 0, 3), (30, 30, 90, 90), (5, 6, 4, 7)]
)
def test_the_chance_is_that_of_an_exact_test(counts):
    k, n, m, others = counts
    found = chance_of_recurrence(k, n, m, others)
    assert found == pytest.approx(slow_chance(k, n, m, others))
    assert found == pytest.approx(fisher_exact([[k, n - k], [m, others - m]], alternative="greater").pvalue)
    assert chance_of_recurrence(k, n, m, others, 3) == pytest.approx(min(1, 3 * found))


def test_three_photos_and_the_best_of_many_are_no_recurrence():
    assert chance_of_recurrence(0, 10, 0, 10) == 1.0
    assert not recurs(3, 0.0)
    assert recurs(4, 0.01)
    few = chance_of_recurrence(4, 30, 0, 60, tried=256)
    assert few > 0.5
    assert not recurs(4, few)
    assert recurs(12, chance_of_recurrence(12, 30, 0, 60, tried=256))
