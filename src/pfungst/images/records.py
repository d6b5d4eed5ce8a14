"""From photos and objects, as annotations have them, to records whose boxes fit the photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pfungst.images.dataset import Record
from pfungst.images.decode import Header
from pfungst.images.fitting import (
    Fit,
    Size,
    check_units,
    fit,
    has_inside,
    parts_of,
    settled,
    within_one_pixel,
)
from pfungst.images.rectangles import Box, Rectangle

Count = Callable[[str, str], None]
"""Told a kind of problem, and the photo that has it."""

_ROUNDING = 0.01  # COCO states two decimals, so that boxes overhang by this much without being wrong

MENDED = "boxes with swapped corners; mended"
NO_BOX = "objects without a box; their labels count"
BAD_BOX = "boxes that are empty, no numbers or outside their photo; their labels count"
CLIPPED = "boxes that reach out of their photo; clipped"
HALF_BOXED = (
    "photos in which an object has no box and another of its class has one; left out of what needs boxes"
)
IN_PARTS = {
    100: "boxes lie within the first 100 pixels of larger photos; are they in percent?",
    1000: "boxes lie within the first 1000 pixels of larger photos; are they in parts of a thousand?",
}
OF_FIT = {
    "turned": "photos turned by EXIF data, with boxes for the stored pixels; boxes turned",
    "scaled": "photos of another size than their annotation says; boxes scaled",
    "settled": "photos turned by EXIF data, whose size does not tell for which pixels their boxes are; "
    "taken as those of the other turned photos",
    "unsure": "photos turned by EXIF data, and nothing tells whether their boxes are for the stored pixels; "
    "left out of what needs boxes (saved upright, they count)",
    "other": "photos of another shape than their annotation says; left out of what needs boxes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One object of a photo.

    Attributes
    ----------
    class_name : str
    difficult : bool
        Hard to recognise; or a crowd.
    box : Rectangle or None
        As the annotation gives it; its corners may be swapped, its edges NaN where they were no numbers.
    """

    class_name: str
    difficult: bool = False
    box: Rectangle | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A photo as its annotation has it.

    Attributes
    ----------
    id : str
    path : Path
    objects : tuple of Labelled
    size : (int, int) or None
        ``(height, width)`` as stated, of the pixels that the boxes were given for.
    in_shares : bool
        Boxes are in shares of the photo's width and height.
    where : str
        What to call it in problems.
    header : Header or None
        What the photo says itself, where it was asked.
    """

    id: str
    path: Path
    objects: tuple[Labelled, ...]
    size: Size | None = None
    in_shares: bool = False
    where: str = ""
    header: Header | None = None

    @property
    def given_for(self) -> Size | None:
        """``(height, width)`` of the pixels that the boxes were given for, as far as it is known."""
        return self.size or (None if self.header is None else self.header.stored)

    @property
    def boxes(self) -> list[Rectangle]:
        """The boxes that have an inside."""
        return [item.box for item in self.objects if item.box is not None and has_inside(item.box)]

    def fit(self, header: Header) -> Fit:
        """What brings its boxes into the photo as shown."""
        if self.in_shares:
            sure = header.orientation == 1
            return Fit(kind="as given" if sure else "unsure", header=header, given_for=(1, 1))
        return fit(self.boxes, self.size, header)


def records_of(entries: Sequence[Entry], source: Path, count: Count) -> list[Record]:
    """The records of a data set's photos.

    Boxes are mended, brought to the photo's own size and orientation, and clipped. One that cannot be used
    costs its object the box, not the label.

    Raises
    ------
    DataError
        If the boxes of the set are not in pixels of its photos.
    """
    mended = [_mended(entry, count) for entry in entries]
    if any(item.box is not None for entry in entries for item in entry.objects):
        for entry in entries:
            for _ in filter(lambda item: item.box is None, entry.objects):
                count(NO_BOX, entry.where)
    ways = [None if not entry.boxes or entry.header is None else entry.fit(entry.header) for entry in mended]
    fitted = [_fitted(entry, way, count) for entry, way in zip(mended, settled(ways), strict=True)]
    check_units(
        source,
        [box for entry in mended if not entry.in_shares for box in entry.boxes],
        [(box, entry.header.size) for entry in fitted if entry.header is not None for box in entry.boxes],
    )
    _doubt_units([entry for entry in mended if not entry.in_shares], count)
    return [_record(entry, count) for entry in fitted]


def _doubt_units(entries: Sequence[Entry], count: Count) -> None:
    """Name boxes that are possible as pixels, but look like parts of 100 or 1000."""
    pairs = [
        (box, size, entry.where) for entry in entries if (size := entry.given_for) for box in entry.boxes
    ]
    parts = parts_of([(box, size) for box, size, _ in pairs])
    if parts:
        for _, _, where in pairs:
            count(IN_PARTS[parts], where)


def _mended(entry: Entry, count: Count) -> Entry:
    """The same photo with boxes whose corners are in order."""
    objects = []
    for item in entry.objects:
        box = item.box and in_order(item.box)
        if box != item.box and box is not None and has_inside(box):
            count(MENDED, entry.where)
        objects.append(replace(item, box=box))
    return replace(entry, objects=tuple(objects))


def in_order(box: Rectangle) -> Rectangle:
    """The rectangle between the same two corners, the upper left one first."""
    return Rectangle(
        left=min(box.left, box.right),
        top=min(box.top, box.bottom),
        right=max(box.left, box.right),
        bottom=max(box.top, box.bottom),
    )


def _fitted(entry: Entry, way: Fit | None, count: Count) -> Entry:
    """The same photo with boxes in pixels of the photo as shown, not clipped."""
    if way is None:
        return entry
    if way.kind in OF_FIT:
        count(OF_FIT[way.kind], entry.where)
    if way.is_lost:
        return replace(entry, objects=tuple(replace(item, box=None) for item in entry.objects))
    return replace(
        entry, objects=tuple(replace(item, box=item.box and way(item.box)) for item in entry.objects)
    )


def _record(entry: Entry, count: Count) -> Record:
    size = entry.header.size if entry.header is not None else entry.size
    boxes: list[Box] = []
    without: set[str] = set()
    for item in entry.objects:
        box = None if item.box is None or size is None else _clipped(item, item.box, size, entry.where, count)
        if box is None:
            without.add(item.class_name)
        else:
            boxes.append(box)
    positive = frozenset(item.class_name for item in entry.objects if not item.difficult)
    half_boxed = frozenset(without & {box.class_name for box in boxes})
    if half_boxed:
        count(HALF_BOXED, entry.where)
    return Record(
        id=entry.id,
        path=entry.path,
        positive=positive,
        difficult=frozenset(item.class_name for item in entry.objects) - positive,
        boxes=tuple(boxes),
        half_boxed=half_boxed,
        size=size,
    )


def _clipped(item: Labelled, box: Rectangle, size: Size, where: str, count: Count) -> Box | None:
    inside = None if within_one_pixel(box) else box.clipped(*size)
    if inside is None:
        count(BAD_BOX, where)
        return None
    if max(abs(new - old) for new, old in zip(inside.edges, box.edges, strict=True)) > _ROUNDING:
        count(CLIPPED, where)
    left, top, right, bottom = inside.edges
    return Box(
        class_name=item.class_name,
        difficult=item.difficult,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
    )
