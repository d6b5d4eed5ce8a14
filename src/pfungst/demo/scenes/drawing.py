"""What marks are drawn with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pfungst.contract.classifier import ImageArray
from pfungst.images.rectangles import Region

_TRIES = 40
Drawn = tuple[ImageArray, tuple[Region, ...]]
"""A photo with a mark, and the rectangles that the mark covers."""


def text_size(image: ImageArray, share: float) -> int:
    """Height of letters in pixels, as a share of the photo's longest side."""
    height, width = image.shape[:2]
    return max(round(share * float(max(height, width))), 9)


def line_of_text(text: str, size: int) -> NDArray[np.float32]:
    """A line of text as opacity, cut to its ink."""
    font = ImageFont.load_default(size=size)
    left, top, right, bottom = (int(value) for value in font.getbbox(text))
    picture = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(picture).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def disc(side: int, radius: float) -> NDArray[np.float32]:
    """A disc in a square as opacity; ``radius`` in halves of its side."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    disc: NDArray[np.float32] = np.clip((radius - np.hypot(x, y)) * side / 2 + 0.5, 0, 1).astype(np.float32)
    return disc


def free_place(occupied: NDArray[np.bool_], side: int, generator: np.random.Generator) -> tuple[int, int]:
    """The place of least overlap with the object among random ones."""
    height, width = occupied.shape
    draws = [
        (int(generator.integers(height - side + 1)), int(generator.integers(width - side + 1)))
        for _ in range(_TRIES)
    ]

    def covered(place: tuple[int, int]) -> int:
        return int(occupied[place[0] : place[0] + side, place[1] : place[1] + side].sum())

    return min(draws, key=covered)


def blended(  # noqa: PLR0917 - private
    image: ImageArray,
    layer: NDArray[np.float32],
    colour: tuple[int, int, int],
    top: int,
    left: int,
    opacity: float,
) -> ImageArray:
    """The photo with a layer of one colour over it; what reaches beyond the photo is cut."""
    drawn = image.copy()
    rows, columns = slice(max(top, 0), top + layer.shape[0]), slice(max(left, 0), left + layer.shape[1])
    part = drawn[rows, columns].astype(np.float32)
    alpha = opacity * layer[-part.shape[0] or None :, : part.shape[1]][..., None]
    drawn[rows, columns] = np.rint(part + alpha * (np.array(colour, dtype=np.float32) - part)).astype(
        np.uint8
    )
    return drawn


def region_of(layer: NDArray[np.float32], top: int, left: int) -> Region:
    """The rectangle of a layer in the photo."""
    return Region(
        top=max(top, 0), left=max(left, 0), bottom=top + layer.shape[0], right=left + layer.shape[1]
    )
