"""Geometry of views and the way back of relevance, against loops over pixels."""

import math

import numpy as np
import pytest
from PIL import Image

from pfungst.errors import ConfigError
from pfungst.network.preprocess import Preprocess
from pfungst.network.views import (
    Placement,
    center_view,
    resize_matrix,
    sliding_views,
    training_views,
    window_starts,
)


def twin_weights(n_in: int, n_out: int, i: int) -> dict[int, float]:
    """Shares of the input pixels in output pixel ``i``, by the definition."""
    step = n_in / n_out
    centre, support = (i + 0.5) * step, max(step, 1.0)
    raw = {j: 1 - abs(j + 0.5 - centre) / support for j in range(n_in)}
    raw = {j: weight for j, weight in raw.items() if weight > 0}
    return {j: weight / sum(raw.values()) for j, weight in raw.items()}


def twin_resized(height: int, width: int, rule: str, length: int) -> tuple[int, int]:
    if rule == "warp":
        return length, length
    side = max(height, width) if rule == "longest+pad" else min(height, width)
    return tuple(max(1, math.floor(size * length / side + 0.5)) for size in (height, width))


def twin_back(relevance, photo, rule, length):
    """Every view pixel hands its relevance to the photo's pixels that it was mixed of."""
    resized = twin_resized(*photo, rule, length)
    canvas = (length, length) if rule == "longest+pad" else resized
    out = np.zeros(photo)
    for i, j in np.ndindex(relevance.shape):
        place = []
        for axis, index in enumerate((i, j)):
            on_canvas = index + (canvas[axis] - relevance.shape[axis]) // 2
            inside = on_canvas - (canvas[axis] - resized[axis]) // 2
            within = 0 <= inside < resized[axis]  # else padding, which belongs to no pixel of the photo
            place.append(twin_weights(photo[axis], resized[axis], inside) if within else {})
        for y, weight_y in place[0].items():
            for x, weight_x in place[1].items():
                out[y, x] += weight_y * weight_x * relevance[i, j]
    return out


CASES = [
    ((30, 45), "longest+pad", 24, (17, 20)),
    ((45, 30), "longest+pad", 24, (17, 20)),
    ((7, 5), "longest+pad", 24, (20, 20)),
    ((33, 47), "shortest", 24, (19, 21)),
    ((47, 9), "shortest", 12, (11, 12)),
    ((31, 50), "warp", 24, (21, 18)),
    ((1, 40), "longest+pad", 16, (15, 15)),
]


@pytest.mark.parametrize(("photo", "rule", "length", "size"), CASES)
def test_relevance_goes_back_as_the_loop_says(rng, photo, rule, length, size):
    image = rng.integers(0, 256, (*photo, 3), dtype=np.uint8)
    preprocess = Preprocess(input_size=size, resize=rule, resize_length=length)
    crop, placement, offset = center_view(image, preprocess)
    assert crop.shape == (*size, 3)
    relevance = rng.normal(size=size)
    back = placement.relevance_to_photo(relevance, offset)
    assert back.shape == photo
    np.testing.assert_allclose(back, twin_back(relevance, photo, rule, length), atol=1e-12)
    top, left = (before - start for before, start in zip(placement.padding, offset, strict=True))
    (height, width), (rows, columns) = placement.resized, size
    within = relevance[
        max(top, 0) : min(max(top + height, 0), rows), max(left, 0) : min(max(left + width, 0), columns)
    ]
    assert back.sum() == pytest.approx(within.sum(), abs=1e-9)


