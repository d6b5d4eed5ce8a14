"""The page on architecture names every room, and its picture can be drawn from the imports."""

import re
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the repository is not here, only the package")


def layers():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    return [name.strip().removeprefix("pfungst.") for row in contract["layers"] for name in row.split("|")]


def test_the_table_names_every_room_in_order():
    rows = re.findall(
        r"^\| (`.+?) \|", PAGE.read_text(encoding="utf-8").split("## The contract")[0], re.MULTILINE
    )
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(layers())
    packages = {path.name.removesuffix(".py") for path in (ROOT / "src" / "pfungst").glob("[a-z]*")}
    assert set(named) == packages - {"py.typed", "__pycache__"}


def test_the_picture_is_drawn_from_the_imports(tmp_path):
    pytest.importorskip("grimp", reason="grimp comes with the extra dev")
    spec = spec_from_file_location("draw_architecture", ROOT / "docs" / "draw_architecture.py")
    script = module_from_spec(spec)
    sys.modules[spec.name] = script
    spec.loader.exec_module(script)
    assert script.rooms() == layers()
    edges = script.imports()
    place = {name: index for index, name in enumerate(layers())}
    assert edges
    assert all(place[importer] < place[imported] for importer, imported in edges)
    assert script.draw(tmp_path / "picture.png").stat().st_size > 10_000
