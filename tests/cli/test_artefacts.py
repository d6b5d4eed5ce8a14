import json

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
