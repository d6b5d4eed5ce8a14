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
BOX = "<bndbox><xmin>11</xmin><ymin>9</ymin><xmax>30</xmax><ymax>26</ymax></bndbox>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two model folders and four photos in VOC layout, each with a box."""
    root = tmp_path_factory.mktemp("context")
    rng = np.random.default_rng(0)
    for part in ("JPEGImages", "Annotations"):
        (root / "data" / part).mkdir(parents=True)
    values = []
    for index, name in enumerate(["cat", "cat", "dog", "dog"]):
        photo = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        values.append(dense_sift(photo, SIFT).values)
        Image.fromarray(photo).save(root / "data" / "JPEGImages" / f"p{index}.jpg", quality=95)
        thing = f"<object><name>{name}</name>{BOX}</object>"
        text = f"<annotation><filename>p{index}.jpg</filename>{thing}</annotation>"
        (root / "data" / "Annotations" / f"p{index}.xml").write_text(text)
    sample = np.concatenate(values)
    pca = fit_pca(sample, 4)
    mixture = fit_mixture(pca.transform(sample), MixtureConfig(n_components=3, init="random", max_iter=3))
    pipeline = FisherPipeline(descriptor=SIFT, pca=pca, mixture=mixture)
    for model in ("one", "two"):
        weights = rng.normal(size=(2, pipeline.n_dimensions))
        classifier = FisherClassifier(
            pipeline, ("cat", "dog"), weights, np.zeros(2), thresholds=np.full(2, -9.0)
        )
        classifier.save(root / model)
    return root


def run(folder, *options, models=("one",)):
    names = [str(folder / model) for model in models]
    return CliRunner().invoke(
        app, ["context", *names, str(folder / "data"), "--split", "all", "--workers", "1", *options]
    )


def test_two_models_in_one_table_file_and_figure(folder, tmp_path):
    out = tmp_path / "out"
    done = run(folder, "--out", str(out), models=("one", "two"))
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    for part in (
        "one on data",
        "two on data",
        "one on data: objects filled in",
        "the part left without the object",
        "of 2 true positives are still predicted without their object: too few to judge",
    ):
        assert part in text
    content = json.loads((out / "context.json").read_text())
    row = content["models"]["two"]["rows"]["dog"]
    assert row["n_images"] == 2
    assert row["ratio"]["mean"] > 0
    assert row["kept_without_object"]["mean"] == 1.0
    assert set(content["models"]["one"]["localisation"]["cat"]) == {
        "pointing", "mass", "rank", "near_area", "area"}  # fmt: skip
    with Image.open(out / "context.png") as picture:
        assert min(picture.size) > 300
    again = run(folder, "--out", str(out), models=("one", "two"))
    assert again.exit_code == 0
    other = run(folder, "--out", str(out), "--no-edits")
    assert other.exit_code == 0
    assert "objects filled in" not in other.output
    wider = run(folder, "--out", str(out), "--margin", "0.2")
    assert wider.exit_code == 1
    assert "survey.margin was 0.0, is now 0.2" in str(wider.exception)


def test_json_on_standard_output_without_edits(folder):
    done = run(folder, "--no-edits", "--classes", "cat", "--json", "-", "--rule", "epsilon=3")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["models"]["one"]["rows"]
    assert list(rows) == ["cat"]
    assert rows["cat"]["kept_without_object"] is None
    assert rows["cat"]["note"].startswith("not tested by editing")


def test_a_data_set_without_boxes_is_refused(folder, tmp_path):
    (tmp_path / "cat").mkdir()
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(tmp_path / "cat" / "a.png")
    done = CliRunner().invoke(app, ["context", str(folder / "one"), str(tmp_path), "--split", "all"])
    assert done.exit_code == 1
    assert "has no boxes" in str(done.exception)


def test_commands_on_one_folder_share_one_survey(folder, tmp_path, monkeypatch):
    from pfungst.audits.survey.task import SurveyPhotos

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
