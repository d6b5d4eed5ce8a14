import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from pfungst.contract import Explanation, Ledger
from pfungst.contract.heatmap import colours, scaled
from pfungst.errors import ConfigError


def explanation(height=30, width=50, **changes):
    relevance = np.random.default_rng(0).normal(size=(height, width))
    fields = {
        "image_id": "2007_000032",
        "class_name": "horse",
        "score": 1.25,
        "rule": "epsilon=100",
        "relevance": relevance,
        "ledger": Ledger(score=1.25, pixels=1.0, taken={"stabiliser": 0.2, "bias": 0.04}),
        "layers": {"dimensions": np.arange(6.0).reshape(2, 3).T, "count": np.int32([3])},
    }
    return Explanation(**(fields | changes))


def test_ledger_accounts_for_all_of_the_score():
    ledger = explanation().ledger
    assert ledger.residual == pytest.approx(0.01)
    stated = ledger.as_dict()
    assert stated["score"] == stated["pixels"] + sum(stated["taken"].values()) + stated["residual"]
    assert Ledger(score=2.0, pixels=2.0).residual == 0


def test_explanations_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        explanation().score = 2


def test_heatmap_has_the_photos_shape():
    found = explanation()
    np.testing.assert_array_equal(found.heatmap(), colours(scaled(found.relevance)))
    assert found.heatmap().shape == (30, 50, 3)


def find(canvas, tile):
    """Column at which a tile stands in the picture, or None."""
    height, width = tile.shape[:2]
    for top in range(canvas.shape[0] - height + 1):
        for left in range(canvas.shape[1] - width + 1):
            if np.array_equal(canvas[top : top + height, left : left + width], tile):
                return left
    return None


def test_picture_holds_photo_heatmap_and_overlay_in_a_row(tmp_path):
    photo = np.random.default_rng(1).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    found = explanation()
    target = found.save(tmp_path / "new" / "picture.png", photo)
    canvas = np.asarray(Image.open(target))
    assert find(canvas, photo) < find(canvas, found.heatmap())
    alone = np.asarray(found.draw())
    assert find(alone, found.heatmap()) is not None
    assert alone.shape[1] == 180, "wide enough for caption and legend"


def test_one_pixel_and_all_zero_relevance_can_be_drawn():
    assert explanation(1, 1).draw(np.zeros((1, 1, 3), np.uint8)).size[0] == 180
    assert (explanation(relevance=np.zeros((4, 5))).heatmap() == 255).all()


def test_photo_of_another_size_is_refused():
    with pytest.raises(ConfigError, match="a photo of shape"):
        explanation().draw(np.zeros((31, 50, 3), np.uint8))


def test_numbers_and_arrays_are_saved(tmp_path):
    found = explanation()
    target = found.save_arrays(tmp_path / "new" / "arrays.safetensors")
    with safe_open(target, "np") as stored:
        assert set(stored.keys()) == {"relevance", "dimensions", "count"}
        np.testing.assert_array_equal(stored.get_tensor("relevance"), found.relevance)
        np.testing.assert_array_equal(stored.get_tensor("dimensions"), found.layers["dimensions"])
        assert json.loads(stored.metadata()["explanation"]) == found.as_dict()
    assert found.as_dict()["ledger"]["taken"] == {"stabiliser": 0.2, "bias": 0.04}
    assert (found.as_dict()["height"], found.as_dict()["width"]) == (30, 50)


@pytest.mark.parametrize(
    ("score", "pixels", "taken", "words"),
    [
        (2.0, 2.0, {}, ""),
        (2.0, 0.2, {"bias": 1.8}, ""),
        (2.0, 0.19, {"bias": 1.81}, "only 9.5 % of the score reached the photo, most went to fixed numbers"),
        (-2.0, -0.002, {"bias": -1.0, "padding": -0.998}, "only 0.1 % of the score reached the photo"),
        (2.0, 0.0, {"bias": -3.0, "linearisation": 5.0}, "most went to steps that are only approximated"),
        (2.0, 0.1, {"zero": 1.9}, "most went to parts of the model whose inputs come to nothing"),
        (2.0, 0.1, {"something": 1.9}, "most went to something: colours show where"),
        (2.0, 0.0, {}, "the account does not close: +2 of the score +2 went nowhere"),
        (2.0, 1.5, {"bias": 0.4}, "the account does not close: +0.1 of"),
        (0.0, 0.0, {}, ""),
        (2.0, 1.0, {"threshold": 1.0}, ""),
    ],
)
def test_a_heatmap_of_little_of_the_score_says_so(score, pixels, taken, words):
    ledger = Ledger(score=score, pixels=pixels, taken=taken)
    found = replace(explanation(), ledger=ledger)
    assert words in found.caveat
    assert bool(found.caveat) == bool(words)
    assert found.as_dict()["caveat"] == found.caveat
    assert (found.caveat in repr(found)) or not words
    plain = replace(found, ledger=Ledger(score=score, pixels=score)).draw()
    assert (found.draw().height > plain.height) == bool(words)


def test_taking_the_threshold_off_changes_no_share():
    found = replace(explanation(), ledger=Ledger(score=1.0, pixels=0.05, taken={"bias": 0.95}))
    assert found.from_threshold(0.7).caveat == found.caveat != ""
