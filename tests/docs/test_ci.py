"""The commands of the guide to pipelines run as printed, in order, on a small model and photos."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pfungst

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "ci.md"
pytestmark = pytest.mark.skipif(not GUIDE.is_file(), reason="the guide is not beside the tests")
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TRAIN = "train fisher photos --out model --components 4 --dims 12 --step 8 --samples 3000 --c 1 --workers 1"


def write_photos(folder):
    """Warm stripes are cats, cold spots are dogs; 16 photos of each."""
    rng = np.random.default_rng(0)
    for name, warm in (("cat", 1), ("dog", 0)):
        (folder / name).mkdir(parents=True)
        for index in range(16):
            rows, columns = np.mgrid[:72, :96] / rng.uniform(4, 7)
            pattern = np.sin(rows + columns) if warm else np.sin(rows) * np.sin(columns)
            photo = 110 + 50 * pattern[..., None] * ([1, 0.6, 0.2] if warm else [0.2, 0.6, 1])
            photo = np.clip(photo + rng.normal(0, 12, (72, 96, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(photo).save(folder / name / f"{name}{index:02d}.jpg", quality=90)


def commands():
    """Every command of the guide that is Pfungst's, from its shell blocks and its workflow."""
    found = []
    for language, _, block in BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
        if language == "bash":
            found += [line for line in block.splitlines() if line]
        if language == "yaml":
            found += re.findall(r"- run: (pfungst .*)", block)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    write_photos(folder / "photos")
    assert run(folder, *TRAIN.split()).returncode == 0
    shutil.copytree(folder / "model", folder / "new-model")
    return folder


def run(folder, *arguments):
    source = str(Path(pfungst.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((source, os.environ.get("PYTHONPATH", "")))}
    code = "from pfungst.cli.main import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=environment, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip


def test_every_command_runs_as_printed(place):
    found = commands()
    assert len(found) == 7
    for line in found:
        done = run(place, *shlex.split(line)[1:])
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    for name in ("junit.xml", "pfungst.sarif", "report.html", "technical-documentation.md"):
        assert (place / "audit" / name).is_file()
    assert (place / "changes" / "comparison.html").is_file()
    stopped = run(place, "report", "audit", "--fail-if", "map<=1", "--fail-on", "data")
    assert stopped.returncode == 4
    assert "pfungst: map<=1: models[model].mean_ap is" in stopped.stderr
    refused = run(place, "audit", "model", "photos", "--out", "never", "--fail-if", "mapp<1")
    assert refused.returncode == 1
    assert "has no 'mapp'" in refused.stderr
    assert not (place / "never").exists()


def test_the_blocks_of_python_run():
    blocks = [
        text for language, _, text in BLOCK.findall(GUIDE.read_text(encoding="utf-8")) if language == "python"
    ]
    assert blocks
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), {})


def test_the_workflow_is_yaml_that_keeps_the_report():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    blocks = {
        name: text for language, name, text in BLOCK.findall(GUIDE.read_text("utf-8")) if language == "yaml"
    }
    workflow = yaml.safe_load(blocks[".github/workflows/audit.yml"])
    steps = workflow["jobs"]["audit"]["steps"]
    kept = [step for step in steps if step.get("if") == "always()"]
    assert [step["uses"].split("@")[0] for step in kept] == [
        "actions/upload-artifact", "github/codeql-action/upload-sarif",
    ]  # fmt: skip
