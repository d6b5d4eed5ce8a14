import numpy as np
import pytest

from pfungst.audits.survey.surroundings import (
    ContextConfig,
    control_regions,
    find_places,
    measured_surroundings,
    own_scores,
    planned_edits,
)
from pfungst.errors import ConfigError
from pfungst.images import Box
from pfungst.images.rectangles import Region


def box(left, top, right, bottom, name="cat", **options):
    return Box(class_name=name, left=left, top=top, right=right, bottom=bottom, **options)


def test_sums_on_and_off_the_object_and_in_the_control_region():
    relevance = np.random.default_rng(0).normal(size=(23, 31))
    boxes = (box(2.6, 3, 9, 11.4), box(6, 8, 14, 15, difficult=True))
    places = find_places(boxes, 23, 31, ContextConfig(), image_id="p")
    after = {("cat", "object"): np.array([7.0, 1.5]), ("dog", "control"): np.array([9.0, 9.0])}
    found = measured_surroundings(relevance, boxes, places, own_scores("cat", 1, after))
    sums = {"inside": [0, 0.0, 0.0], "outside": [0, 0.0, 0.0], "control": [0, 0.0, 0.0]}
    for row in range(23):
        for column in range(31):
            x, y, value = column + 0.5, row + 0.5, relevance[row, column]
            inside = any(b.left <= x < b.right and b.top <= y < b.bottom for b in boxes)
            control = not inside and any(
                r.left <= column < r.right and r.top <= row < r.bottom for r in places.control
            )
            for name in ["inside" if inside else "outside", *(["control"] if control else [])]:
                sums[name][0] += 1
                sums[name][1] += max(value, 0.0)
                sums[name][2] += value
    for name, (pixels, positive, signed) in sums.items():
        part = getattr(found, name)
        assert part.pixels == pixels
        assert (part.positive, part.signed) == pytest.approx((positive, signed))
    assert found.without_object == 1.5
    assert np.isnan(found.without_control)
    outside, inside = sums["outside"], sums["inside"]
    assert found.ratio == pytest.approx(outside[1] / outside[0] / (inside[1] / inside[0]))


def slow_overlap(taken, top, left, height, width):
    return sum(bool(taken[i, j]) for i in range(top, top + height) for j in range(left, left + width))


def test_the_control_region_has_the_smallest_overlap_there_is():
    inside = np.zeros((20, 24), dtype=bool)
    inside[:, 7:14] = True
    inside[0:3, :] = True
    region = Region(top=3, left=7, bottom=13, right=17)
    (control,) = control_regions([region], inside, np.random.default_rng(1))
    assert control.shape == region.shape
    found = slow_overlap(inside, control.top, control.left, *control.shape)
    best = min(slow_overlap(inside, i, j, 10, 10) for i in range(11) for j in range(15))
    assert found == best == 0
    two = control_regions([region, region], inside[:, ::-1], np.random.default_rng(1))
    assert two == ()  # there is room for one only
    assert (
        control_regions([Region(top=0, left=0, bottom=20, right=24)], inside, np.random.default_rng(0)) == ()
    )


def test_the_control_region_depends_on_photo_and_seed_alone():
    boxes = (box(4, 4, 20, 16),)

    def control(image_id, seed=0):
        config = ContextConfig(random_state=seed)
        return find_places(boxes, 200, 300, config, image_id=image_id).control

    assert control("a") == control("a")
    assert len({control("a"), control("b"), control("a", 1)}) == 3


def test_a_rim_goes_with_the_object():
    places = find_places((box(10, 10, 30, 30),), 60, 80, ContextConfig(margin=0.1))
    assert places.object == (Region(top=8, left=8, bottom=32, right=32),)
    assert places.control[0].shape == (24, 24)
    assert places.inside.sum() == 400
    clipped = find_places((box(0, 0, 30, 30),), 60, 80, ContextConfig(margin=0.5))
    assert clipped.object == (Region(top=0, left=0, bottom=45, right=45),)
    with pytest.raises(ConfigError, match=r"margin = 1\.5"):
        ContextConfig(margin=1.5)


def test_what_cannot_be_filled_in_is_not():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    whole = find_places((box(-5, -5, 90, 90),), 30, 40, ContextConfig())
    assert planned_edits(image, {"cat": whole}) == {}
    assert find_places((box(50, 50, 60, 60),), 30, 40, ContextConfig()) is None
    most = find_places((box(0, 0, 35, 30),), 30, 40, ContextConfig())
    assert list(planned_edits(image, {"cat": most})) == [("cat", "object")]
