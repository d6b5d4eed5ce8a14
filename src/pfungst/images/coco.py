"""Reader of COCO instance annotations: one JSON file, or a folder with one for each split."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pfungst.errors import DataError
from pfungst.files import is_file, read_bounded, shown
from pfungst.images._annotated import (
    Labelled,
    Reading,
    class_problem,
    found_classes,
    inside,
    measured_size,
    record_id,
    stated_size,
)
from pfungst.images.dataset import DataSet
from pfungst.images.rectangles import Box

_PATTERNS = ("instances*.json", "*coco*.json", "annotations.json")
_MAX_BYTES = 2 * 2**30
_LISTS = ("images", "annotations", "categories")


def find_coco(path: Path) -> list[Path]:
    """COCO files: ``path`` itself if it is a JSON file, else those in it or in its ``annotations``."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" else []
    for folder in (path / "annotations", path):
        for pattern in _PATTERNS:
            found = sorted(folder.glob(pattern))
            if found:
                return found
    return []


def read_coco(path: str | Path, *, images: str | Path | None = None) -> DataSet:
    """Read COCO instances.

    Each entry of ``images`` gives a record; one without annotations shows none of the classes. A box
    ``[x, y, w, h]`` becomes the half-open ``[x, x + w) x [y, y + h)``, clipped to the photo. Objects with
    ``iscrowd`` or ``ignore`` count as difficult. The classes are the categories with at least one object, by
    their numbers. Several files in a folder (``instances_train2017.json``, ``instances_val2017.json``) give a
    split each (``train``, ``val``).

    Entries that are broken or lack their photo are left out, and ``DataSet.problems`` says which and why.

    Parameters
    ----------
    path : path
        The JSON file, or a folder with such files in it or in its ``annotations``.
    images : path, optional
        The folder of the photos. Default: the folder beside the file in which its first photo is found
        (``val2017``, ``images/val2017``, ``images`` or the file's own folder).

    Raises
    ------
    DataError
        If a file is not COCO JSON, the photos are not found, or nothing can be used.
    """
    files = find_coco(Path(path))
    if not files:
        raise DataError(
            path, "holds no COCO annotations", allowed=f"a JSON file, or a folder with {_PATTERNS[0]}"
        )
    reading = Reading()
    taken: dict[str, int] = {}
    splits: dict[str, tuple[str, ...]] = {}
    order: dict[str, float] = {}
    for file in files:
        before = len(reading.records)
        order.update(_read_file(file, images, taken, reading))
        splits[_split_name(file)] = tuple(record.id for record in reading.records[before:])
    found = found_classes(reading.records)
    classes = tuple(sorted(found, key=lambda name: (order[name], name)))
    source = Path(path)
    return reading.finish(
        name=source.stem if source.is_file() else source.name,
        root=source,
        classes=classes,
        splits=splits if len(files) > 1 else {},
    )


def _split_name(file: Path) -> str:
    return re.sub(r"^instances_|\d{4}$", "", file.stem) or file.stem


def _read_file(
    file: Path, images: str | Path | None, taken: dict[str, int], reading: Reading
) -> Mapping[str, float]:
    """Read one file into ``reading``; gives each category's place in the order of classes."""
    content = _load(file)
    categories = _categories(content["categories"], file, reading)
    folder = _photo_folder(file, content["images"], images)
    objects = _objects(content["annotations"], categories, file, reading)
    seen: set[Any] = set()
    for entry in content["images"]:
        identity = entry.get("id")
        if not isinstance(identity, int | str) or identity in seen:
            reading.note(file.name, f"photo with missing or repeated id {shown(identity)}; left out")
            continue
        seen.add(identity)
        _read_photo(entry, objects.pop(identity, []), folder, taken, reading)
    lost = sum(len(items) for items in objects.values())
    if lost:
        reading.note(file.name, f"{lost} objects belong to no photo; left out")
    return {name: number for number, name in categories.values()}


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
    entries: Iterable[dict[str, Any]], file: Path, reading: Reading
) -> dict[Any, tuple[float, str]]:
    categories: dict[Any, tuple[float, str]] = {}
    for place, entry in enumerate(entries):
        identity, name = entry.get("id"), entry.get("name")
        if not isinstance(identity, int | str) or not isinstance(name, str) or not name.strip():
            reading.note(file.name, f"category {place + 1} has no id or no name; left out")
            continue
        if problem := class_problem(name.strip()):
            reading.note(file.name, f"category {place + 1}: {problem}; left out")
            continue
        categories[identity] = (identity if isinstance(identity, int) else place, name.strip())
    return categories


