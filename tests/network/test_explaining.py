"""Explanations of networks in the photo's own pixels."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from pfungst.cli.main import app
from pfungst.contract import Explanation
from pfungst.errors import ConfigError
from pfungst.network import NetworkClassifier, Preprocess, initial_network
from pfungst.network.lrp import ZBox, composite
from pfungst.network.views import center_view

INPUT = Preprocess(
    input_size=(20, 24), resize_length=32, channels="BGR", mean=(120, 100, 90), std=(50, 60, 70)
)


def linear_model(bias=False):
    """One linear layer: R_i = w_i x_i is its exact relevance under ε → 0."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 24, 3, bias=bias)).double()
    torch.manual_seed(3)
    nn.init.normal_(module[1].weight)
    return NetworkClassifier(module, ["a", "b", "c"], INPUT, dtype=torch.float64)


@pytest.fixture
def photo(rng):
    return rng.integers(0, 256, (41, 57, 3), dtype=np.uint8)


def test_a_linear_model_is_explained_exactly(photo):
    model = linear_model()
    found = model.explain(photo, "b", rule="epsilon", image_id="p1")
    crop, placement, offset = center_view(photo, INPUT)
    x = INPUT.values(crop[None])[0].astype(float)
    parts = model.module[1].weight[1].detach().numpy().reshape(3, 20, 24) * x
    np.testing.assert_allclose(found.layers["input"], parts, atol=1e-4)
    np.testing.assert_allclose(
        found.relevance, placement.relevance_to_photo(parts.sum(axis=0), offset), atol=1e-4
    )
    assert found.relevance.shape == photo.shape[:2]
    assert (found.image_id, found.class_name, found.rule) == ("p1", "b", "epsilon")
    assert found.score == pytest.approx(model.scores([photo])[0, 1])
    assert found.relevance.sum() == pytest.approx(found.score, abs=1e-3)


@pytest.mark.parametrize("rule", ["epsilon-plus-flat", "epsilon-gamma-box", "cvpr2016", "epsilon"])
def test_the_ledger_closes_and_classes_share_a_pass(photo, rule):
    model = initial_network("small-cnn", ["a", "b", "c"])
    with torch.no_grad():
        model.module.head.bias += torch.tensor([0.3, -0.2, 0.1])
    many = model.look([photo]).explain([["c", "a"]], rule=rule)[0]
    scores = model.scores([photo])[0]
    for explanation, column in zip(many, (2, 0), strict=True):
        assert isinstance(explanation, Explanation)
        assert explanation.score == pytest.approx(scores[column], abs=1e-5)
        assert explanation.ledger.pixels == pytest.approx(explanation.relevance.sum())
        assert abs(explanation.ledger.residual) < 1e-4 * max(1, np.abs(explanation.relevance).sum())
        assert explanation.ledger.taken["bias"] != 0
        alone = model.explain(photo, explanation.class_name, rule=rule)
        np.testing.assert_allclose(alone.relevance, explanation.relevance, atol=1e-6)


def test_pixels_cut_off_by_the_crop_have_no_relevance(rng):
    photo = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = linear_model().explain(photo, "a")
    rows, columns = (
        np.flatnonzero(np.abs(found.relevance).sum(1)),
        np.flatnonzero(np.abs(found.relevance).sum(0)),
    )
    # the crop is rows 6 .. 25 and columns 4 .. 27 of 32; a filter of support 2 reaches one pixel further
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (11, 52, 7, 56)


def test_the_box_rule_knows_black_and_white(photo):
    """z^B with the bounds given is z^B with the bounds of the preprocessing."""
    model = initial_network("small-cnn", ["a", "b"])
    low, high = (torch.from_numpy(bound) for bound in model.preprocess.value_range())
    explicit = composite("epsilon-gamma-box").extended(first=ZBox(low=low, high=high))
    first = model.explain(photo, "a", rule="epsilon-gamma-box")
    np.testing.assert_allclose(first.relevance, model.explain(photo, "a", rule=explicit).relevance, atol=1e-7)


