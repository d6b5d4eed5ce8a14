"""Dense SIFT against a twin that visits every pixel of every bin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pfungst.descriptors import SiftConfig, dense_sift
from pfungst.descriptors.grid import grid_of
from pfungst.errors import ConfigError, PfungstError


def photo(height, width, seed=0, channels=3):
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=(height, width, channels))
    smooth = gaussian_filter(noise, (2, 2, 0))
    return np.uint8(np.clip(128 + 400 * smooth, 0, 255))


def one_descriptor(grey, row, column, size, window):
    """The 128 numbers of one descriptor with its first bin centred on (row, column), bin by bin."""
    vertical, horizontal = np.gradient(grey)
    magnitude = np.hypot(vertical, horizontal)
    angle = (np.arctan2(vertical, horizontal) % (2 * np.pi)) * 8 / (2 * np.pi)
    i, j = np.mgrid[: grey.shape[0], : grey.shape[1]]
    histogram = np.zeros((4, 4, 8))
    for by, bx, orientation in np.ndindex(4, 4, 8):
        near = np.maximum(0, 1 - np.abs(i - row - by * size) / size)
        near = near * np.maximum(0, 1 - np.abs(j - column - bx * size) / size)
        turn = np.abs(angle - orientation)
        share = np.maximum(0, 1 - np.minimum(turn, 8 - turn))
        weight = window_mean(by, size, window) * window_mean(bx, size, window)
        histogram[by, bx, orientation] = weight * np.sum(near * share * magnitude)
    mass = histogram.sum() / (3 * size + 1) ** 2
    unit = histogram.ravel() / np.linalg.norm(histogram)
    clipped = np.minimum(unit, 0.2)
    return clipped / np.linalg.norm(clipped), mass


def bin_sizes(found, config):
    """The bin size of each descriptor, by the number of its place."""
    grid = grid_of(found.shape, found.shape, config.step, config.bin_sizes)
    counts = [scale.numbers.size for scale in grid.scales]
    return np.repeat(config.bin_sizes, counts)[found.places]


def first_centre(area, size):
    """Column and row of the first bin's centre, from whichever side of the area is not clipped."""
    left, top, right, bottom = area
    column = left + size // 2 if left else right - 4 * size + size // 2
    row = top + size // 2 if top else bottom - 4 * size + size // 2
    return column, row


def window_mean(index, size, window):
    centre = size * (index - 1.5)
    return np.mean([np.exp(-0.5 * ((x + centre) / (size * window)) ** 2) for x in range(-size + 1, size)])


def test_every_descriptor_equals_the_slow_twin():
    image = photo(31, 36)
    config = SiftConfig(step=5, bin_sizes=(3, 5), magnification=4.0, window=1.2, contrast_threshold=0.0)
    found = dense_sift(image, config)
    grey = image.astype(np.float64) @ [0.2989, 0.587, 0.114] / 255
    sizes = bin_sizes(found, config)
    assert set(sizes) == {3, 5}
    for value, area, size in zip(found.values, found.areas, sizes, strict=True):
        smooth = gaussian_filter(grey, size / 4.0, mode="nearest")
        column, row = first_centre(area, size)
        expected, _ = one_descriptor(smooth, row, column, size, 1.2)
        np.testing.assert_allclose(value, expected, atol=2e-5)


def test_low_contrast_descriptors_are_dropped_by_mass_per_pixel():
    image = photo(30, 60)
    image[:, 30:] = 128 + image[:, 30:] // 64  # hardly any contrast on the right
    config = SiftConfig(step=4, bin_sizes=(4,), contrast_threshold=0.0)
    everything = dense_sift(image, config)
    kept = dense_sift(image, SiftConfig(step=4, bin_sizes=(4,), contrast_threshold=0.01))
    grey = image.astype(np.float64) @ [0.2989, 0.587, 0.114] / 255
    smooth = gaussian_filter(grey, 4 / 6, mode="nearest")
    masses = []
    for area in everything.areas:
        column, row = first_centre(area, 4)
        masses.append(one_descriptor(smooth, row, column, 4, 1.5)[1])
    expected = {tuple(area) for area, mass in zip(everything.areas, masses, strict=True) if mass >= 0.01}
    assert 0 < len(expected) < len(everything)
    assert {tuple(area) for area in kept.areas} == expected


