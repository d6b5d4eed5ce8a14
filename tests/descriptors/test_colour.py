"""Local colour statistics against NumPy's own mean and deviation of each cell."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pfungst.descriptors import ColourConfig
from pfungst.descriptors.grid import grid_of
from pfungst.errors import PfungstError


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def cells(image, row, column, size):
    """The 96 numbers of one descriptor with its first cell's centre at (row, column), cell by cell."""
    numbers = []
    for down in range(4):
        for across in range(4):
            top, left = row - size // 2 + down * size, column - size // 2 + across * size
            cell = image[max(top, 0) : top + size, max(left, 0) : left + size].astype(np.float64) / 255
            numbers += [*cell.mean(axis=(0, 1)), *cell.std(axis=(0, 1))]
    return numbers


@pytest.mark.parametrize("sizes", [(3,), (4, 6), (5, 8)])
def test_every_descriptor_equals_numpys_statistics(sizes):
    config = ColourConfig(step=5, bin_sizes=sizes)
    image = photo(47, 53)
    found = config.describe(image)
    assert found.values.shape == (len(found), 96)
    assert found.values.dtype == np.float32
    grid = grid_of((47, 53), (47, 53), 5, sizes)
    checked = 0
    for scale in grid.scales:
        for (i, j), number in np.ndenumerate(scale.numbers):
            expected = cells(image, scale.rows[i], scale.columns[j], scale.size)
            np.testing.assert_allclose(found.values[number], expected, atol=1e-6)
            checked += 1
    assert checked == len(found)


def test_areas_are_the_pixels_that_are_looked_at():
    config = ColourConfig(step=6, bin_sizes=(4, 5))
    image = photo(40, 44)
    found = config.describe(image)
    for index in range(0, len(found), 7):
        left, top, right, bottom = found.areas[index]
        for row, column, seen in ((top, left, True), (bottom - 1, right - 1, True), (top - 1, left, False)):
            if row >= 0:
                other = image.copy()
                other[row, column] = 255 - other[row, column]
                assert (config.describe(other).values[index] != found.values[index]).any() == seen


def test_one_colour_is_described():
    image = np.full((50, 60, 3), (255, 51, 0), np.uint8)
    found = ColourConfig().describe(image)
    np.testing.assert_allclose(
        found.values, np.tile(np.float32([1, 0.2, 0, 0, 0, 0]), (len(found), 16)), atol=1e-7
    )


def test_grey_photos_and_tall_ones():
    grey = photo(40, 40)[..., 0]
    np.testing.assert_array_equal(
        ColourConfig().describe(grey).values,
        ColourConfig().describe(np.repeat(grey[..., None], 3, axis=2)).values,
    )
    smooth = np.asarray(Image.fromarray(photo(12, 8)).resize((160, 240), Image.Resampling.BICUBIC))
    reduced = ColourConfig(max_height=120).describe(smooth)
    by_hand = ColourConfig().describe(
        np.asarray(Image.fromarray(smooth).resize((80, 120), Image.Resampling.LANCZOS))
    )
    assert reduced.shape == (240, 160)
    assert reduced.areas.max(axis=0).tolist() == [*(2 * by_hand.areas.max(axis=0))]
    np.testing.assert_allclose(reduced.values, by_hand.values, atol=0.01)


def test_too_small():
    with pytest.raises(PfungstError, match="too small for one descriptor"):
        ColourConfig().describe(photo(20, 300))