def test_unknown_names(photo):
    model = linear_model()
    with pytest.raises(ConfigError, match="unknown class 'd'"):
        model.explain(photo, "d")
    with pytest.raises(ConfigError, match="unknown composite 'sum'"):
        model.explain(photo, "a", rule="sum")
    with pytest.raises(ConfigError, match="epsilon cannot be set for the explanation of a network"):
        model.explain(photo, "a", epsilon=100.0)
    assert model.look([photo]).explain([[]]) == [[]]


def test_what_lies_on_padding_is_booked_and_draws_no_line():
    """Every input pixel of a linear model has a relevance of its own; those of padding are no photo's."""
    photo = np.full((20, 40, 3), 200, dtype=np.uint8)
    preprocess = Preprocess(input_size=(40, 40), resize_length=40, resize="longest+pad", scale=1 / 255)
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 40 * 40, 1, bias=False)).double()
    nn.init.constant_(module[1].weight, 0.01)
    module[1].weight.data.view(3, 40, 40)[:, 30:] = -1.0  # the padding below speaks against the class
    model = NetworkClassifier(module, ["a"], preprocess, dtype=torch.float64)
    found = model.explain(photo, "a", rule="epsilon")
    value = 200 / 255
    on_padding = 3 * value * (10 * 40 * 0.01 - 10 * 40 * 1.0)
    assert found.ledger.taken["padding"] == pytest.approx(on_padding, rel=1e-5)
    assert found.ledger.pixels == pytest.approx(3 * value * 20 * 40 * 0.01, rel=1e-5)
    assert found.ledger.score == pytest.approx(found.ledger.pixels + on_padding, rel=1e-5)
    np.testing.assert_allclose(found.relevance, 3 * value * 0.01, rtol=1e-4)
    heatmap = found.heatmap()
    assert (heatmap == heatmap[0, 0]).all(), "its scale is that of the photo, too"
    assert found.caveat.startswith("only 2.1 % of the score reached the photo, most went to the margin")


def test_without_padding_nothing_is_booked_as_such(photo):
    model = linear_model()
    assert "padding" in model.explain(photo, "a").ledger.taken
    model.preprocess = model.preprocess.with_resize("shortest")
    assert "padding" not in model.explain(photo, "a").ledger.taken


def test_a_fallback_is_part_of_the_rule_and_named(photo):
    class Odd(nn.Module):
        def forward(self, x):
            return torch.exp(x)

    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 24, 3), Odd()).eval()
    model = NetworkClassifier(module, ["a", "b", "c"], INPUT)
    with pytest.raises(ConfigError, match=r"torch\.exp, called in 2 \(Odd\).*suited\+gradient"):
        model.explain(photo, "a")
    for fallback in ("gradient", "pass"):
        found = model.explain(photo, "a", rule=f"epsilon+{fallback}")
        assert found.rule == f"epsilon+{fallback}"
        assert abs(found.ledger.residual) < 1e-4 * max(map(abs, (found.score, *found.ledger.taken.values())))
    with pytest.raises(ConfigError, match="unknown composite 'epsilon\\+grad'"):
        model.explain(photo, "a", rule="epsilon+grad")


def test_the_command_says_how_little_a_heatmap_shows(photo, tmp_path):
    model = initial_network("small-cnn", ["a", "b"])
    with torch.no_grad():
        model.module.head.bias += torch.tensor([1000.0, 0.0])  # nearly all of f_a
    folder, picture = model.save(tmp_path / "model"), tmp_path / "photo.png"
    Image.fromarray(photo).save(picture)
    arguments = ["explain", str(folder), str(picture), "--class", "a", "--workers", "1", "--out"]
    found = CliRunner().invoke(app, [*arguments, str(tmp_path / "out"), "--rule", "suited+gradient"])
    assert found.exit_code == 0, found.output
    said = " ".join(found.output.split())
    assert "photo, a: only 0." in said
    assert "most went to fixed numbers inside the model (biases): colours show where the model looked" in said
    printed = CliRunner().invoke(app, [*arguments, str(tmp_path / "other"), "--json", "-"])
    (row,) = json.loads(printed.stdout)["explanations"]
    assert row["caveat"].startswith("only 0.")
    assert row["rule"] == "epsilon-plus-flat"
