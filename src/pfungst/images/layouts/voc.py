"""PASCAL VOC: an XML file for each photo, in ``Annotations`` or anywhere beside the photos."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from pfungst.errors import DataError
from pfungst.images.assembly import Assembly, inside, usable_path
from pfungst.images.dataset import DataSet
from pfungst.images.layouts.base import Layout
from pfungst.images.layouts.pairing import Pairing
from pfungst.images.layouts.splits import folder_splits, listed_splits
from pfungst.images.layouts.xml import BrokenXml, parse
from pfungst.images.names import Index, split_name
from pfungst.images.place import Place
from pfungst.images.tree import is_hidden

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""The classes of PASCAL VOC 2007 to 2012, in their usual order."""

_PHOTOS, _ANNOTATIONS, _LISTS = "JPEGImages", "Annotations", "ImageSets"
_SNIFFED_FILES, _SNIFFED_BYTES = 20, 2000


def find_voc(path: Path) -> list[Path]:
    """The VOC folders at or below ``path``: itself, ``VOCdevkit/*`` or ``*``; empty if there are none."""
    if _is_voc(path):
        return [path]
    if not path.is_dir():
        return []
    devkit = path / "VOCdevkit"
    parent = devkit if devkit.is_dir() else path
    return sorted(child for child in parent.iterdir() if not is_hidden(child.name) and _is_voc(child))


def _is_voc(path: Path) -> bool:
    return (path / _PHOTOS).is_dir() and (path / _ANNOTATIONS).is_dir()


def recognise(place: Place) -> str:
    """VOC's own folders, or XML files that begin like annotations."""
    roots = find_voc(place.path)
    if roots:
        return f"{' and '.join(root.name for root in roots)} holds {_PHOTOS} and {_ANNOTATIONS}"
    files = place.files(".xml") if place.path.is_dir() else []
    sure = next((file for file in files[:_SNIFFED_FILES] if _begins_like_annotation(file)), None)
    return "" if sure is None else f"{len(files)} XML files lie in it, such as {place.relative(sure)}"


def _begins_like_annotation(file: Path) -> bool:
    try:
        if not file.is_file():
            return False
        with file.open("rb") as stream:
            start = stream.read(_SNIFFED_BYTES)
    except OSError:
        return False
    return re.search(rb"<annotation[\s>]", start, re.IGNORECASE) is not None


def read(place: Place) -> DataSet:
    """Read photos with an XML annotation each.

    In VOC's own layout the annotations are those in ``Annotations`` and the photos those in ``JPEGImages``;
    the lists in ``ImageSets/Main`` are the splits, save the lists of one class (``horse_train.txt``).
    Anywhere else an annotation belongs to the photo that it names, beside it or in the folder that mirrors
    its own (``annotations/train/a.xml``, ``images/train/a.jpg``); folders named like splits are the splits,
    else lists of photos that are named like them (``train.txt``).

    Boxes, 1-based with inclusive corners, whole or fractional, become half-open ones
    (:class:`~pfungst.images.Box`). An object marked ``difficult`` makes its class label 0, unless another
    object shows the class too. Annotations that are broken or lack their photo are left out, and
    ``DataSet.problems`` says which and why. The classes are those found, in VOC's order if all are VOC's,
    else in alphabetical order.

    Raises
    ------
    DataError
        If there is no annotation, more than one VOC folder, or nothing in it can be used.
    """
    roots = find_voc(place.path)
    if len(roots) > 1:
        names = ", ".join(map(str, roots))
        raise DataError(
            place.path,
            f"holds {len(roots)} VOC data sets ({names})",
            allowed="one of them",
            hint=str(roots[0]),
        )
    if roots:
        return _read_own_layout(place, roots[0])
    if not place.files(".xml"):
        raise DataError(
            place.path,
            "is not in VOC layout",
            allowed=f"a folder with {_PHOTOS} and {_ANNOTATIONS}, or XML annotations beside the photos",
        )
    return _read_scattered(place)


