"""Copies of one mark brought onto one another, and told from marks that differ."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from pfungst.audits.artefacts.detectors.aligning import agreement, copies_of
from pfungst.audits.artefacts.detectors.patch_stamps import Spot, lifted
from pfungst.audits.artefacts.suspects import Carrier, Occurrence
from pfungst.images.rectangles import Region

HEIGHT, WIDTH = 14, 40


def pattern(seed=0):
    """A smooth pattern that can be drawn between pixels, −1 to 1."""
    rng = np.random.default_rng(seed)
    wave = gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), 1.5)
    return np.clip(wave / (1.5 * wave.std()), -1, 1)


def ground(rng, size=(90, 120)):
    base = gaussian_filter(rng.normal(size=size), 8)
    fine = gaussian_filter(rng.normal(size=size), 1)
    grey = rng.uniform(90, 160) + 20 * base / base.std() + 5 * fine / fine.std()
    return np.repeat(grey[..., None], 3, axis=2)


def photo(rng, *, shift=(0.0, 0.0), size=1.0, opacity=1.0, seed=0, corner=(60, 20)):
    """A ground with the mark, and the rectangle that a search would name."""
    pixels = ground(rng)
    rows = (np.arange(90) - corner[0] - shift[0] + 0.5) / size - 0.5
    columns = (np.arange(120) - corner[1] - shift[1] + 0.5) / size - 0.5
    places = np.meshgrid(rows, columns, indexing="ij")
    drawn = map_coordinates(pattern(seed), places, order=3, mode="nearest")
    inside = ((rows >= -0.5) & (rows < HEIGHT - 0.5))[:, None] & (columns >= -0.5) & (columns < WIDTH - 0.5)
    mark = 128 + 110 * drawn[..., None]
    pixels = np.where(inside[..., None], opacity * mark + (1 - opacity) * pixels, pixels)
    image = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    region = Region(top=corner[0], left=corner[1], bottom=corner[0] + HEIGHT, right=corner[1] + WIDTH)
    return image, region


@pytest.mark.parametrize("shift", [(0, 0), (2, -3), (0.5, 0.25), (-1.3, 2.6)])
@pytest.mark.parametrize("size", [1.0, 1.04])
def test_shift_and_size_are_found_to_a_part_of_a_pixel(shift, size):
    rng = np.random.default_rng(1)
    first, other = photo(rng), photo(rng, shift=shift, size=size)
    _, copy = copies_of(first, [other])
    assert copy.size == pytest.approx(size, abs=0.015)
    assert copy.shift == pytest.approx(shift, abs=0.3)
    assert copy.alike > 0.9
    inner = slice(2, -2), slice(2, -2)
    assert np.abs(copy.mark - first[1].crop(first[0]))[inner].mean() < 6
    assert copies_of(first, [])[0].shift == pytest.approx((0, 0), abs=0.1)


def test_a_region_of_another_shape_is_brought_to_the_references():
    rng = np.random.default_rng(2)
    first, (image, region) = photo(rng), photo(rng, shift=(1, 1))
    wider = Region(top=region.top - 1, left=region.left, bottom=region.bottom + 1, right=region.right + 1)
    _, copy = copies_of(first, [(image, wider)])
    assert copy.mark.shape == (HEIGHT, WIDTH, 3)
    assert copy.alike > 0.9


@pytest.mark.parametrize("opacity", [1.0, 0.5])
def test_copies_of_one_mark_agree_and_marks_of_their_own_do_not(opacity):
    rng = np.random.default_rng(3)
    same = [photo(rng, opacity=opacity) for _ in range(10)]
    assert agreement(copies_of(same[0], same[1:])).mean() > 0.95
    own = [photo(rng, opacity=opacity, seed=index) for index in range(10)]
    assert agreement(copies_of(own[0], own[1:])).mean() < 0.3
    assert agreement(copies_of(own[0], [])).all()


def carriers_of(photos):
    return [
        Carrier(
            Occurrence(image=f"p{i}", similarity=1.0, regions=(region,)), image, np.zeros((90, 120), bool)
        )
        for i, (image, region) in enumerate(photos)
    ]


def stamped(photos, target):
    carriers = carriers_of(photos)
    control = Region(top=10, left=60, bottom=10 + HEIGHT, right=60 + WIDTH)
    stamp = lifted(np.ones((HEIGHT, WIDTH), bool), [(carrier, control) for carrier in carriers], carriers)
    edits, control_edits = stamp.pasted(target, np.random.default_rng(0))
    return stamp, edits[0], control_edits


@pytest.mark.parametrize("opacity", [1.0, 0.5])
def test_what_is_pasted_is_the_mark_as_it_would_be_there(opacity):
    rng = np.random.default_rng(4)
    jitter = [(0, 0), *rng.uniform(-1, 1, (11, 2))]
    photos = [photo(rng, opacity=opacity, shift=shift) for shift in jitter]
    seed = 77
    bare, _ = photo(np.random.default_rng(seed), opacity=0.0)
    real, region = photo(np.random.default_rng(seed), opacity=opacity)
    stamp, edit, control = stamped(photos, bare)
    assert len(stamp.pieces) == 1
    assert (edit.top, edit.left) == (region.top, region.left)
    inner = slice(3, -3), slice(3, -3)
    below = region.crop(bare).astype(float)[inner]
    wanted = region.crop(real).astype(float)[inner] - below
    made = edit.pixels.astype(float)[inner] - below
    assert (made * wanted).sum() / np.square(wanted).sum() == pytest.approx(1, abs=0.2)
    assert np.corrcoef(made.ravel(), wanted.ravel())[0, 1] > 0.85
    assert len(control) == 1


def test_marks_that_differ_are_pasted_as_they_are_one_of_several():
    rng = np.random.default_rng(5)
    photos = [photo(rng, seed=index) for index in range(12)]
    bare, _ = photo(rng, opacity=0.0)
    stamp, edit, _ = stamped(photos, bare)
    assert len(stamp.pieces) == 6
    assert all((piece.alpha == 1).all() for piece in stamp.pieces)
    inner = slice(3, -3), slice(3, -3)
    own = [region.crop(image)[inner] for image, region in photos]
    assert min(np.abs(edit.pixels[inner].astype(int) - crop).max() for crop in own) <= 1
    drawn = {stamp.pasted(bare, np.random.default_rng(i))[0][0].pixels.tobytes() for i in range(30)}
    assert len(drawn) == 6


@pytest.mark.parametrize(("region", "size", "expected"), [
    (Region(top=80, left=5, bottom=90, right=25), (100, 200), (130, 5)),  # ten above the lower edge
    (Region(top=2, left=170, bottom=12, right=190), (100, 200), (2, 70)),
    (Region(top=45, left=90, bottom=55, right=110), (100, 200), (70, 40)),  # the middle stays the middle
])  # fmt: skip
def test_a_place_is_as_far_from_its_edges_as_the_carriers(region, size, expected):
    place = Spot(region=region, size=size).place(region.shape, (150, 100))
    assert (place.top, place.left) == expected
    assert place.shape == region.shape
