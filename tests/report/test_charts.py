"""Where marks go, and how numbers are written."""

from __future__ import annotations

import math

import pytest

from pfungst.audits.schema import Artefact, Photo, StrategyPoint
from pfungst.evaluation import wording
from pfungst.evaluation.statistics import Estimate
from pfungst.report import charts

NAN = math.nan


def estimate(mean, low=NAN, high=NAN):
    return Estimate(mean=mean, low=low, high=high, n_images=5, n_values=5)


def test_a_bar_starts_at_zero_whatever_its_sign():
    scale = charts.axis([estimate(2.0, 1.5, 2.5), estimate(-0.5, -1.0, 0.0), None, estimate(NAN)])
    assert (scale.low, scale.high) == (-1.0, 2.5)
    up = charts.bar(estimate(2.0, 1.5, 2.5), scale, 1.0)
    assert up.start == scale.at(0.0) == pytest.approx(100 / 3.5, abs=0.01)
    assert up.start + up.width == pytest.approx(scale.at(2.0), abs=0.02)
    assert (up.low, up.high, up.reference) == (scale.at(1.5), scale.at(2.5), scale.at(1.0))
    down = charts.bar(estimate(-0.5), scale)
    assert down.start == scale.at(-0.5)
    assert down.start + down.width == pytest.approx(scale.at(0.0), abs=0.02)
    assert (down.low, down.high, down.reference) == (None, None, None)


def test_one_wild_interval_does_not_flatten_all_bars():
    scale = charts.axis([estimate(1.0, 0.5, 900.0), estimate(0.8, 0.6, 1.2)])
    assert scale.high == 1.2
    assert charts.bar(estimate(1.0, 0.5, 900.0), scale).high == 100.0


def test_nothing_to_draw():
    assert charts.bar(None, charts.axis([])) is None
    assert charts.bar(estimate(NAN), charts.axis([])) is None
    assert charts.axis([estimate(0.0)]).at(0.0) == 0.0
    assert charts.scatter([StrategyPoint(image="a", x=NAN, y=0.0, cluster=0)]) == []


def test_places_are_those_of_each_photo_in_one_frame():
    artefact = Artefact(
        id="a",
        kind="place",
        where="lower left corner",
        crop="",
        n_images=2,
        boxes={
            "wide": (0.0, 90.0, 50.0, 100.0),
            "tall": (10.0, 0.0, 30.0, 400.0),
            "gone": (0.0, 0.0, 1.0, 1.0),
        },
        share=1.0,
        share_elsewhere=0.0,
        relevance_share=0.5,
        area_share=0.1,
    )
    photos = {
        "wide": Photo(id="wide", height=100, width=200, positive=()),
        "tall": Photo(id="tall", height=400, width=100, positive=()),
    }
    wide, tall = charts.places(artefact, photos)
    assert wide.edges == pytest.approx((0, 108, 40, 120))
    assert tall.edges == pytest.approx((16, 0, 48, 120))


def test_a_scatter_fills_its_frame_and_goes_group_by_group():
    rows = [("a", 5.0, 1.0, 1), ("b", -1.0, 3.0, 0), ("c", 2.0, 2.0, 0)]
    marks = charts.scatter([StrategyPoint(image=i, x=x, y=y, cluster=c) for i, x, y, c in rows])
    assert [mark.image for mark in marks] == ["b", "c", "a"]
    assert [mark.x for mark in marks] == [18.0, 210.0, 402.0]
    assert {mark.y for mark in marks} == {18.0, 150.0, 282.0}


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.005, "1.00"), (-0.316, "−0.32"), (-0.001, "0.00"), (NAN, "–"), (None, "–"), (math.inf, "∞")],
)
def test_numbers(value, text):
    assert wording.number(value) == text


def test_signs_shares_and_intervals():
    assert wording.signed(0.5) == "+0.50"
    assert wording.signed(-0.5) == "−0.50"
    assert wording.signed(NAN) == "–"
    assert [wording.percent(x) for x in (0.0, 0.024, 0.0996, 0.67, NAN)] == [
        "0\N{NARROW NO-BREAK SPACE}%",
        "2.4\N{NARROW NO-BREAK SPACE}%",
        "10\N{NARROW NO-BREAK SPACE}%",
        "67\N{NARROW NO-BREAK SPACE}%",
        "–",
    ]
    assert wording.interval(estimate(1.0, -0.5, 1.5)) == "−0.50 to 1.50"
    assert wording.interval(estimate(1.0)) == ""
    assert wording.percent_interval(estimate(0.5, 0.25, 0.75)) == "25 to 75\N{NARROW NO-BREAK SPACE}%"
    assert wording.percent_interval(None) == ""
    assert wording.counted(1, "class", "classes") == "1 class"
    assert wording.counted(1234, "photo") == "1\N{NARROW NO-BREAK SPACE}234 photos"


def test_settings_become_lines():
    settings = {"seed": 0, "regions": {"size": 9, "operators": ["mean"]}, "none": {}}
    assert wording.flattened(settings) == [
        ("seed", "0"),
        ("regions.size", "9"),
        ("regions.operators", '["mean"]'),
        ("none", "{}"),
    ]
