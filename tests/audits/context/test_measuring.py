from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from pfungst.audits.context.measuring import context_row, judged, localisation_row, measure_context, ranked
from pfungst.audits.schema import ContextRow
from pfungst.audits.survey import ContextConfig, SurveyConfig, survey
from pfungst.contract import Explanation, Ledger
from pfungst.errors import ConfigError, PfungstError
from pfungst.evaluation.statistics import Estimate
from pfungst.images import Box, DataSet, Record, decode

NO_EDITS = SurveyConfig(context=ContextConfig(edits=False))


@dataclass(frozen=True)
class LeakyClassifier:
    """f(x) of a class is the mean of its channel plus ``leak`` times that of the pixels in the top rows."""

    leak: float = 0.0
    offset: float = 0.1
    classes: tuple[str, ...] = ("red", "green", "blue")
    thresholds: np.ndarray = field(default_factory=lambda: np.full(3, -1.0))

    def relevance(self, image, channel):
        values = image[..., channel] / 255 - self.offset
        values[:6] += self.leak * image[:6, :, channel] / 255
        return values / values.size

    def scores(self, images):
        return np.array([[self.relevance(image, c).sum() for c in range(3)] for image in images])

    def explain(self, image, class_name, *, image_id="", **options):
        relevance = self.relevance(image, self.classes.index(class_name))
        score = float(relevance.sum())
        ledger = Ledger(score=score, pixels=score)
        return Explanation(
            image_id=image_id,
            class_name=class_name,
            score=score,
            rule="own",
            relevance=relevance,
            ledger=ledger,
        )


def on_object(record, name, row, column):
    return any(
        box.left <= column + 0.5 < box.right and box.top <= row + 0.5 < box.bottom
        for box in record.boxes
        if box.class_name == name
    )


def slow_densities(relevance, record, name, *, signed):
    """Mean relevance off and on the object, pixel by pixel, over the photo's mean R⁺ (signed: mean |R|)."""
    on, off, scale = [], [], 0.0
    for row in range(relevance.shape[0]):
        for column in range(relevance.shape[1]):
            value = relevance[row, column] if signed else max(relevance[row, column], 0.0)
            scale += abs(value) / relevance.size
            (on if on_object(record, name, row, column) else off).append(value)
    return sum(off) / len(off) / scale, sum(on) / len(on) / scale


@pytest.mark.parametrize("signed", [False, True])
def test_the_ratio_is_that_of_mean_densities(photos, signed):
    model = LeakyClassifier(leak=0.5)
    row = context_row(survey(model, photos, NO_EDITS), "green")
    pairs = [
        slow_densities(model.relevance(decode(record.path), 1), record, "green", signed=signed)
        for record in photos
        if "green" in record.positive
    ]
    outside, inside = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    estimate = row.signed_ratio if signed else row.ratio
    assert row.n_images == len(pairs) == 4
    assert estimate.mean == pytest.approx(outside / inside, rel=1e-9)
    assert estimate.low < estimate.mean < estimate.high


def test_shares_and_photos_of_the_class_table(photos):
    model = LeakyClassifier(leak=0.5)
    row = context_row(survey(model, photos, NO_EDITS), "red")
    shown = [record for record in photos if "red" in record.positive]
    shares, areas, ratios = [], [], {}
    for record in shown:
        positive = np.maximum(model.relevance(decode(record.path), 0), 0)
        box = record.boxes[0]
        inside = positive[int(box.top) : int(box.bottom), int(box.left) : int(box.right)]
        share = 1 - inside.sum() / positive.sum()
        area = 1 - inside.size / positive.size
        shares.append(share)
        areas.append(area)
        ratios[record.id] = share / area / ((1 - share) / (1 - area))
    assert row.share_outside.mean == pytest.approx(np.mean(shares))
    assert row.area_outside.mean == pytest.approx(np.mean(areas))
    assert row.ratios == pytest.approx(ratios)
    assert row.most == tuple(sorted(ratios, key=lambda image: -ratios[image]))
    assert row.least == row.most[::-1]
    assert row.kept_without_object is None
    assert not row.dependent


