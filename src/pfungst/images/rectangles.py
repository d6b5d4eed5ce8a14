"""One rectangle for all that has four edges: objects' boxes, regions of pixels, places of marks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangle:
    """A half-open rectangle ``[left, right) x [top, bottom)`` in pixels of the photo as shown.

    The pixel in column ``j`` and row ``i`` covers ``[j, j + 1) x [i, i + 1)``; it lies in the rectangle if
    its centre does.

    Attributes
    ----------
    left, top, right, bottom : float
        Edges in pixels, ``left < right`` and ``top < bottom``.

    Examples
    --------
    >>> one = Rectangle(left=0, top=0, right=4, bottom=2)
    >>> two = Rectangle(left=2, top=0, right=6, bottom=2)
    >>> one.shape, one.area, one.common(two), round(one.iou(two), 3)
    ((2, 4), 8, 4, 0.333)
    """

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, edges: Iterable[float]) -> Self:
        """From ``(left, top, right, bottom)``."""
        left, top, right, bottom = edges
        return cls(left=left, top=top, right=right, bottom=bottom)

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """``(left, top, right, bottom)``."""
        return self.left, self.top, self.right, self.bottom

    @property
    def shape(self) -> tuple[float, float]:
        """``(height, width)``."""
        return self.bottom - self.top, self.right - self.left

    @property
    def area(self) -> float:
        """Area in square pixels."""
        height, width = self.shape
        return height * width

    def common(self, other: Rectangle) -> float:
        """Area of the part that both have; 0 where they do not meet."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across * down if across > 0 and down > 0 else 0.0

    def iou(self, other: Rectangle) -> float:
        """Intersection over union, 0 to 1."""
        common = self.common(other)
        union = self.area + other.area - common
        return common / union if union > 0 else 0.0

    def scaled(self, across: float, down: float) -> Self:
        """With columns times ``across`` and rows times ``down``."""
        return replace(
            self,
            left=self.left * across,
            top=self.top * down,
            right=self.right * across,
            bottom=self.bottom * down,
        )

    def widened(self, margin: float) -> Self:
        """Wider by ``margin`` on every side."""
        return replace(
            self,
            left=self.left - margin,
            top=self.top - margin,
            right=self.right + margin,
            bottom=self.bottom + margin,
        )

    def clipped(self, height: float, width: float) -> Self | None:
        """The part within a photo of ``height`` x ``width`` pixels; None if nothing is left of it.

        A rectangle that is empty, turned inside out or not finite has no part within any photo.
        """
        if not all(map(math.isfinite, self.edges)) or self.left >= self.right or self.top >= self.bottom:
            return None
        zero = type(self.left)(0)
        left, right = max(self.left, zero), min(self.right, width)
        top, bottom = max(self.top, zero), min(self.bottom, height)
        if left >= right or top >= bottom:
            return None
        return replace(self, left=left, top=top, right=right, bottom=bottom)

    def slices(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of a ``height`` x ``width`` photo whose pixels lie in the rectangle."""
        return _range(self.top, self.bottom, height), _range(self.left, self.right, width)

    def crop(self, image: NDArray[Value]) -> NDArray[Value]:
        """The part of ``image`` (height, width, ...) that lies in the rectangle, a view."""
        part: NDArray[Value] = image[self.slices(*image.shape[:2])]
        return part

    def mask(self, height: int, width: int) -> NDArray[np.bool_]:
        """Pixels that lie in the rectangle, ``(height, width)`` bool."""
        return mask_of((self,), height, width)

    def pixels(self, height: int, width: int) -> Region:
        """The smallest region of whole pixels around the rectangle, within the photo."""
        return Region(
            left=max(math.floor(self.left), 0),
            top=max(math.floor(self.top), 0),
            right=min(math.ceil(self.right), width),
            bottom=min(math.ceil(self.bottom), height),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Region(Rectangle):
    """A rectangle of whole pixels.

    Attributes
    ----------
    left, top, right, bottom : int
        First column and row, and the ones behind the last.
    """

    left: int
    top: int
    right: int
    bottom: int

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)``."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True, slots=True, kw_only=True)
class Box(Rectangle):
    """One object's rectangle, in pixels of the photo as shown (after EXIF rotation).

    A VOC box with 1-based inclusive corners ``xmin .. xmax`` is ``left = xmin - 1``, ``right = xmax``; a COCO
    box ``[x, y, w, h]`` is ``left = x``, ``right = x + w``.

    Attributes
    ----------
    class_name : str
        The object's class.
    difficult : bool
        Marked as hard to recognise; ignored in training and in average precision.
    """

    class_name: str
    difficult: bool = False


def mask_of(rectangles: Iterable[Rectangle], height: int, width: int) -> NDArray[np.bool_]:
    """Pixels that lie in at least one of the rectangles, ``(height, width)`` bool."""
    mask = np.zeros((height, width), dtype=bool)
    for rectangle in rectangles:
        mask[rectangle.slices(height, width)] = True
    return mask


def _range(start: float, stop: float, size: int) -> slice:
    first = min(max(math.ceil(start - 0.5), 0), size)
    return slice(first, min(max(math.ceil(stop - 0.5), first), size))
