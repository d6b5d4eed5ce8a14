"""Commands that take a network's file or name: convert, pretrained, evaluate."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from pfungst.cli.main import app
from pfungst.errors import ConfigError, ModelError
from pfungst.models import load, references

runner = CliRunner()


@pytest.fixture
def exported(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    program = torch.export.export(module.eval(), (torch.zeros(1, 3, 16, 16),))
    torch.export.save(program, tmp_path / "net.pt2")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    return tmp_path / "net.pt2"


def call(*arguments):
    return runner.invoke(app, [str(item) for item in arguments])


def test_convert_and_evaluate(tmp_path, exported):
    done = call(
        "convert",
        exported,
        "--input",
        "half",
        "--classes",
        tmp_path / "names.txt",
        "--out",
        tmp_path / "model",
    )
    assert "2 classes, decided by highest; input 16 x 16 RGB, scale 0.003922, mean 0.5,0.5,0.5" in done.output
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(3):
            photo = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(photo).save(tmp_path / "photos" / name / f"{index}.png")
    done = call(
        "evaluate",
        tmp_path / "model",
        tmp_path / "photos",
        "--split",
        "all",
        "--workers",
        1,
        "--json",
        tmp_path / "e.json",
    )
    assert done.exit_code == 0, done.output
    table = json.loads((tmp_path / "e.json").read_text())["single_label"]
    assert table["photos"] == 6
    assert sum(sum(row.values()) for row in table["confusion"].values()) == 6
    assert "highest score: accuracy" in done.output


def test_options_change_the_preset(tmp_path, exported):
    call("convert", exported, "--input", "unit", "--mean", "0.1,0.2,0.3", "--std", "0.5", "--resize", "warp",
         "--resize-length", 20, "--channels", "BGR", "--decision", "thresholds",
         "--out", tmp_path / "model")  # fmt: skip
    model = load(tmp_path / "model")
    assert model.preprocess.mean == (0.1, 0.2, 0.3)
    assert model.preprocess.std == (0.5, 0.5, 0.5)
    seen = model.preprocess
    assert (seen.resize, seen.resize_length, seen.channels) == ("warp", 20, "BGR")
    assert model.decision == "thresholds"


def test_what_a_file_expects_is_never_guessed(tmp_path, exported):
    done = call("convert", exported, "--out", tmp_path / "model")
    assert isinstance(done.exception, ConfigError)
    assert "--input imagenet, half, unit, raw, caffe" in str(done.exception)
    done = call("convert", exported, exported, "--input", "unit", "--out", tmp_path / "model")
    assert "--input for a Caffe network" in str(done.exception)


def test_weights_go_with_names_alone(tmp_path, exported):
    call("convert", exported, "--input", "unit", "--out", tmp_path / "model")
    with pytest.raises(ConfigError, match="1 times --weights for 0 networks known by name"):
        references([tmp_path / "model"], [exported])
    with pytest.raises(ConfigError, match="a model folder with its own"):
        load(tmp_path / "model", weights=exported)
    found = references(["timm:resnet18", tmp_path / "model"], [exported])
    assert [model.weights for model in found] == [exported, None]
    assert found[0].identity()["network"] == "timm:resnet18"
    with pytest.raises(ModelError, match="no such model folder"):
        load(tmp_path / "absent")
