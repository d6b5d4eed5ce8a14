"""What the readers share: objects in a photo, records made of them, and names that stay inside a folder."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pfungst.errors import DataError, PfungstError, printable
from pfungst.files import usable_name
from pfungst.images.dataset import DataSet, Record
from pfungst.images.decode import SUFFIXES, image_size
from pfungst.images.rectangles import Box

_ROUNDING = 0.01  # COCO states two decimals, so that boxes overhang by this much without being wrong
_SHOWN_PROBLEMS = 3
_MAX_ID_BYTES = 150  # of 255 that a file name may have; the rest is for what is added to it
_MAX_FOLDERS = 32
_MAX_STATED_SIDE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One object of a photo: its class, and its box where the annotation has one."""

    class_name: str
    difficult: bool = False
    box: Box | None = None


@dataclass
class Reading:
    """Records and problems as a reader comes across them."""

    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def note(self, where: str, problem: str) -> None:
        """Remember a problem of one file."""
        self.problems.append(printable(f"{where}: {problem}"))

    def add(
        self,
        record_id: str,
        path: Path,
        objects: Sequence[Labelled],
        size: tuple[int, int] | None,
        where: str,
    ) -> None:
        """Make a record of a photo and its objects; boxes are clipped to the photo, if its size is known."""
        kept = [self._clipped(item, size, where) for item in objects]
        labelled = [item for item in kept if item is not None]
        positive = frozenset(item.class_name for item in labelled if not item.difficult)
        difficult = frozenset(item.class_name for item in labelled) - positive
        boxes = tuple(item.box for item in labelled if item.box is not None)
        self.records.append(
            Record(id=record_id, path=path, positive=positive, difficult=difficult, boxes=boxes, size=size)
        )

    def _clipped(self, item: Labelled, size: tuple[int, int] | None, where: str) -> Labelled | None:
        if item.box is None:
            return item
        height, width = size or (math.inf, math.inf)
        box = item.box.clipped(height, width)
        photo = f"the photo of {width} x {height} pixels"
        if box is None:
            self.note(where, f"{item.class_name} has a box that is empty or outside {photo}; object left out")
            return None
        if _overhang(item.box, box) > _ROUNDING:
            self.note(where, f"{item.class_name} has a box that reaches out of {photo}; clipped")
        return Labelled(class_name=item.class_name, difficult=item.difficult, box=box)

    def finish(
        self,
        *,
        name: str,
        root: Path,
        classes: tuple[str, ...],
        splits: dict[str, tuple[str, ...]] | None = None,
    ) -> DataSet:
        """The data set.

        Raises
        ------
        DataError
            If no record is left, or none has a label.
        """
        if not self.records or not classes:
            found = "no photo that can be used" if not self.records else "photos, but no labelled object"
            shown = "; ".join(self.problems[:_SHOWN_PROBLEMS])
            reason = f" ({len(self.problems)} problems, first: {shown})" if shown else ""
            raise DataError(
                root,
                f"{found}{reason}",
                hint="mend the first of them, or state the layout (format, --format)",
            )
        return DataSet(
            name=name,
            root=root,
            classes=classes,
            records=tuple(self.records),
            splits=splits or {},
            problems=tuple(self.problems),
        )


def _overhang(box: Box, clipped: Box) -> float:
    return max(
        clipped.left - box.left,
        clipped.top - box.top,
        box.right - clipped.right,
        box.bottom - clipped.bottom,
    )


def found_classes(records: Iterable[Record]) -> set[str]:
    """Every class with at least one object, difficult ones among them."""
    return {name for record in records for name in record.positive | record.difficult}


def inside(folder: Path, name: str) -> Path | None:
    """``folder / name`` if the name cannot lead out of the folder, else None.

    Absolute paths, drive letters, ``..`` and NUL are refused on every system; links that the folder's owner
    made are followed.
    """
    parts = PurePosixPath(name.replace("\\", "/"))
    if not name or parts.is_absolute() or ".." in parts.parts or "\0" in name or re.match(r"[A-Za-z]:", name):
        return None
    return folder / parts


def photos_below(folder: Path) -> list[PurePosixPath]:
    """Photos in a folder and its subfolders, relative to it, in sorted order; hidden ones are not seen."""
    found: list[PurePosixPath] = []
    for where, folders, files in os.walk(folder):
        relative = PurePosixPath(Path(where).relative_to(folder).as_posix())
        deep = len(relative.parts) >= _MAX_FOLDERS
        folders[:] = [] if deep else [name for name in folders if not name.startswith(".")]
        found.extend(relative / name for name in files if is_photo_name(name))
    return sorted(found)


def is_photo_name(name: str) -> bool:
    """Whether a file's ending is that of a photo, and it is not hidden."""
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in SUFFIXES


def record_id(relative: PurePosixPath, taken: dict[str, int]) -> str:
    """An id that can be part of a file name, unique among ``taken``, which counts how often each came."""
    stem = _short_id("__".join(relative.with_suffix("").parts))
    if stem in taken:
        stem = _short_id("__".join(relative.parts).replace(".", "_"))
    candidate = stem
    while candidate in taken:
        taken[stem] = taken.get(stem, 0) + 1
        candidate = f"{stem}-{taken[stem]}"
    taken[candidate] = 1
    return candidate


def _short_id(text: str) -> str:
    """The text, or its beginning and a checksum where it is too long for a file name."""
    content = text.encode()
    if len(content) <= _MAX_ID_BYTES:
        return text
    kept = content[: _MAX_ID_BYTES - 20].decode(errors="ignore")
    return f"{kept}-{hashlib.sha256(content).hexdigest()[:16]}"


def usable_path(path: PurePosixPath) -> bool:
    """Whether every part of a path is printable text, as it will stand in tables and on pages."""
    return all(part.isprintable() for part in path.parts)


def stated_size(height: object, width: object) -> tuple[int, int] | None:
    """``(height, width)`` if both can be the sides of a photo, else None, so that the photo is asked."""
    sides = [_side(height), _side(width)]
    return (sides[0], sides[1]) if all(sides) else None


def _side(value: object) -> int:
    """A photo's side in pixels, or 0 if this is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 1 <= value <= _MAX_STATED_SIDE else 0


def class_problem(name: str) -> str | None:
    """Why a name cannot be that of a class; None if it can."""
    return None if usable_name(name) else f"class name {name[:40]!r} is too long or cannot be printed"


def measured_size(path: Path, stated: tuple[int, int] | None, reading: Reading) -> tuple[int, int] | None:
    """The stated size, else the one in the photo's header; None (with a problem noted) if it has none."""
    if stated is not None:
        return stated
    try:
        return image_size(path)
    except PfungstError as error:
        reading.problems.append(printable(f"{error} Left out"))
        return None
