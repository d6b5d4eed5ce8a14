"""COCO: one JSON file of photos, objects and categories, or one for each split."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pfungst.errors import DataError
from pfungst.files import is_file, read_bounded, shown
from pfungst.images.assembly import Assembly, class_problem, inside, stated_size
from pfungst.images.dataset import DataSet
from pfungst.images.layouts.base import Layout
from pfungst.images.names import Index, nfc, split_name
from pfungst.images.place import Place
from pfungst.images.records import Labelled
from pfungst.images.rectangles import Rectangle
from pfungst.images.tree import walk

_PATTERNS = ("instances*.json", "*coco*.json", "annotations.json", "labels.json", "*.json")
_MAX_BYTES = 2 * 2**30
_LISTS = ("images", "annotations", "categories")
_CHUNK = 2**20
_MOST_SNIFFED = 200
_TRIED_NAMES = 20

_NO_ID = "photos with a missing or repeated id; left out"
_NO_CATEGORY = "objects of an unknown category; left out"
_NO_PHOTO = "objects without the id of a photo; left out"


def find_coco(place: Place) -> list[Path]:
    """The place itself if it is a JSON file, else the COCO files in it.

    Of several kinds that lie side by side, those named like instances come first; a file counts as COCO by
    its three lists, whatever its name.
    """
    files = place.files(".json")
    if place.path.is_file():
        return files
    for pattern in _PATTERNS:
        named = [file for file in files if fnmatch(file.name.lower(), pattern)][:_MOST_SNIFFED]
        found = [file for file in named if _has_lists(file)]
        if found:
            return found
    return []


def _has_lists(file: Path) -> bool:
    """Whether the names of the three lists occur in a file; it is not parsed, and not read twice as large.

    In UTF-16 every other byte is zero; without those bytes, the names are the same.
    """
    missing = {f'"{name}"'.encode() for name in _LISTS}
    try:
        if not file.is_file() or file.stat().st_size > _MAX_BYTES:
            return False
        with file.open("rb") as stream:
            before = b""
            while missing and (chunk := stream.read(_CHUNK).replace(b"\0", b"")):
                missing = {name for name in missing if name not in before + chunk}
                before = chunk[-20:]
    except OSError:
        return False
    return not missing


def recognise(place: Place) -> str:
    """JSON files with COCO's three lists."""
    files = find_coco(place)
    if not files:
        return ""
    if place.path.is_file():
        return f"{place.path.name} is a JSON file"
    names = ", ".join(str(place.relative(file)) for file in files[:4])
    return f"{names} {'has' if len(files) == 1 else 'have'} the lists {', '.join(_LISTS)}"


def read(place: Place) -> DataSet:
    """Read COCO instances, as COCO itself, Roboflow, FiftyOne and CVAT write them.

    Each entry of ``images`` gives a record; one without annotations shows none of the classes. A box
    ``[x, y, w, h]`` becomes the half-open ``[x, x + w) x [y, y + h)``, clipped to the photo. Objects with
    ``iscrowd`` or ``ignore`` count as difficult. The classes are the categories with at least one object, by
    their numbers. Several files give a split each, named by the file (``instances_val2017.json``) or by its
    folder (``valid/_annotations.coco.json``).

    Photos are looked for in ``place.images`` if that is given, else in the folders that usually go with such
    a file, the first in which one of its photos is found. Entries that are broken or lack their photo are
    left out, and ``DataSet.problems`` says which and why.

    Raises
    ------
    DataError
        If a file is not COCO JSON, the photos are not found, or nothing can be used.
    """
    files = find_coco(place)
    if not files:
        raise DataError(
            place.path, "holds no COCO annotations", allowed=f"a JSON file with the lists {', '.join(_LISTS)}"
        )
    found = Assembly(place, headers=True)
    names = _split_names(files)
    order: dict[str, float] = {}
    splits: dict[str, tuple[str, ...]] = {}
    for file in files:
        place.read.add(file)
        before = len(found.entries)
        part = _File(place, file, found)
        order.update(part.read())
        splits[names[file]] = tuple(entry.id for entry in found.entries[before:])
        if not any(entry.objects for entry in found.entries[before:]):
            found.note(part.where, "has no object of any class")
    classes = sorted(found.classes, key=lambda name: (order.get(name, math.inf), name))
    return found.finish(
        name=place.path.stem if place.path.is_file() else place.path.name,
        classes=classes,
        splits=splits if len(files) > 1 else {},
    )


