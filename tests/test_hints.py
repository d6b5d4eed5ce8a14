"""What errors say to try exists: every option and command that a hint names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer

import pfungst
from pfungst.cli.main import app

SOURCE = Path(pfungst.__file__).parent
OTHER_PROGRAMS = re.compile(r"\b(?:pip|dask) [^;,]*")
"""What is told of other programs has their options."""


def text_of(node):
    """The words of a string that the source writes, with a gap where it puts in a value."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) if isinstance(part, ast.Constant) else " … " for part in node.values)
    return " | ".join(text_of(child) for child in ast.iter_child_nodes(node))


def advice():
    """Every ``hint=`` and ``allowed=`` of a call, and every string that is kept for one, with its place."""
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            where = f"{file.relative_to(SOURCE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call):
                yield from (
                    (where, text_of(keyword.value))
                    for keyword in node.keywords
                    if keyword.arg in ("hint", "allowed")
                )
            elif isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
                if any("hint" in name.lower() for name in names) or file.parts[-2] == "runs":
                    yield where, text_of(node.value)


def walked(command=None, path=()):
    command = command or typer.main.get_command(app)
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walked(inner, (*path, name))


COMMANDS = dict(walked())
OPTIONS = {
    option
    for command in COMMANDS.values()
    for parameter in command.params
    for option in (*parameter.opts, *parameter.secondary_opts)
}
ADVICE = [(where, text) for where, text in advice() if "--" in text or "pfungst " in text]


def named_options(text):
    return re.findall(r"(?<![\w-])--[a-z][a-z-]*", OTHER_PROGRAMS.sub("", text))


def named_commands(text):
    return re.findall(r"(?:`|^)pfungst ([a-z0-9 -]+)", text)


def test_there_is_advice_to_look_at():
    assert len(ADVICE) > 30
    assert {"--out", "--workers", "--format", "--include-seen"} <= OPTIONS


@pytest.mark.parametrize(("where", "text"), ADVICE, ids=[where for where, _ in ADVICE])
def test_what_a_hint_names_exists(where, text):
    del where
    assert set(named_options(text)) <= OPTIONS
    for words in named_commands(text):
        names = words.split()
        path = next(tuple(names[:end]) for end in range(len(names), -1, -1) if tuple(names[:end]) in COMMANDS)
        assert path, f"no command pfungst {words}"


def test_the_walk_finds_what_does_not_exist():
    assert not set(named_options("a larger --nonsense")) <= OPTIONS
    assert named_options("dask worker --nthreads 1, or another --out") == ["--out"]
    assert named_commands("`pfungst audit` first") == ["audit"]
