"""YOLO: a text file of labels for each photo, in shares of its sides, and the names of the classes."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pfungst.errors import DataError
from pfungst.files import shown
from pfungst.images.assembly import Assembly, class_problem, usable_path
from pfungst.images.dataset import DataSet
from pfungst.images.layouts.base import Layout
from pfungst.images.layouts.pairing import place_of
from pfungst.images.layouts.splits import folder_splits
from pfungst.images.names import Index, find_listed, nfc, read_lines, read_text, split_name
from pfungst.images.place import Place
from pfungst.images.records import Labelled
from pfungst.images.rectangles import Rectangle

_NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels", "classes.names", "predefined_classes.txt")
_SNIFFED, _MAX_YAML_BYTES, _MAX_LABEL_BYTES = 50, 2**20, 2**24
_NEGATIVE = "photos have no label file; taken as showing none of the classes"
_BROKEN = "lines are no labels; left out"
_UNKNOWN = "objects have a number without a name; left out"


def recognise(place: Place) -> str:
    """Label files of numbers that belong to photos, or a YAML file that names classes and photos."""
    if place.path.is_file():
        return f"{place.path.name} names classes" if _Names.of(place).names and _yaml_files(place) else ""
    labels = _label_files(place)
    seen = [_sniffed(place.path / path) for path in list(labels.values())[:_SNIFFED]]
    usable, broken = seen.count(True), seen.count(False)
    if not usable or broken > usable:
        return ""
    return f"{len(labels)} text files of labels in shares lie in it, such as {next(iter(labels.values()))}"


def _sniffed(file: Path) -> bool | None:
    """Whether a file holds YOLO's rows; None if it is empty."""
    try:
        lines = read_lines(file, what="labels")
    except DataError:
        return False
    return all(_numbers(line) for line in lines[:_SNIFFED]) if lines else None


def read(place: Place) -> DataSet:
    """Read YOLO labels, as Ultralytics, Roboflow, LabelImg and CVAT write them.

    A label file lies beside its photo or mirrors it (``images/train/a.jpg``, ``labels/train/a.txt``). Each
    line is a class's number and centre, width and height in shares of the photo's sides; of a polygon, the
    box around it is taken. The classes are those that ``data.yaml``, ``classes.txt`` or ``obj.names`` names
    and that occur, in its order. Splits are those of ``data.yaml``, else of lists (``train.txt``) or of
    folders named like splits. A photo without a label file shows none of the classes; where a whole split has
    none, its photos are left out, since nobody labelled them.

    Raises
    ------
    DataError
        If the names are not found or nothing can be used.
    """
    names = _Names.of(place)
    if place.path.is_file():
        place = Place(place.path.parent, read=place.read)
    if not names.names:
        raise DataError(
            place.path,
            "holds labels in YOLO's form, but the names of the classes nowhere",
            allowed=f"data.yaml with names, or one of {', '.join(_NAME_FILES[:3])}",
        )
    if names.source is not None:
        place.read.add(place.path / names.source)
    found = Assembly(place, headers=True)
    for name, count in Counter(names.names.values()).items():
        if count > 1:
            found.note(names.source or place.path.name, f"{count} classes are named {name!r}; taken as one")
    reading = _Reading(place, names, found)
    labels = _label_files(place)
    groups = reading.splits() or {"": list(place.tree.photos)}
    splits: dict[str, list[str]] = {}
    ids: dict[PurePosixPath, str] = {}
    for split, photos in groups.items():
        if not any(place_of(photo.with_suffix("")) in labels for photo in photos):
            files = [place.path / photo for photo in photos]
            found.note(split or place.path.name, "no photo of it has a label file; left out", *files)
            continue
        for photo in photos:
            if photo not in ids and usable_path(photo):
                ids[photo] = found.new_id(photo)
                objects = reading.objects(photo, labels.get(place_of(photo.with_suffix(""))))
                found.add(ids[photo], place.path / photo, objects, in_shares=True)
        splits[split] = [ids[photo] for photo in photos if photo in ids]
    kept = {entry.id for entry in found.entries}
    return found.finish(
        classes=dict.fromkeys(name for _, name in sorted(names.names.items()) if name in found.classes),
        splits={name: [i for i in members if i in kept] for name, members in splits.items() if name},
    )


@dataclass(frozen=True)
class _Names:
    """What the YAML or the list of names says."""

    names: Mapping[int, str] = field(default_factory=dict)
    source: PurePosixPath | None = None
    content: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, place: Place) -> _Names:
        """From the first YAML file with names, else the first list of them."""
        for file in _yaml_files(place):
            content = _yaml(file)
            if names := _numbered(content.get("names")):
                return cls(names, _relative(place, file), content)
        for path in place.tree.others:
            if path.name.lower() in _NAME_FILES:
                lines = read_lines(place.path / path, what="names of classes")
                return cls({number: nfc(name) for number, name in enumerate(lines)}, path)
        return cls()


def _yaml_files(place: Place) -> list[Path]:
    files = place.files(".yaml", ".yml")
    return sorted(files, key=lambda file: (len(file.parts), file.name != "data.yaml", file))


def _relative(place: Place, file: Path) -> PurePosixPath:
    return PurePosixPath(file.name) if place.path.is_file() else place.relative(file)


