"""Frames: strips of one colour along the sides of a photo, of much the same thickness in many photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.images.rectangles import Region

Sides = tuple[int, int, int, int]
"""Thickness above, left, below and right, in pixels."""

_EVEN, _SAME, _DEEPEST, _THINNEST = 9.0, 14.0, 0.15, 2
_PIECE = 48
_COLOUR, _RATIO = 45.0, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The frame of a photo: thickness of its four sides (0 where there is none) and its colour, RGB."""

    sides: Sides
    colour: tuple[float, float, float]

    @property
    def thickness(self) -> float:
        """Mean over the sides that have one."""
        return float(np.mean([side for side in self.sides if side]))

    def strips(self, size: Sequence[int], rim: int = 0) -> tuple[Region, ...]:
        """The rectangles it covers in a photo ``(height, width)``, a rim wider, none over another."""
        height, width = size
        above, left, below, right = (side + rim if side else 0 for side in self.sides)
        strips = (
            Region(top=0, left=0, bottom=above, right=width),
            Region(top=height - below, left=0, bottom=height, right=width),
            Region(top=above, left=0, bottom=height - below, right=left),
            Region(top=above, left=width - right, bottom=height - below, right=width),
        )
        return tuple(strip for strip in strips if min(strip.shape) > 0)

    def like(self, other: Frame) -> bool:
        """Whether it has the same sides, much the same colour, and at most twice or half the thickness."""
        same_sides = [bool(side) for side in self.sides] == [bool(side) for side in other.sides]
        colour = np.abs(np.subtract(self.colour, other.colour)).max() <= _COLOUR
        ratio = self.thickness / other.thickness
        return same_sides and bool(colour) and 1 / _RATIO <= ratio <= _RATIO


def find_frame(image: ImageArray) -> Frame | None:
    """The frame of a photo; None unless opposite sides are alike.

    A line along a side belongs to the frame while it is even and of the colour of the outermost one. A
    uniform ground that reaches deep into the photo is no frame.
    """
    pixels = image.astype(np.float32)
    depths = [_depth(_from_side(pixels, side)) for side in range(4)]
    above, left, below, right = depths
    rows, columns = _paired(above, below), _paired(left, right)
    sides = (above if rows else 0, left if columns else 0, below if rows else 0, right if columns else 0)
    if not any(sides):
        return None
    lines = [_from_side(pixels, side)[0].mean(axis=0) for side in range(4) if sides[side]]
    if np.ptp(np.stack(lines), axis=0).max() > _COLOUR:
        return None
    red, green, blue = (float(value) for value in np.mean(lines, axis=0))
    return Frame(sides=sides, colour=(red, green, blue))


def _from_side(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """The photo's lines ``(depth, length, 3)`` as counted from above, left, below or right."""
    turned = pixels.swapaxes(0, 1) if side % 2 else pixels
    return turned[::-1] if side >= 2 else turned


def _depth(lines: NDArray[np.float32]) -> int:
    """Lines of one even colour; 0 where they are too few or reach too deep."""
    deepest = int(_DEEPEST * len(lines)) + 1
    length = lines.shape[1]
    inner = lines[:deepest, length // 10 : length - length // 10]
    even = inner.std(axis=1).max(axis=1) <= _EVEN
    same = np.abs(inner.mean(axis=1) - inner[0].mean(axis=0)).max(axis=1) <= _SAME
    broken = np.flatnonzero(~(even & same))
    depth = int(broken[0]) if broken.size else 0
    return depth if depth >= _THINNEST else 0


def _paired(first: int, second: int) -> bool:
    if not first or not second:
        return False
    return abs(first - second) <= max(2.0, 0.3 * max(first, second))


def common_frame(frames: Sequence[Frame | None]) -> Frame | None:
    """The frame that most others are like; None where there is none."""
    known = [frame for frame in frames if frame is not None]
    if not known:
        return None
    return max(known, key=lambda frame: sum(frame.like(other) for other in known))


def pieces(strips: Sequence[Region]) -> list[Region]:
    """The strips cut into short pieces, which find room beside an object."""
    cut = []
    for strip in strips:
        for top in range(strip.top, strip.bottom, _PIECE):
            for left in range(strip.left, strip.right, _PIECE):
                bottom, right = min(top + _PIECE, strip.bottom), min(left + _PIECE, strip.right)
                cut.append(Region(top=top, left=left, bottom=bottom, right=right))
    return cut
