"""A network that ends in a sigmoid or softmax is scored and explained before it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pfungst.errors import ConfigError
from pfungst.network import NetworkClassifier, Preprocess, lrp, train_network

INPUT = Preprocess(input_size=(8, 8), resize="warp", resize_length=8, scale=1 / 255)


class Halves(nn.Module):
    """The left half votes for, the right half against class a: f_a = 0.01 (Σ left − Σ right)."""

    def __init__(self, end, outputs=2):
        super().__init__()
        self.fc, self.end = nn.Linear(3 * 8 * 8, outputs, bias=False), end
        weight = torch.full((3, 8, 8), 0.01)
        weight[:, :, 4:] *= -1
        self.fc.weight.data = torch.stack([weight.flatten(), -weight.flatten()])[:outputs]

    def forward(self, x):
        return self.end(self.fc(x.flatten(1)))


ENDS = {
    "sigmoid": torch.sigmoid,
    "softmax": lambda z: torch.softmax(z, 1),
    "log_softmax": lambda z: F.log_softmax(z, dim=-1),
    "method": lambda z: z.sigmoid(),
    "in place": lambda z: z.sigmoid_(),
    "module": nn.Sequential(nn.Dropout(), nn.Softmax(1)),
    "logsigmoid": F.logsigmoid,
    "hardsigmoid": F.hardsigmoid,
    "special": torch.special.expit,
    "before view": lambda z: torch.softmax(z[:, :, None, None], 1).view(len(z), -1),
    "before flatten": lambda z: torch.sigmoid(z[:, :, None]).flatten(1),
    "before an index": lambda z: torch.sigmoid(torch.cat([z, z], 1))[:, 2:],
    "before squeeze": lambda z: torch.softmax(z[:, :, None, None], 1).squeeze(-1).squeeze(-1),
    "in a map": lambda z: z[:, :, None, None].softmax(1),
    "log of softmax": lambda z: torch.softmax(z, 1).log(),
    "clamped": lambda z: torch.sigmoid(z).clamp(1e-6, 1 - 1e-6),
    "exp of log": lambda z: F.log_softmax(z, 1).exp(),
}


def photo(left, right):
    image = np.full((8, 8, 3), left, np.uint8)
    image[:, 4:] = right
    return image


def wrapped(module, classes=("a", "b"), **options):
    with pytest.warns(UserWarning, match="which is left out: scores, thresholds and heatmaps are those of"):
        return NetworkClassifier(module.eval(), classes, INPUT, **options)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("left", "right"), [(200, 100), (100, 200)])
def test_signs_and_scores_are_those_of_the_raw_scores(end, left, right):
    image = photo(left, right)
    raw = NetworkClassifier(Halves(nn.Identity()).eval(), ["a", "b"], INPUT)
    model = wrapped(Halves(ENDS[end]))
    np.testing.assert_allclose(model.scores([image]), raw.scores([image]), rtol=1e-6)
    np.testing.assert_array_equal(model.predict([image]), raw.predict([image]))
    for name in ("a", "b"):
        found, wanted = (item.explain(image, name, rule="epsilon") for item in (model, raw))
        assert found.score == pytest.approx(model.scores([image])[0, model.classes.index(name)], rel=1e-6)
        np.testing.assert_allclose(found.relevance, wanted.relevance, atol=1e-6)
        assert (found.relevance[:, :4].sum() > 0) == (name == "a")
        assert abs(found.ledger.residual) < 1e-5


def test_it_is_said_once_and_kept_with_the_model(tmp_path):
    model = wrapped(Halves(torch.sigmoid))
    assert model.left_out == ("sigmoid",)
    folder = model.save(tmp_path / "model")
    again = NetworkClassifier.load(folder, module=Halves(torch.sigmoid))  # a warning would be an error
    np.testing.assert_array_equal(again.scores([photo(9, 8)]), model.scores([photo(9, 8)]))
    assert "left_out" not in again.info
    assert again.with_thresholds([1.0, 2.0]).with_views("sliding").left_out == ("sigmoid",)


def test_a_sigmoid_within_the_network_is_none_at_its_end():
    class Gated(Halves):
        def forward(self, x):
            z = self.fc(x.flatten(1))
            return z * torch.sigmoid(z)

    model = NetworkClassifier(Gated(None).eval(), ["a", "b"], INPUT)
    assert model.left_out == ()
    scores = model.scores([photo(200, 100)])
    assert model.explain(photo(200, 100), "b").score == pytest.approx(scores[0, 1])


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("end", [nn.Identity(), nn.Sigmoid()])
def test_one_number_for_two_classes_is_the_score_of_the_second(flat, end):
    class One(Halves):
        def forward(self, x):
            z = super().forward(x)
            return z[:, 0] if flat else z

    module = One(end, outputs=1).eval()
    if isinstance(end, nn.Sigmoid):
        model = wrapped(module, ("b", "a"))
    else:
        model = NetworkClassifier(module, ["b", "a"], INPUT)
    two = NetworkClassifier(Halves(nn.Identity()).eval(), ["a", "b"], INPUT)
    image = photo(120, 60)
    np.testing.assert_allclose(model.scores([image]), two.scores([image])[:, ::-1], rtol=1e-6)
    for name in ("a", "b"):
        found, wanted = (item.explain(image, name, rule="epsilon") for item in (model, two))
        np.testing.assert_allclose(found.relevance, wanted.relevance, atol=1e-6)
        assert found.score == pytest.approx(wanted.score)
        assert abs(found.ledger.residual) < 1e-6


def test_one_class_and_one_number():
    model = NetworkClassifier(Halves(lambda z: z[:, 0], outputs=1).eval(), ["a"], INPUT)
    image = photo(120, 60)
    assert model.explain(image, "a", rule="epsilon").score == pytest.approx(model.scores([image])[0, 0])
    wide = NetworkClassifier(Halves(lambda z: z[:, :1], outputs=2).eval(), list("abc"), INPUT)
    with pytest.raises(ConfigError, match=r"output is \(1, 1\) for 3 classes"):
        wide.scores([image])


def test_probabilities_are_not_trained(colour_photos):
    class Squashed(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3 * 8 * 8, 3)

        def forward(self, x):
            return torch.sigmoid(self.head(x.flatten(1)))

    model = wrapped(Squashed(), colour_photos.classes)
    with pytest.raises(ConfigError, match="ends in sigmoid: a hinge loss needs raw scores"):
        train_network(model, colour_photos.split("train"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_raw_scores_from_the_engine(dtype):
    net, x = Halves(ENDS["before flatten"]).to(dtype).eval(), torch.rand(3, 3, 8, 8, dtype=dtype)
    result = lrp.relevance(net, x, [0, 1, 0], composite="epsilon")
    raw = net.fc(x.flatten(1)).detach()
    torch.testing.assert_close(result.outputs, raw)
    torch.testing.assert_close(result.scores, raw[range(3), [0, 1, 0]])
    weights = net.fc.weight.detach()[[0, 1, 0]].view_as(x)
    torch.testing.assert_close(result.relevance, weights * x, rtol=1e-3, atol=1e-5)