def _yaml(file: Path) -> Mapping[str, Any]:
    """The mapping in a YAML file, every value text; empty if it is none."""
    import yaml

    try:
        text = read_text(file, what="a YAML file", limit=_MAX_YAML_BYTES)
        content = yaml.load(text, Loader=yaml.BaseLoader)  # makes nothing but text, lists and mappings
    except (DataError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _numbered(names: object) -> dict[int, str]:
    """Names by number, from a list or from a mapping of numbers; empty if they are neither."""
    if not isinstance(names, list | dict):
        return {}
    pairs = names.items() if isinstance(names, dict) else enumerate(names)
    found: dict[int, str] = {}
    for number, name in pairs:
        if not isinstance(name, str) or re.fullmatch("[0-9]{1,8}", str(number)) is None:
            return {}
        found[int(number)] = nfc(name.strip())
    return found


def _label_files(place: Place) -> dict[str, PurePosixPath]:
    """Text files that could be labels, by the place that they share with their photos."""
    photos = {place_of(photo.with_suffix("")) for photo in place.tree.photos}
    labels: dict[str, PurePosixPath] = {}
    for path in place.tree.others:
        if path.suffix.lower() == ".txt" and path.name.lower() not in _NAME_FILES:
            key = place_of(path.with_suffix(""))
            if key in photos and (key not in labels or "labels" in path.parts):
                labels[key] = path
    return labels


@dataclass
class _Reading:
    place: Place
    names: _Names
    found: Assembly

    def splits(self) -> dict[str, list[PurePosixPath]]:
        """The photos of each split: as the YAML says, else by folders, else by lists; or empty."""
        photos = self.place.tree.photos
        stated = {key: value for key, value in self.names.content.items() if split_name(key) and value}
        if stated:
            return {split_name(key) or key: self._stated(key, value) for key, value in stated.items()}
        splits: dict[str, list[PurePosixPath]] = {}
        for photo, split in folder_splits(photos).items():
            splits.setdefault(split, []).append(photo)
        if splits:
            return splits
        index = Index(photos)
        for path in self.place.tree.others:
            named = split_name(path.stem) if path.suffix.lower() == ".txt" else None
            if named is not None and (listed := self._listed(path, index)):
                splits[named] = listed
        return splits

    def _stated(self, key: str, value: object) -> list[PurePosixPath]:
        """The photos that the YAML's entry of a split means: of a folder, a list, or several of them."""
        entries = value if isinstance(value, list) else [value]
        photos = [photo for entry in entries if isinstance(entry, str) for photo in self._meant(entry)]
        if not photos:
            self.found.note(f"split {key}", f"{shown(value)} leads to no photo that lies here")
        return list(dict.fromkeys(photos))

    def _meant(self, entry: str) -> list[PurePosixPath]:
        """Looked for below the YAML file and below the place, by the whole path and ever less of it."""
        base = self.names.content.get("path", "")
        whole = f"{base if isinstance(base, str) else ''}/{entry}".replace("\\", "/")
        parts = [part for part in whole.split("/") if part not in ("", ".", "..")]
        home = () if self.names.source is None else self.names.source.parent.parts
        tails = [parts[cut:] for cut in range(len(parts))] or [[]]
        for tried in ((*start, *tail) for tail in tails for start in dict.fromkeys((home, ()))):
            path = PurePosixPath(*tried)
            if path in self.place.tree.others and path.suffix.lower() == ".txt":
                return self._listed(path, Index(self.place.tree.photos))
            photos = list(self.place.tree.below(*tried))
            if photos:
                return photos
        return []

    def _listed(self, path: PurePosixPath, index: Index) -> list[PurePosixPath]:
        """The photos of a list."""
        try:
            lines = read_lines(self.place.path / path, what="a list of photos")
        except DataError:
            return []
        named = [find_listed(line, index) for line in lines]
        missing = [line for line, photo in zip(lines, named, strict=True) if photo is None]
        known = list(dict.fromkeys(photo for photo in named if photo is not None))
        if known:
            self.place.read.add(self.place.path / path)
            if missing:
                self.found.note(path, f"{len(missing)} listed photos cannot be used (first: {missing[0]})")
        return known

    def objects(self, photo: PurePosixPath, label: PurePosixPath | None) -> list[Labelled]:
        """What a photo's label file says that it shows."""
        if label is None:
            self.found.count(_NEGATIVE, str(photo))
            return []
        self.place.read.add(self.place.path / label)
        try:
            lines = read_text(self.place.path / label, what="labels", limit=_MAX_LABEL_BYTES).splitlines()
        except DataError as error:
            self.found.note(label, f"cannot be read ({error}); taken as showing none of the classes")
            return []
        rows = (self._object(line, str(label)) for line in lines if line.strip())
        return [row for row in rows if row is not None]

    def _object(self, line: str, where: str) -> Labelled | None:
        values = _numbers(line)
        if values is None:
            self.found.count(_BROKEN, where)
            return None
        name = self.names.names.get(int(values[0]), "")
        if class_problem(name):
            self.found.count(_UNKNOWN, where)
            return None
        return Labelled(class_name=name, box=_box(values[1:], keypoints="kpt_shape" in self.names.content))


def _numbers(line: str) -> list[float] | None:
    """The numbers of a row: a class, then a box (and its certainty), or at least three points."""
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        return None
    usable = len(values) in (5, 6) or len(values) >= 7
    if not usable or not all(map(math.isfinite, values)) or values[0] < 0 or values[0] != int(values[0]):
        return None
    return values


def _box(values: Sequence[float], *, keypoints: bool) -> Rectangle:
    """The box of a row, in shares; that around the points, if it has points."""
    if len(values) in (4, 5) or keypoints or len(values) % 2:
        x, y, width, height = values[:4]
        return Rectangle(left=x - width / 2, top=y - height / 2, right=x + width / 2, bottom=y + height / 2)
    across, down = values[::2], values[1::2]
    return Rectangle(left=min(across), top=min(down), right=max(across), bottom=max(down))


LAYOUT = Layout(
    name="yolo",
    title="YOLO label files beside photos or mirroring them, with data.yaml or classes.txt",
    recognise=recognise,
    read=read,
)
