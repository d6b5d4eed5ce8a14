import numpy as np
import pytest

from pfungst.audits.artefacts.search import matching
from pfungst.audits.artefacts.search.matching import (
    NO_MATCH,
    Patch,
    best_anywhere,
    best_near,
    cut,
    similarities,
)


def slow_similarity(patch, photo, top, left):
    """s of one place, written out."""
    height, width = patch.mask.shape
    products = own = there = 0.0
    for row in range(height):
        for column in range(width):
            if not patch.mask[row, column]:
                continue
            for channel in range(photo.shape[0]):
                a = float(patch.values[channel, row, column])
                b = float(photo[channel, top + row, left + column])
                products, own, there = products + a * b, own + a * a, there + b * b
    return products / (np.sqrt(own) * max(np.sqrt(there), np.sqrt(own) / 2))


@pytest.fixture
def photo():
    return np.random.default_rng(0).normal(size=(6, 37, 51)).astype(np.float32)


def masked_patch(rng, shape=(5, 8)):
    mask = rng.random(shape) < 0.7
    values = (rng.normal(size=(6, *shape)) * mask).astype(np.float32)
    return Patch(values=values, mask=mask, top=3, left=4, size=(37, 51))


def test_every_place_is_as_the_formula_says(photo):
    rng = np.random.default_rng(1)
    photo[:, :10, :10] *= 0.01  # hardly any pattern there
    patch = masked_patch(rng)
    similar = similarities(patch, photo)
    assert similar.shape == (33, 44)
    for top, left in ((0, 0), (2, 3), (32, 43), (17, 20), (32, 0)):
        assert similar[top, left] == pytest.approx(slow_similarity(patch, photo, top, left), abs=1e-5)


def test_a_patch_finds_itself_and_photos_may_differ_in_size(photo):
    patch = cut(photo, 11, 23, 9, 7)
    other = np.random.default_rng(2).normal(size=(6, 64, 33)).astype(np.float32)
    other[:, 40:49, 20:27] = 3 * patch.values
    found = [best_anywhere(patch, image) for image in (photo, other, photo)]
    assert [(match.top, match.left) for match in found] == [(11, 23), (40, 20), (11, 23)]
    assert found[0].similarity == pytest.approx(1, abs=1e-5)
    assert found[1].similarity == pytest.approx(1, abs=1e-5)


def test_a_patch_larger_than_the_photo_matches_nowhere(photo):
    patch = cut(photo, 0, 0, 30, 40)
    small = photo[:, :20, :20]
    assert best_anywhere(patch, small) == NO_MATCH
    assert best_near(patch, [small], [[(0, 0)]], 4) == [NO_MATCH]


def test_near_a_place_is_the_same_as_a_part_of_the_whole(photo):
    patch = masked_patch(np.random.default_rng(3))
    whole = similarities(patch, photo)
    found = best_near(patch, [photo, photo], [[(12, 9)], [(0, 0), (30, 40)]], 3)
    part = whole[9:16, 6:13]
    assert found[0].similarity == pytest.approx(float(part.max()), abs=1e-5)
    top, left = np.unravel_index(part.argmax(), part.shape)
    assert (found[0].top, found[0].left) == (top + 9, left + 6)
    assert found[1].similarity >= max(float(whole[:4, :4].max()), float(whole[27:33, 37:44].max())) - 1e-5


def test_batches_of_photos_change_nothing(photo, monkeypatch):
    patch = masked_patch(np.random.default_rng(3))
    others = [photo, photo[:, ::-1], photo[:, :, ::-1], photo[:, 3:], photo[:, :, 5:]]
    places = [[(12, 9)], [(0, 0), (30, 40)], [(2, 2)], [(20, 30)], [(5, 5), (9, 1)]]
    whole = best_near(patch, others, places, 3)
    monkeypatch.setattr(matching, "_BATCH_PIXELS", 2 * 11 * 14)  # two photos
    assert best_near(patch, others, places, 3) == whole
    assert len({match.similarity for match in whole}) == 5


def test_places_keep_their_distance_from_corners_sides_and_middle():
    patch = Patch(
        values=np.ones((6, 10, 20), np.float32), mask=np.ones((10, 20), bool), top=80, left=5, size=(100, 200)
    )
    places = patch.places((150, 260))
    assert places[0] == (130, 5)  # lower left corner
    assert set(places) == {(130, 5), (130, 35), (105, 5), (105, 35)}
    assert patch.places((100, 200)) == [(80, 5)]
