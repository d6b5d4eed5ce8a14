"""What the readers share: objects in a photo, records made of them, and names that stay inside a folder."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pfungst.errors import DataError, PfungstError
from pfungst.images.boxes import Box, clip_box
from pfungst.images.dataset import DataSet, Record
from pfungst.images.decode import SUFFIXES, image_size

_ROUNDING = 0.01  # COCO states two decimals, so that boxes overhang by this much without being wrong
_SHOWN_PROBLEMS = 3


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
        self.problems.append(f"{where}: {problem}")

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
        box = clip_box(item.box, height, width)
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
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = PurePosixPath(Path(where).relative_to(folder).as_posix())
        found.extend(relative / name for name in files if is_photo_name(name))
    return sorted(found)


def is_photo_name(name: str) -> bool:
    """Whether a file's ending is that of a photo, and it is not hidden."""
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in SUFFIXES


def record_id(relative: PurePosixPath, taken: set[str]) -> str:
    """An id that can be part of a file name, unique among ``taken`` (to which it is added)."""
    stem = "__".join(relative.with_suffix("").parts)
    if stem in taken:
        stem = "__".join(relative.parts).replace(".", "_")
    candidate, count = stem, 1
    while candidate in taken:
        count += 1
        candidate = f"{stem}-{count}"
    taken.add(candidate)
    return candidate


def measured_size(path: Path, stated: tuple[int, int] | None, reading: Reading) -> tuple[int, int] | None:
    """The stated size, else the one in the photo's header; None (with a problem noted) if it has none."""
    if stated is not None:
        return stated
    try:
        return image_size(path)
    except PfungstError as error:
        reading.problems.append(f"{error} Left out")
        return None
