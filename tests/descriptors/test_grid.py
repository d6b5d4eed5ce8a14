"""Descriptors that see a change, taken again, are those of the whole changed photo; of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from pfungst.descriptors import ColourConfig, SiftConfig

HEIGHT, WIDTH = 203, 217
KINDS = [
    SiftConfig(step=3, bin_sizes=(4, 7), contrast_threshold=0.02),
    SiftConfig(step=5, bin_sizes=(3, 10), magnification=2.0),
    ColourConfig(step=3, bin_sizes=(3, 8)),
]
AREAS = [(0, 0, 9, 7), (194, 210, 203, 217), (60, 80, 61, 81), (90, 0, 110, 217), (0, 0, HEIGHT, WIDTH)]


def photo(seed=0, height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture[30:100, 20:120] = 128  # a flat place: no SIFT until an edit adds contrast
    return picture


def changed(area, seed=1):
    top, left, bottom, right = area
    after = photo()
    after[top:bottom, left:right] = np.random.default_rng(seed).integers(
        0, 256, (bottom - top, right - left, 3)
    )
    return after


def by_place(found, n_places):
    values = np.full((n_places, found.values.shape[1]), np.nan, np.float32)
    values[found.places] = found.values
    return values


@pytest.mark.parametrize("kind", KINDS, ids=repr)
@pytest.mark.parametrize("area", AREAS, ids=str)
def test_what_is_taken_again_is_what_the_whole_photo_has(kind, area):
    places = kind.places((HEIGHT, WIDTH))
    after = changed(area)
    table = by_place(kind.describe(photo()), places.n_places)
    taken = places.take(after, area)
    assert len(taken.places) == len(np.unique(taken.places)) == places.count(area)
    table[taken.places] = np.nan
    table[taken.places[taken.kept]] = taken.values
    expected = by_place(kind.describe(after), places.n_places)
    np.testing.assert_array_equal(np.isnan(table[:, 0]), np.isnan(expected[:, 0]))
    np.testing.assert_allclose(table, expected, atol=2e-6)
    seen = np.zeros(places.n_places, bool)
    seen[taken.places] = True
    np.testing.assert_array_equal(table[~seen], expected[~seen])  # bit for bit: none was missed


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_hardly_more_is_taken_than_sees_the_change(kind):
    places = kind.places((HEIGHT, WIDTH))
    area = (60, 80, 69, 89)
    before = by_place(kind.describe(photo()), places.n_places)
    after = by_place(kind.describe(changed(area)), places.n_places)
    moved = np.flatnonzero(~((before == after) | (np.isnan(before) & np.isnan(after))).all(axis=1))
    assert 0 < len(moved) <= places.count(area) < 0.4 * places.n_places
    assert set(moved) <= set(places.take(changed(area), area).places)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_an_area_that_nothing_sees(kind):
    places = kind.places((HEIGHT, WIDTH))
    taken = places.take(photo(), (7, 9, 7, 20))
    assert taken.values.shape == (0, kind.size)
    assert len(taken.places) == len(taken.kept) == 0


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_places_are_ascending_and_know_their_areas(kind):
    found = kind.describe(photo())
    assert (np.diff(found.places) > 0).all()
    whole = kind.places((HEIGHT, WIDTH)).take(photo(), (0, 0, HEIGHT, WIDTH))
    np.testing.assert_array_equal(np.sort(whole.places), np.arange(kind.places((HEIGHT, WIDTH)).n_places))
    left, top, right, bottom = found.areas.T
    assert (left < right).all()
    assert (top < bottom).all()
    assert (right <= WIDTH).all()
    assert (bottom <= HEIGHT).all()


def test_photos_that_are_reduced_first_have_no_places():
    kind = SiftConfig(max_height=100)
    assert kind.places((101, 500)) is None
    assert kind.places((100, 500)).n_places > 0