def _objects(
    entries: Iterable[dict[str, Any]],
    categories: Mapping[Any, tuple[float, str]],
    file: Path,
    reading: Reading,
) -> dict[Any, list[Labelled]]:
    """The objects of each photo by the photo's id."""
    objects: dict[Any, list[Labelled]] = {}
    for entry in entries:
        photo, category = entry.get("image_id"), entry.get("category_id")
        known = isinstance(category, int | str) and category in categories
        if not known or not isinstance(photo, int | str):
            found = f"object {shown(entry.get('id'))} has unknown category {shown(category)}"
            reading.note(file.name, f"{found}; left out")
            continue
        objects.setdefault(photo, []).append(_labelled(entry, categories[category][1]))
    return objects


def _labelled(entry: Mapping[str, Any], class_name: str) -> Labelled:
    difficult = bool(entry.get("iscrowd")) or bool(entry.get("ignore"))
    corners = entry.get("bbox")
    if corners is None:
        return Labelled(class_name=class_name, difficult=difficult)
    left, top, width, height = _numbers(corners)
    box = Box(
        class_name=class_name,
        left=left,
        top=top,
        right=left + width,
        bottom=top + height,
        difficult=difficult,
    )
    return Labelled(class_name=class_name, difficult=difficult, box=box)


def _numbers(values: Any) -> list[float]:
    """Four finite numbers, or four NaN, which make a box that is left out."""
    if not isinstance(values, list) or len(values) != 4:
        return [math.nan] * 4
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return [math.nan] * 4


def _read_photo(
    entry: Mapping[str, Any],
    objects: list[Labelled],
    folder: Path,
    taken: dict[str, int],
    reading: Reading,
) -> None:
    name = entry.get("file_name")
    path = _photo_path(folder, name)
    where = name if isinstance(name, str) else shown(name)
    if path is None:
        found = f"leads out of {folder}" if _printable(name) else "is no text that can be printed"
        reading.note(f"photo {shown(entry.get('id'))}", f"its file name {shown(name)} {found}; left out")
    elif not is_file(path):
        reading.note(where, f"is not in {folder}; left out")
    else:
        size = measured_size(path, stated_size(entry.get("height"), entry.get("width")), reading)
        if size is not None:
            identity = record_id(PurePosixPath(path.relative_to(folder).as_posix()), taken)
            reading.add(identity, path, objects, size, where)


def _photo_path(folder: Path, name: object) -> Path | None:
    return inside(folder, name) if isinstance(name, str) and _printable(name) else None


def _printable(name: object) -> bool:
    return isinstance(name, str) and name.isprintable()


def _photo_folder(file: Path, entries: list[dict[str, Any]], images: str | Path | None) -> Path:
    if images is not None:
        if not Path(images).is_dir():
            raise DataError(images, "no such folder of photos")
        return Path(images)
    part = file.stem.removeprefix("instances_")
    apart = file.parent.name.lower() == "annotations"  # only then do photos lie beside the file's folder
    around = (file.parent.parent, file.parent) if apart else (file.parent,)
    candidates = [base / name for base in around for name in (part, f"images/{part}", "images", ".")]
    names = [entry.get("file_name") for entry in entries[:20]]
    for folder in candidates:
        paths = [_photo_path(folder, name) for name in names]
        if any(path is not None and is_file(path) for path in paths):
            return folder
    tried = ", ".join(str(folder) for folder in candidates)
    raise DataError(file, f"its photos are in none of {tried}", hint="images=FOLDER (--images FOLDER)")
