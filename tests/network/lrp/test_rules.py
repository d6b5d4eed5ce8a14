"""Every rule of weighted layers against its explicit matrix form in float64."""

import pytest
import torch
from torch import nn

from pfungst.network import lrp

LAYERS = {
    "conv": lambda: nn.Conv2d(3, 4, 3, padding=1),
    "strided": lambda: nn.Conv2d(3, 5, (3, 2), stride=(2, 1), padding=(1, 0)),
    "grouped": lambda: nn.Conv2d(4, 6, 3, groups=2, padding=1),
    "dilated": lambda: nn.Conv2d(3, 4, 3, dilation=2, padding="same"),
    "transposed": lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1),
    "conv1d": lambda: nn.Conv1d(3, 4, 3, padding=1),
    "linear": lambda: nn.Linear(7, 4),
}
SHAPES = {"conv1d": (3, 3, 6), "linear": (3, 7), "grouped": (3, 4, 5, 6)}
RULES = [
    lrp.Zero,
    lrp.Epsilon(epsilon=0.3),
    lrp.Epsilon(epsilon=0.3, bias="exclude"),
    lrp.Gamma(gamma=0.7, epsilon=0.1),
    lrp.Gamma(gamma=0.7, epsilon=0.1, bias="exclude"),
    lrp.AlphaBeta(alpha=2, beta=-1, epsilon=0.1),
    lrp.AlphaBeta(alpha=1.5, beta=-0.5, epsilon=0.0, bias="exclude"),
    lrp.ZPlus(epsilon=0.2),
    lrp.ZPlus(epsilon=0.2, bias="exclude"),
    lrp.WSquare(),
    lrp.Flat(),
    lrp.ZBox(low=-5.0, high=6.0, epsilon=0.2),
]


def stable(z, epsilon):
    return torch.where(z >= 0, z + epsilon, z - epsilon)


def shared(contributions, denominator, relevance):
    """R_i = Σ_j z_ij / d_j R_j, with nothing where d_j = 0."""
    quotient = torch.where(denominator == 0, 0.0, relevance / denominator)
    return contributions @ quotient


def twin(rule, weight, bias, a, r):  # noqa: PLR0911
    """One image: weight (J, I), bias (J,), a (I,), r (J,) -> R (I,); z_ij as a matrix (I, J)."""
    z_ij = (weight * a).T
    b = torch.zeros_like(bias) if getattr(rule, "bias", "absorb") == "exclude" else bias
    up, down, b_up, b_down = z_ij.clamp(min=0), z_ij.clamp(max=0), b.clamp(min=0), b.clamp(max=0)
    z = z_ij.sum(0) + b
    match rule:
        case lrp.Epsilon():
            return shared(z_ij, stable(z, rule.epsilon), r)
        case lrp.Gamma():
            sign = z >= 0
            stressed = z_ij + rule.gamma * torch.where(sign, up, down)
            total = stressed.sum(0) + b + rule.gamma * torch.where(sign, b_up, b_down)
            return shared(stressed, stable(total, rule.epsilon), r)
        case lrp.AlphaBeta():
            plus, minus = up.sum(0) + b_up, down.sum(0) + b_down
            return shared(up, stable(plus, rule.epsilon), rule.alpha * r) + shared(
                down, torch.where(minus == 0, 0.0, stable(minus, rule.epsilon)), rule.beta * r
            )
        case lrp.ZPlus():
            return shared(up, stable(up.sum(0) + b_up, rule.epsilon), r)
        case lrp.WSquare():
            return shared((weight**2).T, (weight**2).sum(1), r)
        case lrp.Flat():
            fed = (weight != 0).T.double()
            return shared(fed, fed.sum(0), r)
        case lrp.ZBox():
            box = z_ij - (rule.low * weight.clamp(min=0) + rule.high * weight.clamp(max=0)).T
            return shared(box, stable(box.sum(0), rule.epsilon), r)
    raise AssertionError(rule)


def matrix_of(layer, x):
    """The layer as (J, I) and (J,), from its Jacobian."""
    one = torch.zeros_like(x[:1])
    bias = layer(one).detach().flatten()
    weight = torch.autograd.functional.jacobian(lambda v: layer(v).flatten(), one)
    return weight.reshape(bias.numel(), -1), bias


