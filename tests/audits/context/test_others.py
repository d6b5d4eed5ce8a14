"""Photos without a class, their own object filled in: chance, and classes that mean "nothing is there"."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from PIL import Image

from pfungst.audits import AuditConfig, Subject, audit_models
from pfungst.audits.context.measuring import context_row, measure_context
from pfungst.audits.context.others import Other, default_of, other_photos
from pfungst.audits.gate import failures, parse_limit
from pfungst.audits.schema import Audit
from pfungst.audits.survey import ContextConfig, SurveyConfig, open_survey, survey
from pfungst.audits.survey.surroundings import CONTROL, NOTHING
from pfungst.contract import Explanation, Ledger
from pfungst.images import Box, DataSet, Record

CHANNEL = {"cat": 0, "dog": 2, "cow": 1}


@dataclass(frozen=True)
class NoCat:
    """Knows cats by bright red; "dog" means to it that there is no cat."""

    classes: tuple[str, ...] = ("cat", "dog")
    thresholds: np.ndarray = field(default_factory=lambda: np.array([0.02, 0.02]))

    def red(self, image):
        return (image[..., 0] > 200) / image[..., 0].size

    def scores(self, images):
        cat = np.array([self.red(image).sum() for image in images])
        return np.stack([cat, 0.04 - cat], axis=1)

    def explain(self, image, class_name, *, image_id="", **options):
        red = self.red(image)
        relevance = red if class_name == "cat" else 0.04 / red.size - red
        score = float(relevance.sum())
        return Explanation(
            image_id=image_id,
            class_name=class_name,
            score=score,
            rule="own",
            relevance=relevance,
            ledger=Ledger(score=score, pixels=score),
        )


def squares(folder, names, *, boxed=True, seed=0):
    """Dark noise; for each class named for a photo a square of its colour, on a grid, with its box."""
    rng, records = np.random.default_rng(seed), []
    for index, shown in enumerate(names):
        pixels = rng.integers(0, 40, (60, 90, 3), dtype=np.uint8)
        boxes = []
        for place, name in enumerate(shown):
            top, left = int(rng.integers(2, 36)), 3 + 30 * place + int(rng.integers(0, 6))
            pixels[top : top + 20, left : left + 20, CHANNEL[name]] = 250
            boxes.append(Box(class_name=name, left=left, top=top, right=left + 20, bottom=top + 20))
        path = folder / f"photo{index:03d}.png"
        Image.fromarray(pixels).save(path)
        records.append(
            Record(id=path.stem, path=path, positive=frozenset(shown), boxes=tuple(boxes) if boxed else ())
        )
    return DataSet(name="squares", root=folder, classes=("cat", "dog", "cow"), records=tuple(records))


PETS = [("cat",), ("dog",)] * 12


def test_a_class_that_means_the_absence_of_the_other_is_a_default_and_not_context(tmp_path):
    rows = measure_context(NoCat(), squares(tmp_path, PETS)).rows
    dog = rows["dog"]
    assert dog.kept_without_object.mean == 1.0
    assert (dog.others_predicted.mean, dog.others_without_object.mean) == (0.0, 1.0)
    assert dog.others_without_control.mean == 0.0
    assert dog.kept_beyond_chance is None  # 100 % with the dog, 100 % of the cats without their cat
    assert (dog.dependent, dog.default, dog.default_by) == (False, True, {"cat": 1.0})
    assert set(dog.turned) == {f"photo{index:03d}" for index in range(0, 24, 2)}
    assert "dog is what is predicted where there is nothing else: 100% [74, 100] of 12 photos" in dog.note
    cat = rows["cat"]
    assert (cat.dependent, cat.default, cat.turned) == (False, False, ())
    assert cat.others_without_object.mean == cat.kept_without_object.mean == 0.0


def test_chance_is_counted_object_by_object_photo_by_photo(tmp_path):
    shown = [("cat",), ("dog",), ("cat", "cow"), ("cow",), ("dog", "cow"), ()] * 3
    found = survey(NoCat(), squares(tmp_path, shown))
    others = {other.image: other for other in other_photos(found, "dog")}
    assert set(others) == {record.id for record in found.data if "dog" not in record.positive}
    cat, both, cow, empty = (others[f"photo{index:03d}"] for index in (0, 2, 3, 5))
    assert cat.by_class == {"cat": 1.0}
    assert both.by_class == {"cat": 1.0, "cow": 0.0}
    assert (both.without_object, both.predicted, both.turned) == (0.5, 0.0, True)
    assert (cow.without_object, cow.predicted, cow.turned) == (1.0, 1.0, False)
    assert np.isnan(empty.without_object)
    assert empty.emptied == empty.without_control == 1.0
    assert list(found.after("photo005")) == [(NOTHING, CONTROL)]
    row = context_row(found, "dog")
    assert row.others_without_object.mean == pytest.approx((1 + 0.5 + 1) / 3)
    assert "in 3 of 12 other photos no object is known: an equal area is filled in" in row.note


def slow_left(r, r0, chance):
    return (r0 - chance) / (r - chance)


def test_what_is_left_is_held_against_photos_that_were_edited_too(tmp_path):
    # six of the sixteen cats come with a second one that stays: with one filled in they are no dogs
    data = squares(tmp_path, [("cat",)] * 10 + [("cat", "cat")] * 6 + [("dog",)] * 20)
    records = tuple(
        replace(record, boxes=record.boxes[:1]) if len(record.boxes) == 2 else record for record in data
    )
    row = context_row(survey(NoCat(), replace(data, records=records)), "dog")
    assert row.others_without_object.mean == pytest.approx(10 / 16)
    assert row.others_predicted.mean == 0.0
    assert row.kept_beyond_chance.mean == pytest.approx(slow_left(1.0, 1.0, 10 / 16))


def test_objects_of_classes_that_are_not_surveyed_are_filled_in_too(tmp_path):
    data = squares(tmp_path, [("cow",), ("dog",)] * 9)
    row = measure_context(NoCat(), data, classes=["dog"]).rows["dog"]
    assert row.default_by == {"cow": 1.0}
    assert row.others_predicted.mean == 1.0  # a cow is no cat: taken for a dog as it is
    assert not row.default


@pytest.mark.parametrize(("without", "control", "expected"), [
    (1.0, 0.0, True), (1.0, 1.0, False), (0.5, 0.0, False), (1.0, np.nan, True),
])  # fmt: skip
def test_a_default_is_the_object_that_is_gone_and_not_the_filling_in(without, control, expected):
    rng = np.random.default_rng(0)
    others = [
        Other(
            image=str(index),
            predicted=0.0,
            without_object=float(without == 1 or rng.random() < without),
            without_control=control,
            by_class={"cat": without},
        )
        for index in range(20)
    ]
    found = default_of(others, None)
    assert found.is_default is expected
    assert (found.without_control is None) == np.isnan(control)
    assert not default_of(others[:7], None).is_default  # too few
    assert default_of([], None).without_object is None


def test_edits_asked_for_later_and_a_stored_survey_have_all_scores(tmp_path):
    (tmp_path / "photos").mkdir()
    data = squares(tmp_path / "photos", PETS)
    plain = SurveyConfig(errors=False, context=ContextConfig(edits=False))
    survey(NoCat(), data, plain, out=tmp_path / "s")
    assert survey(NoCat(), data, plain, out=tmp_path / "s").after("photo000") == {}
    later = survey(NoCat(), data, SurveyConfig(errors=False), out=tmp_path / "s")
    whole = survey(NoCat(), data, SurveyConfig(errors=False))
    stored = open_survey(tmp_path / "s")
    for image in data.records[:4]:
        expected = whole.after(image.id)
        for found in (later, stored):
            assert found.after(image.id).keys() == expected.keys()
            for key, row in expected.items():
                np.testing.assert_array_equal(found.after(image.id)[key], row)
    assert repr(context_row(later, "dog")) == repr(context_row(whole, "dog"))


def test_the_default_is_a_problem_of_its_own_from_the_file_to_the_gate(tmp_path):
    (tmp_path / "photos").mkdir()
    data = squares(tmp_path / "photos", PETS)
    subject = Subject(name="pets", classifier=NoCat())
    audit = audit_models([subject], data, tmp_path / "out", AuditConfig(parts=("context",)))
    again = Audit.load(tmp_path / "out")
    assert repr(again) == repr(audit)
    (problem,) = [item for item in again.problems if item.kind in {"default", "context"}]
    assert (problem.kind, problem.class_name) == ("default", "dog")
    assert problem.title == "“dog” is what the model says when nothing is there"
    assert "(100% of the cat photos)" in problem.sentence
    assert problem.numbers == (
        "pets: of 12 photos without it, taken for it: 0% [0, 26] as they are, 100% [74, 100] with their "
        "object painted over, 0% [0, 26] with an equal area off it painted over.",
    )
    assert len(problem.photos) == 12
    assert [item.rule for item in failures(again, ["default"])] == ["default"]
    (beyond,) = failures(again, [], [parse_limit("default>0.5")])
    assert "[dog]" in beyond.sentence


def test_folders_of_photos_without_boxes_say_so(tmp_path):
    (tmp_path / "photos").mkdir()
    data = squares(tmp_path / "photos", PETS, boxed=False)
    subject = Subject(name="pets", classifier=NoCat())
    audit = audit_models([subject], data, tmp_path / "out", AuditConfig(parts=("context",)))
    assert all(row.context is None for row in audit.models[0].classes)
    assert any("no boxes around its objects" in line for line in audit.not_run)
