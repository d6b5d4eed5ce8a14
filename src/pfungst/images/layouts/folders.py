"""One folder of photos for each class, with or without folders for the splits above them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pfungst.errors import DataError
from pfungst.files import shown
from pfungst.images.assembly import Assembly, class_problem, usable_path
from pfungst.images.dataset import DataSet
from pfungst.images.layouts.base import Layout
from pfungst.images.layouts.pairing import is_container, place_of
from pfungst.images.names import nfc, read_text, split_name, split_names, split_prefix
from pfungst.images.place import Place
from pfungst.images.records import Labelled
from pfungst.images.tree import Tree

_LABEL_SUFFIXES = (
    ".xml",
    ".json",
    ".jsonl",
    ".ndjson",
    ".csv",
    ".tsv",
    ".txt",
    ".yaml",
    ".yml",
    ".parquet",
    ".mat",
)
_SNIFFED_FILES, _SNIFFED_LETTERS, _MAX_BYTES = 50, 20_000, 2**26
_NAMED = 3  # photos that a file must name to be more than a note
_ANYWAY = "format folders (--format folders) takes the folders' names as classes all the same"


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """How deep below the root the split's and the class's folder are; ``split`` is None without splits."""

    classes: int
    split: int | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    def class_of(self, photo: PurePosixPath) -> str | None:
        """The name of a photo's class folder; None if it lies in none."""
        return photo.parts[self.classes] if len(photo.parts) > self.classes + 1 else None

    def split_of(self, photo: PurePosixPath) -> str | None:
        """The split that a photo's folder is named like."""
        return None if self.split is None else self.names.get(photo.parts[self.split])


def recognise(place: Place) -> str:
    """Folders that hold photos and nothing that looks like labels.

    Raises
    ------
    DataError
        If there are photos, and evidence of another layout that is not known.
    """
    tree = place.tree
    if not tree.photos or not tree.tops:
        return ""
    _refuse_half_voc(place.path)
    _refuse_labels(tree)
    shape = _shape(tree.photos)
    _refuse_other_folders(tree, shape)
    names = sorted({nfc(name) for photo in tree.photos if (name := shape.class_of(photo))})
    listed = f"{', '.join(names[:4])}{', …' if len(names) > 4 else ''}"
    splits = sorted({name for photo in tree.photos if (name := shape.split_of(photo))})
    below = f" in folders for {', '.join(splits)}" if splits else ""
    return f"it holds folders of photos ({listed}){below} and no annotations"


def read(place: Place) -> DataSet:
    """Read photos whose class is the name of their folder.

    ``DATA/cat/a.jpg`` and ``DATA/cat/more/b.jpg`` show a cat. Where folders of ``DATA`` are named like splits
    (``train``, ``val`` or ``valid`` or ``dev``, ``test``), the classes are the folders within them. A folder
    that holds all the others (``DATA/images/cat/a.jpg``) is passed through. There are no boxes; a photo has
    one class.

    Raises
    ------
    DataError
        If there is no photo in any class folder.
    """
    if not place.path.is_dir():
        raise DataError(place.path, "no such folder")
    found = Assembly(place)
    shape = _shape(place.tree.photos)
    _name_twice(shape, found)
    outside: list[Path] = []
    for photo in place.tree.photos:
        name, split = shape.class_of(photo), shape.split_of(photo)
        if name is None or (shape.split is not None and split is None):
            outside.append(place.path / photo)
            continue
        problem = class_problem(name)
        if problem or not usable_path(photo):
            path = place.path / photo
            found.note(photo, f"{problem or 'its path cannot be printed'}; left out", path)
            continue
        found.add(found.new_id(photo), place.path / photo, [Labelled(class_name=name)], split=split)
    if outside:
        found.note(place.path.name, f"{len(outside)} photos lie in no class folder; left out", *outside)
    return found.finish()


def _name_twice(shape: _Shape, found: Assembly) -> None:
    """Name folders of splits that mean the same one, such as ``valid`` and ``validation``."""
    meant: dict[str | None, list[str]] = {}
    for folder in shape.names:
        meant.setdefault(split_name(folder), []).append(folder)
    for name, folders in meant.items():
        if len(folders) > 1:
            both = " and ".join(sorted(folders))
            found.note(found.root.name, f"folders {both} both mean {name}; each is a split of its own")


