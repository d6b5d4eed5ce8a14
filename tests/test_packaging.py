"""What is built from this folder: one version, and everything that the package needs in it."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import pfungst

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    not (ROOT / "src" / "pfungst").is_dir(), reason="the sources are not beside the tests"
)


def test_the_version_stands_in_one_place():
    found = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "pyproject.toml", ROOT / "CITATION.cff", *(ROOT / "src").rglob("*.py"))
        if re.search(rf"[\"' ]{re.escape(pfungst.__version__)}[\"'\n]", file.read_text(encoding="utf-8"))
    ]
    assert found == ["src/pfungst/__init__.py"]
    assert f"## {pfungst.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_wheel_and_the_sdist_hold_all_that_is_needed(tmp_path):
    pytest.importorskip("build", reason="build is not installed")
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=900)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"pfungst-{pfungst.__version__}-py3-none-any.whl"
    package = ROOT / "src" / "pfungst"
    wanted = {
        str(file.relative_to(ROOT / "src"))
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as packed:
        assert wanted <= set(packed.namelist())
    (source,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(source) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"tests/test_packaging.py", "docs/index.md", "README.md", "LICENSE", "CHANGELOG.md"} <= names


def test_no_page_says_that_it_is_on_an_index():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    said = [page.name for page in pages if re.search(r"pip install [\"']?pfungst\b", page.read_text("utf-8"))]
    assert said == []
