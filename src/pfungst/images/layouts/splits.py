"""Splits from lists of photos, and from folders that are named like splits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from pfungst.errors import DataError
from pfungst.images.assembly import Assembly
from pfungst.images.names import Index, find_listed, nfc, read_lines, split_name, split_names


def folder_splits(photos: Sequence[PurePosixPath]) -> dict[PurePosixPath, str]:
    """The split of each photo, where all have a folder named like a split at one depth; else empty.

    Examples
    --------
    >>> photos = [PurePosixPath("images/train/a.jpg"), PurePosixPath("images/valid/a.jpg")]
    >>> list(folder_splits(photos).values())
    ['train', 'val']
    """
    for depth in range(min((len(photo.parts) - 1 for photo in photos), default=0)):
        names = split_names({photo.parts[depth] for photo in photos})
        if all(photo.parts[depth] in names for photo in photos):
            return {photo: names[photo.parts[depth]] for photo in photos}
    return {}


def listed_splits(
    lists: Iterable[Path], found: Assembly, photos: Mapping[str, PurePosixPath], classes: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """The splits that lists of photos make.

    Parameters
    ----------
    lists : iterable of Path
        Text files with a photo's name in each line; those of one class (``horse_train.txt``, where a label
        stands behind each name) are passed over.
    found : Assembly
        Told of photos that cannot be used.
    photos : mapping of str to PurePosixPath
        Each record's photo by the record's id.
    classes : iterable of str
        Class names by which lists of one class are told.
    """
    index = Index(photos.values())
    ids = {nfc(identity): identity for identity in photos}
    by_photo = {photo: identity for identity, photo in photos.items()}
    told = Index(PurePosixPath(path.name) for path in found.left_out)
    vocabulary = set(classes)
    splits: dict[str, tuple[str, ...]] = {}
    for file in lists:
        where = f"{file.parent.parent.name}/Main/{file.name}" if file.parent.name == "Main" else file.name
        lines = _lines(file, where, found)
        if file.stem.rpartition("_")[0] in vocabulary or _is_of_one_class(file.stem, lines):
            continue
        if not lines:
            found.note(where, "names no photo")
        named = [ids.get(nfc(line)) or by_photo.get(find_listed(line, index)) for line in lines]  # type: ignore[arg-type]
        missing = [
            line
            for line, identity in zip(lines, named, strict=True)
            if identity is None and find_listed(line, told) is None
        ]
        if missing:
            found.note(where, f"{len(missing)} listed photos cannot be used (first: {missing[0]})")
        known = [identity for identity in named if identity is not None]
        unique = tuple(dict.fromkeys(known))
        if len(unique) < len(known):
            found.note(where, f"{len(known) - len(unique)} photos stand in it more than once")
        splits[_split_of(file.stem, splits)] = unique
    return splits


def _split_of(stem: str, taken: Mapping[str, object]) -> str:
    name = split_name(stem) or stem
    return stem if name in taken else name


def _is_of_one_class(stem: str, lines: Sequence[str]) -> bool:
    """``horse_train.txt``: a label stands behind every name."""
    named = split_name(stem) is None and split_name(stem.rpartition("_")[2]) is not None
    return named and bool(lines) and all(re.search(r"\s(-1|0|1)$", line) for line in lines)


def _lines(file: Path, where: str, found: Assembly) -> list[str]:
    try:
        return read_lines(file, what="a list of photos")
    except DataError as error:
        found.note(where, f"cannot be read ({error})")
        return []
