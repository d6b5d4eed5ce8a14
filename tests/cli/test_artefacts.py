import json

import numpy as np
import pytest
from PIL import Image
from tests.cli.test_context import folder  # noqa: F401 - a fixture
from typer.testing import CliRunner

from pfungst.cli.main import app


def run(folder, *options):  # noqa: F811
    return CliRunner().invoke(
        app,
        [
            "artefacts",
            str(folder / "one"),
            str(folder / "data"),
            "--split",
            "all",
            "--workers",
            "1",
            *options,
        ],
    )


def test_photos_without_marks_give_none(folder, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    done = run(folder, "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "cat: No artefact found" in done.output
    content = json.loads((out / "artefacts.json").read_text())
    assert content["by_class"] == {"cat": [], "dog": []}
    again = run(folder, "--out", str(out), "--json", "-")
    assert json.loads(again.stdout) == content


def test_another_seed_does_not_go_on_with_the_records(folder, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    assert run(folder, "--out", str(out)).exit_code == 0
    done = run(folder, "--out", str(out), "--seed", "1")
    assert done.exit_code == 1
    assert "random_state" in str(done.exception)


def test_help_tells_what_is_done():
    done = CliRunner().invoke(app, ["artefacts", "--help"])
    assert done.exit_code == 0
    assert "pasted into photos without the class" in " ".join(done.output.split())


def test_a_mark_of_the_users_own_is_tested_without_a_search(folder, tmp_path):  # noqa: F811
    rng = np.random.default_rng(0)
    mark = tmp_path / "mark.png"
    Image.fromarray(rng.integers(0, 255, (8, 12, 3), dtype=np.uint8)).save(mark)
    out = tmp_path / "out"
    done = run(folder, "--mark", str(mark), "--at", "2,3", "--class", "cat", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "cat: Looked for the mark in" in done.output
    assert "cat-1: It cannot be tested" in done.output
    content = json.loads((out / "artefacts.json").read_text())
    assert content["by_class"]["cat"][0]["insertion"]["n_images"] > 0


@pytest.mark.parametrize(("options", "message"), [
    (["--at", "2,3"], "--at and --like without a mark"),
    (["--mark", "MARK", "--at", "2;3"], "--at 2;3"),
    (["--mark", "MARK", "--at", "2,3", "--like", "MARK"], "a place and an example of the mark"),
])  # fmt: skip
def test_wrong_marks_are_refused(folder, tmp_path, options, message):  # noqa: F811
    mark = tmp_path / "mark.png"
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(mark)
    done = run(folder, *(str(mark) if option == "MARK" else option for option in options))
    assert done.exit_code == 1
    assert message in str(done.exception)
