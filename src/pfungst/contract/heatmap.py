"""Heatmap colours and small labelled pictures; Pillow only, so that drawing one costs no start-up.

Colour convention: red supports, blue contradicts, white is exactly zero. Values are divided by max |R|,
never stretched from minimum to maximum, and a legend is always drawn.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pfungst.errors import ConfigError

_STOPS = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
_COLOURS = np.array(
    [[5, 48, 97], [67, 147, 195], [255, 255, 255], [214, 96, 77], [103, 0, 31]], dtype=np.float64
)
_INK, _PAPER, _FRAME = (33, 33, 33), (255, 255, 255), (200, 200, 200)
_MARGIN, _LEGEND = 8, 34

DRAWN = 2000
"""Longest side, in pixels, at which a heatmap is drawn beside its photo; larger ones are reduced for it."""


def scaled(relevance: NDArray[Any]) -> NDArray[np.float64]:
    """Relevance divided by max |R|, in [−1, 1]; an all-zero map stays zero.

    Raises
    ------
    ConfigError
        If there is NaN or infinity, which would draw as a blank map.
    """
    values = np.asarray(relevance, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ConfigError("the relevance to draw holds NaN or infinity", allowed="finite numbers")
    peak = float(np.max(np.abs(values), initial=0.0))
    return values / peak if peak > 0 else np.zeros_like(values)


def colours(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Map values in [−1, 1] to RGB, shape ``values.shape + (3,)``; 0 is white."""
    table = _colour_table()
    index = np.clip(np.rint((values + 1.0) * 512), 0, 1024).astype(np.intp)
    picture: NDArray[np.uint8] = table[index]
    return picture


@cache
def _colour_table() -> NDArray[np.uint8]:
    grid = np.linspace(-1.0, 1.0, 1025)
    channels = [np.interp(grid, _STOPS, _COLOURS[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def overlay(image: NDArray[np.uint8], relevance: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The heatmap over the photo in grey, the more opaque the larger the relevance; RGB uint8.

    Raises
    ------
    ConfigError
        If photo and heatmap differ in size, or the relevance is not finite.
    """
    if image.shape[:2] != relevance.shape:
        raise ConfigError(
            f"a photo of shape {image.shape} under a heatmap of shape {relevance.shape}",
            allowed="the same height and width",
        )
    values = scaled(relevance)
    grey = image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    opacity = np.sqrt(np.abs(values))[..., None]
    mixed = opacity * colours(values) + (1 - opacity) * (0.35 * grey[..., None] + 0.65 * 255)
    blended: NDArray[np.uint8] = np.rint(mixed).astype(np.uint8)
    return blended


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so that pictures look the same on every machine; it has no minus sign (U+2212)."""
    return ImageFont.load_default(size)


def legend(width: int, peak: float) -> Image.Image:
    """A colour bar from −peak over 0 to +peak, with its numbers below it."""
    strip = Image.new("RGB", (width, _LEGEND), _PAPER)
    bar_width = max(width - 2 * _MARGIN, 1)
    bar = colours(np.tile(np.linspace(-1, 1, bar_width), (10, 1)))
    strip.paste(Image.fromarray(bar), (_MARGIN, 4))
    draw = ImageDraw.Draw(strip)
    draw.rectangle((_MARGIN - 1, 3, _MARGIN + bar_width, 14), outline=(160, 160, 160))
    text = font(11)
    left, right = (f"-{peak:.2g} contradicts", f"supports +{peak:.2g}") if width >= 260 else (
        f"-{peak:.2g}", f"+{peak:.2g}")  # fmt: skip
    draw.text((_MARGIN, 17), left, fill=_INK, font=text)
    draw.text((width / 2, 17), "0", fill=_INK, font=text, anchor="ma")
    draw.text((width - _MARGIN, 17), right, fill=_INK, font=text, anchor="ra")
    return strip


def labelled_picture(
    relevance: NDArray[np.float64], caption: str, image: NDArray[np.uint8] | None = None
) -> Image.Image:
    """Photo, heatmap and overlay in a row (or the heatmap alone) under a caption, above the legend.

    Photos with a side above :data:`DRAWN` are drawn reduced by a whole factor: each pixel of the picture is
    the mean of a square of the photo's pixels, in the photo and in the heatmap. The legend states what is
    drawn.
    """
    factor = -(-max(relevance.shape) // DRAWN)
    if factor > 1:
        relevance = block_means(relevance, factor)
        image = None if image is None else np.asarray(Image.fromarray(image).reduce(factor))
    tiles = [colours(scaled(relevance))]
    if image is not None:
        tiles = [image, tiles[0], overlay(image, relevance)]
    height, width = relevance.shape
    total = max(len(tiles) * (width + _MARGIN) + _MARGIN, 180)
    text = font(14)
    lines = wrapped(caption, text, total - 2 * _MARGIN)
    top = _MARGIN + 18 * len(lines) + 4
    canvas = Image.new("RGB", (total, top + height + _LEGEND), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for row, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN + 18 * row), line, fill=_INK, font=text)
    for column, tile in enumerate(tiles):
        left = _MARGIN + column * (width + _MARGIN)
        canvas.paste(Image.fromarray(tile), (left, top))
        draw.rectangle((left - 1, top - 1, left + width, top + height), outline=_FRAME)
    peak = float(np.max(np.abs(relevance), initial=0.0))
    canvas.paste(legend(total, peak), (0, top + height))
    return canvas


def block_means(values: NDArray[Any], factor: int) -> NDArray[np.float64]:
    """Means of squares of ``factor`` × ``factor`` values; those at the lower and right edge may be cut.

    Parameters
    ----------
    values : (height, width)
    factor : int

    Returns
    -------
    (⌈height / factor⌉, ⌈width / factor⌉) float64
    """
    rows, columns = (np.arange(0, size, factor) for size in values.shape)
    means = np.empty((len(rows), len(columns)))
    for place, top in enumerate(rows):  # a row of squares at a time: the whole in float64 would be large
        strip = values[top : top + factor].mean(axis=0, dtype=np.float64)
        means[place] = np.add.reduceat(strip, columns)
    means /= np.diff([*columns, values.shape[1]])
    return means


def wrapped(text: str, typeface: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> list[str]:
    """Break a text into lines no wider than ``width`` pixels, at spaces where there are any."""
    lines: list[str] = []
    line = ""
    words = [piece for word in text.split() for piece in _pieces(word, typeface, width)]
    for word in words:
        candidate = f"{line} {word}" if line else word
        if line and typeface.getlength(candidate) > width:
            lines.append(line)
            candidate = word
        line = candidate
    return [*lines, line]


def _pieces(word: str, typeface: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> list[str]:
    """A word that is too long for one line, such as a path, cut into parts that fit."""
    pieces: list[str] = []
    while len(word) > 1 and typeface.getlength(word) > width:
        fitting = next((n for n in range(len(word) - 1, 1, -1) if typeface.getlength(word[:n]) <= width), 1)
        pieces.append(word[:fitting])
        word = word[fitting:]
    return [*pieces, word]
