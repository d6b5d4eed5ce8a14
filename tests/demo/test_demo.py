"""The demo at small size: it trains on both sets, measures the flaws and writes its page."""

from __future__ import annotations

import json
import math

import pytest
from typer.testing import CliRunner

pytest.importorskip("skimage", reason="scenes need the demo extra")

from pfungst.cli.main import app
from pfungst.demo import DemoConfig, run_demo
from pfungst.descriptors import SiftConfig
from pfungst.errors import ConfigError
from pfungst.fisher import FisherTraining
from pfungst.models import load_model

SMALL = DemoConfig(
    n_images=48,
    models=("fisher",),
    fisher=FisherTraining(
        n_components=4,
        dims=16,
        sift=SiftConfig(step=8),
        n_sampled=4000,
        mixture_iterations=5,
        c_values=(1.0,),
    ),
)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo"), SMALL)


def test_both_variants_are_measured(result):
    assert [(trial.model, trial.variant) for trial in result.trials] == [
        ("fisher", "flawed"),
        ("fisher", "clean"),
    ]
    for trial in result.trials:
        assert 0 < trial.table["map"] <= 1
        shares = trial.shares
        assert shares.tag_photos > 0
        assert shares.background_photos > 0
        for share in (shares.tag, shares.tag_outside, shares.background_outside):
            assert 0 <= share <= 1
        assert 0 < shares.tag_area < 0.1
        assert load_model(trial.folder).classes == trial.scored.classes
    json.dumps(result.as_dict(), allow_nan=False)


def test_areas_agree_between_the_twins(result):
    flawed, clean = (trial.shares for trial in result.trials)
    assert math.isclose(flawed.tag_area, clean.tag_area)
    assert math.isclose(flawed.tag_outside_area, clean.tag_outside_area)


def test_the_page_shows_the_flawed_classes_first(result):
    html = result.page.read_text(encoding="utf-8")
    assert html.index('aria-label="Photos of class coin"') < html.index('aria-label="Photos of class rocket"')
    assert html.index('aria-label="Photos of class rocket"') < html.index('aria-label="Photos of class cat"')
    assert "Quillmere Archive" in html
    assert list((result.page.parent / "heatmaps").glob("*-coin-fisher.png"))


def test_unknown_model():
    with pytest.raises(ConfigError, match="unknown model 'forest'"):
        DemoConfig(models=("forest",))
    outcome = CliRunner().invoke(app, ["demo", "--models", "forest"])
    assert "unknown model 'forest'" in str(outcome.exception)
