"""Reader of the PASCAL VOC layout: ``JPEGImages``, ``Annotations`` and, if there, ``ImageSets``."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pfungst.errors import DataError
from pfungst.files import is_file, read_bounded
from pfungst.images._annotated import (
    Labelled,
    Reading,
    class_problem,
    found_classes,
    inside,
    is_photo_name,
    measured_size,
    stated_size,
    usable_path,
)
from pfungst.images.dataset import DataSet
from pfungst.images.rectangles import Box

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""The classes of PASCAL VOC 2007 to 2012, in their usual order."""

_PHOTOS, _ANNOTATIONS, _LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
_MAX_XML_BYTES = 4 * 2**20
_MAX_LIST_BYTES = 64 * 2**20


class _Broken(Exception):  # noqa: N818 - never leaves this module
    """One annotation cannot be used; the text says why."""


def find_voc(path: Path) -> list[Path]:
    """The VOC folders at or below ``path``: itself, ``VOCdevkit/*`` or ``*``; empty if there are none."""
    if _is_voc(path):
        return [path]
    if not path.is_dir():
        return []
    devkit = path / "VOCdevkit"
    parent = devkit if devkit.is_dir() else path
    return sorted(child for child in parent.iterdir() if child.is_dir() and _is_voc(child))


def _is_voc(path: Path) -> bool:
    return (path / _PHOTOS).is_dir() and (path / _ANNOTATIONS).is_dir()


def read_voc(path: str | Path) -> DataSet:
    """Read a folder in VOC layout, or one that holds such a folder (``VOCdevkit/VOC2007``).

    Each file of ``Annotations`` gives a record. Its boxes, 1-based with inclusive corners, whole or
    fractional, become half-open ones (:class:`~pfungst.images.Box`), clipped to the photo. An object marked
    ``difficult`` makes its class label 0, unless another object shows the class too. Every list in
    ``ImageSets/Main`` becomes a split, save the per-class lists (``horse_train.txt``).

    Annotations that are broken or lack their photo are left out, and ``DataSet.problems`` says which and
    why. The classes are those found, in VOC's order if all are VOC's, else in alphabetical order.

    Raises
    ------
    DataError
        If there is no such folder, more than one, or nothing in it can be used.
    """
    roots = find_voc(Path(path))
    if len(roots) != 1:
        names = ", ".join(str(root) for root in roots)
        problem = f"holds {len(roots)} VOC data sets ({names})" if roots else "is not in VOC layout"
        raise DataError(
            path, problem, allowed=f"one folder with {_PHOTOS} and {_ANNOTATIONS}", hint=names or None
        )
    root = roots[0]
    reading = Reading()
    photos = {entry.name for entry in os.scandir(root / _PHOTOS)}
    annotations = sorted((root / _ANNOTATIONS).glob("*.xml"))
    for file in annotations:
        _read_annotation(file, root / _PHOTOS, photos, reading)
    _note_unlabelled(photos, {file.stem for file in annotations}, reading)
    classes = _in_order(found_classes(reading.records))
    splits = _read_splits(root / _LISTS, classes, reading)
    return reading.finish(name=root.name, root=root, classes=classes, splits=splits)


def _in_order(names: set[str]) -> tuple[str, ...]:
    if names <= set(VOC_CLASSES):
        return tuple(name for name in VOC_CLASSES if name in names)
    return tuple(sorted(names))


def _note_unlabelled(photos: Iterable[str], annotated: set[str], reading: Reading) -> None:
    used = {record.path.name for record in reading.records}
    left = [name for name in photos if is_photo_name(name) and name not in used]
    count = sum(1 for name in left if PurePosixPath(name).stem not in annotated)
    if count:
        reading.note(_PHOTOS, f"{count} photos have no annotation; left out")


def _read_annotation(file: Path, folder: Path, photos: set[str], reading: Reading) -> None:
    try:
        if not usable_path(PurePosixPath(file.name)):
            raise _Broken("has a name that cannot be printed")
        root = _parse(file)
        photo = _photo(root, file.stem, folder, photos)
        objects = [_labelled(item, reading, file.name) for item in root.iter_named("object")]
        size = measured_size(photo, _stated_size(root), reading)
    except _Broken as broken:
        reading.note(file.name, f"{broken}; left out")
        return
    if size is not None:
        labelled = [item for item in objects if item is not None]
        reading.add(file.stem, photo, labelled, size, file.name)


