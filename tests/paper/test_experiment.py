"""The experiment from end to end on a VOC folder of 36 small photos."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from pfungst.cli.main import app
from pfungst.contract.seen import overlap_lines
from pfungst.descriptors import SiftConfig
from pfungst.errors import ConfigError, ModelError
from pfungst.evaluation.config import RegionConfig
from pfungst.evaluation.replacement import ReplacementConfig
from pfungst.fisher import FisherTraining
from pfungst.images.seen import SeenPhotos
from pfungst.network import NetworkTraining
from pfungst.paper import PaperConfig, experiment, run_paper, training
from pfungst.paper.photos import read_photos
from pfungst.paper.study import Study

FISHER = FisherTraining(
    n_components=3, dims=8, descriptor=SiftConfig(step=6, bin_sizes=(4,)), n_sampled=1500,
    mixture_iterations=4, c_values=(1.0,),
)  # fmt: skip


@pytest.fixture(scope="module")
def config(caffe_files):
    return PaperConfig(
        caffenet=caffe_files,
        fisher=FISHER,
        network=NetworkTraining(epochs=2, batch_size=16),
        replacement=ReplacementConfig(n_replaced=40, batch_size=20, repetitions=1),
        regions=RegionConfig(steps=3, per_step=4, repetitions=1),
        region_photos=3,
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("paper")


@pytest.fixture(scope="module")
def result(voc, out, config):
    return run_paper(voc, out, config)


def test_every_part_is_there(result, out):
    numbers = json.loads((out / "results.json").read_text())
    assert numbers == result.numbers
    assert [row["class"] for row in numbers["precision"]] == ["dog", "horse", "mean"]
    assert numbers["precision"][1]["published_fisher"] == 80.45
    assert numbers["precision"][1]["fisher"] > 60
    assert {row["rule"] for row in numbers["quality"]["fisher"]} >= {"naive", "epsilon=100", "absolute"}
    assert {row["rule"] for row in numbers["quality"]["network"]} >= {"epsilon-plus-flat", "cvpr2016"}
    assert [row["class"] for row in numbers["context"]] == ["dog", "horse"]
    assert numbers["hunted"] == "horse"
    assert numbers["left_out"] == ["cat"]
    assert numbers["photos"] == {"train": 12, "val": 12, "test": 12}
    assert numbers["notes"] == []
    assert numbers["failures"] == []
    assert all(row["seconds"] > 0 for row in numbers["cost"])


def test_the_page_has_tables_and_pictures(result, out):
    html = result.page.read_text(encoding="utf-8")
    for text in ("Analyzing Classifiers on VOC2007",
                 "Figure 1: Fisher vectors", "Heatmaps of the network",
                 "Context", "The hunt for the tag: horse", "Verdict of the audit", "Cost", "80.45",
                 'href="audit/report.html"',
                 "Left out, because a split does not show them: cat."):  # fmt: skip
        assert text in html, text
    assert html.count("data:image/png;base64,") == 2
    for name in ("precision.png", "figure1.png", "regions.png", "audit/audit.json", "audit/report.html"):
        assert (out / name).is_file()


def test_a_second_call_repeats_nothing(result, voc, out, config, monkeypatch):
    def refused(*_args, **_options):
        raise AssertionError("trained again")

    monkeypatch.setattr(training, "train_fisher", refused)
    again = run_paper(voc, out, config, workers=2)
    assert again.numbers["precision"] == result.numbers["precision"]
    assert again.numbers["cost"] == result.numbers["cost"]


def test_another_configuration_is_refused(result, voc, out, config):
    with pytest.raises(ConfigError, match=r"training\.n_components was 3, is now 4"):
        run_paper(voc, out, replace(config, fisher=replace(FISHER, n_components=4)))


def test_a_missing_caffenet_is_met_at_once(voc, tmp_path, config):
    with pytest.raises(ModelError, match=r"none\.caffemodel: no such file.*--caffenet"):
        run_paper(voc, tmp_path, replace(config, caffenet=(config.caffenet[0], "none.caffemodel")))
    assert not list(tmp_path.iterdir())


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="limit = 0"):
        PaperConfig(limit=0)
    with pytest.raises(ConfigError, match="region_photos = 0"):
        PaperConfig(region_photos=0)
    with pytest.raises(ConfigError, match="seed -1"):
        PaperConfig(random_state=-1)


def test_a_partial_run_without_caffenet_says_so():
    first, second = PaperConfig(limit=7).notes()
    assert "EfficientNet-Lite0 with ImageNet weights takes its place" in first
    assert "7 photos of each split" in second


def test_the_command(  # noqa: PLR0917 - fixtures
    voc, out, config, result, tmp_path, monkeypatch
):
    seen = {}

    def recorded(data, target, settings, **_options):
        seen.update(data=data, out=target, config=settings)
        return result

    monkeypatch.setattr("pfungst.paper.run_paper", recorded)
    numbers = tmp_path / "numbers.json"
    arguments = ["--data", str(voc), "--out", str(out), "--caffenet", *map(str, config.caffenet)]
    options = [
        "--limit",
        "9",
        "--classes",
        "horse,dog",
        "--workers",
        "1",
        "--seed",
        "5",
        "--json",
        str(numbers),
    ]
    done = CliRunner().invoke(app, ["paper", "voc2007", *arguments, *options])
    assert done.exit_code == 0, done.output
    assert seen["config"].limit == 9
    assert seen["config"].classes == ("horse", "dog")
    assert seen["config"].random_state == 5
    assert seen["config"].caffenet == config.caffenet
    assert "average precision" in done.output
    assert "80.45" in done.output
    assert json.loads(numbers.read_text())["hunted"] == "horse"


def test_test_photos_that_a_model_has_learned_from_are_left_out(voc, tmp_path, config, monkeypatch):
    photos = read_photos(voc)
    known = replace(photos.test, records=photos.test.records[:2])

    class Learned:
        classes = photos.classes
        seen = SeenPhotos.of(known)

    monkeypatch.setattr(experiment, "trained_model", lambda study, model: Learned())
    study = Study(photos=photos, out=tmp_path, config=config)
    test = experiment._on_new_photos(study).photos.test
    assert test.records == photos.test.records[2:]
    assert [line.partition(" (")[0] for line in overlap_lines(test.overlap)] == ["2 photos"]
