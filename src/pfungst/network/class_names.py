"""Names of a network's outputs: from a file, from lines of WordNet, told apart where two are the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pfungst.errors import ModelError

_MAX_CLASS_FILE_BYTES = 2**22


def read_class_names(path: str | Path) -> list[str]:
    r"""Class names, one a line, in the order of the outputs.

    A line may be a plain name, or begin with a WordNet id as in ``n01440764 tench, Tinca tinca``; of such a
    line the first name is kept. Names that occur twice are told apart by that id or by their line number.

    Raises
    ------
    ModelError
        If the file is missing, not text, empty or larger than 4 MiB.

    Examples
    --------
    >>> import tempfile; file = Path(tempfile.mkdtemp()) / "words.txt"
    >>> _ = file.write_text("n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\n")
    >>> read_class_names(file)
    ['tench', 'crane (n02012849)', 'crane (n03126707)']
    """
    source = Path(path)
    try:
        if source.stat().st_size > _MAX_CLASS_FILE_BYTES:
            raise ModelError(source, "is too large for a list of class names", allowed="at most 4 MiB")
        text = source.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ModelError(source, f"cannot be read ({error.strerror})", hint="one name a line") from error
    except UnicodeDecodeError as error:
        raise ModelError(source, "is not UTF-8 text", allowed="one name a line") from error
    lines = text.splitlines()
    names = first_names([line.strip() for line in lines if line.strip()], marks=_line_numbers(lines))
    if not names:
        raise ModelError(source, "holds no class names", allowed="one name a line")
    return names


def _line_numbers(lines: Sequence[str]) -> list[str]:
    return [f"line {number}" for number, line in enumerate(lines, 1) if line.strip()]


def first_names(lines: Sequence[str], marks: Sequence[str] | None = None) -> list[str]:
    """The first name of each line, a WordNet id before it taken off; equal names are told apart.

    By that id, or by the line's mark (default ``output 0``, ``output 1`` ...).
    """
    marks = [f"output {index}" for index in range(len(lines))] if marks is None else marks
    pairs = [_name_of(line, mark) for line, mark in zip(lines, marks, strict=True)]
    return distinct([name for name, _ in pairs], [mark for _, mark in pairs])


def distinct(names: Sequence[str], marks: Sequence[str]) -> list[str]:
    """The same names, those that occur more than once followed by their marks in brackets."""
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{name} ({mark})" for name, mark in zip(names, marks, strict=True)
    ]


def _name_of(line: str, mark: str) -> tuple[str, str]:
    """A line's name and what tells it from others of the same name."""
    match = re.match(r"(n\d{8})[\s,]+(\S.*)", line)
    if match is None:
        return line, mark
    return match[2].split(",")[0].strip(), match[1]