@pytest.mark.parametrize(("photo", "rule", "length", "size"), CASES)
def test_the_same_shares_draw_the_view(rng, photo, rule, length, size):
    """<back(R), photo> = <R, view(photo)> up to rounding of grey values: the map is the view's adjoint."""
    image = rng.integers(0, 256, (*photo, 3), dtype=np.uint8)
    crop, placement, offset = center_view(
        image, Preprocess(input_size=size, resize=rule, resize_length=length)
    )
    for i, j in [(0, 0), (size[0] - 1, 2), (size[0] // 2, size[1] - 1)]:
        one = np.zeros(size)
        one[i, j] = 1.0
        shares = placement.relevance_to_photo(one, offset)
        grey = np.einsum("yx,yxc->c", shares, image)
        on_photo = all(
            0 <= index + start - before < length
            for index, start, before, length in zip(
                (i, j), offset, placement.padding, placement.resized, strict=True
            )
        )
        np.testing.assert_allclose(shares.sum(), float(on_photo), atol=1e-12)
        np.testing.assert_allclose(grey, crop[i, j] * float(on_photo), atol=1.01)


@pytest.mark.parametrize(("n_in", "n_out"), [(50, 20), (20, 50), (13, 13), (1, 4), (4, 1)])
def test_resize_matrix_is_the_definition(n_in, n_out):
    matrix = resize_matrix(n_in, n_out)
    for i in range(n_out):
        expected = twin_weights(n_in, n_out, i)
        np.testing.assert_allclose(matrix[i], [expected.get(j, 0.0) for j in range(n_in)], atol=1e-12)


def test_longest_side_and_nearest_pixel_padding(rng):
    image = rng.integers(0, 256, (30, 60, 3), dtype=np.uint8)
    placement = Placement.plan(30, 60, "longest+pad", 24)
    canvas = placement.draw(image)
    assert canvas.shape == (24, 24, 3)
    small = np.asarray(Image.fromarray(image).resize((24, 12), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(canvas[6:18], small)
    for row in range(6):
        np.testing.assert_array_equal(canvas[row], small[0])
        np.testing.assert_array_equal(canvas[18 + row], small[-1])


def test_ten_training_views(rng):
    image = rng.integers(0, 256, (20, 31, 3), dtype=np.uint8)
    preprocess = Preprocess(input_size=(9, 11), resize_length=16)
    canvas = Placement.plan(20, 31, "longest+pad", 16).draw(image)
    views = training_views(image, preprocess)
    expected = [
        canvas[:9, :11], canvas[:9, -11:], canvas[-9:, :11], canvas[-9:, -11:], canvas[3:12, 2:13],
    ]  # fmt: skip
    for index, crop in enumerate(expected):
        np.testing.assert_array_equal(views[index], crop)
        np.testing.assert_array_equal(views[index + 5], crop[:, ::-1])
    np.testing.assert_array_equal(views[4], center_view(image, preprocess)[0])


def test_sliding_windows_reach_the_border(rng):
    assert window_starts(341, 227) == (0, 20, 40, 60, 80, 100, 114)
    assert window_starts(256, 227) == (0, 20, 29)
    assert window_starts(267, 227) == (0, 20, 40)
    assert window_starts(227, 227) == (0,)
    image = rng.integers(0, 256, (40, 70, 3), dtype=np.uint8)
    views = sliding_views(image, Preprocess(input_size=(25, 25), resize_length=50))
    canvas = np.asarray(Image.fromarray(image).resize((88, 50), Image.Resampling.BILINEAR))
    starts = [(top, left) for top in (0, 20, 25) for left in (0, 20, 40, 60, 63)]
    assert len(views) == len(starts)
    for view, (top, left) in zip(views, starts, strict=True):
        np.testing.assert_array_equal(view, canvas[top : top + 25, left : left + 25])


def test_usual_photos_have_as_many_windows_as_the_paper_says():
    """12 to 35 for windows of 227: here 9 for a square, 21 for 4 : 3, 33 for 1.6 : 1."""
    for height in range(313, 500):
        placement = Placement.plan(height, 500, "shortest", 256)
        n_windows = math.prod(len(window_starts(side, 227)) for side in placement.canvas)
        assert 9 <= n_windows <= 35, height
    for width, count in [(256, 9), (341, 21), (384, 27), (410, 33)]:
        assert math.prod(len(window_starts(side, 227)) for side in (256, width)) == count


def test_odd_photos_are_errors():
    with pytest.raises(ConfigError, match=r"an image of shape \(5, 5\) and type uint8. Allowed: "):
        center_view(np.zeros((5, 5), np.uint8), Preprocess(input_size=(4, 4)))
    with pytest.raises(ConfigError, match="type float64"):
        training_views(np.zeros((5, 5, 3)), Preprocess(input_size=(4, 4)))
    with pytest.raises(ConfigError, match=r"2 x 4000 pixels .* too elongated to make its shorter side 256"):
        sliding_views(np.zeros((2, 4000, 3), np.uint8), Preprocess(input_size=(4, 4)))
