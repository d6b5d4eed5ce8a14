"""Reader of one folder per class, with or without folders for the splits above them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pfungst.errors import DataError
from pfungst.images._annotated import Labelled, Reading, class_problem, photos_below, record_id, usable_path
from pfungst.images.dataset import DataSet

_SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "trainval": "trainval", "test": "test", "testing": "test",
}  # fmt: skip


def read_folders(path: str | Path) -> DataSet:
    """Read photos whose class is the name of their folder.

    ``DATA/cat/a.jpg`` and ``DATA/cat/more/b.jpg`` show a cat. Where all folders of ``DATA`` are named like
    splits (``train``, ``val`` or ``valid`` or ``validation``, ``test``, ``trainval``), the classes are the
    folders within them. There are no boxes; a photo has one class.

    Raises
    ------
    DataError
        If there is no photo in any class folder.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(root, "no such folder")
    reading = Reading()
    photos = photos_below(root)
    with_splits = _has_splits(photos)
    taken: dict[str, int] = {}
    members: dict[str, list[str]] = {}
    outside = 0
    for photo in photos:
        if len(photo.parts) < (3 if with_splits else 2):
            outside += 1
            continue
        class_folder = photo.parts[1 if with_splits else 0]
        problem = class_problem(class_folder)
        if problem or not usable_path(photo):
            reading.note(str(photo), f"{problem or 'its path cannot be printed'}; left out")
            continue
        identity = record_id(photo, taken)
        reading.add(identity, root / photo, [Labelled(class_name=class_folder)], None, str(photo))
        if with_splits:
            members.setdefault(_SPLITS[photo.parts[0].lower()], []).append(identity)
    if outside:
        reading.note(root.name, f"{outside} photos lie in no class folder; left out")
    classes = tuple(sorted({name for record in reading.records for name in record.positive}))
    splits = {name: tuple(ids) for name, ids in members.items()}
    return reading.finish(name=root.name, root=root, classes=classes, splits=splits)


def _has_splits(photos: list[PurePosixPath]) -> bool:
    tops = {photo.parts[0].lower() for photo in photos if len(photo.parts) > 1}
    return bool(tops) and tops <= _SPLITS.keys() and any(len(photo.parts) > 2 for photo in photos)
