"""Where a data set is looked for, and what was found there."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from pfungst.images.tree import Tree, walk


@dataclass
class Place:
    """Where a data set is looked for.

    Attributes
    ----------
    path : Path
        The folder or file that was named.
    images : Path or None
        Where the photos lie, if that was said.
    read : set of Path
        Files that the reader has used, or said why it did not; it adds them.
    """

    path: Path
    images: Path | None = None
    read: set[Path] = field(default_factory=set)

    @cached_property
    def tree(self) -> Tree:
        """What lies in the folder; nothing, if the place is a file."""
        return walk(self.path) if self.path.is_dir() else Tree(self.path)

    def files(self, *suffixes: str) -> list[Path]:
        """The files with one of these endings, in lower case: the place itself, or those in it."""
        if self.path.is_file():
            return [self.path] if self.path.suffix.lower() in suffixes else []
        return [self.path / path for path in self.tree.others if path.suffix.lower() in suffixes]

    def relative(self, path: Path) -> PurePosixPath:
        """A path below the place, relative to it."""
        return PurePosixPath(path.relative_to(self.path).as_posix())
