"""One process at a time works on a run's folder."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from pfungst.errors import FileError
from pfungst.writing import make_folder, writing

LOCK_FILE = "run.lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock in the block; the system gives it back when the process ends, however it ends.

    Raises
    ------
    FileError
        If another process holds it, by its number, or the folder cannot be written to.
    """
    make_folder(folder)
    with writing(folder):
        handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        if not _taken(handle):
            holder = os.read(handle, 200).decode(errors="replace").strip()
            raise FileError(
                folder,
                f"another process is at work on this run ({holder or 'it does not say which'})",
                hint="wait for it to end, or another --out folder",
            )
        with writing(folder):
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: the user keeps watch
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
