"""Unpack tar files of which nothing is believed."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pfungst.errors import DataError
from pfungst.progress import Progress, silent

_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One tar file: its name below the base URL, its MD5, and limits for what it may hold.

    Attributes
    ----------
    name : str
        File name.
    md5 : str
        Hex digest of the whole file.
    top : str
        The only folder it may unpack.
    max_bytes, max_members : int
        Largest accepted size, packed as well as unpacked, and number of members.
    """

    name: str
    md5: str
    top: str = "VOCdevkit"
    max_bytes: int = 2**30
    max_members: int = 100_000


def unpack(file: str | Path, out: str | Path, archive: Archive, *, progress: Progress = silent) -> None:
    """Unpack a tar file of which nothing is believed.

    Only plain files and folders below ``archive.top`` are accepted; the whole list is checked before the
    first file is written. What :func:`tarfile.data_filter` takes from a member (owners, modes) is ignored.

    Raises
    ------
    DataError
        If the file is no tar archive, or holds links, devices, names that lead out of ``out``, more members
        or more bytes than allowed.
    """
    folder = Path(out)
    try:
        with tarfile.open(file, "r:") as tar:
            members = _checked_members(tar, Path(file), folder, archive)
            total = sum(member.size for member in members) // _MIB
            done = 0
            for member in members:
                tar.extract(member, folder, filter=_plain)
                done += member.size
                progress(f"unpack {archive.name}", done // _MIB, total)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise DataError(file, f"is not a readable tar archive ({error})") from error
    except OSError as error:
        raise DataError(
            folder, f"cannot unpack {Path(file).name} here ({error})", hint="another --out"
        ) from error


def _plain(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """The member as data, and no program."""
    checked: tarfile.TarInfo = tarfile.data_filter(member, folder)
    return checked.replace(mode=0o644) if checked.isfile() else checked


def _checked_members(
    tar: tarfile.TarFile, file: Path, folder: Path, archive: Archive
) -> list[tarfile.TarInfo]:
    members: list[tarfile.TarInfo] = []
    size = 0
    for member in tar:
        _check_member(member, file, folder, archive.top)
        members.append(member)
        size += member.size
        if size > archive.max_bytes or len(members) > archive.max_members:
            raise DataError(
                file,
                "unpacks to more than it may",
                allowed=f"{archive.max_bytes:,} bytes in {archive.max_members:,} members",
            )
    return members


def _check_member(member: tarfile.TarInfo, file: Path, folder: Path, top: str) -> None:
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise DataError(file, f"holds {member.name!r}, a link, device or sparse file; nothing was unpacked")
    parts = PurePosixPath(member.name).parts
    try:
        if parts[:1] == (top,) and ".." not in parts:
            tarfile.data_filter(member, str(folder))
            return
    except tarfile.FilterError:
        pass
    raise DataError(file, f"holds {member.name!r}, which leads out of {top}; nothing was unpacked")