@dataclass(frozen=True)
class PlaceClassifier:
    """f of a class is the share of bright pixels of its channel: in the object's colour or the strip's."""

    low: int
    high: int
    classes: tuple[str, ...] = ("red", "green", "blue")
    thresholds: np.ndarray = field(default_factory=lambda: np.full(3, 0.02))

    def scores(self, images):
        return np.array(
            [
                [((image[..., c] > self.low) & (image[..., c] < self.high)).mean() for c in range(3)]
                for image in images
            ]
        )

    def explain(self, image, class_name, *, image_id="", **options):
        channel = image[..., self.classes.index(class_name)]
        relevance = ((channel > self.low) & (channel < self.high)) / channel.size
        score = float(relevance.sum())
        ledger = Ledger(score=score, pixels=score)
        return Explanation(
            image_id=image_id,
            class_name=class_name,
            score=score,
            rule="own",
            relevance=relevance,
            ledger=ledger,
        )


def photos_with_strips(folder, count=30):
    """Dark noise, a square of the class's colour (250) and, off it, a strip along the right edge (150)."""
    rng, names, records = np.random.default_rng(0), ("red", "green", "blue"), []
    for index in range(count):
        pixels = rng.integers(0, 40, (60, 90, 3), dtype=np.uint8)
        top, left = (int(value) for value in rng.integers(4, 30, 2))
        pixels[top : top + 20, left : left + 20, index % 3] = 250
        pixels[:, 84:, index % 3] = 150
        path = folder / f"photo{index:03d}.png"
        Image.fromarray(pixels).save(path)
        name = names[index % 3]
        box = Box(class_name=name, left=left, top=top, right=left + 20, bottom=top + 20)
        records.append(Record(id=path.stem, path=path, positive=frozenset({name}), boxes=(box,)))
    return DataSet(name="strips", root=folder, classes=names, records=tuple(records))


def test_a_class_that_lives_off_its_strip_is_told_from_one_that_does_not(tmp_path):
    data = photos_with_strips(tmp_path)
    honest = measure_context(PlaceClassifier(low=200, high=256), data, classes=["green"]).rows["green"]
    assert honest.kept_without_object.mean == 0.0
    assert honest.kept_without_control.mean == 1.0
    assert honest.drop_object.mean > 10 * abs(honest.drop_control.mean)
    assert honest.ratio.mean == 0.0
    assert not honest.dependent
    assert "0% [0, 31] of 10 true positives are still predicted without their object" in honest.note
    cheat = measure_context(PlaceClassifier(low=120, high=180), data, classes=["green"]).rows["green"]
    assert cheat.ratio is None  # nothing on the object to divide by
    assert cheat.share_outside.mean == 1.0
    assert cheat.kept_without_object.mean == cheat.kept_beyond_chance.mean == 1.0
    assert cheat.dependent
    few = measure_context(PlaceClassifier(low=120, high=180), replace(data, records=data.records[:12]))
    assert not few.rows["green"].dependent
    assert "too few to judge" in few.rows["green"].note


def slow_beyond_chance(found, name):
    """(r₀ − φ₀) / (r − φ₀), counted photo by photo; every other photo shows one class."""
    column, limit = found.classes.index(name), found.thresholds[name]
    shown = list(found.seen(name, label=1))
    with_object = sum(seen.score > limit for seen in shown) / len(shown)
    without = sum(seen.surroundings.without_object > limit for seen in shown) / len(shown)
    emptied = [
        row[column]
        for image in found.ids
        for (other, part), row in found.after(image).items()
        if part == "object" and other != name
    ]
    assert len(emptied) == len(found.ids) - len(shown)
    false = sum(score > limit for score in emptied) / len(emptied)
    return (without - false) / (with_object - false)


def test_what_is_left_is_held_against_false_positives(tmp_path):
    data = photos_with_strips(tmp_path)
    model = PlaceClassifier(low=37, high=256)
    level = float(np.quantile(model.scores([decode(record.path) for record in data])[:, 0], 0.6))
    model = replace(model, thresholds=np.full(3, level))
    found = survey(model, data)
    row = context_row(found, "red")
    assert row.kept_beyond_chance.mean == pytest.approx(slow_beyond_chance(found, "red"))
    assert row.kept_beyond_chance.n_images == 30
    blind = replace(model, thresholds=np.full(3, -1.0))  # predicts every class everywhere
    weak = context_row(survey(blind, data), "red")
    assert (weak.kept_without_object.mean, weak.kept_beyond_chance, weak.dependent) == (1.0, None, False)
    assert "the model hardly tells its photos from others without their object" in weak.note


def estimate(mean, low, high, n=20):
    return Estimate(mean=mean, low=low, high=high, n_images=n, n_values=n)


