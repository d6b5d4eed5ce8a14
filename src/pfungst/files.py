"""Files from outside: regular ones of bounded size, printable names, JSON of which nothing is believed."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import reprlib
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pfungst.errors import FileError

MAX_DEPTH = 64
"""Deepest nesting of JSON that is read into records or configurations."""

MAX_NAME = 200
"""Most characters of a class name."""

_MAX_INTEGER = 2**64
_MIB = 2**20
_LONGEST_PART = 100
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 80, 80


def read_bounded(path: str | Path, limit: int, *, error: type[FileError], what: str) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes; a pipe or device is not waited for.

    Raises
    ------
    FileError
        Of the class ``error``, if the file is missing, unreadable, not regular or too large for ``what``.
    """
    require_regular(path, limit, error=error, what=what)
    with _reading(path, error, what), Path(path).open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:  # it grew meanwhile, or lies where sizes are not told
        raise _too_large(Path(path), len(content), limit, error, what)
    return content


def require_regular(path: str | Path, limit: int, *, error: type[FileError], what: str) -> None:
    """Refuse what is no regular file of at most ``limit`` bytes, before anything is read of it.

    Raises
    ------
    FileError
        Of the class ``error``: a pipe or a device would not end, and nothing in a folder from outside is read
        to find that out.
    """
    with _reading(path, error, what):
        found = Path(path).stat()
    if not stat.S_ISREG(found.st_mode):
        raise error(path, f"is not a file, so it cannot be {what}")
    if found.st_size > limit:
        raise _too_large(Path(path), found.st_size, limit, error, what)


@contextlib.contextmanager
def _reading(path: str | Path, error: type[FileError], what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise error(path, f"cannot be read ({reason})", allowed=what) from problem


def _too_large(file: Path, size: int, limit: int, error: type[FileError], what: str) -> FileError:
    allowed = f"at most {limit // _MIB} MiB" if limit >= _MIB else f"at most {limit} bytes"
    return error(file, f"has {size} bytes, too large for {what}", allowed=allowed)


def is_file(path: Path) -> bool:
    """Whether there is a regular file; False, not an error, for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def parse_json(content: bytes | str) -> Any:
    """Plain values of JSON from outside, small and tame enough for everything that is done with them.

    Refused beside what is no JSON: nesting beyond ``MAX_DEPTH``, NaN and infinity (written ``1e999`` too),
    integers beyond 64 bits, and text that is not Unicode (half a surrogate pair).

    Raises
    ------
    ValueError
        With the reason.
    """
    try:
        tree = json.loads(
            content, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_bounded_integer
        )
    except RecursionError:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    _check_tree(tree)
    return tree


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds {text[:20]}, which is too large for a number")
    return number


def _bounded_integer(text: str) -> int:
    number = int(text) if len(text) <= 21 else _MAX_INTEGER + 1
    if abs(number) > _MAX_INTEGER:
        raise ValueError(f"it holds an integer of {len(text)} digits")
    return number


def _check_tree(tree: Any) -> None:
    """Level by level, so that nesting costs no stack."""
    level = [tree]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        level = [child for node in level for child in _checked_children(node)]
    raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _checked_children(node: Any) -> Iterable[Any]:
    if isinstance(node, str):
        if not is_text(node):
            raise ValueError(f"it holds text that is not Unicode ({shown(node)})")
        return ()
    if isinstance(node, dict):
        return (*node, *node.values())
    return node if isinstance(node, list) else ()


def is_text(text: str) -> bool:
    """Whether a string can be written to a file: half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def usable_name(name: object) -> bool:
    """Whether this can be a class name: 1 to ``MAX_NAME`` printable characters, not all spaces."""
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable() and not name.isspace()


def as_text(name: str) -> str:
    """The name of a file as text that can be written anywhere: bytes that are no UTF-8 become escapes."""
    if name.isascii() or is_text(name):
        return name
    return name.encode("utf-8", "surrogateescape" if _from_bytes(name) else "replace").decode(
        "utf-8", "backslashreplace"
    )


def _from_bytes(name: str) -> bool:
    """Whether all that is no Unicode in it stands for bytes of a file's name."""
    return all(not "\ud800" <= letter <= "\udfff" or "\udc80" <= letter <= "\udcff" for letter in name)


def safe_name(text: str) -> str:
    """The name of a model, class or photo as part of a file name.

    A long one is cut and told from others by a hash, so that two of them and an ending fit into the 255 bytes
    that file systems allow.
    """
    name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in text).strip(".")
    encoded = name.encode()
    if len(encoded) <= _LONGEST_PART:
        return name or "_"
    mark = hashlib.sha256(as_text(text).encode()).hexdigest()[:10]
    return f"{encoded[: _LONGEST_PART - len(mark) - 1].decode(errors='ignore')}-{mark}"


def distinct_names(texts: Sequence[str]) -> list[str]:
    """:func:`safe_name` of each text, numbered where two would be the same file.

    Examples
    --------
    >>> distinct_names(["a b", "a_b", "c"])
    ['a_b', 'a_b-2', 'c']
    """
    names: list[str] = []
    taken: set[str] = set()
    for text in texts:
        plain = safe_name(text)
        numbered = (f"{plain}-{number}" for number in itertools.count(2))
        name = next(item for item in itertools.chain([plain], numbered) if item.casefold() not in taken)
        names.append(name)
        taken.add(name.casefold())  # some file systems do not tell A from a
    return names


def shown(value: object) -> str:
    """A short form of any value for a message, however large or deep the value is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**60:
        return "a huge integer"
    return _SHORT.repr(value)
