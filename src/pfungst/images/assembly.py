"""What every reader does with the photos and objects that it finds: ids, labels, boxes, splits, problems."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path, PurePosixPath

from pfungst.errors import DataError, PfungstError, printable
from pfungst.files import usable_name
from pfungst.images.dataset import DataSet
from pfungst.images.decode import image_header
from pfungst.images.fitting import Size
from pfungst.images.names import nfc, same_but_for_case, split_name
from pfungst.images.place import Place
from pfungst.images.records import Entry, Labelled, records_of

_SHOWN = 3
_MAX_ID_BYTES = 150  # of 255 that a file name may have; the rest is for what is added to it
_MAX_STATED_SIDE = 2**20


@dataclass
class Assembly:
    """A data set as a reader comes across its photos.

    Parameters
    ----------
    place : Place
        Told which files were used.
    root : Path, optional
        The data set's own folder or file. Default: the place's path.
    headers : bool
        Whether every photo is asked for its size; otherwise those with boxes are.

    Examples
    --------
    ::

        found = Assembly(place)
        for photo in place.tree.photos:
            found.add(found.new_id(photo), place.path / photo, [Labelled(class_name="cat")])
        return found.finish()
    """

    place: Place
    root: Path = Path()
    headers: bool = False
    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    splits: dict[str, list[str]] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)
    _counted: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.root == Path():
            self.root = self.place.path

    def note(self, where: str | Path | PurePosixPath, problem: str, *files: Path) -> None:
        """Remember a problem of one file; ``files`` need no further word then."""
        self.problems.append(printable(f"{where}: {problem}"))
        self.place.read.update(files)

    def count(self, problem: str, where: str) -> None:
        """Remember a problem that many photos may have; it becomes one line with their number."""
        self._counted.setdefault(problem, []).append(where)

    def new_id(self, relative: PurePosixPath) -> str:
        """An id for the photo of this path, unique in the data set."""
        return record_id(relative, self._taken)

    def add(
        self,
        record_id: str,
        path: Path,
        objects: Iterable[Labelled] = (),
        *,
        size: Size | None = None,
        split: str | None = None,
        in_shares: bool = False,
        where: str = "",
    ) -> None:
        """Add a photo.

        Parameters
        ----------
        record_id : str
            Unique in the data set; :meth:`new_id` makes one.
        path : Path
        objects : iterable of Labelled
            What it shows.
        size : (int, int), optional
            ``(height, width)`` as the annotation states it, of the pixels that the boxes were given for.
        split : str, optional
            The split it belongs to.
        in_shares : bool
            Boxes are in shares of the photo's width and height instead of pixels.
        where : str
            For problems; default: the photo's name.
        """
        named = tuple(replace(item, class_name=nfc(item.class_name)) for item in objects)
        entry = Entry(
            id=record_id, path=path, objects=named, size=size, in_shares=in_shares, where=where or path.name
        )
        if self.headers or any(item.box is not None for item in named):
            try:
                entry = replace(entry, header=image_header(path))
            except PfungstError as error:
                self.problems.append(printable(f"{error} Left out"))
                self.place.read.add(path)
                return
        self.entries.append(entry)
        if split is not None:
            self.splits.setdefault(split, []).append(record_id)

    @property
    def classes(self) -> set[str]:
        """Every class with at least one object so far, difficult ones among them."""
        return {item.class_name for entry in self.entries for item in entry.objects}

    def finish(
        self,
        *,
        name: str | None = None,
        classes: Iterable[str] | None = None,
        splits: Mapping[str, Iterable[str]] | None = None,
    ) -> DataSet:
        """The data set.

        Parameters
        ----------
        name : str, optional
            Default: the root's name.
        classes : iterable of str, optional
            Default: those found, in alphabetical order.
        splits : mapping, optional
            Split name to ids, in place of those that :meth:`add` was told.

        Raises
        ------
        DataError
            If no photo is left, none has a label, or boxes are not in pixels of their photos.
        """
        records = records_of(self.entries, self.root, self.count)
        order = tuple(dict.fromkeys(map(nfc, sorted(self.classes) if classes is None else classes)))
        chosen = _usual_order(self.splits if splits is None else splits)
        self.problems += [_line(problem, found) for problem, found in self._counted.items()]
        self.problems += [*_shared(chosen), *same_but_for_case(order)]
        if not records or not order:
            self._refuse("photos, but no labelled object" if records else "no photo that can be used")
        return DataSet(
            name=name or self.root.name,
            root=self.root,
            classes=order,
            records=tuple(records),
            splits=chosen,
            problems=tuple(self.problems),
        )

    def _refuse(self, found: str) -> None:
        shown = "; ".join(self.problems[:_SHOWN])
        reason = f" ({len(self.problems)} problems, first: {shown})" if shown else ""
        raise DataError(
            self.root,
            f"{found}{reason}",
            hint="mend the first of them, or state the layout (format, --format)",
        )


def _line(problem: str, found: Sequence[str]) -> str:
    names = list(dict.fromkeys(found))
    more = ", …" if len(names) > _SHOWN else ""
    return printable(f"{len(found)} {problem} ({', '.join(names[:_SHOWN])}{more})")


def _usual_order(splits: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Train, val, trainval and test first; a single split that says nothing (``default``) is none."""
    usual = ("train", "val", "trainval", "test")
    names = sorted(splits, key=lambda name: (usual.index(name) if name in usual else len(usual), name))
    return {} if names == ["default"] else {name: tuple(splits[name]) for name in names}


def _shared(splits: Mapping[str, Sequence[str]]) -> list[str]:
    """Photos that stand in two splits which should have none in common."""
    problems = []
    for one, other in combinations(splits, 2):
        both = set(splits[one]) & set(splits[other])
        if not both or ("trainval" in (one, other) and "test" not in (one, other)):
            continue
        apart = {split_name(one), split_name(other)} <= {"train", "val", "trainval", "test"}
        if apart or (set(splits[one]) - both and set(splits[other]) - both):
            first = next(identity for identity in splits[one] if identity in both)
            problems.append(f"{len(both)} photos stand in both {one} and {other} (first: {first})")
    return problems


def inside(folder: Path, name: str) -> Path | None:
    """``folder / name`` if the name cannot lead out of the folder, else None.

    Absolute paths, drive letters, ``..`` and NUL are refused on every system; links that the folder's owner
    made are followed.
    """
    parts = PurePosixPath(name.replace("\\", "/"))
    if not name or parts.is_absolute() or ".." in parts.parts or "\0" in name or re.match(r"[A-Za-z]:", name):
        return None
    return folder / parts


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


def stated_size(height: object, width: object) -> Size | None:
    """``(height, width)`` if both can be the sides of a photo, else None."""
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
