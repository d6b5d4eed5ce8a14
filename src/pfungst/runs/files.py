"""Writing to a run's folder: whole files in one move, and errors that say what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pfungst.errors import FileError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_SUCH_CALL = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
_BLOCK = 2**24
_PART = ".part"


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn the system's errors in the block into one that names ``path`` and says how to go on.

    Raises
    ------
    FileError
        In place of any :class:`OSError`.
    """
    try:
        yield
    except OSError as error:
        hint = (
            "more free space, then the same command again: what is finished is kept"
            if error.errno in _FULL
            else "another --out folder, or permission to write there"
        )
        raise FileError(path, f"cannot be written ({error.strerror or error})", hint=hint) from error


def write_whole(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that a reader sees all of it or what was there before.

    Parameters
    ----------
    path : path
    content : bytes
    durable : bool
        Wait until it is on the disk, so that this holds after a power failure too.

    Raises
    ------
    FileError
        If the disk is full or the folder cannot be written to; no half file is left.
    """
    part = path.with_name(path.name + _PART)
    with writing(path):
        try:
            with part.open("wb", buffering=0) as stream:
                write_all(stream, content)
                if durable:
                    os.fsync(stream.fileno())
            part.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


def write_all(stream: BinaryIO, content: bytes) -> None:
    """Write to an unbuffered stream until nothing is left: a nearly full disk takes a part at first."""
    left = memoryview(content)
    while left:
        left = left[stream.write(left) :]


def reserve_space(path: Path) -> None:
    """Give a file all the space on the disk that its length promises; its content stays.

    A file that was merely lengthened has no space until it is written to. Written through a memory map on a
    full disk it ends the process by a signal; here it is the same error as for any other file.

    Raises
    ------
    FileError
        If there is not enough space; the file is deleted.
    """
    with writing(path):
        try:
            with path.open("r+b", buffering=0) as stream:
                _fill(stream, path.stat().st_size)
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            raise


def _fill(stream: BinaryIO, length: int) -> None:
    """Space for ``length`` bytes: by the system's own call if it has one, else each block is written back."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(stream.fileno(), 0, length)
            return
        except OSError as error:
            if error.errno not in _NO_SUCH_CALL:
                raise
    for start in range(0, length, _BLOCK):
        stream.seek(start)
        content = stream.read(_BLOCK)
        stream.seek(start)
        write_all(stream, content)
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until names in the folder are on the disk, where the system can."""
    with contextlib.suppress(OSError):  # some file systems cannot, and Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises
    ------
    FileError
        If it cannot be made, or a file is in its place.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def remove_parts(folder: Path) -> None:
    """Delete what an interrupted :func:`write_whole` left behind."""
    for part in folder.glob(f"*{_PART}"):
        part.unlink(missing_ok=True)
