"""Putting a folder in the place of an earlier one, so that a kill at any moment leaves one of the two.

Beside the place stand, for a while and with hidden names, a folder that is being written (``part``), one that
is whole and waits for its place (``new``), and the one that has left it (``old``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pfungst.writing import make_folder, sync_folder, writing

_KEPT = 200  # bytes of the folder's name, so that the hidden names fit where it does


@contextlib.contextmanager
def staged(place: Path) -> Iterator[Path]:
    """A new folder to fill in the block, which is then put in ``place``.

    Raises
    ------
    FileError
        If the disk is full or cannot be written to; what was in place is still there.
    """
    make_folder(place.parent)
    part, new, old = _hidden(place, f"part-{os.getpid()}"), _hidden(place, "new"), _hidden(place, "old")
    with writing(place):
        _delete(part)
        part.mkdir()
        try:
            yield part
            sync_folder(part)
            _delete(new)
            part.rename(new)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        _delete(old)
        if place.exists():
            place.rename(old)
        _put(new, place, old)
        sync_folder(place.parent)
        shutil.rmtree(old, ignore_errors=True)


def _put(new: Path, place: Path, old: Path) -> None:
    try:
        new.rename(place)
    except OSError:
        if not new.is_dir():
            return  # a reader that came between the two moves has put it in place
        with contextlib.suppress(OSError):
            if not place.exists():
                old.rename(place)
            shutil.rmtree(new, ignore_errors=True)
        raise


def recover(place: Path) -> None:
    """Put in place what a killed process left beside it: the new folder, else the old one.

    Nothing happens where the place is taken, but for an old folder that has been replaced: it is deleted. A
    folder that cannot be renamed (a read-only disk) is left as it is.
    """
    with contextlib.suppress(OSError):
        target = place.resolve()
        new, old = _hidden(target, "new"), _hidden(target, "old")
        if not target.exists():
            found = next((folder for folder in (new, old) if folder.is_dir()), None)
            if found is not None:
                found.rename(target)
                sync_folder(target.parent)
        if target.exists() and old.is_dir():
            shutil.rmtree(old, ignore_errors=True)


def sweep(place: Path) -> None:
    """Delete what killed processes left half-written beside a place."""
    with contextlib.suppress(OSError):
        for part in place.parent.glob(f"{_escaped(_hidden(place, 'part').name)}-*"):
            if not _is_alive(part.name.rpartition("-")[2]):
                shutil.rmtree(part, ignore_errors=True)


def _hidden(place: Path, role: str) -> Path:
    name = os.fsdecode(os.fsencode(place.name)[:_KEPT])
    return place.with_name(f".{name}.{role}")


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _delete(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)


def _is_alive(process: str) -> bool:
    if not process.isdecimal():
        return False
    if int(process) == os.getpid():
        return True
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True
