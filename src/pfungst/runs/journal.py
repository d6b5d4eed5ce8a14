"""Records of a long run, one line each, so that it can be interrupted and taken up again.

A journal is a JSON-lines file. Its first line states what the run measures; each further line is one finished
record. Every line is on the disk before the next record begins. A line that an interruption tore is dropped;
a run with another configuration is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from pfungst.errors import ConfigError, DataError
from pfungst.files import parse_json
from pfungst.writing import make_folder, write_all, writing

FORMAT = "pfungst-journal"
FORMAT_VERSION = 1
FILE_IDENTITY = "file_identity"
"""Field of a record that says which file it was made from; not among the record's numbers."""


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

    def _note(self, record: Mapping[str, Any]) -> None:
        self.finished[str(record.get(self.key))] = record.get(FILE_IDENTITY)

    def _write(self, content: Mapping[str, Any]) -> None:
        line = (
            json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        )
        with writing(self.path):
            try:
                write_all(self._stream, line)
                if self._durable:
                    os.fsync(self._stream.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    self._cut()
                raise
        self._end += len(line)

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
                content = _parsed(self.path, line, number)
                if number == 1:
                    self._check(content, wanted)
                else:
                    self._note(content)
                end += len(line)
        return end

    def _check(self, header: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        if header.get("format") != FORMAT or not isinstance(header.get("configuration"), dict):
            raise DataError(self.path, "is not a journal of this library", hint="another --out folder")
        if header.get("version") != FORMAT_VERSION:
            raise DataError(
                self.path, f"has format version {header.get('version')}", allowed=str(FORMAT_VERSION)
            )
        differing = _differences(header["configuration"], wanted)
        if differing:
            raise ConfigError(
                f"{self.path} was begun with another configuration: {'; '.join(differing)}",
                allowed="the configuration it was begun with",
                hint="another --out folder for the new configuration",
            )


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

    The field :data:`FILE_IDENTITY` is left out too.
    """
    with Path(path).open("rb") as stream:
        next(stream, None)
        for number, line in enumerate(stream, start=2):
            if line.endswith(b"\n"):
                record = _parsed(Path(path), line, number)
                record.pop(FILE_IDENTITY, None)
                yield record


def read_configuration(path: str | Path) -> dict[str, Any]:
    """The configuration that a journal was begun with.

    Raises
    ------
    DataError
        If the file is missing or no journal of this version.
    """
    try:
        with Path(path).open("rb") as stream:
            header = parse_json(stream.readline())
    except (OSError, ValueError) as error:
        raise DataError(path, f"is no readable journal ({error})", hint="the folder of a run") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(path, "is not a journal of this library", hint="the folder of a run")
    if header.get("version") != FORMAT_VERSION:
        raise DataError(path, f"has format version {header.get('version')}", allowed=str(FORMAT_VERSION))
    configuration = header.get("configuration")
    if not isinstance(configuration, dict):
        raise DataError(path, "states no configuration", hint="the folder of a run")
    return configuration


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
