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


def test_the_gate_stops_on_kinds_and_limits_and_writes_its_files(workplace, tmp_path):
    root, _, _ = workplace
    again = shutil.copytree(root / "out", tmp_path / "again")
    files = ["--junit", tmp_path / "new" / "j.xml", "--sarif", tmp_path / "s.sarif"]
    passed = run("report", again, "--fail-on", "leak", "--fail-if", "map<0", *files)
    assert passed.exit_code == 0, passed.output
    assert (tmp_path / "new" / "j.xml").read_text().startswith("<?xml")
    assert json.loads((tmp_path / "s.sarif").read_text())["version"] == "2.1.0"
    stopped = run("report", again, "--fail-if", "map<=1", "--fail-if", "models[two].mean_ap<=1")
    assert stopped.exit_code == 4
    lines = stopped.stderr.splitlines()
    assert [line.partition(" is ")[0] for line in lines] == [
        "pfungst: map<=1: models[one].mean_ap",
        "pfungst: map<=1: models[two].mean_ap",
        "pfungst: models[two].mean_ap<=1: models[two].mean_ap",
    ]
    assert "unknown kind of problem 'luck'" in str(run("report", again, "--fail-on", "luck").exception)


def test_an_audit_that_fails_its_gate_ends_with_four_even_if_photos_failed(workplace):
    root, broken, _ = workplace
    result = run(
        "audit", root / "one", root / "two", root / "scenes", "--out", root / "out", *AUDIT,
        "--title", "Two copies", "--fail-if", "failures>0",
    )  # fmt: skip
    assert result.exit_code == 4
    assert "failures>0: failures.count is 1" in result.stderr
    assert broken in result.stderr


def test_a_limit_that_cannot_be_read_costs_no_audit(workplace, tmp_path):
    root, _, _ = workplace
    result = run("audit", root / "one", root / "scenes", "--out", tmp_path / "x", "--fail-if", "map<high")
    assert "ends in 'high'" in str(result.exception)
    assert not (tmp_path / "x").exists()


def test_a_comparison_stops_on_what_is_new(workplace):
    root, _, _ = workplace
    assert run("compare", root / "out", root / "out", "--fail-on", "new").exit_code == 0
    assert "unknown reason to stop" in str(
        run("compare", root / "out", root / "out", "--fail-on", "old").exception
    )


def test_the_page_is_written_again_and_a_dossier(workplace, tmp_path):
    root, _, _ = workplace
    again = shutil.copytree(root / "out", tmp_path / "again")
    (again / "report.html").unlink()
    result = run("report", again, "--technical-documentation", tmp_path / "t.md", "--zero", "score")
    assert result.exit_code == 0, result.output
    assert "red and blue balance where the score is zero" in (again / "report.html").read_text(
        encoding="utf-8"
    )
    assert "Annex IV" in (tmp_path / "t.md").read_text(encoding="utf-8")
    assert "unknown zero of a heatmap 'middle'" in str(run("report", again, "--zero", "middle").exception)
