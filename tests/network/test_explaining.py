"""Explanations of networks in the photo's own pixels."""

import numpy as np
import pytest
import torch
from torch import nn

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
