"""Heatmaps of several classifiers side by side: a row per photo, a column per model, one legend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pfungst.contract.classifier import Classifier, ImageArray
from pfungst.contract.explanation import Explanation
from pfungst.contract.heatmap import colours, font, legend, scaled, wrapped
from pfungst.errors import ConfigError, Failure, ImageError, unknown_name
from pfungst.files import as_text
from pfungst.images.decode import decode
from pfungst.progress import Progress, silent

AUTO = "auto"
"""Instead of a class name: each model's own highest score."""

_INK, _PAPER, _FRAME = (33, 33, 33), (255, 255, 255), (205, 205, 205)
_GAP, _LINE, _CAPTION_LINES = 10, 15, 2
_HEAD, _FOOT = _GAP + 2 * _LINE, 34 + _LINE + _GAP
_MAX_SIDE, _MAX_PIXELS = 2000, 200_000_000


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One cell of the figure: a picture no larger than the cell, and the text below it."""

    picture: NDArray[np.uint8]
    caption: str


@dataclass(frozen=True, kw_only=True)
class FigureStyle:
    """What the figure looks like.

    Attributes
    ----------
    side : int
        Height and width of a cell in pixels; photos are fitted into it, their aspect kept.
    """

    side: int = 240

    def __post_init__(self) -> None:
        if not 40 <= self.side <= _MAX_SIDE:
            raise ConfigError(f"a cell of {self.side} pixels", allowed=f"40 to {_MAX_SIDE}")


class Photos:
    """Photos by their names, decoded one at a time; those that cannot be are left out and remembered.

    Attributes
    ----------
    failures : list of Failure
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.failures: list[Failure] = []

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[tuple[str, ImageArray]]:
        for path in self.paths:
            try:
                yield as_text(path.stem), decode(path)
            except ImageError as error:
                self.failures.append(Failure(as_text(path.stem), str(error)))


def make_figure(
    classifiers: Mapping[str, Classifier],
    images: Iterable[tuple[str, ImageArray]],
    *,
    class_name: str = AUTO,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    style: FigureStyle | None = None,
    progress: Progress = silent,
) -> Image.Image:
    """Draw the heatmaps of several classifiers for several photos.

    Each heatmap is divided by its own largest |R|: colours compare the pixels of one heatmap, the scores
    below compare heatmaps. Photos are taken one at a time.

    Parameters
    ----------
    classifiers : mapping of str to Classifier
        By the heading of their column, in the order of the columns.
    images : iterable of (str, (height, width, 3) uint8)
        Caption and photo of each row; a sized one lets ``progress`` state the total.
    class_name : str
        The class to explain in every column, or ``auto`` for each model's highest score.
    options : mapping of str to mapping, optional
        Options of ``explain`` for single columns, such as ``{"caffenet": {"rule": "cvpr2016"}}``.
    style : FigureStyle, optional
        Size of the cells.
    progress : Progress
        Told after each heatmap.

    Returns
    -------
    PIL.Image.Image
        RGB.

    Raises
    ------
    ConfigError
        If a model does not know the class, there is nothing to draw, or the figure would be too large.

    Examples
    --------
    >>> figure = make_figure({"fisher": fisher, "network": network}, photos)  # doctest: +SKIP
    >>> figure.save("figure.png")  # doctest: +SKIP
    """
    style = style or FigureStyle()
    _check_classes(classifiers, class_name)
    total = len(images) * len(classifiers) if isinstance(images, Sized) else 0
    rows: list[list[Tile]] = []
    for image_id, image in images:
        cells = _heatmaps(classifiers, (image_id, image), class_name, options or {}, style.side)
        row = [Tile(picture=_fitted(image, style.side), caption=image_id)]
        for tile in cells:
            row.append(tile)
            done = len(rows) * len(classifiers) + len(row) - 1
            progress("heatmaps", done, max(total, done))
        rows.append(row)
        _size(len(row), rows, style)  # before more are drawn for nothing
    return draw_tiles(["photo", *classifiers], rows, style)


def _check_classes(classifiers: Mapping[str, Classifier], class_name: str) -> None:
    if not classifiers:
        raise ConfigError("a figure of no model", allowed="at least one")
    for heading, classifier in classifiers.items():
        if class_name != AUTO and class_name not in classifier.classes:
            known = unknown_name("class", class_name, _some(classifier.classes))
            raise ConfigError(
                f"model {heading}: {known.problem}",
                allowed=f"{AUTO}, {known.allowed}",
                hint=f"--class {AUTO}, or a class that all models know",
            )


def _some(names: Sequence[str]) -> list[str]:
    """All of a few names, the first of many."""
    return list(names) if len(names) <= 30 else [*names[:30], f"... ({len(names)} in all)"]


