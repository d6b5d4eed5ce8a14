import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pfungst.audits.artefacts.search.features import look, packed, shrunk, unpacked


def slow_look(image):
    """The six channels, plainly, in float64; away from the edges."""
    red, green, blue = (image[..., channel].astype(np.float64) for channel in range(3))
    planes = [0.299 * red + 0.587 * green + 0.114 * blue, red - green, (red + green) / 2 - blue]
    gradients = []
    for plane in planes:
        smooth = gaussian_filter(plane, 0.8, mode="nearest", truncate=3.0)
        gradients.append((np.gradient(smooth, axis=1), np.gradient(smooth, axis=0)))
    channels = []
    for group, weight in (((0,), 1.0), ((1, 2), 0.7)):
        parts = [part for index in group for part in gradients[index]]
        energy = sum(part**2 for part in parts)
        for part in parts:
            value = np.zeros_like(part)
            for row in range(12, part.shape[0] - 12):
                for column in range(12, part.shape[1] - 12):
                    mean = energy[row - 12 : row + 13, column - 12 : column + 13].mean()
                    value[row, column] = weight * part[row, column] / np.sqrt(mean + 16.0)
            channels.append(value)
    return np.stack(channels)


def test_channels_are_as_the_formula_says():
    image = np.random.default_rng(0).integers(0, 256, (34, 41, 3), dtype=np.uint8)
    inner = np.s_[:, 12:-12, 12:-12]
    np.testing.assert_allclose(look(image)[inner], slow_look(image)[inner], rtol=1e-4, atol=1e-5)


def test_a_pattern_looks_alike_in_the_dark_and_in_the_light():
    pattern = np.random.default_rng(1).normal(0, 1, (60, 60, 1))
    dark, light = (np.clip(level + 30 * pattern * gain, 0, 255) for level, gain in ((80, 1), (140, 1.5)))
    first, second = (look(np.repeat(image, 3, axis=2).astype(np.uint8)) for image in (dark, light))
    cosine = (first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum())
    assert cosine > 0.99


def test_noise_below_the_floor_is_hardly_anything():
    image = (120 + np.random.default_rng(2).normal(0, 1, (50, 50, 3))).astype(np.uint8)
    assert np.square(look(image)).sum(axis=0).mean() < 0.1


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.37])
def test_photos_shrink_and_never_grow(scale):
    image = np.zeros((30, 50, 3), dtype=np.uint8)
    assert shrunk(image, round(30 * scale), round(50 * scale)).shape == (
        round(30 * scale),
        round(50 * scale),
        3,
    )
    assert shrunk(image, 30, 50) is image


def test_a_packed_look_is_the_same_to_half_a_step_whatever_the_photo():
    image = np.zeros((60, 60, 3), dtype=np.uint8)
    image[30, 30] = 255  # the steepest there is: one bright pixel
    for photo in (image, np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)):
        found = look(photo)
        assert packed(found).nbytes == found.nbytes // 2
        np.testing.assert_allclose(unpacked(packed(found)), found, atol=0.51 / 1024)
    assert unpacked(found) is not found