def _shape(photos: Sequence[PurePosixPath]) -> _Shape:
    """Where splits and classes are: below a folder that holds all the others, if there is one."""
    depth = 0
    while True:
        inner = [photo for photo in photos if len(photo.parts) > depth + 1]
        tops = {photo.parts[depth] for photo in inner}
        deep = {photo.parts[depth] for photo in inner if len(photo.parts) > depth + 2}
        if _are_splits(tops, deep):
            return _Shape(classes=depth + 1, split=depth, names=split_names(tops))
        direct = any(len(photo.parts) == depth + 2 for photo in inner)
        if len(tops) != 1 or direct or not deep or len(inner) < len(photos):
            return _Shape(classes=depth)
        depth += 1


def _are_splits(tops: set[str], deep: set[str]) -> bool:
    """Whether folders named like splits hold further folders; at least two splits, or nothing else."""
    splits = {split_name(name) for name in deep} - {None}
    return len(splits) > 1 or (len(splits) == 1 and all(split_name(name) for name in tops))


def _refuse_half_voc(path: Path) -> None:
    """Without this, the photos of half a VOC set would be read as a class named JPEGImages."""
    present = [name for name in ("JPEGImages", "Annotations") if (path / name).is_dir()]
    if present:
        missing = {"JPEGImages": "Annotations", "Annotations": "JPEGImages"}[present[0]]
        raise DataError(path, f"has a folder {present[0]}, but no {missing}", hint=_ANYWAY)


def _refuse_labels(tree: Tree) -> None:
    """Refuse folders in which files lie that look like labels, none of which a known layout could use."""
    photos = {place_of(path) for photo in tree.photos for path in (photo, photo.with_suffix(""))}
    labels = [path for path in tree.others if path.suffix.lower() in _LABEL_SUFFIXES]
    beside = [path for path in labels if place_of(path.with_suffix("")) in photos]
    naming = [] if beside else [path for path in labels[:_SNIFFED_FILES] if _names_photos(tree, path)]
    if beside or naming:
        first = (beside or naming)[0]
        what = "lies beside its photo or mirrors it" if beside else "names photos"
        raise DataError(
            tree.root,
            f"holds photos in folders, but also {len(beside or naming)} files that look like labels, in no "
            f"layout that is known ({first} {what})",
            hint=_ANYWAY,
        )


def _names_photos(tree: Tree, path: PurePosixPath) -> bool:
    try:
        text = read_text(tree.root / path, what="labels", limit=_MAX_BYTES)[:_SNIFFED_LETTERS]
    except DataError:
        return False
    here = [photo for photo in tree.photos if photo.parent == path.parent] or tree.photos
    return sum(photo.name in text for photo in here) >= min(_NAMED, len(here))


def _refuse_other_folders(tree: Tree, shape: _Shape) -> None:
    """Refuse folders whose names say that they are no classes."""
    names = {name for photo in tree.photos if (name := shape.class_of(photo))}
    splits = {name for name in names if split_name(name)}
    kinds = {name for name in names if is_container(name)}
    inner = _inner(tree.photos, shape.classes)
    counts = Counter(frozenset(group) for group in inner.values())
    shared = [group for group, count in counts.items() if count > 1]
    if shape.split is None and len({split_name(name) for name in splits}) > 1:
        found = f"folders {_listed(splits)}, which are named like splits and hold photos but no class folders"
    elif len({split_prefix(name) for name in names} - {None}) > 1:
        found = f"folders {_listed(names)}, whose names begin like those of splits"
    elif kinds:
        found = f"folders {_listed(kinds)}, whose names are none of classes"
    elif shared:
        found = f"folders {_listed(names)} with the same folders in them ({_listed(shared[0])})"
    else:
        return
    raise DataError(tree.root, f"holds {found}", hint=_ANYWAY)


def _inner(photos: Iterable[PurePosixPath], depth: int) -> dict[str, set[str]]:
    """Names of the folders within each class folder."""
    inner: dict[str, set[str]] = {}
    for photo in photos:
        if len(photo.parts) > depth + 2:
            inner.setdefault(photo.parts[depth], set()).add(photo.parts[depth + 1])
    return inner


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(shown(name).strip("'") for name in ordered[:4]) + (", …" if len(ordered) > 4 else "")


LAYOUT = Layout(
    name="folders",
    title="one folder of photos for each class, with folders for splits above them or without",
    recognise=recognise,
    read=read,
    yields=True,
)
