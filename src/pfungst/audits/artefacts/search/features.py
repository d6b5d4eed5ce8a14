r"""The look of a photo, pixel by pixel, such that equal patterns on different grounds look alike.

Six channels: the gradients of the luminance and of two opponent colours,

    g = ∇(G * Y),   c = ∇(G * u),   u = (R − G, (R + G)/2 − B)

(G a Gaussian of 0.8 pixels), each divided by its root mean square over the 25 × 25 pixels B around a pixel,
``g / sqrt(B * |g|² + ε²)``: a pattern in a dark corner counts as much as one in the light, and nothing is
made of noise below ε.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray

CHANNELS = 6
_FINE, _NEAR = 0.8, 25
_FLOOR = 4.0
_COLOUR_WEIGHT = 0.7
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)

Look = NDArray[Any]
"""``(6, height, width)``; float32, or :func:`packed` where many are kept."""
_STEP = 1 / 1024
"""Of a packed look; a channel over its root mean square in 25 x 25 pixels is at most 25: 16 bits do."""


def shrunk(image: ImageArray, height: int, width: int) -> ImageArray:
    """The photo reduced to ``height`` x ``width`` working pixels, each the mean of what it covers."""
    if image.shape[:2] == (height, width):
        return image
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))


def look(image: ImageArray) -> Look:
    """The six channels of a photo at the working scale."""
    pixels = image.astype(np.float32)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    luminance = _gradient(pixels @ _LUMINANCE)
    opponent = (_gradient(red - green), _gradient((red + green) / 2 - blue))
    return np.concatenate([_evened(luminance), _COLOUR_WEIGHT * _evened(np.concatenate(opponent))])


def _gradient(plane: NDArray[np.floating]) -> NDArray[np.float32]:
    """Central differences of the smoothed plane along columns and rows, one-sided at the edges."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(plane, _FINE, mode="nearest", truncate=3.0)
    slopes: NDArray[np.float32] = np.stack([np.gradient(smooth, axis=axis) for axis in (1, 0)])
    return slopes


def _evened(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.ndimage import uniform_filter

    energy = np.maximum(uniform_filter(np.square(channels).sum(axis=0), _NEAR, mode="nearest"), 0)
    evened: NDArray[np.float32] = (channels / np.sqrt(energy + _FLOOR**2)).astype(np.float32)
    return evened


def packed(look: NDArray[np.float32]) -> NDArray[np.int16]:
    """Half the bytes: a look in steps of 1/1024."""
    steps: NDArray[np.int16] = np.rint(look / np.float32(_STEP)).astype(np.int16)
    return steps


def unpacked(look: Look) -> NDArray[np.float32]:
    """A look, or a piece of one, as float32."""
    values: NDArray[np.float32] = look.astype(np.float32)
    return values * np.float32(_STEP) if look.dtype == np.int16 else values
