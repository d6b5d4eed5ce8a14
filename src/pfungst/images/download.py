"""Fetch the PASCAL VOC 2007 archives: resumable and verified."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pfungst import __version__
from pfungst.errors import ConfigError, DataError
from pfungst.files import shown
from pfungst.images.archives import Archive, unpack
from pfungst.progress import Progress, silent
from pfungst.writing import write_all, write_whole, writing

VOC2007_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/"
"""Where the organisers of the challenge keep the archives."""

_MIB = 2**20
_CHUNK = 256 * 1024
_MANIFEST = "voc2007.json"


VOC2007_ARCHIVES = (
    Archive(name="VOCtrainval_06-Nov-2007.tar", md5="c52e279531787c972589f7e41ab4ae64"),
    Archive(name="VOCtest_06-Nov-2007.tar", md5="b6e924de25625d8de591ea690078ad9f"),
)
"""Photos and annotations of trainval (5,011 photos) and test (4,952)."""


def fetch_voc2007(
    out: str | Path,
    *,
    url: str = VOC2007_URL,
    archives: Sequence[Archive] = VOC2007_ARCHIVES,
    keep_archives: bool = False,
    progress: Progress = silent,
) -> Path:
    """Download, verify and unpack PASCAL VOC 2007 into ``out/VOCdevkit/VOC2007``.

    What an earlier call finished is not done again; a download that broke off goes on where it stopped.

    Parameters
    ----------
    out : path
        Folder to make; needs about 2 GB while the work is going on, 0.9 GB afterwards.
    url : str
        Base address that the archives' names are appended to.
    archives : sequence of Archive
        What to fetch.
    keep_archives : bool
        Whether the tar files stay.
    progress : Progress
        Told in MiB.

    Returns
    -------
    Path
        ``out``, which :func:`~pfungst.images.open_dataset` opens.

    Raises
    ------
    DataError
        If a download fails, its checksum is wrong, or an archive holds what a data set must not.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(folder, f"cannot be made ({error.strerror})", hint="another --out") from error
    done = _read_manifest(folder)
    for archive in archives:
        if done.get(archive.name) == archive.md5 and (folder / archive.top).is_dir():
            continue
        file = fetch(
            url.rstrip("/") + "/" + archive.name,
            folder / archive.name,
            md5=archive.md5,
            max_bytes=archive.max_bytes,
            progress=progress,
        )
        unpack(file, folder, archive, progress=progress)
        done[archive.name] = archive.md5
        _write_manifest(folder, done)
        if not keep_archives:
            file.unlink()
    return folder


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        return dict(content["unpacked"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # nothing, or nothing usable: the work is done again


def _write_manifest(folder: Path, done: dict[str, Any]) -> None:
    text = json.dumps({"unpacked": done}, indent=2) + "\n"
    write_whole(folder / _MANIFEST, text)


def fetch(
    url: str,
    target: str | Path,
    *,
    md5: str,
    max_bytes: int = 2**30,
    attempts: int = 5,
    wait: float = 2.0,
    timeout: float = 60.0,
    progress: Progress = silent,
) -> Path:
    """Download one file; what arrived is kept in ``target.part`` until it is whole and verified.

    Parameters
    ----------
    url : str
        http or https address.
    target : path
        Where the file shall stand; if it stands there already with the right checksum, nothing is fetched.
    md5 : str
        Hex digest that the file must have.
    max_bytes : int
        A longer answer is refused.
    attempts : int
        Connections tried one after another; each goes on where the last one broke off.
    wait, timeout : float
        Seconds between attempts, and without an answer before an attempt is given up.
    progress : Progress
        Told in MiB.

    Raises
    ------
    ConfigError
        If the address is not http or https.
    DataError
        If the server refuses, all attempts break off, the file is too long or its checksum is wrong.
    """
    if not _is_http(url):
        raise ConfigError(f"cannot download from {url!r}", allowed="an http:// or https:// address")
    final = Path(target)
    if final.is_file() and file_md5(final) == md5:
        return final
    part = final.with_name(final.name + ".part")
    transfer = _Transfer(url=url, part=part, max_bytes=max_bytes, timeout=timeout, progress=progress)
    _fetch_part(transfer, attempts=attempts, wait=wait)
    found = file_md5(part)
    if found != md5:
        part.unlink()
        raise DataError(
            url,
            f"arrived with the MD5 checksum {found}, so it was thrown away",
            allowed=md5,
            hint="the same command again, or another --url",
        )
    part.replace(final)
    return final


class _OnlyHttp(urllib.request.HTTPRedirectHandler):
    """Redirects are followed to http and https alone; the standard library would go on to ftp."""

    def redirect_request(self, *asked: Any) -> urllib.request.Request | None:
        request, answer, url = asked[0], asked[1], asked[-1]
        if not _is_http(url):
            answer.close()
            raise DataError(
                request.full_url,
                f"the server sends on to {shown(url)}",
                allowed="an http:// or https:// address",
                hint="another --url",
            )
        return super().redirect_request(*asked)


_OPENER = urllib.request.build_opener(_OnlyHttp)


def _is_http(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


@dataclass(frozen=True, kw_only=True)
class _Transfer:
    url: str
    part: Path
    max_bytes: int
    timeout: float
    progress: Progress

    def arrived(self) -> int:
        """Bytes that stand in ``part``."""
        return self.part.stat().st_size if self.part.exists() else 0


def _fetch_part(transfer: _Transfer, *, attempts: int, wait: float) -> None:
    """Append to ``part`` until it is whole."""
    reason = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(wait)
        try:
            if _continue(transfer):
                return
            reason = "the connection broke off"
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"the server answers {error.code} {error.reason}"
            if error.code < 500:
                raise DataError(transfer.url, reason, hint="another --url") from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    raise DataError(
        transfer.url,
        f"download stopped after {transfer.arrived():,} bytes and {attempts} attempts ({reason})",
        hint="the same command again; it goes on where it stopped",
    )


def _continue(transfer: _Transfer) -> bool:
    """One connection; whether the file is whole afterwards."""
    start = transfer.arrived()
    headers = {"User-Agent": f"pfungst/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(transfer.url, headers=headers)
    try:
        answer = _OPENER.open(request, timeout=transfer.timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not start:
            raise
        return _nothing_to_add(error, transfer.part, start)
    with answer:
        start, total = _extent(answer, start)
        _check_room(transfer, start, total)
        _append(answer, transfer, start, total)
    return total is None or transfer.arrived() == total


def _nothing_to_add(error: urllib.error.HTTPError, part: Path, start: int) -> bool:
    """A range past the end: the part is whole, or it is no part of this file and is thrown away."""
    total = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
    error.close()
    if total is not None and int(total[1]) == start:
        return True
    part.unlink()
    return False


def _extent(answer: Any, start: int) -> tuple[int, int | None]:
    """Where the answer's bytes begin in the file, and the file's length if the server tells."""
    if answer.status == 206:
        extent = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        if extent is not None and int(extent[1]) == start:
            return start, int(extent[2])
        raise http.client.HTTPException("the server continued at a wrong place")
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _check_room(transfer: _Transfer, start: int, total: int | None) -> None:
    if total is None:
        return
    if total > transfer.max_bytes:
        raise _too_long(transfer)
    free = shutil.disk_usage(transfer.part.parent).free
    if total - start > free:
        raise DataError(
            transfer.part,
            f"needs {total - start:,} bytes, but the disk has {free:,} free",
            hint="another --out",
        )


def _too_long(transfer: _Transfer) -> DataError:
    return DataError(
        transfer.url,
        "is longer than expected, so it was not fetched",
        allowed=f"at most {transfer.max_bytes:,} bytes",
        hint="another --url",
    )


def _append(answer: Any, transfer: _Transfer, start: int, total: int | None) -> None:
    stage = f"download {transfer.part.name.removesuffix('.part')}"
    done = start
    with transfer.part.open("ab" if start else "wb", buffering=0) as stream:
        while chunk := answer.read1(_CHUNK):
            done += len(chunk)
            if done > transfer.max_bytes:
                raise _too_long(transfer)
            with writing(transfer.part):
                write_all(stream, chunk)
            transfer.progress(stage, done // _MIB, (total or done) // _MIB)


def file_md5(path: str | Path) -> str:
    """Hex MD5 of a file's bytes; VOC's organisers state no stronger digest."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
