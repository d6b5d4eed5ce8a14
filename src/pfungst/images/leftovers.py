"""What lies in a folder and was not used: photos that cannot be read here, and other files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path, PurePosixPath

from pfungst.images.decode import OPTIONAL_SUFFIXES
from pfungst.images.tree import Tree

_OWN = frozenset(("scenes.json", "voc2007.json"))  # what this library writes beside photos
_UNREAD = frozenset(
    (".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw", ".jxl", ".psd", ".svg",
     ".eps", ".tga", ".ico", ".exr", ".hdr", ".dcm")
)  # fmt: skip
_NO_PHOTOS = frozenset(
    (".xml", ".json", ".jsonl", ".txt", ".csv", ".tsv", ".yaml", ".yml", ".md", ".rst", ".html", ".py",
     ".ipynb", ".zip", ".tar", ".gz", ".tgz", ".npy", ".npz", ".mat", ".pkl", ".pdf", ".log", ".cache")
)  # fmt: skip
_MARKS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\x00", b"MM\x00*")
_SHOWN = 3


def leftovers(tree: Tree, used: Collection[PurePosixPath]) -> tuple[list[str], list[str]]:
    """What to say of the files that no record uses.

    Parameters
    ----------
    tree : Tree
    used : collection of PurePosixPath
        Photos and annotations that were read, relative to the tree's root.

    Returns
    -------
    problems : list of str
        Photos: those that lie beside used ones, and those that cannot be read here or have no photo's ending.
    unused : list of str
        All other files, counted by ending, and empty folders.
    """
    missed = [path for path in tree.photos if path not in used]
    folders = {path.parent for path in tree.photos if path in used}
    beside = [path for path in missed if path.parent in folders]
    problems = [
        f"{_place(tree, folder)}: {_number(names, 'photo')} {'has' if len(names) == 1 else 'have'} no "
        f"annotation; left out ({_first(names)})"
        for folder, names in _grouped(beside, lambda path: str(path.parent)).items()
    ]
    others = [path for path in tree.others if path not in used and path.name not in _OWN]
    photos = [path for path in others if _is_photo(tree.root / path)]
    problems += [
        f"{_number(names, 'photo')} {_ending(suffix)}; left out ({_first(names)})"
        for suffix, names in _grouped(photos, lambda path: path.suffix.lower()).items()
    ]
    rest = [path for path in (*missed, *others) if path not in {*beside, *photos}]
    unused = [
        f"{_number(names, 'file')} {_kind(suffix)} ({_first(names)})"
        for suffix, names in _grouped(rest, lambda path: path.suffix.lower()).items()
    ]
    if tree.empty:
        unused.append(f"{_number(tree.empty, 'folder')} in which nothing lies ({_first(tree.empty)})")
    return problems, unused


def _place(tree: Tree, folder: str) -> str:
    return tree.root.name if folder == "." else folder


def _is_photo(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in OPTIONAL_SUFFIXES or suffix in _UNREAD:
        return True
    return suffix not in _NO_PHOTOS and _looks_like_photo(path)


def _looks_like_photo(path: Path) -> bool:
    """Whether a file begins as photos do, whatever its name."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            start = stream.read(16)
    except (OSError, ValueError):
        return False
    return (
        start.startswith(_MARKS) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP") or start[4:8] == b"ftyp"
    )


def _ending(suffix: str) -> str:
    needed = OPTIONAL_SUFFIXES.get(suffix)
    if needed is not None:
        package = "the package pillow-heif" if needed == "HEIF" else "a Pillow with AVIF"
        return f"ending in {suffix}, which needs {package}"
    return f"ending in {suffix}, which is not read" if suffix else "without an ending"


def _kind(suffix: str) -> str:
    return f"ending in {suffix}" if suffix else "without an ending"


def _grouped(
    paths: Iterable[PurePosixPath], key: Callable[[PurePosixPath], str]
) -> dict[str, list[PurePosixPath]]:
    groups: dict[str, list[PurePosixPath]] = {}
    for path in paths:
        groups.setdefault(key(path), []).append(path)
    return groups


def _number(names: Collection[PurePosixPath], what: str) -> str:
    return f"{len(names)} {what}{'' if len(names) == 1 else 's'}"


def _first(names: Collection[PurePosixPath]) -> str:
    shown = ", ".join(str(name) for name in list(names)[:_SHOWN])
    return f"{shown}, …" if len(names) > _SHOWN else shown
