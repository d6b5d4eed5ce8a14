"""Which photo an annotation file belongs to, by its place and name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from pfungst.images.names import Index, nfc

_CONTAINERS = frozenset(
    ("images", "image", "imgs", "img", "jpegimages", "photos", "pictures", "data", "obj_train_data",
     "annotations", "annotation", "labels", "label", "xml", "xmls", "ann", "anns", "bboxes")
)  # fmt: skip


def is_container(folder: str) -> bool:
    """Whether a folder's name says what kind of files it holds, and nothing about them."""
    return folder.lower() in _CONTAINERS


class Pairing:
    """Pairs annotation files with photos: beside each other, or in folders that mirror each other.

    Folders whose names only say what kind of files they hold do not count, so that
    ``annotations/train/a.xml`` belongs to ``images/train/a.jpg``, and ``train/labels/a.txt`` to
    ``train/images/a.jpg``.

    Parameters
    ----------
    photos : iterable of PurePosixPath
    """

    def __init__(self, photos: Iterable[PurePosixPath]) -> None:
        self._by_place: dict[str, PurePosixPath | None] = {}
        known = tuple(photos)
        for photo in known:
            for key in {place_of(photo), place_of(photo.with_suffix(""))}:
                self._by_place[key] = photo if self._by_place.get(key, photo) == photo else None
        self._beside = {nfc(str(photo)): photo for photo in known}
        self._index = Index(known)
        self._used: set[PurePosixPath] = set()

    def photo_of(self, file: PurePosixPath, named: str = "") -> PurePosixPath | None:
        """The photo of an annotation file.

        Parameters
        ----------
        file : PurePosixPath
            The annotation.
        named : str
            The photo's name in it. Where that photo has an annotation already, the file's own name counts.
        """
        name = PurePosixPath(named.replace("\\", "/")).name
        own = self._near(file, file.stem)
        photo = (self._near(file, name) if name else None) or own
        photo = photo or (self._index.find(named) if named else None) or self._index.find(file.stem)
        if photo in self._used and own is not None:
            photo = own
        if photo is not None:
            self._used.add(photo)
        return photo

    def _near(self, file: PurePosixPath, name: str) -> PurePosixPath | None:
        beside = self._beside.get(nfc(str(file.parent / name)))
        return beside or self._by_place.get(place_of(file.parent / name))


def place_of(path: PurePosixPath) -> str:
    """What a photo and its annotation have in common: the path without folders that only say their kind."""
    kept = [part for part in path.parts[:-1] if not is_container(part)]
    return nfc("/".join((*kept, path.name)))
