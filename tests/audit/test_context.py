from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from pfungst.audit.context import context_row, measure_context
from pfungst.audit.surroundings import ContextConfig
from pfungst.audit.survey import SurveyConfig, survey
from pfungst.contract import Explanation, Ledger
from pfungst.errors import ConfigError
from pfungst.images import Box, DataSet, decode

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


def test_a_signed_ratio_is_not_divided_by_almost_nothing(photos):
    # boxes in a dark corner: on the object, as the boxes have it, positive and negative noise cancel
    noise = Box(class_name="red", left=0, top=0, right=4, bottom=4)
    model = LeakyClassifier(offset=20 / 255)
    row = context_row(survey(model, with_boxes(photos, lambda record: (noise,)), NO_EDITS), "red")
    assert row.signed_ratio is None or abs(row.signed_ratio.mean) < 1e3
    assert row.ratio is not None
