"""Every example in a docstring runs and gives what it says."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import pfungst

ROOT = Path(pfungst.__file__).parent


def modules_with_examples():
    files = (path for path in sorted(ROOT.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8"))
    parts = (path.relative_to(ROOT.parent).with_suffix("").parts for path in files)
    return [".".join(part for part in names if part != "__init__") for names in parts]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    found = doctest.DocTestFinder().find(import_module(name), name)
    for test in found:
        runner.run(test)
    assert any(test.examples for test in found)
    assert runner.summarize(verbose=False).failed == 0


def test_there_are_examples():
    assert len(modules_with_examples()) >= 5
