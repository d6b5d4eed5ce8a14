"""``pfungst data scenes``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pfungst.cli.main import app
from pfungst.demo.scenes import read_scene_notes
from pfungst.errors import ConfigError

pytest.importorskip("skimage", reason="scenes need the demo extra")


def test_writes_a_set_and_says_where(tmp_path: Path) -> None:
    out = tmp_path / "set"
    arguments = [
        "data",
        "scenes",
        "--out",
        str(out),
        "--clean",
        "--seed",
        "2",
        "--images",
        "20",
        "--size",
        "160",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "20 scenes (clean, seed 2)" in result.output
    assert read_scene_notes(out).clean
    assert len(list((out / "JPEGImages").iterdir())) == 20


def test_bad_size_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    arguments = ["data", "scenes", "--out", str(tmp_path / "x"), "--size", "3"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigError)
    assert not (tmp_path / "x").exists()
