"""``pfungst train network``."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pfungst.cli.main import app
from pfungst.errors import ConfigError
from pfungst.models import load


@pytest.fixture
def folders(tmp_path):
    """A folder of red and one of blue photos; one photo is damaged."""
    generator = np.random.default_rng(0)
    for name, channel in (("red", 0), ("blue", 2)):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for number in range(12):
            photo = generator.integers(0, 120, (48, 60, 3), dtype=np.uint8)
            photo[..., channel] += 100
            Image.fromarray(photo).save(folder / f"{number}.png")
    return tmp_path / "data"


def run(*arguments):
    return CliRunner().invoke(app, ["train", "network", *map(str, arguments)])


def test_trains_saves_and_reports(folders, tmp_path):
    out, report = tmp_path / "model", tmp_path / "report.json"
    result = run(
        folders, "--init", "small-cnn", "--out", out, "--epochs", 3, "--workers", 1, "--json", report
    )
    assert result.exit_code == 0, result.output
    assert "validation mAP %" in result.output
    numbers = json.loads(report.read_text())
    assert len(numbers["history"]) == 3
    assert numbers["failed"] == []
    model = load(out)
    assert model.classes == ("blue", "red")
    assert model.info["training"].endswith(":train")
    assert not (tmp_path / "model.training").exists()


def test_damaged_photos_are_listed_at_the_end(folders, tmp_path):
    for file in list((folders / "red").iterdir())[:3]:
        file.write_bytes(b"?" * 50)
    result = run(folders, "--init", "small-cnn", "--out", tmp_path / "m", "--epochs", 1, "--workers", 1)
    assert result.exit_code in (0, 3)
    assert (tmp_path / "m").exists()


def test_wrong_values_are_named(folders, tmp_path):
    result = run(folders, "--init", "alexnet", "--out", tmp_path / "model")
    assert isinstance(result.exception, ConfigError)
    assert "unknown initial network 'alexnet'" in str(result.exception)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("...")
    result = run(folders, "--init", "small-cnn", "--out", tmp_path / "precious")
    assert "exists and is not a Pfungst model" in str(result.exception)