def _read_own_layout(place: Place, root: Path) -> DataSet:
    found = Assembly(place, root, headers=True)
    base = place.relative(root)
    inner = [
        path.relative_to(base)
        for path in (*place.tree.photos, *place.tree.others)
        if path.is_relative_to(base)
    ]
    photos = Index(path.relative_to(_PHOTOS) for path in inner if path.is_relative_to(_PHOTOS))
    used: set[PurePosixPath] = set()
    for path in inner:
        if path.parts[:-1] == (_ANNOTATIONS,) and path.suffix.lower() == ".xml":
            place.read.add(root / path)
            _read_annotation(root / path, root / _PHOTOS, photos, used, found)
    lists = [path for path in inner if path.parts[0] == _LISTS and path.suffix == ".txt"]
    main = [path for path in lists if path.parts[:-1] == (_LISTS, "Main")]
    chosen = [root / path for path in main or lists]
    place.read.update(chosen)
    by_id = {entry.id: PurePosixPath(entry.path.relative_to(root / _PHOTOS)) for entry in found.entries}
    splits = listed_splits(chosen, found, by_id, {*found.classes, *VOC_CLASSES})
    return found.finish(classes=_in_order(found.classes), splits=splits)


def _read_annotation(
    file: Path, folder: Path, photos: Index, used: set[PurePosixPath], found: Assembly
) -> None:
    try:
        if not usable_path(PurePosixPath(file.name)):
            raise BrokenXml("has a name that cannot be printed")
        root = parse(file)
        named = root.text("filename")
        photo = photos.find(named)
        if photo is None and named and inside(folder, named) is None:
            raise BrokenXml(f"names the photo {named!r}, which leads out of {folder.name}")
        own = photos.find(file.stem)
        photo = own if photo is None or (photo in used and own is not None) else photo
        if photo is None:
            raise BrokenXml(f"its photo {named or file.stem + '.jpg'} is not in {folder.name}")
        used.add(photo)
        objects = root.objects(found, file.name)
    except BrokenXml as broken:
        own = photos.find(file.stem)
        found.note(file.name, f"{broken}; left out", *(() if own is None else (folder / own,)))
        return
    found.add(file.stem, folder / photo, objects, size=root.size, where=file.name)


def _read_scattered(place: Place) -> DataSet:
    found = Assembly(place, headers=True)
    pairing = Pairing(place.tree.photos)
    by_folder = folder_splits(place.tree.photos)
    for file in place.files(".xml"):
        place.read.add(file)
        where = place.relative(file)
        try:
            if not usable_path(where):
                raise BrokenXml("has a name that cannot be printed")
            root = parse(file)
            photo = pairing.photo_of(where, root.text("filename"))
            if photo is None:
                raise BrokenXml(
                    f"its photo {root.text('filename') or where.stem} is not here, or not the only one"
                )
            objects = root.objects(found, str(where))
        except BrokenXml as broken:
            own = pairing.photo_of(where)
            found.note(where, f"{broken}; left out", *(() if own is None else (place.path / own,)))
            continue
        split = by_folder.get(photo)
        found.add(
            found.new_id(photo), place.path / photo, objects, size=root.size, split=split, where=str(where)
        )
    splits = None if by_folder else _from_lists(place, found)
    return found.finish(classes=_in_order(found.classes), splits=splits)


def _from_lists(place: Place, found: Assembly) -> dict[str, tuple[str, ...]]:
    """The splits of lists that are named like them (``train.txt``), wherever they lie."""
    texts = [path for path in place.tree.others if path.suffix.lower() == ".txt"]
    lists = [place.path / path for path in texts if split_name(path.stem)]
    place.read.update(lists)
    by_id = {entry.id: PurePosixPath(entry.path.relative_to(place.path)) for entry in found.entries}
    return listed_splits(lists, found, by_id, {*found.classes, *VOC_CLASSES})


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    known = set(names)
    if known <= set(VOC_CLASSES):
        return tuple(name for name in VOC_CLASSES if name in known)
    return tuple(sorted(known))


LAYOUT = Layout(
    name="voc",
    title="JPEGImages and Annotations as PASCAL VOC has them, or XML annotations beside the photos",
    recognise=recognise,
    read=read,
)
