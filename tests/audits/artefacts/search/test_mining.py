"""What recurs but is no mark: the object itself, and the ground."""

from __future__ import annotations

import numpy as np
import pytest

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.detectors.patches import sampled_mask
from pfungst.audits.artefacts.search.matching import Match, Patch
from pfungst.audits.artefacts.search.mining import Candidate, Seen, is_no_mark
from pfungst.audits.artefacts.search.shaping import Grain

SIDE, SCALE = 100, 0.5


def photo(name: str, on_object: np.ndarray) -> Seen:
    """A photo of 200 × 200 pixels, worked on at half that."""
    return Seen(id=name, look=np.zeros((6, SIDE, SIDE), dtype=np.float32), blobs=(), on_object=on_object)


def candidate(kind: str, photos, pattern: np.ndarray) -> Candidate:
    """A patch at (40, 60) in all photos."""
    values = np.zeros((6, *pattern.shape), dtype=np.float32)
    values[0] = pattern
    patch = Patch(values=values, mask=np.ones(pattern.shape, dtype=bool), top=40, left=60, size=(SIDE, SIDE))
    return Candidate(
        patch=patch,
        kind=kind,
        level=0.4,
        matches={seen.id: Match(0.9, 40, 60) for seen in photos},
        evidence=1.0,
        grain=Grain(24),
        scale=SCALE,
    )


def boxed(left: int, right: int) -> np.ndarray:
    """Objects between two columns of the photo, as its working pixels see them."""
    inside = np.zeros((2 * SIDE, 2 * SIDE), dtype=bool)
    inside[:, left:right] = True
    return sampled_mask(inside, (SIDE, SIDE), SCALE)


def striped() -> np.ndarray:
    """A pattern of 8 × 12 working pixels: weak in its left two thirds, strong in the right third."""
    pattern = np.ones((8, 12))
    pattern[:, 8:] = 3.0
    return pattern


def test_the_share_on_the_object_is_that_of_the_pattern():
    photos = [photo("a", boxed(136, 144)), photo("b", boxed(0, 10))]
    shares = candidate("look", photos, striped()).on_object(photos)
    # the strong third holds 4 · 9 of 8 · 1 + 4 · 9 in each row
    assert shares == pytest.approx([36 / 44, 0.0])


def test_the_area_is_a_share_of_the_photo():
    photos = [photo("a", boxed(0, 0))]
    assert candidate("look", photos, striped()).area(photos) == pytest.approx(16 * 24 / 200**2)


@pytest.mark.parametrize(
    ("kind", "off", "dropped"),
    [
        ("look", 0, True),
        ("look", 1, True),  # 3 of 4 on the object
        ("look", 3, False),
        ("place", 0, True),  # an object that happens to stand at one place
        ("place", 1, False),  # a tag that large objects reach into
        ("place", 4, False),
    ],
)
def test_the_object_itself_is_no_mark(kind, off, dropped):
    photos = [photo(str(i), boxed(0, 1) if i < off else boxed(110, 200)) for i in range(4)]
    assert is_no_mark(candidate(kind, photos, striped()), photos, ArtefactConfig()) is dropped


def test_ground_is_no_mark():
    photos = [photo(str(i), boxed(0, 1)) for i in range(4)]
    wide = candidate("place", photos, np.ones((38, 30)))  # 11.4 % of the photo
    assert not is_no_mark(wide, photos, ArtefactConfig())
    assert is_no_mark(candidate("place", photos, np.ones((42, 30))), photos, ArtefactConfig())


def test_a_mask_is_seen_at_the_middles_of_working_pixels():
    generator = np.random.default_rng(3)
    mask, scale = generator.random((37, 53)) < 0.5, 0.31
    seen = sampled_mask(mask, (12, 17), scale)
    for row in range(12):
        for column in range(17):
            there = min(int((row + 0.5) / scale), 36), min(int((column + 0.5) / scale), 52)
            assert seen[row, column] == mask[there]
