import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfungst.images import Box, box_mask, clip_box

edges = st.floats(-20, 40, width=32)


def box(left, top, right, bottom):
    return Box(class_name="cat", left=left, top=top, right=right, bottom=bottom, difficult=True)


@given(st.lists(st.tuples(edges, edges, edges, edges), max_size=4))
def test_mask_is_the_pixels_whose_centres_lie_in_a_box(corners):
    boxes = tuple(box(*edges) for edges in corners if edges[0] < edges[2] and edges[1] < edges[3])
    mask = box_mask(boxes, 13, 17)
    assert mask.shape == (13, 17)
    for row in range(13):
        for column in range(17):
            y, x = row + 0.5, column + 0.5
            inside = any(b.left <= x < b.right and b.top <= y < b.bottom for b in boxes)
            assert mask[row, column] == inside


def test_mask_of_a_whole_number_box_has_the_boxes_area():
    found = box(2, 4, 10, 5)
    assert box_mask((found,), 20, 30).sum() == found.area == 8
    assert not box_mask((), 3, 4).any()


@given(edges, edges, edges, edges)
def test_clipping_keeps_the_pixels(left, top, right, bottom):
    whole = box(left, top, right, bottom)
    clipped = clip_box(whole, 13, 17)
    if clipped is None:
        assert left >= min(right, 17) or top >= min(bottom, 13) or right <= 0 or bottom <= 0
        return
    assert 0 <= clipped.left < clipped.right <= 17
    assert 0 <= clipped.top < clipped.bottom <= 13
    np.testing.assert_array_equal(box_mask((clipped,), 13, 17), box_mask((whole,), 13, 17))
    assert (clipped.class_name, clipped.difficult) == ("cat", True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_edges_leave_nothing(bad):
    for place in range(4):
        corners = [1.0, 1.0, 5.0, 5.0]
        corners[place] = bad
        assert clip_box(box(*corners), 9, 9) is None
