"""Every example runs as its first lines say, at small size."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("skimage", reason="the examples need the demo extra")
pytest.importorskip("efficientnet_lite_pytorch", reason="the examples need the demo extra")

from pfungst.demo.scenes import ScenesConfig, write_scenes
from pfungst.descriptors import SiftConfig
from pfungst.fisher import FisherTraining, train_fisher
from pfungst.images import open_dataset
from pfungst.network import initial_network

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests")
TRAINING = FisherTraining(
    n_components=4,
    dims=16,
    descriptor=SiftConfig(step=8),
    n_sampled=4000,
    mixture_iterations=5,
    c_values=(1.0,),
)


def script(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A folder such as ``pfungst demo --twin`` writes, its models small; its network is not trained."""
    folder = tmp_path_factory.mktemp("demo")
    for variant in ("flawed", "clean"):
        write_scenes(folder / "scenes" / variant, ScenesConfig(n_images=48, clean=variant == "clean"))
        photos = open_dataset(folder / "scenes" / variant)
        trained = train_fisher(photos.split("train"), photos.split("val"), TRAINING)
        trained.classifier.save(folder / "models" / f"fisher-{variant}")
    initial_network("efficientnet-lite0", photos.classes).save(folder / "models" / "network-flawed")
    return folder


def check(picture):
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    assert min(pixels.shape[:2]) > 100
    assert pixels.std() > 5


@pytest.mark.parametrize("name", ["three_rules", "side_by_side", "watermark"])
def test_examples_on_the_demo(name, demo, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    script(name).main(demo, picture)
    if name == "watermark" and not picture.exists():
        assert "Looked for marks" in capsys.readouterr().out  # so few photos may show nothing that recurs
        return
    check(picture)


def test_context(demo, tmp_path, capsys):
    script("context").main(demo, tmp_path / "picture.png", workers=1)
    check(tmp_path / "picture.png")
    assert "flawed rocket: outside" in capsys.readouterr().out


def test_composites(tmp_path):
    script("composites").main(tmp_path / "picture.png", composites=("epsilon", "epsilon-plus-flat"))
    check(tmp_path / "picture.png")


def test_own_network(demo, tmp_path):
    script("own_network").main(demo, tmp_path / "picture.png", epochs=1)
    check(tmp_path / "picture.png")


def test_every_example_is_in_the_gallery():
    gallery = (EXAMPLES.parent / "docs" / "gallery.md").read_text("utf-8")
    for file in EXAMPLES.glob("[a-z]*.py"):
        assert f"examples/{file.name}" in gallery, f"{file.name} is not in docs/gallery.md"
