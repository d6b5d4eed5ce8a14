import math

import numpy as np
import pytest

from pfungst.errors import ConfigError
from pfungst.evaluation.localisation import localise
from pfungst.images.rectangles import Box


def box(left, top, right, bottom):
    return Box(class_name="cat", left=left, top=top, right=right, bottom=bottom)


BOX = (box(2, 1, 5, 4),)  # 9 pixels of 80


def heat(**points):
    array = np.zeros((8, 10))
    for place, value in points.items():
        row, column = map(int, place[1:].split("_"))
        array[row, column] = value
    return array


def test_mass_counts_positive_relevance_only():
    found = localise(heat(p1_2=3.0, p7_9=1.0, p2_3=-50.0), BOX)
    assert found.mass == pytest.approx(0.75)
    assert found.area == pytest.approx(9 / 80)


def test_pointing_game_and_its_tolerance():
    beside = heat(p1_7=1.0)  # its centre is 2.5 pixels right of the box
    assert localise(beside, BOX, tolerance=2.4).pointing == 0.0
    assert localise(beside, BOX, tolerance=2.5).pointing == 1.0
    corner = heat(p6_6=1.0)  # (1.5, 2.5) off the corner
    assert localise(corner, BOX, tolerance=np.hypot(1.5, 2.5) - 0.01).pointing == 0.0
    assert localise(corner, BOX, tolerance=np.hypot(1.5, 2.5) + 0.01).pointing == 1.0


def test_several_maxima_count_by_their_share():
    assert localise(heat(p1_2=1.0, p7_9=1.0, p7_0=1.0, p0_9=1.0), BOX, tolerance=0).pointing == 0.25


def test_rank_accuracy_takes_as_many_pixels_as_the_box_has():
    rng = np.random.default_rng(0)
    relevance = rng.normal(size=(8, 10))
    inside = np.zeros((8, 10), bool)
    inside[1:4, 2:5] = True
    top = np.argsort(-relevance.ravel())[:9]
    expected = np.mean([inside.ravel()[i] and relevance.ravel()[i] > 0 for i in top])
    assert localise(relevance, BOX).rank == pytest.approx(expected)
    perfect = np.where(inside, 1.0, 0.5)
    assert localise(perfect, BOX).rank == 1.0


def test_rank_ties_count_by_their_share_inside():
    flat = np.ones((8, 10))
    assert localise(flat, BOX).rank == pytest.approx(9 / 80)  # a flat map is at chance
    assert localise(flat, BOX).mass == pytest.approx(9 / 80)
    assert localise(flat, BOX, tolerance=0).pointing == pytest.approx(9 / 80)


def test_zero_pixels_in_the_box_are_not_found():
    assert localise(heat(p1_2=1.0), BOX).rank == pytest.approx(1 / 9)


def test_random_maps_reach_the_stated_chance():
    rng = np.random.default_rng(1)
    boxes = (box(1, 1, 5, 4), box(3, 2, 8, 6))
    found = [localise(rng.random((8, 10)), boxes, tolerance=1.0) for _ in range(1500)]
    assert np.mean([item.mass for item in found]) == pytest.approx(found[0].area, abs=0.01)
    assert np.mean([item.rank for item in found]) == pytest.approx(found[0].area, abs=0.01)
    assert np.mean([item.pointing for item in found]) == pytest.approx(found[0].near_area, abs=0.04)


def test_a_map_without_positive_relevance_found_nothing():
    for relevance in (np.zeros((8, 10)), -np.ones((8, 10))):
        found = localise(relevance, BOX)
        assert found.zero_map
        assert (found.pointing, found.mass, found.rank) == (0.0, 0.0, 0.0)


def test_an_empty_box_is_not_scored():
    for boxes in ((), (box(2.6, 1.6, 2.9, 1.9),)):
        found = localise(np.ones((8, 10)), boxes)
        assert found.empty_box
        assert math.isnan(found.pointing)
        assert np.isnan([found.pointing, found.mass, found.rank]).all()


def test_a_negative_tolerance_is_refused():
    with pytest.raises(ConfigError, match="tolerance = -1"):
        localise(np.ones((8, 10)), BOX, tolerance=-1)
