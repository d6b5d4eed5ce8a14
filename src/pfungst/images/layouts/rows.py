"""Rows of a table: CSV with any usual separator, or an object of JSON in each line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, TypeAlias

from pfungst.errors import DataError
from pfungst.files import parse_json
from pfungst.images.names import read_text
from pfungst.images.tree import is_photo_name

Row: TypeAlias = Mapping[str, Any]
"""Values by the name of their column; all text in a CSV file, plain JSON otherwise."""

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
_SEPARATORS = ",;\t|"
_MAX_BYTES = 2**28


def read_rows(file: Path) -> Iterator[Row]:
    """The rows of a table.

    A CSV file whose first line has the name of a photo has no header; its columns are named ``0``, ``1``, …
    A first line ``sep=;`` states the separator, and lines that begin with ``#`` before the header are
    remarks.

    Raises
    ------
    DataError
        If the file cannot be read or is no such table.
    """
    text = read_text(file, what="a table of labels", limit=_MAX_BYTES)
    return _json_rows(file, text) if file.suffix.lower() in (".jsonl", ".ndjson") else _csv_rows(file, text)


def _json_rows(file: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise DataError(file, f"line {number} is not readable JSON ({error})") from error
        if not isinstance(row, dict):
            raise DataError(file, f"line {number} is no object", allowed="an object in each line")
        yield row


def _csv_rows(file: Path, text: str) -> Iterator[Row]:
    stated = re.match(r"(?:#.*\r?\n)*sep=(.)\r?\n", text)
    text = re.sub(r"\A(?:(?:#|sep=).*\r?\n)+", "", text)
    first = text[: text.find("\n")] if "\n" in text else text
    separator = stated.group(1) if stated else max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    header: list[str] = []
    try:
        for line in reader:
            cells = [cell.strip() for cell in line]
            if not any(cells):
                continue
            if not header:
                named = any(is_photo_name(PureWindowsPath(cell).name) for cell in cells)
                header = [str(number) for number in range(len(cells))] if named else cells
                if not named:
                    continue
            yield dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise DataError(file, f"is no readable table (line {reader.line_num}: {error})") from error
