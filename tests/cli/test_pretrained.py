"""A network known by name becomes a model folder."""

from __future__ import annotations

import numpy as np
from typer.testing import CliRunner

from pfungst.cli.main import app
from pfungst.models import load


def run(*arguments):
    return CliRunner().invoke(app, ["pretrained", *map(str, arguments)])


def test_it_is_written_with_names_of_its_outputs(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n")
    assert run("small-cnn", "--out", tmp_path / "net", "--classes", names).exit_code == 0
    network = load(tmp_path / "net")
    assert network.classes == ("cat", "dog")
    assert network.preprocess.resize == "shortest"
    assert network.scores([np.full((50, 60, 3), 99, np.uint8)]).shape == (1, 2)
    assert run("small-cnn", "--out", tmp_path / "plain").exit_code == 0
    assert load(tmp_path / "plain").classes == ("output 0", "output 1")


def test_refusals(tmp_path):
    assert "unknown network 'alexnet'" in str(run("alexnet", "--out", tmp_path / "net").exception)
    (tmp_path / "one.txt").write_text("cat\n")
    result = run("small-cnn", "--out", tmp_path / "net", "--classes", tmp_path / "one.txt")
    assert "1 class names for small-cnn" in str(result.exception)
    assert "as many as its outputs, 2" in str(result.exception)