def test_number_and_geometry_for_a_usual_photo():
    found = dense_sift(photo(375, 500), SiftConfig(contrast_threshold=0.0))
    assert len(found) == 73_866
    left, top, right, bottom = found.areas.T
    assert (right - left == bottom - top).mean() > 0.95  # all but those clipped at the far border
    assert left.min() >= 0
    assert right.max() == 500
    assert bottom.max() == 375
    sizes = bin_sizes(found, SiftConfig())
    full = (right - left == 4 * sizes) & (bottom - top == 4 * sizes)
    centres = (left + right)[full] / 2
    for size in (4, 6, 8, 10):  # scales share their centres, up to half a pixel of rounding
        assert np.ptp(np.unique(centres[sizes[full] == size] % 3)) == 0


def test_tiles_do_not_show():
    image = photo(60, 220, seed=3)
    config = SiftConfig(step=2, bin_sizes=(4,), contrast_threshold=0.0)
    whole = dense_sift(image, config)
    shifted = dense_sift(image[:, 120:], config)
    table = {tuple(area): value for area, value in zip(whole.areas, whole.values, strict=True)}
    inner = [i for i, area in enumerate(shifted.areas) if area[0] > 10 and area[2] < 90]
    assert inner
    for i in inner:
        left, top, right, bottom = shifted.areas[i]
        np.testing.assert_allclose(shifted.values[i], table[left + 120, top, right + 120, bottom], atol=1e-5)


def test_tall_photos_are_reduced_and_areas_refer_to_the_original():
    image = photo(300, 200)
    small = dense_sift(image, SiftConfig(max_height=150, contrast_threshold=0.0))
    assert small.shape == (300, 200)
    assert len(small) < len(dense_sift(image, SiftConfig(contrast_threshold=0.0))) / 3
    assert small.areas[:, 3].max() == 300
    assert np.median(small.areas[:, 2] - small.areas[:, 0]) >= 2 * 4 * 4
    left, top, right, bottom = small.areas.T
    assert set((right - left)[(left > 0) & (right < 200)]) == {32, 48, 64, 80}
    assert set((bottom - top)[(top > 0) & (bottom < 300)]) == {32, 48, 64, 80}


def test_grey_equals_colour_without_colour():
    grey = photo(40, 40, channels=1)[..., 0]
    np.testing.assert_allclose(
        dense_sift(grey).values, dense_sift(np.repeat(grey[..., None], 3, axis=2)).values, atol=2e-3
    )


@pytest.mark.parametrize("shape", [(1, 1), (12, 300), (300, 12)])
def test_too_small(shape):
    with pytest.raises(
        PfungstError, match=rf"photo of {shape[1]} x {shape[0]} pixels is too small.*at least 22"
    ):
        dense_sift(np.zeros((*shape, 3), np.uint8))


def test_smallest_side_is_enough_and_one_less_is_not():
    config = SiftConfig(contrast_threshold=0.0)
    side = config.smallest_side
    assert len(dense_sift(photo(side, side), config)) == 1
    with pytest.raises(PfungstError, match="too small"):
        dense_sift(photo(side - 1, side), config)


def test_one_colour():
    with pytest.raises(PfungstError, match="no descriptor has enough contrast"):
        dense_sift(np.full((50, 50, 3), 77, np.uint8), SiftConfig(contrast_threshold=0.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0}, "step = 0"),
        ({"bin_sizes": ()}, "bin_sizes"),
        ({"max_height": 0}, "max_height"),
        ({"window": 0.0}, "window = 0.0"),
        ({"contrast_threshold": -1.0}, "contrast_threshold"),
    ],
)
def test_bad_configuration(options, message):
    with pytest.raises(ConfigError, match=message):
        SiftConfig(**options)