class _Node:
    """An XML element whose children are found whatever the case of their tags."""

    def __init__(self, element: Element) -> None:
        self._element = element

    def iter_named(self, tag: str) -> Iterator[_Node]:
        """Children with that tag."""
        for child in self._element:
            if isinstance(child.tag, str) and child.tag.lower() == tag:
                yield _Node(child)

    def child(self, tag: str) -> _Node | None:
        """First child with that tag."""
        return next(self.iter_named(tag), None)

    def text(self, tag: str) -> str:
        """Text of the first child with that tag; empty if there is none."""
        child = self.child(tag)
        return "" if child is None else (child._element.text or "").strip()


def _parse(file: Path) -> _Node:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        content = read_bounded(file, _MAX_XML_BYTES, error=DataError, what="an annotation")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of decoders that a declared encoding may name
            root = fromstring(content, forbid_dtd=True)
    except DataError as error:
        raise _Broken(error.problem.removeprefix(f"{file}: ")) from error
    except DefusedXmlException as error:
        raise _Broken("declares a DTD or an entity, which is refused") from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise _Broken(f"is not well-formed XML ({error})") from error
    if root.tag.lower() != "annotation":
        raise _Broken(f"has the root tag <{root.tag[:40]}> instead of <annotation>")
    return _Node(root)


def _photo(root: _Node, stem: str, folder: Path, photos: set[str]) -> Path:
    """The photo that the annotation names, else the one named like the annotation."""
    named = root.text("filename")
    if named in photos and is_file(folder / named):
        return folder / named
    path = inside(folder, named) if named else None
    if named and path is None:
        raise _Broken(f"names the photo {named!r}, which leads out of {_PHOTOS}")
    if path is not None and is_file(path):
        return path
    for suffix in (".jpg", ".JPG", ".jpeg", ".JPEG", ".png"):
        if stem + suffix in photos:
            return folder / (stem + suffix)
    raise _Broken(f"its photo {named or stem + '.jpg'} is not in {_PHOTOS}")


def _stated_size(root: _Node) -> tuple[int, int] | None:
    size = root.child("size")
    if size is None:
        return None
    return stated_size(_number(size.text("height")), _number(size.text("width")))


def _labelled(item: _Node, reading: Reading, where: str) -> Labelled | None:
    name = item.text("name")
    if not name:
        reading.note(where, "an object has no name; object left out")
        return None
    if problem := class_problem(name):
        reading.note(where, f"{problem}; object left out")
        return None
    difficult = item.text("difficult").lower() in ("1", "true")
    corners = item.child("bndbox")
    if corners is None:
        reading.note(where, f"{name} has no box; its label counts")
        return Labelled(class_name=name, difficult=difficult)
    left, top, right, bottom = (_number(corners.text(tag)) for tag in ("xmin", "ymin", "xmax", "ymax"))
    box = Box(class_name=name, left=left - 1, top=top - 1, right=right, bottom=bottom, difficult=difficult)
    return Labelled(class_name=name, difficult=difficult, box=box)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _read_splits(folder: Path, classes: Iterable[str], reading: Reading) -> dict[str, tuple[str, ...]]:
    known = {record.id for record in reading.records}
    vocabulary = {*classes, *VOC_CLASSES}
    splits: dict[str, tuple[str, ...]] = {}
    for file in sorted(folder.glob("*.txt"), key=_split_order):
        if file.stem.rpartition("_")[0] in vocabulary:
            continue
        listed = _first_words(file, reading)
        used = tuple(dict.fromkeys(name for name in listed if name in known))
        missing = sorted(set(listed) - known)
        if missing:
            reading.note(
                f"{_LISTS}/{file.name}", f"{len(missing)} listed photos cannot be used (first: {missing[0]})"
            )
        splits[file.stem] = used
    return splits


def _split_order(file: Path) -> tuple[int, str]:
    usual = ("train", "val", "trainval", "test")
    return (usual.index(file.stem) if file.stem in usual else len(usual)), file.stem


def _first_words(file: Path, reading: Reading) -> list[str]:
    try:
        content = read_bounded(file, _MAX_LIST_BYTES, error=DataError, what="a list of photos")
        lines = content.decode("utf-8").splitlines()
    except (DataError, UnicodeDecodeError) as error:
        reading.note(f"{_LISTS}/{file.name}", f"cannot be read ({error})")
        return []
    return [line.split()[0] for line in lines if line.strip()]