def _split_names(files: list[Path]) -> dict[Path, str]:
    """A split for each file, named by it or its folder; by the whole name where two would be the same."""
    stems = {file: re.sub(r"^instances_", "", file.stem) for file in files}
    names = {file: split_name(stems[file]) or split_name(file.parent.name) or stems[file] for file in files}
    if len(set(names.values())) < len(files):
        names = (
            stems
            if len(set(stems.values())) == len(files)
            else {f: f"{f.parent.name}/{f.stem}" for f in files}
        )
    return names


@dataclass
class _File:
    """One annotation file, while it is read into an assembly."""

    place: Place
    file: Path
    found: Assembly
    folder: Path = Path()
    categories: dict[Any, tuple[float, str]] = field(default_factory=dict)
    used: set[Path] = field(default_factory=set)

    @property
    def where(self) -> str:
        """What to call the file in problems."""
        return self.file.name if self.place.path.is_file() else str(self.place.relative(self.file))

    def read(self) -> Mapping[str, float]:
        """Read all photos; gives each class's place in the order of classes."""
        content = _load(self.file)
        self.categories = _categories(content["categories"], self.where, self.found)
        self.folder = _photo_folder(self.file, content["images"], self.place.images)
        objects = self._objects(content["annotations"])
        seen: set[Any] = set()
        for entry in content["images"]:
            identity = _key(entry.get("id"))
            if identity is None or identity in seen:
                self.found.count(_NO_ID, self._named(entry))
                continue
            seen.add(identity)
            self._read_photo(entry, objects.pop(identity, []))
        lost = sum(len(items) for items in objects.values())
        if lost:
            self.found.note(self.where, f"{lost} objects belong to no photo; left out")
        return {name: number for number, name in self.categories.values()}

    @cached_property
    def photos(self) -> Index:
        """The photos of the folder, for names that are not quite those of files."""
        return _photos_in(self.folder)

    def _objects(self, entries: Iterable[dict[str, Any]]) -> dict[Any, list[Labelled]]:
        """The objects of each photo by the photo's id."""
        objects: dict[Any, list[Labelled]] = {}
        for entry in entries:
            photo, category = _key(entry.get("image_id")), _key(entry.get("category_id"))
            if category not in self.categories:
                self.found.count(_NO_CATEGORY, f"{self._named(entry)} of {shown(entry.get('category_id'))}")
            elif photo is None:
                self.found.count(_NO_PHOTO, self._named(entry))
            else:
                objects.setdefault(photo, []).append(_labelled(entry, self.categories[category][1]))
        return objects

    def _named(self, entry: Mapping[str, Any]) -> str:
        return f"{self.where}: {shown(entry.get('id'))}"

    def _read_photo(self, entry: Mapping[str, Any], objects: list[Labelled]) -> None:
        name = _name_of(entry)
        path = _photo_path(self.folder, name)
        where = name if isinstance(name, str) else shown(name)
        if path is None or not is_file(path):
            other = _other_photo(self.photos, name)
            path = path if other is None or self.folder / other in self.used else self.folder / other
        if path is None:
            what = f"leads out of {self.folder}" if _printable(name) else "is no text that can be printed"
            self.found.note(
                f"photo {shown(entry.get('id'))}", f"its file name {shown(name)} {what}; left out"
            )
        elif not is_file(path):
            self.found.count(f"photos are not in {self.folder}; left out", where)
        else:
            self.used.add(path)
            identity = self.found.new_id(PurePosixPath(path.relative_to(self.folder).as_posix()))
            size = stated_size(entry.get("height"), entry.get("width"))
            self.found.add(identity, path, objects, size=size, where=where)


