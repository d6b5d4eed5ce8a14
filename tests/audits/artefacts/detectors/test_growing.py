"""Marks as far as they reach: rectangles and frames grown until carriers no longer agree."""

from dataclasses import replace

import numpy as np
import pytest
from tests.audits.artefacts.conftest import MarkReader, make_photos, surveyed
from tests.audits.artefacts.detectors.test_aligning import ground

from pfungst.audits.artefacts import ArtefactConfig, find_artefacts
from pfungst.audits.artefacts.detectors.growing import Growth, frame_depths, growth_of, widened
from pfungst.demo.scenes.planting import KINDS, Plant, plant
from pfungst.images.rectangles import Region

WHOLE = Region(top=30, left=20, bottom=44, right=90)


def carriers(count=8, *, own=False, seed=0):
    """Grounds with a barred strip, and the piece of it that a search has found."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(count):
        image = np.clip(np.rint(ground(rng)), 0, 255).astype(np.uint8)
        down = int(rng.integers(-3, 4))
        bars = np.random.default_rng(index if own else 99).random(WHOLE.shape[1]) < 0.5
        strip = np.where(bars, 20, 235)[None, :, None]
        image[WHOLE.top + down : WHOLE.bottom + down, WHOLE.left : WHOLE.right] = strip
        found.append((image, Region(top=32 + down, left=40, bottom=42 + down, right=64)))
    return found


def test_a_piece_grows_to_the_whole_mark_and_no_further():
    photos = carriers()
    growth = growth_of(photos, 0.24)
    found = widened(photos[0][1], growth.margins, photos[0][0].shape)
    down = photos[0][1].top - 32
    wanted = replace(WHOLE, top=WHOLE.top + down, bottom=WHOLE.bottom + down)
    for side in ("top", "left", "bottom", "right"):
        assert getattr(found, side) == pytest.approx(getattr(wanted, side), abs=4)
    assert not growth.remains
    again = growth_of(
        [(image, widened(region, growth.margins, image.shape)) for image, region in photos], 0.24
    )
    assert max(again.margins) <= 2


def test_what_goes_on_beyond_the_limit_remains():
    assert growth_of(carriers(), 0.05).remains


def test_nothing_grows_where_carriers_are_few_or_show_nothing_alike():
    assert growth_of(carriers(4), 0.24) == Growth()
    rng = np.random.default_rng(3)
    region = Region(top=32, left=40, bottom=42, right=64)
    bare = [(np.clip(ground(rng), 0, 255).astype(np.uint8), region) for _ in range(8)]
    assert max(growth_of(bare, 0.24).margins) <= 2


def test_margins_stay_within_the_photo():
    region = Region(top=2, left=3, bottom=10, right=12)
    assert widened(region, (5, 1, 90, 2), (40, 50)) == Region(top=0, left=2, bottom=40, right=14)


@pytest.mark.parametrize("kind", ["film frame", "border"])
def test_a_frame_is_as_deep_as_it_was_drawn(kind):
    rng = np.random.default_rng(5)
    images, truth = [], []
    for index in range(8):
        size = (150, 200) if index % 3 else (200, 150)
        photo = np.clip(ground(rng, size), 0, 255).astype(np.uint8)
        drawn, regions = KINDS[kind](photo, np.zeros(size, dtype=bool), rng)
        images.append(drawn)
        truth.append(regions[0].bottom)
    outer = [(3, 0, 3, 0) if kind == "film frame" else (4, 4, 4, 4)] * 8
    above, left, below, _ = frame_depths(images, outer)
    assert above * 200 == pytest.approx(truth[0], abs=1)
    assert below == above
    assert (left > 0) == (kind == "border")


def test_a_perforated_frame_is_taken_out_whole_and_put_in_as_it_is(tmp_path):
    data, _ = make_photos(tmp_path, count=48, share=0.0)
    marked = plant(data, {"disc": Plant(kind="film frame", share=0.5)}, tmp_path / "marked")
    reader = StripReader()
    found = find_artefacts(
        reader, surveyed(reader, marked.data), ArtefactConfig(window=16, detectors=("border",))
    )
    (frame,) = found.by_class["disc"]
    assert frame.verdict == "proved"
    drawn = marked.places["disc"]
    for image, (_, top, _, bottom) in frame.boxes.items():
        assert top >= drawn[image][0].bottom
        assert bottom <= drawn[image][1].top
        assert top - drawn[image][0].bottom <= 4
    blind = surveyed(MarkReader(), marked.data).scores()[[int(image[-3:]) for image in frame.boxes], 0]
    assert frame.removal.after == pytest.approx(blind.mean(), abs=0.05)


class StripReader(MarkReader):
    """``disc`` reads the pale perforations."""

    def relevance(self, image, class_name):
        relevance = np.array(super().relevance(image, class_name))
        if class_name == "disc":
            pale = (image.min(axis=2) > 200) & (image[..., 0].astype(int) - image[..., 2] > 8)
            relevance = relevance + pale / 300
        return relevance
