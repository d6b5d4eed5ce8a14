"""Which column of a table is which: the photo, its label, its box, its split."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from pfungst.images.assembly import stated_size
from pfungst.images.fitting import Size
from pfungst.images.layouts.rows import Row
from pfungst.images.names import split_name
from pfungst.images.records import Labelled
from pfungst.images.rectangles import Rectangle

Find: TypeAlias = Callable[[str], PurePosixPath | None]

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
_CENTRES = (
    ("xcenter", "ycenter", "width", "height"), ("centerx", "centery", "width", "height"),
    ("cx", "cy", "w", "h"), ("cx", "cy", "width", "height"), ("xcenter", "ycenter", "w", "h"),
    ("xc", "yc", "w", "h"),
)  # fmt: skip
_NO_LABEL = ("nan", "null", "<na>")
_SIZES = (("imageheight", "imagewidth"), ("imgheight", "imgwidth"), ("height", "width"))
_BOXES = ("bbox", "box", "boundingbox")
_SHOWN = 6
_TRUE, _FALSE = ("1", "1.0", "true"), ("0", "0.0", "false", "")
_ENOUGH = 0.5  # of the rows must name a photo that is there, or of the photos be named
_ENOUGH_ALONE = 3


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
    corners, sides, centre : tuple of str
        Four columns of a box: two corners; or left, top, width and height; or its centre, width and height.
    box : str
        A column of lists ``[x, y, width, height]``.
    size : tuple of str
        Height and width of the photo.
    split, difficult : str
    spaced, parted : bool
        Whether spaces stand between several classes: each part of a label with spaces is one of its own; or
        some parts are, so that it is not known.
    unused : tuple of str
        Columns that say nothing here.
    """

    photo: str
    label: str = ""
    several: bool = False
    shown: tuple[str, ...] = ()
    objects: str = ""
    corners: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    centre: tuple[str, ...] = ()
    box: str = ""
    size: tuple[str, ...] = ()
    split: str = ""
    difficult: str = ""
    spaced: bool = False
    parted: bool = False
    unused: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Sequence[Row], find: Find, photos: int) -> Columns | None:
        """The columns of a table from its rows; None if it does not label photos that are there.

        Parameters
        ----------
        rows : sequence of mapping
        find : callable
            From a name to the photo that it means, or None.
        photos : int
            How many photos there are.
        """
        found = cls._of(rows, find, photos)
        if found is None:
            return None
        used = {found.photo, found.label, found.objects, found.box, found.split, found.difficult}
        used |= {*found.shown, *found.corners, *found.sides, *found.centre, *found.size}
        return replace(found, unused=tuple(name for name in rows[0] if name and name not in used))

    @classmethod
    def _of(cls, rows: Sequence[Row], find: Find, photos: int) -> Columns | None:
        names = {_plain(name): name for row in rows for name in row if isinstance(name, str)}
        photo = next(
            (names[key] for key in _PHOTO if key in names and _names_photos(rows, names[key], find, photos)),
            None,
        )
        if photo is None:
            return None
        if "0" in names:
            return _without_header(rows, photo)
        corners = _all_of(names, _CORNERS)
        centre = () if corners else _all_of(names, _CENTRES)
        sides = () if corners or centre else _all_of(names, _SIDES)
        found = cls(
            photo=photo,
            objects=_first(names, ("objects",)),
            corners=corners,
            sides=sides,
            centre=centre,
            box=_first(names, _BOXES),
            size=tuple(name for name in _all_of(names, _SIZES) if name not in (*sides, *centre)),
            split=_first(names, _SPLIT),
            difficult=_first(names, ("difficult", "iscrowd")),
        )
        label = _first(names, _ONE) or _first(names, _SEVERAL)
        if label and label != photo:
            several = _plain(label) in _SEVERAL
            spaced, parted = _spaces(rows, label) if several else (False, False)
            return replace(found, label=label, several=several, spaced=spaced, parted=parted)
        if found.objects:
            return found
        used = {photo, found.split, found.difficult, *found.size}
        shown = tuple(name for name in rows[0] if name not in used)
        return replace(found, shown=shown) if _are_flags(rows, shown) else None

    def __str__(self) -> str:
        """What the columns are, in words."""
        flags = f"columns of 0 and 1 its {len(self.shown)} classes"
        label = flags if self.shown else f"column {self.label or self.objects!r} its classes"
        label += ", with spaces between them" if self.spaced else ""
        rest = f"; not used: {', '.join(map(repr, self.unused[:_SHOWN]))}" if self.unused else ""
        more = ", …" if len(self.unused) > _SHOWN else ""
        return f"column {self.photo!r} names a photo, {label}{rest}{more}"

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
            for name in _classes(row.get(self.label), several=self.several, spaced=self.spaced):
                yield Labelled(class_name=name, difficult=difficult, box=self._box_in(row))

    def is_unlabelled(self, row: Row) -> bool:
        """Whether a row's label says that it has none."""
        value = row.get(self.label) if self.label else None
        return isinstance(value, str) and value.strip().lower() in _NO_LABEL

    def is_one_name(self, row: Row) -> bool:
        """Whether a row's label is taken as one name, and could be several."""
        return self.parted and " " in _text(row.get(self.label))

    def _box_in(self, row: Row) -> Rectangle | None:
        if self.box:
            return _of_sides(_numbers(row.get(self.box)))
        columns = self.corners or self.centre or self.sides
        values = [_number(row.get(name)) for name in columns]
        if not values or all(_text(row.get(name)) == "" for name in columns):
            return None
        if self.centre:
            x, y, width, height = values
            values = [x - width / 2, y - height / 2, width, height]
        return Rectangle.of(values) if self.corners else _of_sides(values)


