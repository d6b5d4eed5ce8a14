"""What errors say to try exists: every option and command that a hint names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

import pfungst
from pfungst.cli._advice import Command, fitted
from pfungst.cli.main import app
from pfungst.errors import PfungstError

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


def imports():
    """The modules that each module of the library imports, within functions too."""
    names = {module_of(file): file for file in SOURCE.rglob("*.py")}
    found = {}
    for name, file in names.items():
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        wanted = {f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom)
                  for alias in node.names}  # fmt: skip
        wanted |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
        wanted |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        found[name] = wanted & set(names)
    return found


def module_of(file):
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def reachable(start, graph):
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph[name]
    return found


GLOBAL = {name for parameter in COMMANDS[()].params for name in parameter.opts}
LEAVES = [path for path, command in COMMANDS.items() if not getattr(command, "commands", None)]


@pytest.fixture(scope="module")
def graph():
    return imports()


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_advice_that_a_command_can_give_names_its_own_options(path, graph):
    """Whatever the command's modules can raise, however it is reached."""
    command = COMMANDS[path]
    assert isinstance(command, Command)
    own = GLOBAL | {name for item in command.params for name in (*item.opts, *item.secondary_opts)}
    modules = reachable(command.callback.__module__, graph)
    given = [
        (where, text) for where, text in ADVICE if module_of(SOURCE / where.partition(":")[0]) in modules
    ]
    assert len(given) > 5
    for where, text in given:
        left = fitted(text, own)
        assert left is None or set(named_options(re.sub(r"`?pfungst [^;,`]*", "", left))) <= own, where


@pytest.mark.parametrize(
    ("advice", "options", "left"),
    [
        ("another --out, or deleting this one", {"--out"}, "another --out, or deleting this one"),
        ("another --out, or deleting this one", set(), "deleting this one"),
        ("other photos, or include_seen (--include-seen)", {"--seed"}, "other photos"),
        ("only the classes that are shown (--classes)", set(), None),
        ("a folder, timm:NAME with --weights, a file", set(), "a folder, a file"),
        ("--weights FILE (.safetensors, or .pth)", {"--weights"}, "--weights FILE (.safetensors, or .pth)"),
        ("--weights FILE (.safetensors, or .pth)", set(), None),
        ("dask worker --nthreads 1, or another --out", set(), "dask worker --nthreads 1"),
        ("one of it (--split, --train-split), or two", {"--split"}, "one of it (--split), or two"),
        ("one of it (--split, --train-split), or two", set(), "two"),
        ("a limit (pfungst --far, max_pixels)", set(), "a limit (pfungst --far, max_pixels)"),
    ],
)  # fmt: skip
def test_advice_loses_the_alternatives_of_other_commands(advice, options, left):
    assert fitted(advice, options) == left


def test_an_error_of_a_command_is_told_with_what_that_command_has():
    small = typer.Typer()

    @small.callback()
    def main(far: bool = False):
        del far

    @small.command("x", cls=Command)
    def x(out: str = ""):
        raise PfungstError(
            out, allowed="--sky, a file", hint="--fresh, or --out DIR, or --format voc, or --far"
        )

    result = CliRunner().invoke(small, ["x", "--out", "no"])
    assert str(result.exception) == "no. Allowed: a file. Try: --out DIR, or --far."


def test_the_paper_has_no_format_to_state(tmp_path):
    (tmp_path / "JPEGImages").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "JPEGImages/a.jpg")
    arguments = ["paper", "voc2007", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, PfungstError)
    assert "JPEGImages, but no Annotations" in str(result.exception)
    assert "--format" not in str(result.exception)
