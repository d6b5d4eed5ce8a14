"""Object boxes in one convention for every data format."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One object's box, half-open, in pixels of the photo as shown (after EXIF rotation).

    The pixel in column ``j`` and row ``i`` covers ``[j, j + 1) x [i, i + 1)``; the box covers
    ``[left, right) x [top, bottom)``. A VOC box with 1-based inclusive corners ``xmin .. xmax`` is
    ``left = xmin - 1``, ``right = xmax``; a COCO box ``[x, y, w, h]`` is ``left = x``, ``right = x + w``.

    Attributes
    ----------
    class_name : str
        The object's class.
    left, top, right, bottom : float
        Edges in pixels, ``left < right`` and ``top < bottom``.
    difficult : bool
        Marked as hard to recognise; ignored in training and in average precision.
    """

    class_name: str
    left: float
    top: float
    right: float
    bottom: float
    difficult: bool = False

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return (self.right - self.left) * (self.bottom - self.top)


def clip_box(box: Box, height: float, width: float) -> Box | None:
    """The part of a box within a photo of ``height`` x ``width`` pixels; None if nothing is left of it.

    A box that is empty, turned inside out or not finite has no part within any photo.
    """
    edges = (box.left, box.top, box.right, box.bottom)
    if not np.isfinite(edges).all() or box.left >= box.right or box.top >= box.bottom:
        return None
    left, right = max(box.left, 0.0), min(box.right, width)
    top, bottom = max(box.top, 0.0), min(box.bottom, height)
    if left >= right or top >= bottom:
        return None
    return replace(box, left=left, top=top, right=right, bottom=bottom)


def box_mask(boxes: tuple[Box, ...], height: int, width: int) -> NDArray[np.bool_]:
    """Pixels whose centre lies in at least one box, ``(height, width)`` bool."""
    mask = np.zeros((height, width), dtype=bool)
    for box in boxes:
        rows = slice(*_pixel_range(box.top, box.bottom, height))
        columns = slice(*_pixel_range(box.left, box.right, width))
        mask[rows, columns] = True
    return mask


def _pixel_range(start: float, stop: float, size: int) -> tuple[int, int]:
    first = int(np.clip(np.ceil(start - 0.5), 0, size))
    last = int(np.clip(np.ceil(stop - 0.5), first, size))
    return first, last
