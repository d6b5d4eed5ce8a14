"""Dataclasses to plain JSON and back, checked: nothing in a file is trusted, nothing is executed."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import PurePath
from typing import Any, TypeVar

from pfungst.errors import PfungstError
from pfungst.files import as_text, shown

Content = TypeVar("Content")
_LARGEST = sys.float_info.max


def stored_as(key: str, *formerly: str) -> dict[str, Any]:
    """Metadata of a dataclass field whose name in JSON is another: one that Python does not allow, say.

    Parameters
    ----------
    key : str
        Its name in JSON, such as ``class``.
    formerly : str
        Names under which it is read as well.

    Examples
    --------
    >>> @dataclasses.dataclass
    ... class Row:
    ...     class_name: str = dataclasses.field(metadata=stored_as("class"))
    >>> to_plain(Row("cat"))
    {'class': 'cat'}
    """
    return {"key": key, "formerly": formerly}


def to_plain(content: Any) -> Any:
    """Plain JSON of dataclasses, mappings, sequences, paths, arrays, numbers; NaN and infinity become None.

    Examples
    --------
    >>> import numpy as np
    >>> from pathlib import Path
    >>> to_plain({"values": np.array([1.5, np.nan]), "place": Path("a/b")})
    {'values': [1.5, None], 'place': 'a/b'}
    """
    if hasattr(content, "tolist"):
        content = content.tolist()
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        return {key_of(part): to_plain(getattr(content, part.name)) for part in dataclasses.fields(content)}
    if isinstance(content, Mapping):
        return {as_text(str(key)): to_plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple, set, frozenset)):
        return [to_plain(value) for value in content]
    if isinstance(content, (str, PurePath)):
        return as_text(str(content))
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def to_json(content: Any) -> str:
    """:func:`to_plain` as JSON text with a line break at its end."""
    return json.dumps(to_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_plain(kind: type[Content], content: Any, where: str = "content") -> Content:
    """Build a dataclass from what :func:`to_plain` made of it; None stands for NaN where a float is due.

    Raises
    ------
    ValueError
        If a field is missing, unknown or of another type; the message says which.
    """
    built: Content = _convert(kind, content, where)
    return built


def _convert(kind: Any, content: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return content
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, content, where)
    if origin in (typing.Union, types.UnionType):
        return _optional(kind, content, where)
    if isinstance(origin, type) and issubclass(origin, (Sequence, Mapping)):
        container = _mapping if issubclass(origin, Mapping) else _sequence
        return container(kind, content, where)
    return _scalar(kind, content, where)


def _mapping(kind: Any, content: Any, where: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"{where} is {_named(content)}, not an object")
    inner = typing.get_args(kind)[1]
    return {str(key): _convert(inner, value, f"{where}.{key}") for key, value in content.items()}


def _dataclass(kind: Any, content: Any, where: str) -> Any:
    if not isinstance(content, dict):
        raise ValueError(f"{where} is {_named(content)}, not an object")
    fields = {key: part for part in dataclasses.fields(kind) for key in (key_of(part), *_former_keys(part))}
    found = {fields[key].name: (key, value) for key, value in content.items() if key in fields}
    unknown = sorted(key for key in content if key not in fields)
    missing = sorted(
        key_of(part) for part in dataclasses.fields(kind) if part.name not in found and _is_required(part)
    )
    if missing or unknown:
        raise ValueError(f"{where} lacks {missing or 'nothing'} and has unknown {unknown or 'nothing'}")
    hints = _hints(kind)
    parts = {name: _convert(hints[name], value, f"{where}.{key}") for name, (key, value) in found.items()}
    try:
        return kind(**parts)
    except (ValueError, PfungstError) as error:  # what the dataclass itself refuses
        raise ValueError(f"{where} is not possible: {error}") from error


def key_of(part: dataclasses.Field[Any]) -> str:
    """The name of a field in JSON (see :func:`stored_as`)."""
    name: str = part.metadata.get("key", part.name)
    return name


def _former_keys(part: dataclasses.Field[Any]) -> tuple[str, ...]:
    names: tuple[str, ...] = part.metadata.get("formerly", ())
    return names


def _is_required(part: dataclasses.Field[Any]) -> bool:
    return part.default is dataclasses.MISSING and part.default_factory is dataclasses.MISSING


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {part.name: hints[part.name] for part in dataclasses.fields(kind)}


def _optional(kind: Any, content: Any, where: str) -> Any:
    choices = typing.get_args(kind)
    if content is None and type(None) in choices:
        return None
    (inner,) = (choice for choice in choices if choice is not type(None))
    return _convert(inner, content, where)


def _sequence(kind: Any, content: Any, where: str) -> Any:
    if not isinstance(content, list):
        raise ValueError(f"{where} is {_named(content)}, not a list")
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and not (len(inner) == 2 and inner[1] is Ellipsis):
        if len(content) != len(inner):
            raise ValueError(f"{where} has {len(content)} items, not {len(inner)}")
        pairs = enumerate(zip(inner, content, strict=True))
        return tuple(_convert(part, value, f"{where}[{i}]") for i, (part, value) in pairs)
    values = [_convert(inner[0], value, f"{where}[{i}]") for i, value in enumerate(content)]
    return tuple(values) if origin is tuple else values


def _scalar(kind: Any, content: Any, where: str) -> Any:
    if typing.get_origin(kind) is typing.Literal:
        if content in typing.get_args(kind):
            return content
        raise ValueError(f"{where} is {_named(content)}, not one of {', '.join(typing.get_args(kind))}")
    if kind is float:
        if content is None:
            return math.nan
        if isinstance(content, (int, float)) and not isinstance(content, bool) and abs(content) <= _LARGEST:
            return float(content)
    elif isinstance(content, kind) and (kind is bool or not isinstance(content, bool)):
        return content
    raise ValueError(f"{where} is {_named(content)}, not {getattr(kind, '__name__', kind)}")


def _named(content: Any) -> str:
    text = shown(content)
    return text if len(text) <= 40 else text[:37] + "..."
