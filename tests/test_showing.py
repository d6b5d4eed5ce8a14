"""How results show themselves: useful, escaped, of bounded size."""

from __future__ import annotations

import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pfungst.audits.schema import Audit, ClassAudit, ModelAudit, Problem
from pfungst.contract import Explanation, Ledger
from pfungst.contract.plain import from_plain
from pfungst.errors import ConfigError
from pfungst.evaluation.rows import Quality
from pfungst.evaluation.statistics import Estimate
from pfungst.images import Box, DataSet, Record
from pfungst.showing import table_html

NASTY = "<img src=x onerror=alert(1)>"


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not attrs

    def handle_data(self, data):
        self.text += data


def explanation(height=300, width=2000, **changes):
    relevance = np.random.default_rng(0).normal(size=(height, width))
    pixels = float(relevance.sum())
    ledger = Ledger(score=pixels + 0.5, pixels=pixels, taken={"bias": 0.5})
    fields = {"image_id": "p1", "class_name": "horse", "score": pixels + 0.5, "rule": "epsilon=100",
              "relevance": relevance, "ledger": ledger}  # fmt: skip
    return Explanation(**(fields | changes))


def test_an_explanation_shows_itself():
    found = explanation()
    assert repr(found).startswith("<Explanation of 'p1', class 'horse': f(x) = ")
    assert repr(found).endswith("rule epsilon=100, 300 x 2000 pixels>")
    with Image.open(io.BytesIO(found._repr_png_())) as picture:
        assert max(picture.size) == 640
    with Image.open(io.BytesIO(explanation(20, 30)._repr_png_())) as picture:
        assert max(picture.size) < 400


def test_an_explanation_is_plotted_into_given_axes_or_new_ones():
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    found = explanation(30, 50)
    axes = Figure().subplots()
    assert found.plot(axes) is axes
    np.testing.assert_array_equal(axes.get_images()[0].get_array(), found.heatmap())
    assert axes.get_title().startswith("horse: f(x) = ")
    photo = np.full((30, 50, 3), 90, dtype=np.uint8)
    over = found.plot(image=photo).get_images()[0].get_array()
    assert over.shape == (30, 50, 3)
    assert not np.array_equal(over, found.heatmap())
    pyplot.close("all")


def test_the_relevance_of_what_decides_is_positive_exactly_where_the_class_is_predicted():
    values = np.abs(explanation(30, 50).relevance)
    total = float(values.sum())
    ledger = Ledger(score=total + 0.5, pixels=total, taken={"bias": 0.5})
    found = explanation(30, 50, relevance=values, score=total + 0.5, ledger=ledger)
    share = total / found.score  # what biases did not take
    for threshold in (found.score - 0.01, found.score + 0.01, -0.979, 0.0):
        moved = found.from_threshold(threshold)
        assert moved.ledger.residual == pytest.approx(found.ledger.residual, abs=1e-9)
        assert moved.ledger.taken == {"bias": 0.5, "threshold": pytest.approx(share * threshold)}
        assert moved.relevance.sum() == pytest.approx(moved.ledger.pixels)
        assert moved.relevance.sum() == pytest.approx(share * (found.score - threshold))
        assert moved.score == found.score
    more = replace(found, ledger=replace(ledger, score=total - 0.5, taken={"bias": -0.5}), score=total - 0.5)
    assert more.from_threshold(2.0).ledger.taken["threshold"] == 2.0  # pixels hold more than f(x): all of it
    with pytest.raises(ConfigError, match="that one was taken off"):
        found.from_threshold(0.1).from_threshold(0.1)
    with pytest.raises(ConfigError, match="a finite threshold"):
        found.from_threshold(float("nan"))


def photos(count, classes):
    records = tuple(
        Record(id=f"p{i}", path=Path("x.jpg"), positive=frozenset({classes[i % len(classes)]}),
               boxes=(Box(class_name=classes[0], left=0, top=0, right=2, bottom=2),) if i % 2 else ())
        for i in range(count)
    )  # fmt: skip
    return DataSet(name=f"set {NASTY}", root=Path("root"), classes=tuple(classes), records=records,
                   splits={"train": ("p0",)}, problems=("one",))  # fmt: skip


def test_a_data_set_says_what_is_in_it_and_no_record():
    found = photos(1000, ["cat", "dog"])
    assert repr(found).endswith("1000 photos, 2 classes (cat, dog), splits train, 1 problems>")
    assert len(repr(found)) < 300
    page = Tags(found._repr_html_())
    assert "cat500500" in page.text.replace(" ", "")
    assert NASTY in page.text
    assert "img" not in page.tags
    many = photos(10, [f"class {i}" for i in range(4000)])
    assert len(many._repr_html_()) < 5000
    assert "and 3970 more" in many._repr_html_()
    assert len(repr(many)) < 400


def audit(*problems):
    row = ClassAudit(name=NASTY, positives=9, true_positives=8, false_positives=1, threshold=0.0,
                     ap=Estimate(mean=0.5, low=0.4, high=0.6, n_images=9, n_values=9))  # fmt: skip
    model = ModelAudit(name="m", kind="k", rule="r", identity={}, survey="s", mean_ap=0.5, classes=(row,))
    return Audit(title="t", data="d", split="s", classes=(NASTY,), n_photos=9, photos=(), models=(model,),
                 problems=problems, ran=())  # fmt: skip


def test_an_audit_shows_its_verdict():
    problem = Problem(kind="data", class_name="cat", models=("m",), title="too few", sentence="so few")
    found = audit(problem)
    assert repr(found) == "<Audit 't': 9 photos, 1 classes, models m, 1 problems (data: cat)>"
    page = Tags(found._repr_html_())
    assert "too few. so few" in page.text
    assert "0.50 [0.40, 0.60]" in page.text
    assert "img" not in page.tags
    assert "No suspected problem was found" in Tags(audit()._repr_html_()).text


def test_quality_shows_its_tables():
    empty = from_plain(Quality, {"classes": {}, "curves": [], "between": [], "localisation": []})
    assert repr(empty) == "<Quality: nothing measured; 0 classes, 0 photos, 0 curves, 0 failures>"
    assert Tags(empty._repr_html_()).tags == ["b"]


def test_models_name_their_classes():
    from torch import nn

    from pfungst.network import NetworkClassifier, Preprocess

    module = nn.Sequential(nn.Conv2d(3, 2, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = NetworkClassifier(module, ["cat", "dog"], Preprocess(input_size=(64, 64), resize_length=72))
    assert repr(model) == "<NetworkClassifier of Sequential: 2 classes (cat, dog), views center, on cpu>"


def test_a_table_is_bounded_whatever_it_is_given():
    text = table_html("t" * 9999, ["l" * 9999] * 99, ["h"], [["c" * 9999]] * 999)
    assert len(text) < 25_000
