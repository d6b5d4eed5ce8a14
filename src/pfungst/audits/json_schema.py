"""The JSON Schema of ``audit.json``, made from the records themselves, so that it cannot differ from them.

The schema that is shipped (:func:`shipped_schema`) is the output of :func:`audit_schema`; a test holds them
against each other.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from importlib import resources
from typing import Any

from pfungst.audits.schema import FORMAT, FORMAT_VERSION, Audit
from pfungst.contract.plain import key_of
from pfungst.files import parse_json

SCHEMA_FILE = "audit.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCALARS: Mapping[Any, Any] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: ["number", "null"],
    type(None): "null",
}


def audit_schema() -> dict[str, Any]:
    """The schema of a whole file, by the 2020-12 draft.

    A number may be null: it was not measured. Objects hold no other names than these.
    """
    definitions: dict[str, Any] = {}
    content = _of(Audit, definitions)
    return {
        "$schema": _DIALECT,
        "$id": f"urn:pfungst:audit:{FORMAT_VERSION}",
        "title": f"audit.json of Pfungst, version {FORMAT_VERSION}",
        "type": "object",
        "properties": {
            "format": {"const": FORMAT},
            "version": {"const": FORMAT_VERSION},
            "audit": content,
        },
        "required": ["format", "version", "audit"],
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.items())),
    }


def shipped_schema() -> dict[str, Any]:
    """The schema that comes with the library."""
    text = resources.files("pfungst.audits").joinpath(SCHEMA_FILE).read_text(encoding="utf-8")
    schema: dict[str, Any] = parse_json(text.encode())
    return schema


def _of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if dataclasses.is_dataclass(kind):
        return _record(kind, definitions)
    origin = typing.get_origin(kind)
    return {"type": _SCALARS[kind]} if origin is None and kind is not Any else _composed(kind, definitions)


def _composed(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return {"enum": list(inner)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_of(part, definitions) for part in inner]}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(inner[1], definitions)}
    return {} if kind is Any else _sequence(inner, definitions)


def _sequence(inner: tuple[Any, ...], definitions: dict[str, Any]) -> dict[str, Any]:
    if len(inner) == 2 and inner[1] is Ellipsis:
        return {"type": "array", "items": _of(inner[0], definitions)}
    items = [_of(part, definitions) for part in inner]
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def _record(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference; the record itself goes into ``definitions``."""
    name = kind.__name__
    if name not in definitions:
        definitions[name] = {}  # keeps a record within itself from going on for ever
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(kind)
        definitions[name] = {
            "type": "object",
            "description": (kind.__doc__ or "").strip().split("\n", maxsplit=1)[0],
            "properties": {key_of(part): _of(hints[part.name], definitions) for part in fields},
            "required": [key_of(part) for part in fields if _required(part)],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}


def _required(part: dataclasses.Field[Any]) -> bool:
    return part.default is dataclasses.MISSING and part.default_factory is dataclasses.MISSING
