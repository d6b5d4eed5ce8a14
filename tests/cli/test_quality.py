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
QUICK = ["--descriptors", "20", "--batch", "10", "--repetitions", "2", "--workers", "1", "--split", "all"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder and four photos, a folder a class."""
    root = tmp_path_factory.mktemp("quality")
    rng = np.random.default_rng(0)
    values = []
    for index, name in enumerate(["cat", "cat", "dog", "dog"]):
        photo = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        values.append(dense_sift(photo, SIFT).values)
        (root / "data" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(root / "data" / name / f"p{index}.png")
    sample = np.concatenate(values)
    pca = fit_pca(sample, 4)
    mixture = fit_mixture(pca.transform(sample), MixtureConfig(n_components=3, init="random", max_iter=3))
    pipeline = FisherPipeline(descriptor=SIFT, pca=pca, mixture=mixture)
    weights = rng.normal(size=(2, pipeline.n_dimensions))
    model = FisherClassifier(pipeline, ("cat", "dog"), weights, np.zeros(2), thresholds=np.full(2, -9.0))
    model.save(root / "model")
    return root


def run(folder, *options):
    return CliRunner().invoke(app, ["quality", str(folder / "model"), str(folder / "data"), *options])


def test_table_numbers_and_figures(folder, tmp_path):
    out = tmp_path / "out"
    methods = "descriptors,regions,localisation"
    options = ("--method", methods, "--rules", "epsilon=3;epsilon=3,spread", "--region-size", "20",
               "--operators", "mean", "--region-steps", "3", "--out", str(out))  # fmt: skip
    done = run(folder, *QUICK, *options)
    assert done.exit_code == 0, done.output
    for text in (
        "random order",
        "epsilon=3,spread MoRF",
        "epsilon=3 LeRF",
        "operator mixture",
        "operator mean",
    ):
        assert text in " ".join(done.output.split())
    content = json.loads((out / "quality.json").read_text())
    assert content["classes"]["cat"]["true_positives"] == 2
    assert content["manifest"]["model"]["kind"] == "fisher"
    assert {row["steps"] for row in content["curves"]} == {2, 3}
    assert content["localisation"][0]["n_empty_boxes"] == 4
    for name in ("descriptors-mixture.png", "regions-mean.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert run(folder, *QUICK, *options).exit_code == 0  # everything is there already
    again = run(folder, *QUICK, *options, "--seed", "1")
    assert again.exit_code == 1
    assert "config.random_state was 0, is now 1" in str(again.exception)


def test_json_on_standard_output_alone(folder):
    done = run(folder, *QUICK, "--max-images", "2", "--classes", "cat", "--orders", "morf", "--json", "-")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert list(content["classes"]) == ["cat"]
    assert len({row["rule"] for row in content["curves"]}) == 6  # the paper's decompositions


def test_attributions_from_disk(folder, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    for path in (folder / "data").rglob("*.png"):
        identity = "__".join(path.relative_to(folder / "data").with_suffix("").parts)
        for name in ("cat", "dog"):
            np.save(tmp_path / name / f"{identity}.npy", np.random.default_rng(0).normal(size=(40, 50)))
    options = (
        "--method",
        "regions",
        "--rules",
        "none",
        "--attributions",
        f"mine={tmp_path}",
        "--region-steps",
        "2",
    )
    done = run(folder, *QUICK, *options)
    assert done.exit_code == 0, done.output
    assert "mine MoRF" in done.output


def test_a_broken_photo_is_reported(folder, tmp_path):
    import shutil

    shutil.copytree(folder / "data", tmp_path / "data")
    (tmp_path / "data" / "cat" / "p0.png").write_bytes(b"nothing")
    options = ["quality", str(folder / "model"), str(tmp_path / "data"), *QUICK, "--rules", "naive"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 3
    assert "p0.png" in done.output