def test_a_verdict_needs_more_than_half_by_the_lower_end():
    row = ContextRow(
        n_images=20, kept_without_object=estimate(0.9, 0.7, 1.0), kept_beyond_chance=estimate(0.8, 0.51, 0.9)
    )
    assert judged(row) == (
        True,
        "90% [70, 100] of 20 true positives are still predicted without their object; allowing for what is "
        "predicted of other photos without their object, 80% [51, 90] of what tells the class is not its "
        "object",
    )
    assert not judged(replace(row, kept_beyond_chance=estimate(0.8, 0.49, 0.9)))[0]
    assert not judged(replace(row, kept_beyond_chance=None))[0]
    assert not judged(replace(row, kept_without_object=estimate(1.0, 0.7, 1.0, n=7)))[0]
    assert judged(ContextRow(n_images=3)) == (False, "not tested by editing")


def test_classes_are_ranked_by_what_is_certainly_left_then_by_the_ratio():
    row = partial(ContextRow, n_images=9)
    rows = {
        "wide": row(ratio=estimate(3.0, 2.0, 4.0), kept_beyond_chance=estimate(0.9, 0.1, 1.0)),
        "sure": row(ratio=estimate(0.1, 0.1, 0.2), kept_beyond_chance=estimate(0.8, 0.6, 1.0)),
        "high": row(ratio=estimate(2.0, 1.0, 3.0)),
        "low": row(ratio=estimate(0.5, 0.4, 0.6)),
        "none": row(),
    }
    assert ranked(rows) == ("sure", "wide", "high", "low", "none")


def test_localisation_over_true_positives(photos):
    found = survey(LeakyClassifier(), photos, NO_EDITS)
    scores = localisation_row(found, "blue")
    expected = [seen.surroundings.localisation.mass for seen in found.seen("blue", label=1)]
    assert scores["mass"].mean == pytest.approx(np.mean(expected))
    assert set(scores) == {"pointing", "mass", "rank", "near_area", "area"}
    never = survey(LeakyClassifier(thresholds=np.full(3, 9.0)), photos, NO_EDITS)
    assert localisation_row(never, "blue")["mass"] is None


def with_boxes(data, boxes):
    records = tuple(replace(record, boxes=boxes(record)) for record in data)
    return DataSet(name=data.name, root=data.root, classes=data.classes, records=records)


def test_photos_that_cannot_tell_are_left_out_and_counted(photos):
    whole = Box(class_name="red", left=0, top=0, right=500, bottom=500)
    ids = [record.id for record in photos if "red" in record.positive]

    def boxes(record):
        return {ids[0]: (), ids[1]: (whole,)}.get(record.id, record.boxes)

    row = context_row(survey(LeakyClassifier(), with_boxes(photos, boxes), NO_EDITS), "red")
    assert row.n_images == 2
    assert "left out: 1 without a box; left out: 1 filled by their boxes" in row.note
    none = context_row(survey(LeakyClassifier(), with_boxes(photos, lambda record: ()), NO_EDITS), "red")
    assert (none.n_images, none.ratio, none.note) == (0, None, "left out: 4 without a box")
    with pytest.raises(ConfigError, match="colours has no boxes"):
        measure_context(LeakyClassifier(), with_boxes(photos, lambda record: ()))


@dataclass(frozen=True)
class OneTooDark(LeakyClassifier):
    """Cannot score a photo of one shape once its bright square is gone."""

    shape: tuple[int, ...] = ()

    def scores(self, images):
        images = [image.copy() for image in images]
        if any(image.shape == self.shape and image.max() < 60 for image in images):
            raise PfungstError("nothing to describe")
        return super().scores(images)


def test_a_photo_that_cannot_be_scored_without_its_object_is_left_out_of_the_edits_and_counted(photos):
    shown = [record for record in photos if "red" in record.positive]
    row = context_row(survey(OneTooDark(shape=decode(shown[0].path).shape), photos), "red")
    assert row.n_images == len(shown)
    assert row.kept_without_object.n_images == len(shown) - 1
    assert "left out of the edits: 1 with nothing to score without its object" in row.note


def test_a_signed_ratio_is_not_divided_by_almost_nothing(photos):
    # boxes in dark noise around the offset: on them, as the boxes have it, positive and negative cancel
    noise = Box(class_name="red", left=0, top=0, right=4, bottom=4)
    model = LeakyClassifier(offset=19.5 / 255)
    row = context_row(survey(model, with_boxes(photos, lambda record: (noise,)), NO_EDITS), "red")
    assert row.signed_ratio is None
    assert "no signed ratio: mean signed density on the object is near zero" in row.note
    assert row.ratio.mean > 0
