"""One survey for several questions: parts that are added later, poorer questions, photos that are kept."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from tests.audits.conftest import ColourClassifier

from pfungst.audits.survey import ContextConfig, SurveyConfig, open_survey, survey
from pfungst.audits.survey.kept import KeptPhotos, kept_arrays
from pfungst.audits.survey.linking import link_survey
from pfungst.contract.look import PlainLook
from pfungst.errors import ConfigError
from pfungst.images import decode

PLAIN = SurveyConfig(errors=False, context=ContextConfig(edits=False))


@dataclass(frozen=True)
class Looked(ColourClassifier):
    """Notes the size of each batch that it looks at, and what is asked."""

    batch_size: int = 3
    has_descriptors: bool = False
    batches: list = field(default_factory=list)
    thresholds: np.ndarray = field(default_factory=lambda: np.full(3, -0.2))

    def look(self, images, *, relevance=False):
        images = tuple(images)
        self.batches.append((len(images), relevance))
        return PlainLook(self, images)


def plain(found):
    return [(seen.image, seen.class_name, seen.label, seen.score, seen.surroundings) for seen in found.seen()]


def as_text(found):
    return sorted(map(repr, plain(found)))


def test_photos_are_looked_at_once_in_batches_of_the_classifiers_size(photos):
    model = Looked()
    found = survey(model, photos)
    assert model.batches == [(3, True)] * 4
    expected = survey(replace(ColourClassifier(), thresholds=model.thresholds), photos)
    assert as_text(found) == as_text(expected)


def test_parts_that_are_asked_for_later_are_added_and_nothing_else_is_made_again(photos, tmp_path):
    model = Looked()
    survey(model, photos, PLAIN, out=tmp_path / "s")
    assert model.batches == [(3, True)] * 4
    found = survey(model, photos, SurveyConfig(), out=tmp_path / "s")
    assert model.batches[4:] == [(3, True)] * 4 + [(3, False)] * 4  # errors, then edits
    whole = survey(model, photos, SurveyConfig(), out=tmp_path / "whole")
    assert as_text(found) == as_text(whole)
    wrong = next(seen for seen in found.seen(label=-1))
    np.testing.assert_array_equal(
        found.heatmap(wrong.image, wrong.class_name), whole.heatmap(wrong.image, wrong.class_name)
    )
    assert as_text(open_survey(tmp_path / "s")) == as_text(whole)
    before = len(model.batches)
    poorer = survey(model, photos, PLAIN, out=tmp_path / "s")
    survey(model, photos, SurveyConfig(errors=False), out=tmp_path / "s")
    assert len(model.batches) == before
    assert as_text(poorer) == as_text(survey(model, photos, PLAIN))  # whatever else is there


def test_a_survey_of_more_classes_serves_fewer(photos, tmp_path):
    model = Looked()
    survey(model, photos, out=tmp_path / "s")
    before = len(model.batches)
    found = survey(model, photos, classes=["blue"], out=tmp_path / "s")
    assert len(model.batches) == before
    assert found.classes == ("blue",)
    assert {seen.class_name for seen in found.seen()} == {"blue"}
    assert found.scores().shape == (12, 1)
    assert found.labels().shape == (12, 1)
    np.testing.assert_array_equal(found.scores()[:, 0], survey(model, photos).scores()[:, 2])


def test_fewer_classes_do_not_serve_more_and_other_settings_do_not_serve(photos, tmp_path):
    model = Looked()
    survey(model, photos, PLAIN, classes=["blue"], out=tmp_path / "s")
    with pytest.raises(ConfigError, match="classes was"):
        survey(model, photos, PLAIN, out=tmp_path / "s")
    reseeded = replace(PLAIN, context=ContextConfig(edits=False, random_state=1))
    with pytest.raises(ConfigError, match=r"survey.random_state was 0, is now 1"):
        survey(model, photos, reseeded, classes=["blue"], out=tmp_path / "s")


def test_photos_are_kept_as_they_are_or_reduced_by_means(photos, tmp_path):
    record = photos.records[0]
    image = decode(record.path)
    found = survey(ColourClassifier(), photos, replace(PLAIN, kept_pixels=10**6), out=tmp_path / "s")
    plain_photos = survey(ColourClassifier(), photos, PLAIN)
    np.testing.assert_array_equal(plain_photos.kept.whole(record), image)
    record.path.unlink()
    np.testing.assert_array_equal(found.kept.whole(record), image)
    assert found.kept.at_least(record, 0.3).factor == 1


def test_a_reduced_copy_serves_small_scales_alone(photos, tmp_path):
    record = photos.records[0]
    image = decode(record.path)
    most = image.shape[0] * image.shape[1] // 5
    found = survey(ColourClassifier(), photos, replace(PLAIN, kept_pixels=most), out=tmp_path / "s")
    copy = found.kept.at_least(record, 1 / 3)
    assert copy.factor == 3
    height, width = (length // 3 for length in image.shape[:2])
    blocks = image[: 3 * height, : 3 * width].reshape(height, 3, width, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(copy.image[:height, :width], blocks, atol=0.6)
    assert found.kept.at_least(record, 0.5).factor == 1
    np.testing.assert_array_equal(found.kept.whole(record), image)
    assert kept_arrays(image, 0) == {}


def test_a_worker_that_does_not_see_the_folder_decodes(photos, tmp_path):
    record = photos.records[0]
    np.testing.assert_array_equal(KeptPhotos(tmp_path / "nowhere").whole(record), decode(record.path))


def test_a_linked_survey_is_the_same_survey(photos, tmp_path):
    model = Looked()
    survey(model, photos, PLAIN, out=tmp_path / "s")
    found = survey(model, photos, out=tmp_path / "s")
    for _ in range(2):
        link_survey(tmp_path / "s", tmp_path / "out" / "s")
        linked = open_survey(tmp_path / "out" / "s")
        assert as_text(linked) == as_text(found)
        name = found.ids[0]
        assert linked.thumbnail(name) == found.thumbnail(name)
    survey(model, photos, replace(PLAIN, map_side=64), out=tmp_path / "other")
    with pytest.raises(ConfigError, match="another configuration"):
        link_survey(tmp_path / "other", tmp_path / "out" / "s")
