import numpy as np
import pytest

from pfungst.audits.editing import edited, removal_edits
from pfungst.contract.look import Edit
from pfungst.errors import ConfigError
from pfungst.images import Box


def test_a_removed_place_shows_its_surroundings():
    image = np.full((30, 40, 3), (200, 100, 50), dtype=np.uint8)
    image[5:15, 10:20] = 0
    region = Box(class_name="x", left=9.5, top=4.2, right=20.5, bottom=15.9).pixels(30, 40)
    assert (region.top, region.left, region.bottom, region.right) == (4, 9, 16, 21)
    edited = image.copy()
    for edit in removal_edits(image, [region]):
        edit.apply(edited)
    assert (edited == (200, 100, 50)).all()
    clipped = Box(class_name="x", left=-3, top=25, right=50, bottom=99).pixels(30, 40)
    assert (clipped.top, clipped.left, clipped.bottom, clipped.right) == (25, 0, 30, 40)


def test_overlapping_places_are_filled_one_after_the_other():
    image = np.full((20, 20, 3), 90, dtype=np.uint8)
    image[4:10, 4:14] = 255
    boxes = [
        Box(class_name="x", left=4, top=4, right=10, bottom=10),
        Box(class_name="x", left=8, top=4, right=14, bottom=10),
    ]
    edited = image.copy()
    for edit in removal_edits(image, [box.pixels(20, 20) for box in boxes]):
        edit.apply(edited)
    assert edited[7, 12, 0] < 130


def test_edits_are_applied_to_a_copy_in_order():
    image = np.zeros((6, 8, 3), dtype=np.uint8)
    first = Edit(top=0, left=0, pixels=np.full((4, 4, 3), 10, dtype=np.uint8))
    second = Edit(top=2, left=2, pixels=np.full((4, 4, 3), 20, dtype=np.uint8))
    found = edited(image, [first, second])
    assert (found[0, 0, 0], found[3, 3, 0], found[5, 0, 0]) == (10, 20, 0)
    assert not image.any()


def test_sources_have_the_shapes_of_the_places():
    image = np.zeros((20, 20, 3), dtype=np.uint8)
    place, other = (
        Box(class_name="x", left=0, top=0, right=side, bottom=5).pixels(20, 20) for side in (5, 6)
    )
    with pytest.raises(ConfigError, match="sources of other shapes"):
        removal_edits(image, [place], [other])
