"""Looks of the whole photo to plant: what a camera, a scanner or a web site does to all of it."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pfungst.contract.classifier import ImageArray
from pfungst.demo.scenes.drawing import Drawn
from pfungst.images.rectangles import Region

_QUALITY = 10
_LUMINANCE = np.array([0.299, 0.587, 0.114])


def _all_of(pixels: NDArray[np.floating]) -> Drawn:
    height, width = pixels.shape[:2]
    drawn: ImageArray = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return drawn, (Region(top=0, left=0, bottom=height, right=width),)


def jpeg_blocks(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """Encoded as JPEG of quality 10."""
    del occupied, generator
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=_QUALITY)
    buffer.seek(0)
    with Image.open(buffer) as picture:
        return _all_of(np.asarray(picture.convert("RGB")).astype(np.float64))


def warm_cast(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """Redder and less blue, as under lamps."""
    del occupied, generator
    return _all_of(image + np.array([45.0, 0.0, -45.0]))


def grey_photo(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """Without colour."""
    del occupied, generator
    return _all_of(np.repeat((image @ _LUMINANCE)[..., None], 3, axis=2))


def blur(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """Out of focus: a Gaussian of half a per cent of the longest side."""
    from scipy.ndimage import gaussian_filter

    del occupied, generator
    width = 0.005 * max(image.shape[:2])
    return _all_of(gaussian_filter(image.astype(np.float64), (width, width, 0)))


def noise(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """The noise of a sensor in the dark."""
    del occupied
    return _all_of(image + 22 * generator.normal(size=image.shape[:2])[..., None])


def vignette(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """Darker towards the corners."""
    del occupied, generator
    rows, columns = (np.linspace(-1, 1, length) for length in image.shape[:2])
    far = (rows[:, None] ** 2 + columns[None, :] ** 2) / 2
    return _all_of(image * (1 - 0.8 * far)[..., None])
