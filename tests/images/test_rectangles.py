import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfungst.images import Box, Rectangle, Region, mask_of

edges = st.floats(-20, 40, width=32)


def box(left, top, right, bottom):
    return Box(class_name="cat", left=left, top=top, right=right, bottom=bottom, difficult=True)


@given(st.lists(st.tuples(edges, edges, edges, edges), max_size=4))
def test_mask_is_the_pixels_whose_centres_lie_in_a_box(corners):
    boxes = tuple(box(*edges) for edges in corners if edges[0] < edges[2] and edges[1] < edges[3])
    mask = mask_of(boxes, 13, 17)
    assert mask.shape == (13, 17)
    for row in range(13):
        for column in range(17):
            y, x = row + 0.5, column + 0.5
            inside = any(b.left <= x < b.right and b.top <= y < b.bottom for b in boxes)
            assert mask[row, column] == inside


def test_mask_of_a_whole_number_box_has_the_boxes_area():
    found = box(2, 4, 10, 5)
    assert mask_of((found,), 20, 30).sum() == found.area == 8
    assert not mask_of((), 3, 4).any()


@given(edges, edges, edges, edges)
def test_clipping_keeps_the_pixels(left, top, right, bottom):
    whole = box(left, top, right, bottom)
    clipped = whole.clipped(13, 17)
    if clipped is None:
        assert left >= min(right, 17) or top >= min(bottom, 13) or right <= 0 or bottom <= 0
        return
    assert 0 <= clipped.left < clipped.right <= 17
    assert 0 <= clipped.top < clipped.bottom <= 13
    np.testing.assert_array_equal(mask_of((clipped,), 13, 17), mask_of((whole,), 13, 17))
    assert (clipped.class_name, clipped.difficult) == ("cat", True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_edges_leave_nothing(bad):
    for place in range(4):
        corners = [1.0, 1.0, 5.0, 5.0]
        corners[place] = bad
        assert box(*corners).clipped(9, 9) is None


@given(*[st.integers(-9, 30)] * 2, *[st.integers(1, 20)] * 2)
def test_a_region_is_cut_out_by_its_edges(left, top, width, height):
    region = Region(left=left, top=top, right=left + width, bottom=top + height).clipped(13, 17)
    image = np.arange(13 * 17).reshape(13, 17)
    if region is not None:
        assert isinstance(region.left, int)
        np.testing.assert_array_equal(
            region.crop(image), image[region.top : region.bottom, region.left : region.right]
        )
        assert (
            region.crop(image).shape == region.shape == image[region.mask(13, 17)].reshape(region.shape).shape
        )
        region.crop(image)[...] = -1
        assert (image == -1).sum() == region.area, "a crop is a view"


corners = st.tuples(*[st.integers(0, 12)] * 4).filter(
    lambda edges: edges[0] < edges[2] and edges[1] < edges[3]
)


@given(corners, corners)
def test_intersection_over_union_counts_pixels(first, second):
    one, two = Rectangle.of(first), Rectangle.of(second)
    both, either = one.mask(12, 12) & two.mask(12, 12), one.mask(12, 12) | two.mask(12, 12)
    assert one.common(two) == both.sum()
    assert one.iou(two) == two.iou(one) == pytest.approx(both.sum() / either.sum())


def test_whole_pixels_around_a_rectangle():
    assert Rectangle.of((9.5, 4.2, 20.5, 15.9)).pixels(30, 40) == Region.of((9, 4, 21, 16))
    assert Rectangle.of((-3, 25, 50, 99)).pixels(30, 40) == Region.of((0, 25, 40, 30))


def test_scaled_and_widened_keep_the_rest():
    found = box(1, 2, 3, 4).scaled(2, 10).widened(1)
    assert found == Box(class_name="cat", left=1, top=19, right=7, bottom=41, difficult=True)
    assert found.edges == (1, 19, 7, 41)
