import io

import numpy as np
import pytest
from PIL import Image
from tests.audits.conftest import ColourClassifier

from pfungst.audits.survey import SurveyConfig, open_survey, survey
from pfungst.audits.survey.maps import reduced
from pfungst.errors import ConfigError, DataError, PfungstError
from pfungst.images import decode
from pfungst.runs.recorded import run_items


def slow_reduction(relevance, rows, columns):
    """Every pixel cut into 60 x 60 equal parts, each counted to the cell that it lies in."""
    height, width = relevance.shape
    cells = np.zeros((rows, columns))
    fine = 60
    for i in range(height * fine):
        for j in range(width * fine):
            row, column = int((i + 0.5) / fine * rows / height), int((j + 0.5) / fine * columns / width)
            cells[row, column] += relevance[i // fine, j // fine] / fine**2
    return cells


def test_reduction_divides_pixels_by_area_and_conserves_the_sum():
    relevance = np.random.default_rng(0).normal(size=(5, 9))
    cells = reduced(relevance, 6)
    assert cells.shape == (3, 6)
    np.testing.assert_allclose(cells, slow_reduction(relevance, 3, 6), atol=1e-6)
    np.testing.assert_allclose(cells.sum(), relevance.sum(), atol=1e-6)
    assert reduced(relevance, 100).shape == (5, 9)


def test_a_survey_has_scores_heatmaps_and_thumbnails(classifier, photos, tmp_path):
    found = survey(classifier, photos, out=tmp_path / "run")
    assert found.ids == tuple(record.id for record in photos)
    images = [decode(record.path) for record in photos]
    np.testing.assert_allclose(found.scores(), classifier.scores(images))
    shown = list(found.seen("red", label=1))
    assert [item.image for item in shown] == [r.id for r in photos if "red" in r.positive]
    first = shown[0]
    assert first.true_positive == (first.score > 0)
    explanation = classifier.explain(images[0], "red")
    np.testing.assert_allclose(found.heatmap(first.image, "red"), explanation.relevance, rtol=1e-6)
    with Image.open(io.BytesIO(found.thumbnail(first.image))) as picture:
        assert picture.size == images[0].shape[1::-1]
    assert found.size(first.image) == images[0].shape[:2]


def test_an_unreadable_photo_is_listed_and_the_run_is_taken_up_again(classifier, photos, tmp_path):
    good = photos.records[3].path.read_bytes()
    photos.records[3].path.write_bytes(b"no photo")
    found = survey(classifier, photos, out=tmp_path / "run")
    assert [failure.item for failure in found.failures] == [photos.records[3].id]
    assert photos.records[3].id not in found.ids
    photos.records[3].path.write_bytes(good)
    told = []
    again = survey(classifier, photos, out=tmp_path / "run", progress=lambda *step: told.append(step))
    assert told == [("survey", 11, 12), ("survey", 12, 12)]
    assert again.ids == tuple(record.id for record in photos)
    with pytest.raises(ConfigError, match=r"survey.map_side was 128, is now 64"):
        survey(classifier, photos, SurveyConfig(map_side=64), out=tmp_path / "run")


def test_workers_give_the_same_records(photos):
    import torch
    from torch import nn

    from pfungst.network import NetworkClassifier, Preprocess

    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 3, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = NetworkClassifier(module, photos.classes, Preprocess(input_size=(32, 32), resize_length=36))
    found = [survey(model, photos, workers=workers) for workers in (1, 2)]
    assert found[0].run.records() == found[1].run.records()
    assert found[0].heatmap("photo001", "green").any()


def test_a_survey_is_read_back_from_its_folder_alone(classifier, photos, tmp_path):
    found = survey(classifier, photos, out=tmp_path / "run")
    stored = open_survey(tmp_path / "run")
    assert stored.ids == found.ids
    assert stored.classes == found.classes
    assert stored.thresholds == found.thresholds
    assert list(stored.seen()) == list(found.seen())
    name = found.ids[0]
    np.testing.assert_array_equal(stored.heatmap(name, "red"), found.heatmap(name, "red"))
    assert stored.thumbnail(name) == found.thumbnail(name)


def test_a_folder_without_a_survey_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"records.jsonl: cannot be read"):
        open_survey(tmp_path)
    run_items(len, [], keys=[], configuration={"seed": 0}, out=tmp_path / "other")
    with pytest.raises(DataError, match="is a run, but not a survey"):
        open_survey(tmp_path / "other")


class Describing(ColourClassifier):
    """Cannot score a photo without contrast, as a classifier of local descriptors cannot."""

    def scores(self, images):
        images = [image.copy() for image in images]
        if any(image.std() < 12 for image in images):
            raise PfungstError("no descriptor has enough contrast")
        return super().scores(images)


def test_a_photo_of_which_nothing_is_left_without_its_object_keeps_all_else(photos):
    found = survey(Describing(), photos)
    assert len(found.ids) == len(photos)
    assert not found.failures
    around = [seen.surroundings for seen in found.seen(label=1)]
    assert all(np.isnan(item.without_object) for item in around)
    assert all(np.isfinite(item.ratio) for item in around)