def _heatmaps(
    classifiers: Mapping[str, Classifier],
    photo: tuple[str, ImageArray],
    class_name: str,
    options: Mapping[str, Mapping[str, Any]],
    side: int,
) -> Iterator[Tile]:
    image_id, image = photo
    for heading, classifier in classifiers.items():
        name = class_name
        if name == AUTO:
            name = classifier.classes[int(np.argmax(classifier.scores([image])[0]))]
        explanation = classifier.explain(image, name, image_id=image_id, **options.get(heading, {}))
        yield heatmap_tile(explanation, side)


def heatmap_tile(explanation: Explanation, side: int) -> Tile:
    """A heatmap fitted into a square, with its class and score.

    Relevance is averaged over the pixels that become one before it is coloured: colours that were averaged
    would let neighbours of opposite sign look like a colour that the legend does not have.
    """
    size = _fit(explanation.relevance.shape, side)
    plane = Image.fromarray(explanation.relevance.astype(np.float32))
    relevance = np.asarray(plane.resize(size, Image.Resampling.BOX), dtype=np.float64)
    caption = f"{explanation.class_name}\nf(x) = {explanation.score:+.2f}"
    if explanation.ledger.is_partial:
        caption += f", {100 * abs(explanation.ledger.reached):.1f} % of it shown"
    return Tile(picture=colours(scaled(relevance)), caption=caption)


def _fitted(image: ImageArray, side: int) -> NDArray[np.uint8]:
    size = _fit(image.shape[:2], side)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def _fit(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """``(width, height)`` of the largest picture of this shape's aspect in a square."""
    factor = side / max(shape)
    return max(round(shape[1] * factor), 1), max(round(shape[0] * factor), 1)


def draw_tiles(headings: Sequence[str], rows: Sequence[Sequence[Tile]], style: FigureStyle) -> Image.Image:
    """Lay tiles out under their headings, with one legend at the foot.

    Raises
    ------
    ConfigError
        If there are no rows, or the figure would have more than 200 million pixels.
    """
    if not rows:
        raise ConfigError("a figure of no photo", allowed="at least one photo that can be read")
    width, height = _size(len(headings), rows, style)
    cell, top = style.side + _GAP, _HEAD
    canvas = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for column, heading in enumerate(headings):
        _text(draw, heading, (_GAP + column * cell + style.side / 2, _GAP), style.side, 14)
    for row in rows:
        for column, tile in enumerate(row):
            _paste(canvas, draw, tile, (_GAP + column * cell, top), style.side)
        top += _depth(row)
    _add_legend(canvas, draw, top)
    return canvas


def _size(columns: int, rows: Sequence[Sequence[Tile]], style: FigureStyle) -> tuple[int, int]:
    """``(width, height)`` of the whole figure, if it can be drawn."""
    width = _GAP + (style.side + _GAP) * columns
    height = _HEAD + sum(_depth(row) for row in rows) + _FOOT
    if width * height > _MAX_PIXELS:
        raise ConfigError(
            f"a figure of {width} x {height} pixels",
            allowed=f"at most {_MAX_PIXELS} pixels",
            hint="fewer photos, or smaller cells",
        )
    return width, height


def _depth(row: Sequence[Tile]) -> int:
    tallest: int = max(tile.picture.shape[0] for tile in row)
    return tallest + _CAPTION_LINES * _LINE + _GAP


def _paste(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, corner: tuple[int, int], side: int
) -> None:
    """A tile centred in the width of its cell, framed, its caption below."""
    height, width = tile.picture.shape[:2]
    left, top = corner[0] + (side - width) // 2, corner[1]
    draw.rectangle((left - 1, top - 1, left + width, top + height), outline=_FRAME)
    canvas.paste(Image.fromarray(tile.picture), (left, top))
    _text(draw, tile.caption, (corner[0] + side / 2, top + height + 2), side, 12)


def _text(draw: ImageDraw.ImageDraw, text: str, anchor: tuple[float, float], width: int, size: int) -> None:
    """Text centred below a point in at most two lines, its own or broken at spaces; the rest is ``…``."""
    typeface = font(size)
    lines = text.split("\n") if "\n" in text else wrapped(text, typeface, width)
    if len(lines) > _CAPTION_LINES:
        lines = [*lines[: _CAPTION_LINES - 1], " ".join(lines[_CAPTION_LINES - 1 :])]
    for row, line in enumerate(lines):
        place = (anchor[0], anchor[1] + row * _LINE)
        draw.text(place, _shortened(line, typeface, width), fill=_INK, font=typeface, anchor="ma")


def _shortened(line: str, typeface: Any, width: int) -> str:
    if typeface.getlength(line) <= width:
        return line
    while line and typeface.getlength(f"{line}…") > width:
        line = line[:-1]
    return f"{line}…"


def _add_legend(canvas: Image.Image, draw: ImageDraw.ImageDraw, top: int) -> None:
    width = min(canvas.width, 520)
    left = (canvas.width - width) // 2
    canvas.paste(legend(width, 1.0), (left, top))
    note = "relevance divided by each heatmap's largest |R|"
    _text(draw, note, (canvas.width / 2, top + 36), canvas.width - 2 * _GAP, 11)
