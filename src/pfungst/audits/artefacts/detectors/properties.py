r"""Properties of a whole photo: each is a number, and an edit that moves it to another value and little else.

======== ================================================= =========================================
property number                                            edit
======== ================================================= =========================================
cast     mean of R − B                                     added to R, taken from B
tint     mean of G − (R + B)/2                             likewise
colour   log of 1 + mean of max − min of the channels      chroma times a factor
light    mean luminance Y                                  added
contrast standard deviation of Y                           Y − mean times a factor
corners  mean Y of the corners less that of the middle     a parabola of the distance to the middle
sharp    log rms of Y less its Gaussian mean               blurred, or its detail enlarged
blocks   log of mean |ΔY| at edges of 8 x 8 blocks over    encoded as JPEG, or the mean of codes on
         that elsewhere                                    shifted grids
noise    log of what 20 % of blocks of 8 pixels have       Gaussian noise added, or medians mixed in
         less: deviation of Y less its 3 x 3 median
======== ================================================= =========================================
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pfungst.contract.classifier import ImageArray

_LUMINANCE = np.array([0.299, 0.587, 0.114])
_BLOCK, _TURNS = 8, 8
_FLAT = 0.2
_SEED = 0
Plane = NDArray[np.float64]


@dataclass(frozen=True)
class Property:
    """A number of a photo and how to move it.

    Attributes
    ----------
    name, words : str
        What is large in it, in words.
    value : callable
        From a photo ``(height, width, 3) uint8`` to the number.
    edit : callable
        From a photo and an amount to another photo; the number rises with the amount, which is 0 for the
        photo itself.
    most : float
        The largest amount, down and up.
    """

    name: str
    words: tuple[str, str]
    value: Callable[[ImageArray], float]
    edit: Callable[[ImageArray, float], ImageArray]
    most: float

    def moved(self, image: ImageArray, target: float) -> ImageArray:
        """The photo with the number as near to a target as bisection comes."""
        here = self.value(image)
        low, high = (0.0, self.most) if target > here else (-self.most, 0.0)
        best, off = image, abs(here - target)
        for _ in range(_TURNS):
            amount = (low + high) / 2
            tried = self.edit(image, amount)
            found = self.value(tried)
            if abs(found - target) < off:
                best, off = tried, abs(found - target)
            low, high = (amount, high) if found < target else (low, amount)
        return best


def _y(image: ImageArray) -> Plane:
    plane: Plane = image @ _LUMINANCE
    return plane


def _whole(pixels: NDArray[np.floating]) -> ImageArray:
    clipped: ImageArray = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return clipped


def _shifted(image: ImageArray, colour: tuple[float, float, float], amount: float) -> ImageArray:
    return _whole(image + amount * np.array(colour))


def _saturation(image: ImageArray) -> float:
    return float(np.log1p((image.max(axis=2).astype(float) - image.min(axis=2)).mean()))


def _saturated(image: ImageArray, amount: float) -> ImageArray:
    grey = _y(image)[..., None]
    return _whole(grey + np.exp2(amount) * (image - grey) if amount > -4 else np.repeat(grey, 3, axis=2))


def _contrasted(image: ImageArray, amount: float) -> ImageArray:
    plane = _y(image)[..., None]
    return _whole(image + (np.exp2(amount) - 1) * (plane - plane.mean()))


def _distance(shape: tuple[int, ...]) -> Plane:
    """Squared distance from the middle, 0 there and 1 in the corners."""
    rows, columns = (np.linspace(-1, 1, length) for length in shape[:2])
    squared: Plane = (rows[:, None] ** 2 + columns[None, :] ** 2) / 2
    return squared


def _corners(image: ImageArray) -> float:
    plane, far = _y(image), _distance(image.shape)
    return float(plane[far > 0.6].mean() - plane[far < 0.2].mean())


def _vignetted(image: ImageArray, amount: float) -> ImageArray:
    far = _distance(image.shape)
    return _whole(image + amount * (far - far.mean())[..., None])


def _detail(image: ImageArray) -> float:
    from scipy.ndimage import gaussian_filter

    plane = _y(image)
    return float(np.log(np.sqrt(np.square(plane - gaussian_filter(plane, 1.0)).mean()) + 1e-2))


def _sharpened(image: ImageArray, amount: float) -> ImageArray:
    from scipy.ndimage import gaussian_filter

    pixels = image.astype(np.float64)
    if amount < 0:
        return _whole(gaussian_filter(pixels, (-amount, -amount, 0)))
    return _whole(pixels + amount * (pixels - gaussian_filter(pixels, (1.5, 1.5, 0))))


def _blockiness(image: ImageArray) -> float:
    plane = _y(image)
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(plane, axis=axis)).mean(axis=1 - axis)
        edge = np.arange(1, len(steps) + 1) % _BLOCK == 0
        ratios.append((steps[edge].mean() + 0.05) / (steps[~edge].mean() + 0.05))
    return float(np.log(np.mean(ratios)))


def _coded(image: ImageArray, quality: int) -> ImageArray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    buffer.seek(0)
    with Image.open(buffer) as picture:
        return np.asarray(picture.convert("RGB"))


def _blocked(image: ImageArray, amount: float) -> ImageArray:
    """Coded the more coarsely the larger the amount; below 0 mixed with the mean of codes at other grids."""
    if amount >= 0:
        return image if amount == 0 else _coded(image, max(round(96 * (1 - amount)), 2))
    total = np.zeros(image.shape)
    shifts = [(down, across) for down in range(1, _BLOCK, 2) for across in range(1, _BLOCK, 2)]
    for down, across in shifts:
        padded = np.pad(image, ((down, _BLOCK), (across, _BLOCK), (0, 0)), mode="edge")
        total += _coded(padded, 12)[down : down + image.shape[0], across : across + image.shape[1]]
    return _whole((1 + amount) * image - amount * total / len(shifts))


def _grain(image: ImageArray) -> float:
    from scipy.ndimage import median_filter

    plane = _y(image)
    rest = plane - median_filter(plane, 3)
    rows, columns = (max(length // _BLOCK, 1) * _BLOCK for length in rest.shape)
    missing = [(0, max(rows - rest.shape[0], 0)), (0, max(columns - rest.shape[1], 0))]
    whole = np.pad(rest, missing)[:rows, :columns]
    blocks = whole.reshape(rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    return float(np.log(np.quantile(blocks.std(axis=(1, 3)), _FLAT) + 0.1))


def _grained(image: ImageArray, amount: float) -> ImageArray:
    from scipy.ndimage import median_filter

    if amount >= 0:
        noise = np.random.default_rng(_SEED).normal(size=image.shape[:2])[..., None]
        return _whole(image + amount * noise)
    share = min(-amount / 40, 1.0)
    smooth = median_filter(image, (3, 3, 1)).astype(np.float64)
    return _whole((1 - share) * image + share * smooth)


PROPERTIES: Mapping[str, Property] = {
    item.name: item
    for item in (
        Property("cast", ("a warm cast", "a cold cast"),
                 lambda image: float((image[..., 0].astype(float) - image[..., 2]).mean()),
                 lambda image, amount: _shifted(image, (1, 0, -1), amount), 120),
        Property("tint", ("a green tint", "a magenta tint"),
                 lambda image: float((image[..., 1] - image[..., ::2].mean(axis=2)).mean()),
                 lambda image, amount: _shifted(image, (-0.5, 1, -0.5), amount), 120),
        Property("colour", ("strong colours", "hardly any colour"), _saturation, _saturated, 4.5),
        Property("light", ("brightness", "darkness"), lambda image: float(_y(image).mean()),
                 lambda image, amount: _shifted(image, (1, 1, 1), amount), 200),
        Property("contrast", ("high contrast", "low contrast"), lambda image: float(_y(image).std()),
                 _contrasted, 3),
        Property("corners", ("bright corners", "dark corners"), _corners, _vignetted, 250),
        Property("sharp", ("sharpness", "blur"), _detail, _sharpened, 6),
        Property("blocks", ("JPEG blocks", "no JPEG blocks"), _blockiness, _blocked, 1),
        Property("noise", ("noise", "smoothness"), _grain, _grained, 80),
    )
}  # fmt: skip
"""By name."""