@pytest.mark.parametrize("signs", ["nonnegative", "both"])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_rule_equals_its_matrix_form(kind, signs):
    torch.manual_seed(3)
    layer = LAYERS[kind]().double().eval()
    x = torch.randn(SHAPES.get(kind, (3, 3, 5, 6)), dtype=torch.float64)
    x = x.clamp(min=0) if signs == "nonnegative" else x
    r = torch.randn_like(layer(x))
    weight, bias = matrix_of(layer, x)
    for rule in RULES:
        mine = lrp.Composite(name="one", types={"convolution": rule, "linear": rule})
        result = lrp.relevance(layer, x, output_relevance=r, composite=mine)
        wanted = torch.stack(
            [twin(rule, weight, bias, a.flatten(), one.flatten()) for a, one in zip(x, r, strict=True)]
        )
        torch.testing.assert_close(result.relevance.flatten(1), wanted, rtol=1e-9, atol=1e-9, msg=str(rule))
        assert result.ledger.residual.abs().max() < 1e-9, str(rule)
        for row in result.ledger.rows:
            assert row.residual.abs().max() < 1e-9


@pytest.mark.parametrize("rule", RULES[1:], ids=str)
def test_single_precision_agrees_with_double(rule):
    torch.manual_seed(5)
    layer = nn.Conv2d(3, 16, 3, padding=1).eval()
    x, r = torch.rand(2, 3, 64, 64), torch.randn(2, 16, 64, 64)
    mine = lrp.Composite(name="one", types={"convolution": rule})
    single = lrp.relevance(layer, x, output_relevance=r, composite=mine)
    double = lrp.relevance(layer.double(), x.double(), output_relevance=r.double(), composite=mine)
    scale = double.relevance.abs().max()
    assert (single.relevance - double.relevance).abs().max() < 2e-4 * scale
    sent = r.abs().sum(dim=(1, 2, 3))
    assert (single.ledger.residual.abs() < 1e-5 * sent).all()


def test_bias_and_stabiliser_are_reported_by_cause():
    layer = nn.Linear(2, 1).double().eval()
    layer.weight.data[:], layer.bias.data[:] = torch.tensor([[1.0, 2.0]]), torch.tensor([1.0])
    x = torch.tensor([[3.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    ledger = lrp.relevance(layer, x, 0, composite=epsilon_one()).ledger
    torch.testing.assert_close(ledger.taken["bias"], torch.tensor([4 / 5, 0.0], dtype=torch.float64))
    torch.testing.assert_close(ledger.taken["stabiliser"], torch.tensor([4 / 5, 0.0], dtype=torch.float64))
    entry = ledger.sample(0)
    assert entry.score == 4
    assert abs(entry.pixels - 12 / 5) < 1e-12
    assert abs(entry.residual) < 1e-12


def epsilon_one():
    return lrp.Composite(name="one", types={"linear": lrp.Epsilon(epsilon=1.0)})


def test_relevance_of_zero_denominators_is_reported():
    layer = nn.Linear(2, 1, bias=False).double().eval()
    x = torch.zeros(1, 2, dtype=torch.float64)
    r = torch.tensor([[2.5]], dtype=torch.float64)
    ledger = lrp.relevance(layer, x, output_relevance=r, composite="epsilon").ledger
    assert float(ledger.taken["zero"]) == 2.5
    assert float(ledger.residual) == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: lrp.Epsilon(epsilon=-1), "epsilon ≥ 0"),
        (lambda: lrp.AlphaBeta(alpha=2, beta=1), r"alpha \+ beta = 1"),
        (lambda: lrp.Composite(name="x", types={"max_pool": lrp.Flat()}), "WinnerTakesAll, Proportional"),
        (lambda: lrp.Composite(name="x", types={"convolutions": lrp.Flat()}), "unknown kind of operation"),
        (lambda: lrp.composite("lrp"), "epsilon-plus-flat"),
    ],
)
def test_impossible_rules_are_refused(make, words):
    with pytest.raises(
        lrp.LrpError if "unknown" not in words and "flat" not in words else Exception, match=words
    ):
        make()
