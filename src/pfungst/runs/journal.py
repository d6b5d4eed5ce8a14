"""Records of a long run, one line each, so that it can be interrupted and taken up again.

A journal is a JSON-lines file. Its first line states what the run measures; each further line is one finished
record. Every line is on the disk before the next record begins, and ends with a checksum over itself and all
lines before it. A line that an interruption tore is dropped; a run with another configuration is refused, and
so is a file in which anything was altered.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from pfungst.errors import ConfigError, DataError, FileError
from pfungst.files import parse_json, require_regular, shown
from pfungst.writing import make_folder, write_all, writing

_SEAL = b',"check":"'
_MAX_BYTES = 64 * 2**30
FORMAT = "pfungst-journal"
FORMAT_VERSION = 2
FILE_IDENTITY = "file_identity"
"""Field of a record that says which file it was made from; not among the record's numbers."""
MACHINES = "machines"
"""Field of a configuration: the kinds of machines that the numbers come from."""
_ELSEWHERE = (
    "a machine of the same kind, OPENBLAS_CORETYPE set to the kernel named here, or another --out folder: "
    "last digits may differ"
)
ARRAYS_DIGEST = "arrays_sha256"
"""Field of a record that says what its arrays are; not among the record's numbers."""


class Journal:
    """An open journal; use it in a ``with`` block.

    Parameters
    ----------
    path : path
        The file; its folder is made if it is missing.
    configuration : mapping
        Plain JSON: everything that the records depend on.
    key : str
        The field that names a record.
    durable : bool
        Wait for the disk after each record.

    Attributes
    ----------
    finished : dict
        Names of the records, each with its :data:`FILE_IDENTITY` or None.
    digests : dict
        The :data:`ARRAYS_DIGEST` of those records that have one.

    Raises
    ------
    ConfigError
        If the file was begun with another configuration; the message names the fields that differ.
    DataError
        If the file is no journal, is of a newer version, or is damaged other than at its end.
    FileError
        If the disk is full or cannot be written to; what was written before is whole.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Journal(f"{folder}/records.jsonl", {"seed": 0}) as journal:
    ...         journal.append({"image": "a", "value": 1.5})
    ...     with Journal(f"{folder}/records.jsonl", {"seed": 0}) as journal:
    ...         sorted(journal.finished)
    ['a']
    """

    def __init__(
        self,
        path: str | Path,
        configuration: Mapping[str, Any],
        *,
        key: str = "image",
        durable: bool = True,
    ) -> None:
        self.path = Path(path)
        self.key, self._durable = key, durable
        self.finished: dict[str, Any] = {}
        self.digests: dict[str, str] = {}
        self._seal = ""
        make_folder(self.path.parent)
        wanted = json.loads(json.dumps(configuration))
        self._end = self._resume(wanted) if self.path.exists() else 0
        with writing(self.path):
            self._stream: BinaryIO = self.path.open("r+b" if self._end else "wb", buffering=0)
            self._cut()
        if not self._end:
            self._write({"format": FORMAT, "version": FORMAT_VERSION, "configuration": wanted})

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record and wait until it is on the disk."""
        self._write(record)
        self._note(record)

    def records(self) -> Iterator[dict[str, Any]]:
        """All records in the order in which they were written."""
        return read_records(self.path)

    def forget(self, name: str) -> None:
        """Take a record for unfinished: it will be made again, and the later one counts."""
        self.finished.pop(name, None)
        self.digests.pop(name, None)

    def _note(self, record: Mapping[str, Any]) -> None:
        name = str(record.get(self.key))
        self.finished[name] = record.get(FILE_IDENTITY)
        if ARRAYS_DIGEST in record:
            self.digests[name] = str(record[ARRAYS_DIGEST])

    def _write(self, content: Mapping[str, Any]) -> None:
        line, seal = sealed(content, self._seal)
        with writing(self.path):
            self._require_there()
            try:
                write_all(self._stream, line)
                if self._durable:
                    os.fsync(self._stream.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    self._cut()
                raise
        self._end += len(line)
        self._seal = seal

    def _require_there(self) -> None:
        """A file that was deleted can still be written to, and all of it would be lost."""
        if not os.fstat(self._stream.fileno()).st_nlink:
            raise FileError(self.path, "was deleted while the run was at work", hint="the same command again")

    def _cut(self) -> None:
        """Drop what lies behind the last whole line."""
        self._stream.truncate(self._end)
        self._stream.seek(self._end)

    def _resume(self, wanted: Mapping[str, Any]) -> int:
        """Check the file, note its finished records, and return where its last whole line ends."""
        end = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith(b"\n"):
                    break  # torn by an interruption: that record is made again
                if number == 1:
                    self._check(_header(self.path, line), wanted)
                content, self._seal = _unsealed(self.path, line, number, self._seal)
                if number > 1:
                    self._note(content)
                end += len(line)
        return end

    def _check(self, header: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        differing = _differences(header["configuration"], wanted)
        if differing:
            only_machine = all(line.startswith(MACHINES) for line in differing)
            raise ConfigError(
                f"{self.path} was begun with another configuration: {'; '.join(differing)}",
                allowed="the configuration it was begun with",
                hint=_ELSEWHERE if only_machine else "another --out folder for the new configuration",
            )


def sealed(content: Mapping[str, Any], seal: str = "") -> tuple[bytes, str]:
    """A line of a journal, and the seal that it ends with; ``seal`` is that of the line before."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    body = text.encode()[:-1]
    mark = _seal(body, seal)
    return body + _SEAL + mark.encode() + b'"}\n', mark


