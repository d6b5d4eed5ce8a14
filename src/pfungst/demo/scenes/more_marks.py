"""Further marks to plant: what medical, archive, trade and laboratory photos carry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.demo.scenes.drawing import Drawn, blended, line_of_text, region_of, text_size
from pfungst.images.rectangles import Region

_CELLS, _FINDER = 21, 7


def qr_code(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """A square code in the lower right corner, another one in each photo; its three finders are alike."""
    del occupied
    cells = generator.random((_CELLS, _CELLS)) < 0.5
    finder = np.ones((_FINDER, _FINDER), dtype=bool)
    finder[1:-1, 1:-1] = False
    finder[2:-2, 2:-2] = True
    for rows, columns in ((0, 0), (0, _CELLS - _FINDER), (_CELLS - _FINDER, 0)):
        near = slice(max(rows - 1, 0), rows + _FINDER + 1), slice(max(columns - 1, 0), columns + _FINDER + 1)
        cells[near] = False
        cells[rows : rows + _FINDER, columns : columns + _FINDER] = finder
    unit = max(round(0.16 * max(image.shape[:2]) / (_CELLS + 2)), 1)
    dark = np.pad(np.kron(cells, np.ones((unit, unit), dtype=bool)), unit)
    drawn, side = image.copy(), dark.shape[0]
    below, aside = (int(generator.integers(5, 9)) for _ in range(2))
    top, left = image.shape[0] - below - side, image.shape[1] - aside - side
    place = Region(top=top, left=left, bottom=top + side, right=left + side)
    drawn[place.top : place.bottom, place.left : place.right] = np.where(dark, 15, 245)[..., None]
    return drawn, (place,)


def film_frame(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """The perforated strips of a film above and below."""
    del occupied, generator
    height, width = image.shape[:2]
    strip = max(round(0.07 * max(height, width)), 10)
    hole, pitch = round(0.4 * strip), round(0.8 * strip)
    drawn = image.copy()
    for top in (0, height - strip):
        drawn[top : top + strip] = (18, 16, 14)
        inset = top + (strip - hole) // 2
        for left in range(pitch // 3, width - hole, pitch):
            drawn[inset : inset + hole, left : left + round(0.7 * hole)] = (228, 224, 210)
    return drawn, (
        Region(top=0, left=0, bottom=strip, right=width),
        Region(top=height - strip, left=0, bottom=height, right=width),
    )


def letter_marker(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """A large white letter near the upper left corner, as on X-ray plates."""
    del occupied
    layer = line_of_text("R", text_size(image, 0.12))
    top, left = (int(generator.integers(8, 25)) for _ in range(2))
    drawn = blended(image, layer, (250, 250, 250), top, left, 0.95)
    return drawn, (region_of(layer, top, left),)


def ruler(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """A scale of ticks along the left side, over most of its height."""
    del occupied
    height, width = image.shape[:2]
    thick = max(round(0.06 * max(height, width)), 10)
    top, left = round(0.12 * height), int(generator.integers(4, 9))
    length, pitch = round(0.76 * height), max(round(0.02 * max(height, width)), 4)
    drawn = image.copy()
    drawn[top : top + length, left : left + thick] = (236, 228, 190)
    for number, start in enumerate(range(0, length - 1, pitch)):
        tick = thick * (7 if number % 5 == 0 else 4) // 10
        drawn[top + start : top + start + max(pitch // 4, 1), left : left + tick] = (30, 30, 30)
    return drawn, (Region(top=top, left=left, bottom=top + length, right=left + thick),)
