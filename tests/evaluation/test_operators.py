import numpy as np
import pytest

from pfungst.errors import ConfigError
from pfungst.evaluation.operators import OPERATORS, checked_operator, laid_in
from pfungst.images.rectangles import Region

SIZE = 5


def picture(seed=0, shape=(17, 23, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def laplace_twin(image, region):
    """The region solved pixel by pixel: one equation each, neighbours outside the picture left out."""
    height, width = region.shape
    number = {(r, c): r * width + c for r in range(height) for c in range(width)}
    matrix, right = np.zeros((len(number), len(number))), np.zeros((len(number), 3))
    for (row, column), index in number.items():
        for step_row, step_column in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            r, c = region.top + row + step_row, region.left + column + step_column
            if not (0 <= r < image.shape[0] and 0 <= c < image.shape[1]):
                continue
            matrix[index, index] += 1
            other = number.get((row + step_row, column + step_column))
            if other is None:
                right[index] += image[r, c]
            else:
                matrix[index, other] -= 1
    return np.linalg.solve(matrix, right).reshape(height, width, 3)


@pytest.mark.parametrize(
    "region",
    [
        Region(top=4, left=6, bottom=9, right=10),  # inside
        Region(top=0, left=6, bottom=4, right=12),  # at the upper border
        Region(top=13, left=19, bottom=17, right=23),  # in the lower right corner
        Region(top=0, left=3, bottom=17, right=9),  # from border to border
        Region(top=5, left=5, bottom=6, right=6),  # one pixel
    ],
)
def test_inpainting_solves_laplaces_equation(region):
    image = picture()
    fill = OPERATORS["inpaint"](image, SIZE, np.random.default_rng(0))
    filled = fill(image, region)
    assert filled.dtype == np.uint8
    assert np.abs(filled - laplace_twin(image, region)).max() <= 0.5 + 1e-6


def laid_in_twin(image, region, patch):
    """The patch plus a harmonic correction whose ring is the picture less the patch's nearest pixel."""
    gaps = np.zeros((*image.shape[:2], 3))
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            nearest = patch[
                np.clip(row - region.top, 0, region.shape[0] - 1),
                np.clip(column - region.left, 0, region.shape[1] - 1),
            ]
            gaps[row, column] = image[row, column].astype(float) - nearest
    return np.clip(patch + laplace_twin(gaps, region), 0, 255)


@pytest.mark.parametrize(
    "region", [Region(top=4, left=6, bottom=9, right=10), Region(top=0, left=17, bottom=6, right=23)]
)
def test_a_patch_laid_in_meets_its_surroundings(region):
    image = picture()
    patch = picture(1, (*region.shape, 3))
    found = laid_in(image, region, patch)
    assert np.abs(found - laid_in_twin(image, region, patch)).max() <= 0.5 + 1e-6


def test_a_shifted_copy_of_the_place_itself_is_laid_in_unseen():
    rows, columns = np.mgrid[0:30, 0:40]
    ramp = np.repeat((2 * rows + 3 * columns)[..., None], 3, axis=2).astype(np.uint8)
    region = Region(top=10, left=12, bottom=19, right=21)
    waves = (10 * np.sin(rows / 2) * np.sin(columns / 3))[10:19, 12:21, None]
    waves[[0, -1]] = waves[:, [0, -1]] = 0
    found = laid_in(ramp, region, (100 + np.repeat(waves, 3, axis=2)).astype(np.uint8))
    assert np.abs(found - (ramp[10:19, 12:21] + waves)).max() <= 1.5


def test_inpainting_continues_a_ramp_and_ignores_what_was_there():
    rows, columns = np.mgrid[0:30, 0:40]
    ramp = np.repeat((2 * rows + 3 * columns)[..., None], 3, axis=2).astype(np.uint8)
    region = Region(top=10, left=12, bottom=19, right=21)
    spoiled = ramp.copy()
    spoiled[10:19, 12:21] = 255
    filled = OPERATORS["inpaint"](spoiled, SIZE, np.random.default_rng(0))(spoiled, region)
    assert (filled == ramp[10:19, 12:21]).all()


def test_inpainting_follows_the_current_picture():
    image = picture()
    fill = OPERATORS["inpaint"](image, SIZE, np.random.default_rng(0))
    current = image.copy()
    current[:, 5] = 0
    region = Region(top=5, left=6, bottom=10, right=11)
    assert (fill(current, region)[:, 0].astype(int) < fill(image, region)[:, 0].astype(int)).any()


def test_inpainting_the_whole_picture_gives_its_mean():
    image = picture(shape=(4, 4, 3))
    whole = Region(top=0, left=0, bottom=4, right=4)
    filled = OPERATORS["inpaint"](image, 4, np.random.default_rng(0))(image, whole)
    assert (filled == np.rint(image.mean(axis=(0, 1)))).all()


def test_mean_is_the_colour_of_the_untouched_picture():
    image = picture()
    filled = OPERATORS["mean"](image, SIZE, np.random.default_rng(0))(
        np.zeros_like(image), Region(top=0, left=0, bottom=5, right=5)
    )
    assert filled.shape == (5, 5, 3)
    assert (filled == np.rint(image.mean(axis=(0, 1)))).all()


def test_blur_takes_the_blurred_untouched_picture():
    image = picture()
    region = Region(top=3, left=4, bottom=8, right=9)
    filled = OPERATORS["blur"](image, SIZE, np.random.default_rng(0))(np.zeros_like(image), region)
    # a Gaussian of σ = 5 truncated at 4σ, edge pixels repeated, written out
    offsets = np.arange(-20, 21)
    kernel = np.exp(-0.5 * (offsets / SIZE) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(image.astype(float), ((20, 20), (20, 20), (0, 0)), mode="edge")
    expected = [
        [np.einsum("i,j,ijc->c", kernel, kernel, padded[r : r + 41, c : c + 41]) for c in range(4, 9)]
        for r in range(3, 8)
    ]
    assert np.abs(filled - np.array(expected)).max() <= 0.51


def test_noise_is_uniform_over_pixels_and_channels():
    image = picture()
    fill = OPERATORS["noise"](image, 60, np.random.default_rng(0))
    drawn = fill(image, Region(top=0, left=0, bottom=60, right=60))
    counts = np.bincount(drawn.ravel(), minlength=256)
    assert counts.min() > 10
    assert drawn.mean() == pytest.approx(127.5, abs=2)
    assert abs(np.corrcoef(drawn[..., 0].ravel(), drawn[..., 1].ravel())[0, 1]) < 0.06
    again = OPERATORS["noise"](image, 60, np.random.default_rng(0))
    assert (again(image, Region(top=0, left=0, bottom=60, right=60)) == drawn).all()


def test_unknown_operator():
    with pytest.raises(ConfigError, match=r"unknown operator 'black'.*noise, mean, blur, inpaint"):
        checked_operator("black")
