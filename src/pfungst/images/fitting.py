"""Boxes as an annotation gives them, brought to the photo as it is: its own size and orientation win."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pfungst.errors import DataError
from pfungst.images.decode import Header
from pfungst.images.rectangles import Rectangle

Size = tuple[int, int]

_REACHES_OUT = 0.1  # of a box's side
_TURNED = (5, 6, 7, 8)
_FEW = 3  # boxes; of fewer, nothing is concluded
_PARTS = (100, 1000)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How boxes of one photo go from the pixels that they were given for to those of the photo as shown.

    Attributes
    ----------
    kind : {"as given", "turned", "scaled", "settled", "unsure", "other"}
        "unsure": the photo is turned by its EXIF data, and nothing tells for which pixels the boxes were
        given. "settled": it was unsure, and other photos of the set tell. "other": the boxes belong to a
        photo of another shape.
    header : Header
    given_for : (int, int)
        ``(height, width)`` of the pixels that the boxes were given for.
    by_stored : bool
        Whether those are the stored pixels.
    """

    kind: Literal["as given", "turned", "scaled", "settled", "unsure", "other"]
    header: Header
    given_for: Size
    by_stored: bool = False

    def __call__(self, box: Rectangle) -> Rectangle | None:
        """The box in the photo as shown, not clipped; None if there is no telling."""
        if self.is_lost:
            return None
        if not self.by_stored:
            return _stretched(box, self.given_for, self.header.size)
        return turned(_stretched(box, self.given_for, self.header.stored), self.header)

    @property
    def is_lost(self) -> bool:
        """Whether its boxes are of no use."""
        return self.kind in ("unsure", "other")

    @property
    def tells(self) -> bool:
        """Whether it is known for which pixels of a photo that EXIF data turn the boxes were given."""
        return self.header.orientation != 1 and not self.is_lost

    def settled(self, *, by_stored: bool) -> Fit:
        """The same, now that other photos tell for which pixels boxes were given."""
        given_for = self.header.stored if by_stored and self.given_for == self.header.size else self.given_for
        return replace(self, kind="settled", by_stored=by_stored, given_for=given_for)


def fit(boxes: Sequence[Rectangle], stated: Size | None, header: Header) -> Fit:
    """How to bring boxes that were given for a photo of the stated size to the photo that there is.

    1. The stated size is that of the photo as shown: as given.
    2. It is that of the stored pixels of a photo that EXIF data turn: turned.
    3. It has the aspect of one of them: scaled.
    4. None of these: the boxes are of no use.

    Where 1 and 2 are the same (a square, or a photo that is mirrored or stands on its head), or no size is
    stated and the boxes fit both, the case is ``unsure``.
    """
    if stated is None:
        return _fit_by_boxes(boxes, header)
    shown, stored = header.size, header.stored
    alike = header.orientation != 1 and shown == stored
    if stated == shown:
        return Fit(kind="unsure" if alike else "as given", header=header, given_for=stated)
    turns = header.orientation in _TURNED
    if turns and stated == stored:
        return Fit(kind="turned", header=header, given_for=stated, by_stored=True)
    by_shown, by_stored = _one_shape(stated, shown), turns and _one_shape(stated, stored)
    if by_shown:
        return Fit(kind="unsure" if alike or by_stored else "scaled", header=header, given_for=stated)
    kind: Literal["scaled", "other"] = "scaled" if by_stored else "other"
    return Fit(kind=kind, header=header, given_for=stated, by_stored=by_stored)


def _fit_by_boxes(boxes: Sequence[Rectangle], header: Header) -> Fit:
    if header.orientation == 1:
        return Fit(kind="as given", header=header, given_for=header.size)
    by_shown, by_stored = (all(_within(box, size) for box in boxes) for size in (header.size, header.stored))
    if by_stored and not by_shown:
        return Fit(kind="turned", header=header, given_for=header.stored, by_stored=True)
    sure = by_shown and not by_stored
    return Fit(kind="as given" if sure else "unsure", header=header, given_for=header.size)


def _within(box: Rectangle, size: Size) -> bool:
    return box.left >= -1 and box.top >= -1 and box.right <= size[1] + 1 and box.bottom <= size[0] + 1


def _one_shape(one: Size, other: Size) -> bool:
    """Whether one is the other scaled, up to the rounding of sides to whole pixels."""
    down, across = other[0] / one[0], other[1] / one[1]
    return abs(down - across) <= max(1, down) * (1 / one[0] + 1 / one[1])


def _stretched(box: Rectangle, given_for: Size, size: Size) -> Rectangle:
    return box if given_for == size else box.scaled(size[1] / given_for[1], size[0] / given_for[0])


