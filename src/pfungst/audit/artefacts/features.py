r"""The look of a photo, pixel by pixel, such that equal patterns on different grounds look alike.

Four channels: the gradient of the luminance Y, and two opponent colours with their slow part taken off,

    g = ∇(G * Y),   c = G * u − B_41 * u,   u = (R − G, (R + G)/2 − B)

(G a Gaussian of 0.8 pixels, B_n the mean over n × n pixels), each divided by its root mean square around the
pixel, ``g / sqrt(B_25 * |g|² + ε²)``: a pattern in a dark corner counts as much as one in the light, and nothing
is made of noise below ε.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray

CHANNELS = 4
_FINE, _NEAR, _WIDE = 0.8, 25, 41
_GRADIENT_FLOOR, _COLOUR_FLOOR = 4.0, 12.0
_COLOUR_WEIGHT = 0.7

Look = NDArray[np.float32]
"""``(4, height, width)`` float32."""


def shrunk(image: ImageArray, scale: float) -> ImageArray:
    """The photo at the working scale, ``scale`` at most 1."""
    if scale >= 1:
        return image
    from PIL import Image

    height, width = image.shape[:2]
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))


def look(image: ImageArray) -> Look:
    """The four channels of a photo at the working scale."""
    pixels = image.astype(np.float32)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    fine = _smooth(0.299 * red + 0.587 * green + 0.114 * blue)
    gradient = np.stack([_difference(fine, 1), _difference(fine, 0)])
    opponent = (red - green, (red + green) / 2 - blue)
    colour = np.stack([_smooth(plane) - _mean(plane, _WIDE) for plane in opponent])
    return np.concatenate(
        [_evened(gradient, _GRADIENT_FLOOR), _COLOUR_WEIGHT * _evened(colour, _COLOUR_FLOOR)]
    )


def _smooth(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    smooth: NDArray[np.float32] = gaussian_filter(plane, _FINE, mode="nearest", truncate=3.0)
    return smooth


def _mean(plane: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    from scipy.ndimage import uniform_filter

    mean: NDArray[np.float32] = uniform_filter(plane, side, mode="nearest")
    return mean


def _difference(plane: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Central differences, one-sided at the edges."""
    slopes: NDArray[np.float32] = np.gradient(plane, axis=axis).astype(np.float32)
    return slopes


def _evened(channels: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    energy = np.maximum(_mean(np.square(channels).sum(axis=0), _NEAR), 0)
    evened: NDArray[np.float32] = channels / np.sqrt(energy + np.float32(floor**2))
    return evened
