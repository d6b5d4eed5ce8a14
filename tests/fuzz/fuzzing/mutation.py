"""Damage to bytes and to JSON, drawn from a seeded generator; knows nothing of any format."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

MOST_BYTES = 1 << 17
"""Cases stay small, so that a reader that is slow or large on one of them has no excuse."""

INTEGERS = (
    0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 1000, 4096, 32767, 32768, 65535, 65536, 10**6, 2**27, 2**29,
    2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 10**40, 10**400,
)  # fmt: skip
FLOATS = (0.0, -0.0, 0.5, -1.5, 1e-320, 1e-40, 1e20, 1e38, 3.5e38, 1e300, 1.7e308, float("inf"), float("nan"))
TEXTS = (
    "", " ", ".", "..", "../a.jpg", "../../../../etc/passwd", "/etc/passwd", "//server/share/a.jpg",
    "C:\\a.jpg",
    "c:a.jpg", "..\\..\\a.jpg", "\\\\server\\a.jpg", "a/../../a.jpg", "a\0.jpg", "\0", "a/./b.jpg", "~/a.jpg",
    "file:///etc/passwd", "a.jpg/", "a.jpg/b", "\ud800", "a\udcff.jpg", "\x1b[2J\x1b]0;x\x07", "a\nb\r\tc",
    "x" * 300,
    "x" * 5000, "/".join("x" * 200 for _ in range(30)), "<script>alert(1)</script>", "[bold]x[/bold] [/x]",
    "%s%n{0}{x}", "\u202egpj.a", "é", "e\u0301", "\U0001f600", "CON", "nul.jpg", "0", "-1", "1e999", "nan",
    "true",
    "9" * 5000, "__class__", "__proto__", "layers.0", "weight",
)  # fmt: skip
RAW = {
    "@deep list@": "[" * 20_000 + "]" * 20_000,
    "@deep object@": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "@nested@": "[" * 300 + "]" * 300,
    "@nearly too deep@": "[" * 940 + "]" * 940,
    "@beyond float@": "1e999",
    "@long integer@": "1" * 5000,
    "@twice@": '{"a": 1, "a": 2}',
    "@no JSON@": "{'a': 1,}",
}
"""JSON that no Python value is written as, by a text that stands for it."""


def pick(rng: Random, items: Sequence[Any]) -> Any:
    """One of the items; a little faster than ``rng.choice``."""
    return items[int(rng.random() * len(items))]


def integer(rng: Random) -> int:
    """A number that is often a limit of something."""
    value = pick(rng, INTEGERS) + pick(rng, (0, 0, 0, -1, 1))
    return -value if rng.random() < 0.2 else value


def scalar(rng: Random) -> Any:
    """A value that hardly any field of a file expects."""
    kind = rng.random()
    if kind < 0.3:
        return integer(rng)
    if kind < 0.5:
        return pick(rng, FLOATS)
    if kind < 0.85:
        return pick(rng, TEXTS)
    return pick(rng, (None, True, False, *RAW))


def value(rng: Random, depth: int = 2) -> Any:
    """A scalar, or a small list or object of such."""
    if depth == 0 or rng.random() < 0.8:
        return scalar(rng)
    if rng.random() < 0.5:
        return [value(rng, depth - 1) for _ in range(int(rng.random() * 4))]
    return {pick(rng, TEXTS): value(rng, depth - 1) for _ in range(int(rng.random() * 3))}


def json_bytes(tree: Any) -> bytes:
    """A tree as JSON, with what ``RAW`` names put in."""
    text = json.dumps(tree)
    if "@" in text:
        for name, raw in RAW.items():
            text = text.replace(f'"{name}"', raw)
    return text.encode()


def mutate_json(rng: Random, text: str, *, changes: Sequence[int] = (1, 1, 1, 2, 4)) -> Any:
    """The tree of a JSON text with a few of its values replaced, removed, repeated, moved or wrapped."""
    tree = {"": json.loads(text)}
    for _ in range(pick(rng, changes)):
        places = [(tree, "")]
        _places(tree[""], places)
        container, key = pick(rng, places)
        pick(rng, _TREE_STEPS)(rng, container, key, places)
    return tree[""]


def _places(node: Any, found: list[tuple[Any, Any]]) -> None:
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        found.append((node, key))
        _places(node[key], found)


def _replace(rng: Random, container: Any, key: Any, _places: list[Any]) -> None:
    container[key] = value(rng)


def _near(rng: Random, container: Any, key: Any, _places: list[Any]) -> None:
    old = container[key]
    if isinstance(old, bool) or not isinstance(old, int | float):
        container[key] = value(rng)
    else:
        near = old if abs(old) < 10**300 else 1
        container[key] = pick(
            rng, (old + 1, old - 1, -old, float(near), str(old), old * 1000, [old], old == 1)
        )


def _remove(_rng: Random, container: Any, key: Any, _places: list[Any]) -> None:
    if key != "":
        del container[key]


def _repeat(rng: Random, container: Any, key: Any, _places: list[Any]) -> None:
    if isinstance(container, list):
        container[key:key] = [container[key]] * pick(rng, (1, 2, 50))
    else:
        container[pick(rng, TEXTS)] = container[key]


def _move(rng: Random, container: Any, key: Any, places: list[Any]) -> None:
    other, name = pick(rng, places)
    try:
        copy = json.loads(json.dumps(other[name]))
    except (KeyError, IndexError, ValueError):
        copy = None
    container[key] = copy


def _wrap(rng: Random, container: Any, key: Any, _places: list[Any]) -> None:
    container[key] = [container[key]] if rng.random() < 0.5 else {pick(rng, TEXTS): container[key]}


_TREE_STEPS = (_replace, _replace, _replace, _near, _near, _remove, _repeat, _move, _wrap)

Step = Callable[[Random, bytearray, Sequence[bytes]], None]


def mutate_bytes(rng: Random, content: bytes, tokens: Sequence[bytes] = ()) -> bytes:
    """The content after a few changes; ``tokens`` are pieces that mean something in its format."""
    data = bytearray(content)
    for _ in range(pick(rng, (1, 1, 1, 2, 3, 8))):
        if not data:
            break
        pick(rng, _BYTE_STEPS)(rng, data, tokens)
    return bytes(data[:MOST_BYTES])


def _place(rng: Random, data: bytearray) -> int:
    """Headers stand in front, so a third of the places does."""
    size = len(data) if rng.random() < 0.66 else min(len(data), 64)
    return int(rng.random() * size)


def _flip(rng: Random, data: bytearray, _tokens: Sequence[bytes]) -> None:
    data[_place(rng, data)] ^= 1 << int(rng.random() * 8)


def _set(rng: Random, data: bytearray, _tokens: Sequence[bytes]) -> None:
    data[_place(rng, data)] = pick(rng, (0, 1, 0x20, 0x7F, 0x80, 0xFF, int(rng.random() * 256)))


def _number(rng: Random, data: bytearray, _tokens: Sequence[bytes]) -> None:
    size, start = pick(rng, (1, 2, 4, 8)), _place(rng, data)
    number = pick(rng, INTEGERS) % (1 << 8 * size)
    data[start : start + size] = number.to_bytes(size, pick(rng, ("little", "big")))


def _cut(rng: Random, data: bytearray, _tokens: Sequence[bytes]) -> None:
    start = _place(rng, data)
    del data[start : start + pick(rng, (1, 2, 4, 8, 16, 64, len(data)))]


def _double(rng: Random, data: bytearray, _tokens: Sequence[bytes]) -> None:
    start = _place(rng, data)
    piece = data[start : start + pick(rng, (1, 2, 4, 16, 64))]
    data[start:start] = piece * pick(rng, (1, 1, 2, 16, 500))


def _put(rng: Random, data: bytearray, tokens: Sequence[bytes]) -> None:
    start = _place(rng, data)
    token = pick(rng, tokens) if tokens else bytes([int(rng.random() * 256)])
    data[start : start + (len(token) if rng.random() < 0.3 else 0)] = token


def _copy(rng: Random, data: bytearray, _tokens: Sequence[bytes]) -> None:
    source, start = _place(rng, data), _place(rng, data)
    piece = data[source : source + pick(rng, (2, 4, 8, 32))]
    data[start : start + len(piece)] = piece


_BYTE_STEPS: tuple[Step, ...] = (_flip, _flip, _set, _set, _number, _number, _cut, _double, _put, _put, _copy)
