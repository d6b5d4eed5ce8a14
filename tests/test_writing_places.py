"""Files are written in one place of the program: whole, flushed, and with an error that names them."""

import ast
from pathlib import Path

import pytest

import pfungst

SOURCE = Path(pfungst.__file__).parent
WRITERS = {"write_text", "write_bytes", "save_file", "mkstemp", "NamedTemporaryFile", "memmap", "tofile"}
ALLOWED = {
    "writing.py",  # the place
    "images/download.py",  # appends to a part that goes on where a transfer broke off
    "runs/journal.py",  # appends a record at a time, each with a checksum
    "fisher/gathering.py",  # maps a file for which writing.reserve has taken the space
    "network/training/view_store.py",  # the same
}


def modes(call):
    """The modes that a call of ``open`` may have, as far as they are written down."""
    given = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
    texts = [node.value for item in given for node in ast.walk(item) if isinstance(node, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and set(text) <= set("rwxabt+")]


def writes(call):
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in WRITERS:
        return True
    return name == "open" and any(set(mode) & set("wxa+") for mode in modes(call))


def found(text):
    return [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and writes(node)]


@pytest.mark.parametrize(
    "line",
    ["open(p, 'w')", "p.open('ab')", "p.open(mode='x')", "p.write_text(t)", "np.memmap(p)", "open(p, 'rb+')"],
)
def test_the_walk_sees_what_writes(line):
    assert found(line) == [1]


@pytest.mark.parametrize("line", ["open(p)", "p.open('rb')", "p.read_text()", "tarfile.open(f, 'r:')"])
def test_the_walk_lets_reading_pass(line):
    assert found(line) == []


def test_nothing_is_written_elsewhere():
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 300
    places = {
        file.relative_to(SOURCE).as_posix(): lines
        for file in files
        if (lines := found(file.read_text(encoding="utf-8")))
    }
    assert set(places) <= ALLOWED, places
    assert "writing.py" in places
