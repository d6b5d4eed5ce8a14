"""The recipes of CONTRIBUTING.md run as written."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
BLOCK = re.compile(r"^```python (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = {
    "rule.py": r"tensor\(\[\[\[(.+), -?0\.0000, .+\]\]\]",
    "reader.py": r"\('cat', 'dog'\) 2",
    "detector.py": r"^$",
    "descriptor.py": r"\(20, 64\)",
}


def blocks():
    return dict(BLOCK.findall(PAGE.read_text(encoding="utf-8"))) if PAGE.is_file() else {}


@pytest.mark.skipif(not PAGE.is_file(), reason="the repository is not here, only the installed package")
def test_every_recipe_has_a_block():
    assert blocks().keys() == PRINTED.keys()


@pytest.mark.parametrize("name", sorted(blocks()))
def test_a_recipe_runs(name, tmp_path):
    folder = tmp_path / "labelled"
    folder.mkdir()
    for seed, label in enumerate(("cat", "dog")):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{label} photo.png")
    (folder / "LABELS.txt").write_text("cat photo.png cat\ndog photo.png dog\n", encoding="utf-8")
    (tmp_path / name).write_text(blocks()[name], encoding="utf-8")
    done = subprocess.run([sys.executable, name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(PRINTED[name], done.stdout.strip())
