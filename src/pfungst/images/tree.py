"""What lies in a folder: its photos, its other files, and what could not be looked into."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from pfungst.images.decode import photo_suffixes

_MAX_FOLDERS = 32
_MAX_VISITS = 8  # of one folder by links: links upon links could lead to it without end
_OF_OTHER_SYSTEMS = frozenset(
    ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin",
     "system volume information", "icon\r", "lost+found")
)  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """The files below a folder, relative to it, in sorted order.

    Hidden files, and those in which other systems keep their notes (``Thumbs.db``, ``__MACOSX``), are not
    seen.

    Attributes
    ----------
    root : Path
        The folder.
    photos, others : tuple of PurePosixPath
        Files with the ending of a photo that can be read here, and all the rest.
    empty : tuple of PurePosixPath
        Folders in which nothing lies.
    problems : tuple of str
        Links that lead nowhere or round in a circle, folders that cannot be read, one line each.
    """

    root: Path
    photos: tuple[PurePosixPath, ...] = ()
    others: tuple[PurePosixPath, ...] = ()
    empty: tuple[PurePosixPath, ...] = ()
    problems: tuple[str, ...] = ()

    @cached_property
    def tops(self) -> tuple[str, ...]:
        """Names of the folders in the root that hold photos somewhere, sorted."""
        return tuple(sorted({photo.parts[0] for photo in self.photos if len(photo.parts) > 1}))

    def below(self, *folders: str) -> tuple[PurePosixPath, ...]:
        """The photos below a folder, still relative to the root."""
        depth = len(folders)
        return tuple(photo for photo in self.photos if photo.parts[:depth] == folders)


def walk(root: str | Path) -> Tree:
    """List a folder with all folders in it; links are followed, except round in a circle."""
    walker = _Walker(Path(root))
    files = sorted(walker.files(), key=lambda path: path.parts)
    return Tree(
        root=walker.root,
        photos=tuple(path for path in files if is_photo_name(path.name)),
        others=tuple(path for path in files if not is_photo_name(path.name)),
        empty=tuple(sorted(walker.empty)),
        problems=tuple(walker.problems),
    )


def is_photo_name(name: str) -> bool:
    """Whether a file's ending is that of a photo that can be read here, and it is not hidden."""
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in photo_suffixes()


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not meant to be seen, on this system or another."""
    return name.startswith(".") or name.lower() in _OF_OTHER_SYSTEMS


@dataclass
class _Walker:
    root: Path
    problems: list[str] = field(default_factory=list)
    empty: list[PurePosixPath] = field(default_factory=list)
    _visits: Counter[tuple[int, int]] = field(default_factory=Counter)

    def files(self) -> Iterator[PurePosixPath]:
        stack: list[tuple[PurePosixPath, tuple[tuple[int, int], ...]]] = [(PurePosixPath(), ())]
        while stack:
            folder, above = stack.pop()
            here = self._entered(folder, above)
            if here is None:
                continue
            entries = [entry for entry in self._entries(folder) if not is_hidden(entry.name)]
            if not entries and folder.parts:
                self.empty.append(folder)
            for entry in entries:
                if entry.is_dir():
                    stack.append((folder / entry.name, (*above, here)))
                elif entry.is_symlink() and not os.path.exists(entry.path):
                    self.problems.append(
                        f"{folder / entry.name}: is a link to a file that is not there; left out"
                    )
                else:
                    yield folder / entry.name

    def _entered(self, folder: PurePosixPath, above: tuple[tuple[int, int], ...]) -> tuple[int, int] | None:
        """What the folder is known by; None if it is not to be looked into."""
        try:
            state = (self.root / folder).stat()
        except OSError as error:
            self.problems.append(f"{folder}: cannot be read ({error.strerror}); left out")
            return None
        here = state.st_dev, state.st_ino
        self._visits[here] += 1
        if here in above:
            self.problems.append(f"{folder}: is a link to a folder that it lies in; not followed")
        elif len(folder.parts) >= _MAX_FOLDERS or self._visits[here] > _MAX_VISITS:
            self.problems.append(f"{folder}: lies too deep, or too many links lead to it; not followed")
        else:
            return here
        return None

    def _entries(self, folder: PurePosixPath) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.root / folder) as entries:
                return list(entries)
        except OSError as error:
            self.problems.append(f"{folder}: cannot be read ({error.strerror}); left out")
            return []