def _without_header(rows: Sequence[Row], photo: str) -> Columns | None:
    """``photo, label``, or ``photo, x1, y1, x2, y2, label``."""
    width = max(len(row) for row in rows)
    if width == 2:
        return Columns(photo=photo, label="1" if photo == "0" else "0")
    if width == 6 and photo == "0":
        return Columns(photo=photo, corners=("1", "2", "3", "4"), label="5")
    return None


def _names_photos(rows: Sequence[Row], name: str, find: Find, photos: int) -> bool:
    values = [_text(row.get(name)) for row in rows]
    named = [photo for value in values if value and (photo := find(value)) is not None]
    return bool(named) and (
        len(named) >= _ENOUGH * len(rows) or len(set(named)) >= max(_ENOUGH * photos, _ENOUGH_ALONE)
    )


def _are_flags(rows: Sequence[Row], names: Sequence[str]) -> bool:
    values = {_text(row.get(name)).lower() for row in rows for name in names}
    return values <= {*_TRUE, *_FALSE} and bool(values & set(_TRUE))


def _spaces(rows: Sequence[Row], label: str) -> tuple[bool, bool]:
    """Whether all parts, and whether some parts, of labels with spaces are labels of their own."""
    texts = {_text(row.get(label)) for row in rows if not isinstance(row.get(label), list)}
    if any(re.search(r"[|;,\[]", text) for text in texts):
        return False, False
    parts = {part for text in texts if " " in text for part in text.split()}
    whole = bool(parts) and parts <= texts
    return whole, bool(parts & texts) and not whole


def _classes(value: Any, *, several: bool, spaced: bool) -> list[str]:
    """The class names in one cell."""
    text = _text(value)
    if isinstance(value, list):
        names = [_text(item) for item in value]
    elif text.lower() in _NO_LABEL:
        return []
    elif re.fullmatch(r"\[.*\]", text):  # a list of Python or of JSON, written as text
        parts = re.findall(r"""'([^']*)'|"([^"]*)"|([^,\[\]'"]+)""", text)
        names = ["".join(part) for part in parts]
    else:
        names = re.split(r"[|;,]|\s+" if spaced else r"[|;,]" if several else r"[|;]", text)
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
    lists = (found if isinstance(found, list) else [] for found in (names, boxes))
    for name, box in zip_longest(*lists):  # a box without a class is counted as such
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
