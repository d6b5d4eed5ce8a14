"""Writing files: whole ones in one move, and errors that say what to do.

A reader sees all of a file or what was there before, also after the process was killed or the power failed:
content goes to a file with the ending ``.part`` beside the place, is flushed to the disk, and is renamed.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from pfungst.errors import FileError

PART = ".part"
"""Ending of a file that is still being written."""
GONE = ".gone"
"""Ending of a folder that is being deleted."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_KEPT = 200  # bytes of a file's name in the name of its part, so that this fits where the file's name does


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn the system's errors in the block into one that names ``path`` and says how to go on.

    Raises
    ------
    FileError
        In place of any :class:`OSError`, and for a name that no file can have.
    """
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        hint = (
            "more free space, then the same command again: what is finished is kept"
            if error.errno in _FULL
            else "another --out, or permission to write there"
        )
        raise FileError(path, f"cannot be written ({error.strerror or error})", hint=hint) from error


def write_whole(path: str | Path, content: bytes | str, *, durable: bool = True) -> Path:
    """Write a file in one move.

    Parameters
    ----------
    path : path
        Its folder is made if it is missing.
    content : bytes or str
        Text is written as UTF-8; half a surrogate pair, from the name of a file, becomes ``?``.
    durable : bool
        Wait until it is on the disk, so that the move is whole after a power failure too.

    Raises
    ------
    FileError
        If the disk is full or the folder cannot be written to; no half file is left.
    """
    with whole_file(path, durable=durable) as part, part.open("wb", buffering=0) as stream:
        write_all(stream, content.encode("utf-8", "replace") if isinstance(content, str) else content)
    return Path(path)


def write_with(path: str | Path, save: Callable[[BinaryIO], object], *, durable: bool = True) -> Path:
    """:func:`write_whole` of what ``save`` writes into a stream in memory, such as a picture.

    Examples
    --------
    ::

        write_with("a.png", lambda stream: picture.save(stream, format="PNG"))
    """
    buffer = io.BytesIO()
    save(buffer)
    return write_whole(path, buffer.getvalue(), durable=durable)


@contextlib.contextmanager
def whole_file(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Put in place, at the end of the block, a file that the block has written under the name it is given.

    For content that is too large for :func:`write_whole`, or comes from a library that writes files itself.
    The file gets the mode that any new file has.

    Raises
    ------
    FileError
        As :func:`write_whole`; whatever the block raises leaves no file.
    """
    target = Path(path)
    make_folder(target.parent)
    part = _part(target)
    with writing(target):
        try:
            part.open("wb").close()
            mode = part.stat().st_mode
            yield part
            _settle(part, mode, durable=durable)
            part.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(target.parent)


def _part(target: Path) -> Path:
    name = os.fsencode(target.name)[:_KEPT]
    return target.with_name(os.fsdecode(name) + PART)


def _settle(part: Path, mode: int, *, durable: bool) -> None:
    """The mode of a new file whatever wrote it, and its content on the disk."""
    part.chmod(mode)
    with part.open("rb") as stream:
        if durable:
            os.fsync(stream.fileno())


def write_all(stream: BinaryIO, content: bytes) -> None:
    """Write to an unbuffered stream until nothing is left: a nearly full disk takes a part at first."""
    left = memoryview(content)
    while left:
        left = left[stream.write(left) :]


def sync_folder(folder: Path) -> None:
    """Wait until names in the folder are on the disk, where the system can."""
    with contextlib.suppress(OSError):  # some file systems cannot, and Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_folder(folder: str | Path) -> Path:
    """Make a folder and those above it.

    Raises
    ------
    FileError
        If it cannot be made, or a file is in its place.
    """
    with writing(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


def remove_parts(folder: Path) -> None:
    """Delete what an interrupted :func:`write_whole` left behind."""
    for part in folder.glob(f"*{PART}"):
        part.unlink(missing_ok=True)


def remove_folder(folder: str | Path) -> None:
    """Delete a folder so that a kill in the middle leaves none that looks like it: renamed, then emptied.

    What an earlier call left behind goes too; a folder that is not there is no error.

    Raises
    ------
    FileError
        If it cannot be deleted.
    """
    place = Path(folder)
    gone = place.with_name(f".{os.fsdecode(os.fsencode(place.name)[:_KEPT])}{GONE}")
    with writing(place):
        if gone.exists():
            shutil.rmtree(gone)
        if place.is_dir():
            place.replace(gone)
            sync_folder(place.parent)
            shutil.rmtree(gone)


def reserve(path: str | Path, size: int) -> None:
    """Make a file of ``size`` bytes whose space on the disk is taken at once.

    A memory-mapped file without its space dies of a bus error, without a message, when the disk is full.

    Raises
    ------
    FileError
        If there is no room; the file is deleted.
    """
    file = Path(path)
    make_folder(file.parent)
    with writing(file):
        try:
            with file.open("wb") as stream:
                _allocate(stream, size)
        except OSError:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
            raise


def _allocate(stream: BinaryIO, size: int) -> None:
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(stream.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
        else:
            return
    block = bytes(2**20)  # a file system, or a system, that cannot reserve: written in full
    for start in range(0, size, len(block)):
        stream.write(block[: min(len(block), size - start)])
    stream.flush()
    os.fsync(stream.fileno())
