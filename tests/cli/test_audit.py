"""``pfungst audit`` and ``pfungst compare`` from folders to pages, as a user runs them."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

pytest.importorskip("skimage", reason="scenes need the demo extra")

from pfungst.cli.main import app
from pfungst.demo.scenes import ScenesConfig, write_scenes

TRAIN = [
    "--components",
    "4",
    "--dims",
    "12",
    "--step",
    "8",
    "--samples",
    "3000",
    "--c",
    "1",
    "--workers",
    "1",
]
AUDIT = ["--parts", "context", "--workers", "1"]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Scenes with one damaged test photo, a model, and the audit of two copies of the model."""
    root = tmp_path_factory.mktemp("audit")
    write_scenes(root / "scenes", ScenesConfig(n_images=40, size=160))
    assert run("train", "fisher", root / "scenes", "--out", root / "one", *TRAIN).exit_code == 0
    shutil.copytree(root / "one", root / "two")
    broken = (root / "scenes" / "ImageSets" / "Main" / "test.txt").read_text().split()[0]
    (root / "scenes" / "JPEGImages" / f"{broken}.jpg").write_bytes(b"no photo")
    result = run(
        "audit", root / "one", root / "two", root / "scenes", "--out", root / "out", *AUDIT,
        "--title", "Two copies", "--json", root / "audit.json",
    )  # fmt: skip
    return root, broken, result


def test_an_audit_of_two_models(workplace):
    root, broken, result = workplace
    assert result.exit_code == 3, result.output
    assert broken in result.stderr
    assert "Open" in result.stdout
    content = json.loads((root / "audit.json").read_text())
    assert [model["name"] for model in content["models"]] == ["one", "two"]
    assert content["models"][0]["kind"] == "fisher"
    measured = [row["context"] for row in content["models"][0]["classes"]]
    assert any(row["ratio"] is not None and row["kept_without_object"] is not None for row in measured)
    page = (root / "out" / "report.html").read_text(encoding="utf-8")
    assert "Two copies" in page
    assert broken in page


def test_two_audits_are_compared(workplace):
    root, _, _ = workplace
    result = run("compare", root / "out", root / "out", "--out", root / "same", "--json", "-")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["same_photos"]
    assert not any(change["changed"] for change in content["changes"])
    assert (root / "same" / "comparison.html").is_file()
    table = run("compare", root / "out", root / "out")
    assert "changed" in table.stdout
    assert "No proved artefact in either audit." in table.stdout


def test_what_cannot_be_audited_or_compared(workplace, tmp_path):
    root, _, _ = workplace
    outcome = run("compare", root / "out", tmp_path)
    assert "has no audit.json" in str(outcome.exception)
    outcome = run("audit", root / "one", root / "scenes", "--out", root / "out", *AUDIT, "--seed", "5")
    assert "another configuration" in str(outcome.exception)
    outcome = run("audit", root / "one", root / "scenes", "--out", tmp_path, "--parts", "luck")
    assert "unknown part of an audit 'luck'" in str(outcome.exception)


def test_commands_on_one_folder_share_one_survey(folder, tmp_path, monkeypatch):
    from pfungst.audit.survey.task import SurveyPhotos

    looked, survey = [], SurveyPhotos.__call__

    def counting(self, photos):
        looked.extend((photo.record.id, tuple(sorted(self.parts))) for photo in photos)
        return survey(self, photos)

    monkeypatch.setattr(SurveyPhotos, "__call__", counting)
    shared, one = tmp_path / "shared", [str(folder / "one"), str(folder / "data"), "--split", "all"]
    options = ["--workers", "1", "--survey", str(shared)]
    for command in ("strategies", "context", "artefacts"):
        done = CliRunner().invoke(app, [command, *one, *options, "--out", str(tmp_path / command)])
        assert done.exit_code == 0, done.output
    parts = [what for _, what in looked]
    n_photos = len({image for image, _ in looked})
    assert parts == [("heatmaps",)] * n_photos + [("edits",)] * n_photos
    assert [place.name for place in shared.iterdir()] == ["survey-one"]
    again = ["audit", *one, *options, "--out", str(tmp_path / "audit"), "--parts", "context,strategies"]
    assert CliRunner().invoke(app, again).exit_code == 0
    assert [what for _, what in looked[2 * n_photos :]] == [("errors",)] * n_photos
    assert (tmp_path / "audit" / "report.html").is_file()
    same = tmp_path / "same"
    for command in ("context", "strategies", "artefacts"):
        done = CliRunner().invoke(app, [command, *one, "--workers", "1", "--out", str(same)])
        assert done.exit_code == 0, done.output
    assert len([place for place in same.iterdir() if place.name.startswith("survey")]) == 1
