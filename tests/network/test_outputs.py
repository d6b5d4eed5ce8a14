"""What networks answer with: tensor, tuple, dict, one number a photo."""

import numpy as np
import pytest
import torch
from torch import nn

from pfungst.errors import ConfigError
from pfungst.network import NetworkClassifier, Preprocess
from pfungst.network.outputs import class_scores

SCORES = torch.arange(6.0).reshape(2, 3)
HIDDEN = torch.zeros(2, 5, 4, 4)


@pytest.mark.parametrize(
    "answer",
    [
        SCORES,
        (SCORES, HIDDEN),
        [HIDDEN, SCORES],
        {"logits": SCORES, "hidden": HIDDEN},
        {"anything": SCORES, "features": HIDDEN},
        {"out": SCORES, "aux": SCORES + 1},
        ({"logits": SCORES}, HIDDEN),
    ],
)
def test_scores_are_found(answer):
    assert torch.equal(class_scores(answer), SCORES)


def test_one_number_a_photo_is_a_column():
    assert class_scores(torch.ones(4)).shape == (4, 1)


@pytest.mark.parametrize("answer", [None, (), "scores", {"a": SCORES, "b": SCORES}, {"a": HIDDEN}])
def test_what_is_not_clear_is_refused(answer):
    with pytest.raises(ConfigError, match="the network's output is"):
        class_scores(answer)


class Answering(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.layer, self.form = nn.Conv2d(3, 2, 5), form

    def forward(self, x):
        scores = self.layer(x).relu().mean((2, 3))
        return {"tensor": scores, "tuple": (scores, x), "dict": {"logits": scores}, "one": scores[:, 0]}[
            self.form
        ]


@pytest.mark.parametrize("form", ["tensor", "tuple", "dict", "one"])
def test_classifiers_score_and_explain(form):
    torch.manual_seed(0)
    classes = ["a"] if form == "one" else ["a", "b"]
    model = NetworkClassifier(Answering(form), classes, Preprocess(input_size=(16, 16), resize_length=18))
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    explanation = model.explain(photo, "a")
    np.testing.assert_allclose(explanation.score, model.scores([photo])[0, 0], rtol=1e-5)
    assert abs(explanation.relevance).sum() > 0