def turned(box: Rectangle, header: Header) -> Rectangle:
    """A rectangle of the stored pixels in the photo as shown.

    With the stored width w and height h, orientation 2 takes a point (x, y) to (w − x, y), 3 to
    (w − x, h − y), 4 to (x, h − y), 5 to (y, x), 6 to (h − y, x), 7 to (h − y, w − x) and 8 to (y, w − x).
    """
    left, top, right, bottom = box.edges
    across, down = (left, right), (top, bottom)
    if header.orientation in (2, 3, 7, 8):
        across = header.width - right, header.width - left
    if header.orientation in (3, 4, 6, 7):
        down = header.height - bottom, header.height - top
    if header.orientation in _TURNED:
        across, down = down, across
    return Rectangle(left=across[0], top=down[0], right=across[1], bottom=down[1])


def has_inside(box: Rectangle) -> bool:
    """Whether a box has finite edges in order."""
    return all(map(math.isfinite, box.edges)) and box.left < box.right and box.top < box.bottom


def within_one_pixel(box: Rectangle) -> bool:
    """Whether a box lies in the first pixel: one in parts of 1 that stands where boxes in pixels should."""
    return box.right <= 1 and box.bottom <= 1


def settled(ways: Sequence[Fit | None]) -> list[Fit | None]:
    """The same, the unsure ones settled by the others if those agree: one tool drew the boxes of a set."""
    told = {way.by_stored for way in ways if way is not None and way.tells}
    if len(told) != 1:
        return list(ways)
    by_stored = told.pop()
    return [
        way.settled(by_stored=by_stored) if way is not None and way.kind == "unsure" else way for way in ways
    ]


def check_units(source: Path, raw: Sequence[Rectangle], fitted: Sequence[tuple[Rectangle, Size]]) -> None:
    """Refuse boxes whose numbers are not pixels of their photos.

    Parameters
    ----------
    source : Path
        For the message.
    raw : sequence of Rectangle
        Boxes as an annotation gives them in what should be pixels.
    fitted : sequence of (Rectangle, (int, int))
        Each box in its photo, not clipped, with the photo's ``(height, width)``.

    Raises
    ------
    DataError
        If most boxes lie within one pixel, or most reach far out of their photos.
    """
    within = sum(map(within_one_pixel, raw))
    if 2 * within > len(raw):
        raise DataError(
            source,
            f"{within} of {len(raw)} boxes lie within one pixel; are they normalised, that is shares of the "
            "photo's width and height?",
            allowed="boxes in pixels",
            hint="boxes multiplied by the photo's width and height",
        )
    outside = sum(_reaches_out(box, size) for box, size in fitted)
    corners = _FEW <= len(fitted) <= 4 * outside and all(_fits_as_corners(box, size) for box, size in fitted)
    if 2 * outside > len(fitted) or corners:
        more = ", and read as two corners all would lie within" if corners else ""
        raise DataError(
            source,
            f"{outside} of {len(fitted)} boxes reach far out of their photos{more}",
            allowed="boxes in pixels of the photos that lie here",
            hint="look whether they are [x, y, width, height] or two corners, whether they are in pixels or "
            "in parts of 1, 100 or 1000, and whether they were drawn on photos of this size",
        )


def _reaches_out(box: Rectangle, size: Size) -> bool:
    inside = box.clipped(*size)
    if inside is None:
        return True
    lost = [whole - kept for whole, kept in zip(box.shape, inside.shape, strict=True)]
    return any(part > max(2, _REACHES_OUT * whole) for part, whole in zip(lost, box.shape, strict=True))


def _fits_as_corners(box: Rectangle, size: Size) -> bool:
    """Whether the numbers of a box ``[x, y, width, height]`` could be those of two corners in its photo."""
    across, down = box.right - box.left, box.bottom - box.top
    return box.left < across <= size[1] + 1 and box.top < down <= size[0] + 1


def parts_of(pairs: Sequence[tuple[Rectangle, Size]]) -> int:
    """100 or 1000 if that is what boxes seem to be parts of, else 0.

    They do if all lie within that many pixels, some reach beyond the half of it both across and down, and
    most photos are at least twice as long.

    Parameters
    ----------
    pairs : sequence of (Rectangle, (int, int))
        Boxes as an annotation gives them, each with the ``(height, width)`` that they were given for.
    """
    if len(pairs) < _FEW:
        return 0
    across, down = (
        max(values) for values in zip(*((box.right, box.bottom) for box, _ in pairs), strict=True)
    )
    longest = sorted(max(size) for _, size in pairs)[(len(pairs) - 1) // 2]
    return next((n for n in _PARTS if n / 2 < min(across, down) and max(across, down) <= n <= longest / 2), 0)
