"""The demo at small size: it trains on both sets, audits both models and writes its reports."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("skimage", reason="scenes need the demo extra")

from pfungst.audits import ArtefactConfig, AuditConfig
from pfungst.audits.schema import Audit
from pfungst.cli.main import app
from pfungst.contract.plain import to_plain
from pfungst.demo import DemoConfig, run_demo
from pfungst.demo.study import audit_folder
from pfungst.descriptors import SiftConfig
from pfungst.errors import ConfigError
from pfungst.evaluation.replacement import ReplacementConfig
from pfungst.fisher import FisherTraining
from pfungst.models import load

SMALL = DemoConfig(
    n_images=48,
    twin=True,
    models=("fisher",),
    fisher=FisherTraining(
        n_components=4,
        dims=16,
        descriptor=SiftConfig(step=8),
        n_sampled=4000,
        mixture_iterations=5,
        c_values=(1.0,),
    ),
    audit=AuditConfig(
        quality_images=2,
        artefacts=ArtefactConfig(max_photos=8, max_suspects=1, insertions=2),
        replacement=ReplacementConfig(n_replaced=300, repetitions=1),
    ),
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, run_demo(folder, SMALL)


def test_models_of_both_sets_are_audited(demo):
    folder, result = demo
    for variant in ("flawed", "clean"):
        audit = Audit.load(audit_folder(folder, variant))
        assert to_plain(audit) == to_plain(result.audits[variant])
        (model,) = audit.models
        assert model.name == "Fisher vectors"
        assert model.rule == "epsilon=0.38*sqrt(L)"
        assert 0 < model.mean_ap <= 1
        assert model.by_name("coin").context.n_images >= 0
        classifier = load(folder / "models" / f"fisher-{variant}")
        assert classifier.classes == tuple(row.name for row in model.classes)
        assert result.pages[variant].is_file()
    assert result.failures == ()
    json.dumps(to_plain(result), allow_nan=False)


def test_the_sets_are_compared(demo):
    _, result = demo
    assert {change.measure for change in result.comparison.changes} >= {"average precision"}
    assert result.comparison_page.is_file()
    assert result.page == result.pages["flawed"]


def test_unknown_model():
    with pytest.raises(ConfigError, match="unknown model 'forest'"):
        DemoConfig(models=("forest",))
    outcome = CliRunner().invoke(app, ["demo", "--models", "forest"])
    assert "unknown model 'forest'" in str(outcome.exception)