def _load(file: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(read_bounded(file, _MAX_BYTES, error=DataError, what="COCO annotations"))
    except (ValueError, RecursionError) as error:
        raise DataError(file, f"is not readable JSON ({error})", hint="another copy of the file") from error
    if not isinstance(content, dict):
        raise DataError(file, "is not COCO JSON: the outermost value is no object", allowed=_wanted())
    for key in _LISTS:
        entries = content.get(key)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(file, f"is not COCO JSON: it has no list of objects {key!r}", allowed=_wanted())
    return content


def _wanted() -> str:
    return f"an object with the lists {', '.join(_LISTS)}"


def _categories(
    entries: Iterable[dict[str, Any]], where: str, found: Assembly
) -> dict[Any, tuple[float, str]]:
    categories: dict[Any, tuple[float, str]] = {}
    first: dict[str, Any] = {}
    for place, entry in enumerate(entries):
        identity, name = _key(entry.get("id")), entry.get("name")
        if identity is None or not isinstance(name, str) or not name.strip():
            found.note(where, f"category {place + 1} has no id or no name; left out")
            continue
        if problem := class_problem(name.strip()):
            found.note(where, f"category {place + 1}: {problem}; left out")
            continue
        name = nfc(name.strip())
        other = first.setdefault(name, identity)
        if other != identity:
            found.note(
                where, f"categories {shown(other)} and {shown(identity)} are both {name!r}; taken as one"
            )
        categories[identity] = (identity if isinstance(identity, int) else place, name)
    return categories


def _key(identity: object) -> int | str | None:
    """A number of a photo or category, be it written as text or as a float; None if it is none."""
    if isinstance(identity, str):
        whole = re.fullmatch("0|-?[1-9][0-9]{0,18}", identity) is not None
        return int(identity) if whole else identity
    if isinstance(identity, float):
        return int(identity) if identity.is_integer() else None
    return identity if isinstance(identity, int) and not isinstance(identity, bool) else None


def _labelled(entry: Mapping[str, Any], class_name: str) -> Labelled:
    difficult = bool(entry.get("iscrowd")) or bool(entry.get("ignore"))
    corners = entry.get("bbox")
    if corners is None:
        return Labelled(class_name=class_name, difficult=difficult)
    left, top, width, height = _numbers(corners)
    box = Rectangle(left=left, top=top, right=left + width, bottom=top + height)
    return Labelled(class_name=class_name, difficult=difficult, box=box)


def _numbers(values: Any) -> list[float]:
    """Four finite numbers, or four NaN, which make a box that is left out."""
    if not isinstance(values, list) or len(values) != 4:
        return [math.nan] * 4
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return [math.nan] * 4


def _name_of(entry: Mapping[str, Any]) -> object:
    """A photo's name; LVIS has its address alone."""
    return entry.get("file_name", entry.get("coco_url"))


def _photo_path(folder: Path, name: object) -> Path | None:
    return inside(folder, name) if isinstance(name, str) and _printable(name) else None


def _other_photo(photos: Index, name: object) -> PurePosixPath | None:
    """The photo that a name means which is not quite a file's: of another ending, or with other folders."""
    if not isinstance(name, str) or not _printable(name) or ".." in re.split(r"[/\\]", name):
        return None
    return photos.find(name)


def _printable(name: object) -> bool:
    return isinstance(name, str) and name.isprintable()


def _photo_folder(file: Path, entries: list[dict[str, Any]], images: Path | None) -> Path:
    if images is not None:
        return images
    part = file.stem.removeprefix("instances_")
    apart = file.parent.name.lower() == "annotations"  # only then do photos lie beside the file's folder
    around = (file.parent.parent, file.parent) if apart else (file.parent,)
    inner = (part, f"images/{part}", "images", "data", ".")
    candidates = [base / name for base in around for name in inner]
    names = [_name_of(entry) for entry in entries[:_TRIED_NAMES]]
    for folder in candidates:
        paths = [_photo_path(folder, name) for name in names]
        if any(path is not None and is_file(path) for path in paths):
            return folder
    for folder in candidates:  # other endings, or folders before the names
        if folder.is_dir():
            photos = _photos_in(folder)
            if names and 2 * sum(_other_photo(photos, name) is not None for name in names) >= len(names):
                return folder
    tried = ", ".join(str(folder) for folder in candidates)
    raise DataError(file, f"its photos are in none of {tried}", hint="images=FOLDER (--images FOLDER)")


def _photos_in(folder: Path) -> Index:
    return Index(walk(folder).photos)


LAYOUT = Layout(
    name="coco",
    title="a JSON file with COCO's lists images, annotations and categories",
    recognise=recognise,
    read=read,
    takes_images=True,
)