def _seal(body: bytes, seal: str) -> str:
    return hashlib.sha256(seal.encode() + body).hexdigest()[:16]


def _unsealed(path: Path, line: bytes, number: int, seal: str) -> tuple[dict[str, Any], str]:
    """The content of a whole line and its seal, checked."""
    body, _, _ = line.rpartition(_SEAL)
    mark = _seal(body, seal)
    if not body or line != body + _SEAL + mark.encode() + b'"}\n':
        raise DataError(path, f"line {number} is damaged: its checksum is wrong", hint="another --out folder")
    return _parsed(path, body + b"}", number), mark


def _parsed(path: Path, line: bytes, number: int) -> dict[str, Any]:
    try:
        content = parse_json(line)
    except ValueError as error:
        raise DataError(path, f"line {number} is damaged ({error})", hint="another --out folder") from error
    if not isinstance(content, dict):
        raise DataError(path, f"line {number} is not a record", hint="another --out folder")
    return content


def read_records(path: str | Path) -> Iterator[dict[str, Any]]:
    """The whole records of a journal in the order of writing; a torn last line is left out.

    The fields :data:`FILE_IDENTITY` and :data:`ARRAYS_DIGEST` are left out too.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    for record, _ in read_entries(path):
        yield record


def read_entries(path: str | Path) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The records of :func:`read_records`, each with the digest of its arrays or None."""
    file, seal = Path(path), ""
    with _open_journal(file) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                return
            if number == 1:
                _header(file, line)
            record, seal = _unsealed(file, line, number, seal)
            if number > 1:
                record.pop(FILE_IDENTITY, None)
                digest = record.pop(ARRAYS_DIGEST, None)
                yield record, digest if isinstance(digest, str) else None


def read_configuration(path: str | Path) -> dict[str, Any]:
    """The configuration that a journal was begun with.

    Raises
    ------
    DataError
        If the file is missing or no journal of this version.
    """
    file = Path(path)
    with _open_journal(file) as stream:
        line = stream.readline()
    _header(file, line)
    configuration: dict[str, Any] = _unsealed(file, line, 1, "")[0]["configuration"]
    return configuration


@contextlib.contextmanager
def _open_journal(file: Path) -> Iterator[BinaryIO]:
    require_regular(file, _MAX_BYTES, error=DataError, what="the records of a run")
    try:
        with file.open("rb") as stream:
            yield stream
    except OSError as error:
        raise DataError(file, f"cannot be read ({error.strerror})", hint="the folder of a run") from error


def _header(file: Path, line: bytes) -> dict[str, Any]:
    """The first line, of this library and version."""
    header = _parsed(file, line, 1)
    if header.get("format") != FORMAT:
        raise DataError(file, "is not a journal of this library", hint="another --out folder")
    if header.get("version") != FORMAT_VERSION:
        raise DataError(
            file,
            f"has format version {shown(header.get('version'))}",
            allowed=str(FORMAT_VERSION),
            hint="the same command with another --out folder",
        )
    if not isinstance(header.get("configuration"), dict):
        raise DataError(file, "states no configuration", hint="another --out folder")
    return header


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """One line for each field that is not the same in both."""
    lines: list[str] = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += _differences(old, new, f"{prefix}{name}.")
        elif old != new:
            lines.append(f"{prefix}{name} was {_short(old)}, is now {_short(new)}")
    return lines


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
