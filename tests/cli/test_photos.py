"""The options that say which photos a command works on are the same everywhere."""

import json

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from pfungst.cli.main import app

MEASURING = (("evaluate",), ("quality",), ("context",), ("strategies",), ("artefacts",), ("audit",))
LEARNING = (("train", "fisher"), ("train", "network"))
SMALL = ["--components", "2", "--dims", "8", "--step", "6", "--samples", "2000", "--c", "1", "--workers", "1"]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def options(path):
    command = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("command", [*MEASURING, *LEARNING, ("data", "check")], ids=" ".join)
def test_every_command_that_takes_a_data_set_has_its_options(command):
    assert {"--format", "--images", "--classes", "--class"} <= options(command)


@pytest.mark.parametrize("command", MEASURING, ids=" ".join)
def test_every_command_that_measures_has_split_seed_and_include_seen(command):
    assert {"--split", "--seed", "--include-seen"} <= options(command)


def textured(seed, bars):
    """Noise, or noise with dark bars."""
    pixels = np.random.default_rng(seed).integers(90, 255, (64, 72, 3))
    if bars:
        pixels[:, ::8] = 0
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of the classes 'bars, iron' and 'noise', and a set that has three more photos and a class."""
    root = tmp_path_factory.mktemp("photos")
    for split, first in (("train", 0), ("val", 100)):
        for seed in range(first, first + 6):
            folder = root / "set" / split / ("bars, iron" if seed % 2 else "noise")
            folder.mkdir(parents=True, exist_ok=True)
            textured(seed, seed % 2).save(folder / f"{seed}.png")
    result = run("train", "fisher", root / "set", "--out", root / "model", *SMALL)
    assert result.exit_code == 0, result.output
    for seed, name in ((200, "noise"), (201, "bars, iron"), (202, "owl")):
        folder = root / "set" / "val" / name
        folder.mkdir(parents=True, exist_ok=True)
        textured(seed, name != "noise").save(folder / f"{seed}.png")
    return root


def evaluated(root, *arguments):
    result = run("evaluate", root / "model", root / "set", "--workers", "1", "--json", "-", *arguments)
    return result, json.loads(result.stdout) if result.stdout else None


def test_photos_that_were_learned_from_are_left_out_and_counted(trained):
    result, content = evaluated(trained, "--split", "val")
    assert result.exit_code == 0, result.output
    assert content["images"] == 3
    assert (content["photos"]["learned"], content["photos"]["photos"]) == (6, 3)
    assert "6 photos (" in result.stderr
    assert "that a model has learned from; left out" in result.stderr
    result, content = evaluated(trained, "--split", "all", "--include-seen")
    assert (content["images"], content["photos"]["learned"]) == (15, 12)
    assert "measured all the same" in result.stderr
    result, _ = evaluated(trained, "--split", "train")
    assert "learned from all 6 photos" in str(result.exception)


def test_classes_that_are_not_shared_are_named(trained):
    result, content = evaluated(trained, "--split", "val")
    assert content["photos"]["only_in_data"] == ["owl"]
    assert "that no model knows: owl" in result.stderr
    assert list(content["classes"]) == ["bars, iron", "noise"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--classes", "bars, iron"], ["bars, iron"]),
        (["--class", "noise", "--class", "bars, iron"], ["bars, iron", "noise"]),
        (["--classes", "noise,bars, iron"], ["bars, iron", "noise"]),
        (["--classes", "noise"], ["noise"]),
    ],
)
def test_a_class_whose_name_has_commas_can_be_named(trained, given, expected):
    _, content = evaluated(trained, "--split", "val", *given)
    assert list(content["classes"]) == expected


def test_a_class_that_is_not_known_to_both_is_refused_with_a_hint(trained):
    result, _ = evaluated(trained, "--split", "val", "--classes", "Noise")
    assert "'Noise' is not known to both" in str(result.exception)
    assert "Try: 'noise'" in str(result.exception)


def test_damaged_photos_are_told_by_every_command(trained):
    damaged = trained / "set" / "val" / "noise" / "damaged.png"
    damaged.write_bytes(b"no photo")
    try:
        result, content = evaluated(trained, "--split", "val")
    finally:
        damaged.unlink()
    assert result.exit_code == 3
    assert "damaged.png" in result.stderr
    assert "damaged" in json.dumps(content["failures"])


def test_a_layout_that_does_not_fit_is_refused(trained):
    result, _ = evaluated(trained, "--format", "coco")
    assert result.exit_code == 1
    result, _ = evaluated(trained, "--format", "nonsense")
    assert "unknown format 'nonsense'" in str(result.exception)
