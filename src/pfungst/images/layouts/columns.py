"""Which column of a table is which: the photo, its label, its box, its split."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pfungst.images.assembly import stated_size
from pfungst.images.fitting import Size
from pfungst.images.layouts.rows import Row
from pfungst.images.names import Index, split_name
from pfungst.images.records import Labelled
from pfungst.images.rectangles import Rectangle

_PHOTO = (
    "filename", "file", "filepath", "path", "image", "imagepath", "imagefile", "imagefilename", "imagename",
    "img", "imgpath", "imgname", "photo", "photopath", "picture", "imageid", "photoid", "id", "name", "0",
)  # fmt: skip
_ONE = (
    "label",
    "class",
    "classname",
    "category",
    "categoryname",
    "species",
    "breed",
    "target",
    "labelname",
    "tag",
)
_SEVERAL = ("labels", "classes", "categories", "tags", "classnames", "labelnames")
_SPLIT = ("split", "subset", "set", "partition")
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom"),
    ("bboxxmin", "bboxymin", "bboxxmax", "bboxymax"), ("bboxx1", "bboxy1", "bboxx2", "bboxy2"),
)  # fmt: skip
_SIDES = (
    ("x", "y", "w", "h"), ("x", "y", "width", "height"), ("left", "top", "width", "height"),
    ("xmin", "ymin", "width", "height"), ("bboxx", "bboxy", "bboxwidth", "bboxheight"),
    ("bboxx", "bboxy", "bboxw", "bboxh"),
)  # fmt: skip
_SIZES = (("imageheight", "imagewidth"), ("imgheight", "imgwidth"), ("height", "width"))
_BOXES = ("bbox", "box", "boundingbox")
_TRUE, _FALSE = ("1", "1.0", "true"), ("0", "0.0", "false", "")
_ENOUGH = 0.5  # of the rows must name a photo that is there


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of one table that are understood, by their names in the table.

    Attributes
    ----------
    photo : str
    label : str
        A class, or several; empty where there is none.
    several : bool
        Whether commas stand between several classes.
    shown : tuple of str
        Columns of 0 and 1, one for each class.
    objects : str
        Hugging Face's ``objects``.
    corners, sides : tuple of str
        Four columns of a box: two corners; or left, top, width and height.
    box : str
        A column of lists ``[x, y, width, height]``.
    size : tuple of str
        Height and width of the photo.
    split, difficult : str
    """

    photo: str
    label: str = ""
    several: bool = False
    shown: tuple[str, ...] = ()
    objects: str = ""
    corners: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    box: str = ""
    size: tuple[str, ...] = ()
    split: str = ""
    difficult: str = ""

    @classmethod
    def of(cls, rows: Sequence[Row], photos: Index) -> Columns | None:
        """The columns of a table from its first rows; None if it does not label photos that are there."""
        names = {_plain(name): name for row in rows for name in row if isinstance(name, str)}
        photo = next(
            (names[key] for key in _PHOTO if key in names and _names_photos(rows, names[key], photos)), None
        )
        if photo is None:
            return None
        if "0" in names:
            return _without_header(rows, photo)
        corners = _all_of(names, _CORNERS)
        sides = () if corners else _all_of(names, _SIDES)
        found = cls(
            photo=photo,
            objects=_first(names, ("objects",)),
            corners=corners,
            sides=sides,
            box=_first(names, _BOXES),
            size=tuple(name for name in _all_of(names, _SIZES) if name not in sides),
            split=_first(names, _SPLIT),
            difficult=_first(names, ("difficult", "iscrowd")),
        )
        label = _first(names, _ONE) or _first(names, _SEVERAL)
        if label and label != photo:
            return replace(found, label=label, several=_plain(label) in _SEVERAL)
        if found.objects:
            return found
        used = {photo, found.split, found.difficult, *found.size}
        shown = tuple(name for name in rows[0] if name not in used)
        return replace(found, shown=shown) if _are_flags(rows, shown) else None

    def __str__(self) -> str:
        """What the columns are, in words."""
        flags = f"columns of 0 and 1 its {len(self.shown)} classes"
        label = flags if self.shown else f"column {self.label or self.objects!r} its classes"
        return f"column {self.photo!r} names a photo, {label}"

    def photo_in(self, row: Row) -> str:
        """The name of a row's photo; empty if it has none."""
        value = row.get(self.photo)
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""

    def split_in(self, row: Row) -> str:
        """The split that a row states; empty if it states none."""
        value = row.get(self.split) if self.split else None
        text = value.strip() if isinstance(value, str) else ""
        return split_name(text) or text

    def size_in(self, row: Row) -> Size | None:
        """``(height, width)`` of the photo, as stated."""
        if len(self.size) != 2:
            return None
        height, width = (_number(row.get(name)) for name in self.size)
        return stated_size(height, width)

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Class names in the order of their columns, of their numbers, or of the alphabet."""
        known = sorted(names)
        if self.shown:
            return [name for name in self.shown if name in known] + [n for n in known if n not in self.shown]
        return sorted(known, key=int) if all(name.isdecimal() for name in known) else known

    def objects_in(self, row: Row) -> Iterator[Labelled]:
        """What a row says that its photo shows."""
        for name in self.shown:
            if _text(row.get(name)).lower() in _TRUE:
                yield Labelled(class_name=name)
        if self.objects:
            yield from _objects(row.get(self.objects))
        if self.label:
            difficult = _text(row.get(self.difficult)).lower() in _TRUE if self.difficult else False
            for name in _classes(row.get(self.label), several=self.several):
                yield Labelled(class_name=name, difficult=difficult, box=self._box_in(row))

    def _box_in(self, row: Row) -> Rectangle | None:
        if self.box:
            return _of_sides(_numbers(row.get(self.box)))
        values = [_number(row.get(name)) for name in self.corners or self.sides]
        if not values or all(_text(row.get(name)) == "" for name in self.corners or self.sides):
            return None
        return Rectangle.of(values) if self.corners else _of_sides(values)


def _without_header(rows: Sequence[Row], photo: str) -> Columns | None:
    """``photo, label``, or ``photo, x1, y1, x2, y2, label``."""
    width = max(len(row) for row in rows)
    if width == 2:
        return Columns(photo=photo, label="1" if photo == "0" else "0")
    if width == 6 and photo == "0":
        return Columns(photo=photo, corners=("1", "2", "3", "4"), label="5")
    return None


def _names_photos(rows: Sequence[Row], name: str, photos: Index) -> bool:
    values = [_text(row.get(name)) for row in rows]
    return sum(bool(value) and photos.find(value) is not None for value in values) >= max(
        1, _ENOUGH * len(rows)
    )


def _are_flags(rows: Sequence[Row], names: Sequence[str]) -> bool:
    values = {_text(row.get(name)).lower() for row in rows for name in names}
    return values <= {*_TRUE, *_FALSE} and bool(values & set(_TRUE))


def _classes(value: Any, *, several: bool) -> list[str]:
    """The class names in one cell."""
    if isinstance(value, list):
        names = [_text(item) for item in value]
    else:
        names = re.split(r"[|;,]" if several else r"[|;]", _text(value))
    whole = (re.sub(r"^(\d+)\.0$", r"\1", name.strip()) for name in names)  # a number that passed as a float
    return list(dict.fromkeys(name for name in whole if name))


def _objects(value: Any) -> Iterator[Labelled]:
    """Hugging Face's objects: lists of boxes and classes side by side, or a list of objects."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                name = _first_of(item, ("category", "label", "categories", "class"))
                box = _first_of(item, _BOXES)
                yield Labelled(class_name=_text(name), box=None if box is None else _of_sides(_numbers(box)))
        return
    if not isinstance(value, dict):
        return
    names = _first_of(value, ("categories", "category", "labels", "label", "classes"))
    boxes = _first_of(value, _BOXES)
    for place, name in enumerate(names if isinstance(names, list) else []):
        box = boxes[place] if isinstance(boxes, list) and place < len(boxes) else None
        yield Labelled(class_name=_text(name), box=None if box is None else _of_sides(_numbers(box)))


def _of_sides(values: Sequence[float]) -> Rectangle:
    left, top, width, height = values
    return Rectangle(left=left, top=top, right=left + width, bottom=top + height)


def _numbers(value: Any) -> list[float]:
    """Four numbers of a list, or of one written as text; four NaN if it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(f"[{value.strip('[]() ')}]")
        except (ValueError, RecursionError):
            value = None
    numbers = [_number(item) for item in value] if isinstance(value, list) else []
    return numbers if len(numbers) == 4 else [math.nan] * 4


def _number(value: Any) -> float:
    try:
        number = float(value) if not isinstance(value, bool) and value is not None else math.nan
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _text(value: Any) -> str:
    """A cell as text; a whole number without its point."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _first(names: dict[str, str], keys: Sequence[str]) -> str:
    return next((names[key] for key in keys if key in names), "")


def _first_of(item: dict[str, Any], keys: Sequence[str]) -> Any:
    return next((item[key] for key in keys if key in item), None)


def _all_of(names: dict[str, str], groups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The first group of columns that are all there."""
    return next(
        (tuple(names[key] for key in group) for group in groups if all(key in names for key in group)), ()
    )
