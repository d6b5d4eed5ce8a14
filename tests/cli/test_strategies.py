import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pfungst.cli.main import app
from pfungst.descriptors import SiftConfig, dense_sift, fit_pca
from pfungst.fisher.classifier import FisherClassifier, FisherPipeline
from pfungst.mixture import MixtureConfig, fit_mixture

SIFT = SiftConfig(step=6, bin_sizes=(4,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder; twelve photos of one class, four of another."""
    root = tmp_path_factory.mktemp("strategies")
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (40, 50, 3), dtype=np.uint8) for _ in range(16)]
    for index, photo in enumerate(photos):
        place = root / "data" / ("cat" if index < 12 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(place / f"p{index}.png")
    sample = np.concatenate([dense_sift(photo, SIFT).values for photo in photos])
    pca = fit_pca(sample, 4)
    mixture = fit_mixture(pca.transform(sample), MixtureConfig(n_components=3, init="random", max_iter=3))
    pipeline = FisherPipeline(descriptor=SIFT, pca=pca, mixture=mixture)
    weights = rng.normal(size=(2, pipeline.n_dimensions))
    model = FisherClassifier(pipeline, ("cat", "dog"), weights, np.zeros(2), thresholds=np.full(2, -9.0))
    model.save(root / "model")
    return root


def run(folder, out, *options):
    base = ["strategies", str(folder / "model"), str(folder / "data"), "--split", "all", "--workers", "1"]
    return CliRunner().invoke(app, [*base, "--out", str(out), *options])


def test_table_pictures_and_numbers(folder, tmp_path):
    done = run(folder, tmp_path, "--rule", "epsilon=5")
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    assert "cat: " in words
    assert "dog: 4 heatmaps are too few to be divided (10 or more)." in words
    content = json.loads((tmp_path / "strategies.json").read_text())["classes"]
    assert sum(cluster["size"] for cluster in content["cat"]["clusters"]) == 12
    assert len(content["cat"]["points"]) == 12
    for name in ("strategies-01-cat.png", content["cat"]["clusters"][0]["mean_map"]):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "strategies-02-dog.png").exists()
    again = run(folder, tmp_path, "--rule", "epsilon=6")
    assert again.exit_code == 1
    assert "rule was" in str(again.exception)


def test_json_alone_and_wrong_options(folder, tmp_path):
    done = run(folder, tmp_path, "--class", "cat", "--json", "-", "--photos", "shown", "--part", "signed")
    assert done.exit_code == 0, done.output
    assert list(json.loads(done.stdout)["classes"]) == ["cat"]
    wrong = run(folder, tmp_path, "--part", "negative")
    assert wrong.exit_code == 1
    assert "unknown part 'negative'" in str(wrong.exception)
