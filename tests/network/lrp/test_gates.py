"""Gates, products of signals and activations that are not 0 at 0, against gradients of the same network in
which what counts as a constant is detached.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pfungst.network import lrp

WEIGHTED = ("convolution", "linear", "sum", "affine", "avg_pool", "norm", "contraction", "squash")
ZERO = lrp.composite("attnlrp").extended(
    name="zero",
    types={**dict.fromkeys(WEIGHTED, lrp.Epsilon(epsilon=0.0)), "multiplication": lrp.Halves(epsilon=0.0)},
)


class Net(nn.Module):
    """Two branches of one signal, joined by what a test wants."""

    def __init__(self, join):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 4)
        self.a, self.b = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.join = join

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.join(self.a(x), self.b(x)).mean((2, 3)))


def constant(x):
    return x.detach()


def as_is(x):
    return x


def pooled(x):
    return torch.sigmoid(F.avg_pool2d(x, 2))


def gate(make):
    return lambda a, b, keep: a * keep(make(a, b))


def half(a, b, keep):
    y = a * b
    return y if keep is as_is else 0.5 * y + 0.5 * y.detach()


def of_itself(make):
    return lambda a, b, keep: b * keep(make(b))


JOINS = {
    "sigmoid": gate(lambda a, b: torch.sigmoid(b)),
    "tanh": gate(lambda a, b: torch.tanh(b)),
    "shifted tanh": gate(lambda a, b: 1 + b.tanh()),
    "erf": gate(lambda a, b: torch.erf(b)),
    "softmax": gate(lambda a, b: b.softmax(1)),
    "nearest": gate(lambda a, b: F.interpolate(pooled(b), scale_factor=2)),
    "bilinear": gate(lambda a, b: F.interpolate(pooled(b), scale_factor=2, mode="bilinear")),
    "resized, then squashed": gate(
        lambda a, b: torch.sigmoid(F.interpolate(F.avg_pool2d(b, 2), a.shape[2:], mode="bicubic"))
    ),
    "expand_as": gate(lambda a, b: b.mean((2, 3), keepdim=True).sigmoid().expand_as(a)),
    "expand": gate(lambda a, b: b.mean((2, 3), keepdim=True).sigmoid().expand(a.shape)),
    "type_as": gate(lambda a, b: b.sigmoid().type_as(a)),
    "type": gate(lambda a, b: b.sigmoid().type(a.dtype)),
    "to a tensor": gate(lambda a, b: b.sigmoid().to(a)),
    "hard sigmoid of the other": gate(lambda a, b: F.relu6(b + 3) / 6),
    "clipped": gate(lambda a, b: (b / 6 + 0.5).clip(0, 1)),
    "hard swish": of_itself(lambda b: F.relu6(b + 3) / 6),
    "hard swish, clamped": of_itself(lambda b: (3 + b).clamp(min=0, max=6).div(6)),
    "hard swish, hardtanh": of_itself(lambda b: F.hardtanh(b + 3, 0.0, 6.0) / 6),
    "hard swish in two steps": of_itself(lambda b: F.relu(b + 3).clamp(max=6) / 6),
    "hard swish in two other steps": of_itself(lambda b: (b + 3).clamp_max(6).clamp_min(0) / 6),
    "swish": of_itself(torch.sigmoid),
    "mish": of_itself(lambda b: torch.tanh(F.softplus(b))),
    "gelu": of_itself(lambda b: 0.5 * (1 + torch.erf(b / 2**0.5))),
}
PRODUCTS = {
    "plain": lambda x: x,
    "relu6": F.relu6,
    "hardtanh": F.hardtanh,
    "clamp": lambda x: x.clamp(0, 6),
    "relu": F.relu,
    "a shift and one bound": lambda x: (x + 1).clamp(min=0),
}


def explained(join):
    torch.manual_seed(0)
    net = Net(join).eval().requires_grad_(False).double()
    x, target = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.tensor([1, 2])
    return net, x, target, lrp.relevance(net, x, target, composite=ZERO)


def gradient_times_input(net, join, x, target):
    net.join = join
    v = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(v).gather(1, target[:, None]).sum(), v)
    return gradient * x


@pytest.mark.parametrize("name", JOINS)
def test_gates_count_as_constants(name):
    join = JOINS[name]
    net, x, target, result = explained(lambda a, b: join(a, b, as_is))
    wanted = gradient_times_input(net, lambda a, b: join(a, b, constant), x, target)
    torch.testing.assert_close(result.relevance, wanted, rtol=1e-9, atol=1e-14)
    assert (result.ledger.residual.abs() < 1e-13).all()
    assert any(item.rule == "gate" for item in result.assignments)


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_no_gate_shares_with_the_other_factor(name, first):
    """Rectified and clamped signals are signals; both factors get half."""
    part = PRODUCTS[name]

    def activation(x):  # f(0) + x · ratio
        value = part(x)
        start = part(torch.zeros_like(x))
        return value if not x.requires_grad else start + x * ((value - start) / x).detach()

    def order(a, b):
        return (activation(a), b) if first else (b, activation(a))

    net, x, target, result = explained(lambda a, b: half(*order(a, b), as_is))
    wanted = gradient_times_input(net, lambda a, b: half(*order(a, b), constant), x, target)
    torch.testing.assert_close(result.relevance, wanted, rtol=1e-9, atol=1e-14)
    assert not any(item.rule == "gate" for item in result.assignments)


CONSTANTS = {
    "matmul": lambda p, x: (p @ x.flatten(2)).view_as(x),
    "bmm": lambda p, x: torch.bmm(p.expand(len(x), 8, 8), x.flatten(2)).view_as(x),
    "mm": lambda p, x: torch.stack([torch.mm(p, item) for item in x.flatten(2)]).view_as(x),
    "einsum": lambda p, x: torch.einsum("oc,nchw->nohw", p, x),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_times_a_signal_are_a_layer_and_no_product_of_signals(name):
    p = torch.randn(8, 8, dtype=torch.float64)
    net, x, target, result = explained(lambda a, b: CONSTANTS[name](p, b))
    wanted = gradient_times_input(net, net.join, x, target)
    torch.testing.assert_close(result.relevance, wanted, rtol=1e-9, atol=1e-14)
    assert not any("Halves" in item.rule for item in result.assignments)
    assert lrp.relevance(net, x, target).composite == "epsilon-plus-flat"  # nothing of attention is in it


RAISED = {
    "sigmoid": (torch.sigmoid, 0.5),
    "hardsigmoid": (F.hardsigmoid, 0.5),
    "softplus": (F.softplus, 0.6931471805599453),
    "logsigmoid": (F.logsigmoid, -0.6931471805599453),
    "cos": (torch.cos, 1.0),
    "clamp above 0": (lambda x: x.clamp(0.3, 2.0), 0.3),
    "clamp below 0": (lambda x: x.clamp(max=-0.2), -0.2),
    "threshold": (lambda x: F.threshold(x, 0.1, 2.0), 2.0),
    "hardtanh above 0": (lambda x: F.hardtanh(x, 0.25, 1.0), 0.25),
}
FROM_NOTHING = {
    "tanh": torch.tanh, "sin": torch.sin, "log1p": lambda x: torch.log1p(x.relu()), "erf": torch.erf,
    "threshold": lambda x: F.threshold(x, 0.1, 0.0), "clip": lambda x: x.clip(-0.1, 0.4),
    "softsign": F.softsign, "atan": torch.atan,
}  # fmt: skip


@pytest.mark.parametrize("name", RAISED)
def test_what_an_activation_gives_to_nothing_is_a_constant(name):
    """f(x) = f(0) + (f(x) − f(0)): the first takes its share, the second is handed on."""
    part, start = RAISED[name]
    net = (
        nn.Sequential(nn.Linear(6, 5, bias=False), nn.Identity(), nn.Linear(5, 2, bias=False)).double().eval()
    )
    torch.manual_seed(1)
    for layer in (net[0], net[2]):
        nn.init.normal_(layer.weight)

    class Squashed(nn.Module):
        def forward(self, x):
            return part(x)

    net[1] = Squashed().eval()
    x = 0.4 * torch.randn(3, 6, dtype=torch.float64)
    result = lrp.relevance(net, x, 1, composite=ZERO)
    z = net[0](x).detach()
    v = net[2].weight.detach()[1]
    wanted = torch.einsum("nj,ji,ni->ni", (part(z) - start) * v / z, net[0].weight.detach(), x)
    torch.testing.assert_close(result.relevance, wanted, rtol=1e-9, atol=1e-12)
    taken = result.ledger.taken["constant"]
    torch.testing.assert_close(taken, start * v.sum().expand(3), rtol=1e-9, atol=1e-12)
    assert (result.ledger.residual.abs() < 1e-12).all()


@pytest.mark.parametrize("name", FROM_NOTHING)
def test_activations_that_are_0_at_0_hand_all_on(name):
    part = FROM_NOTHING[name]
    net, x, target, result = explained(lambda a, b: part(b))

    def ratio(a, b):
        return b * (part(b) / b).detach()

    torch.testing.assert_close(
        result.relevance, gradient_times_input(net, ratio, x, target), rtol=1e-9, atol=1e-14
    )
    assert set(result.ledger.taken) <= {"bias", "zero", "stabiliser"}


@pytest.mark.parametrize("statistics", [torch.var_mean, torch.std_mean])
@pytest.mark.parametrize(
    ("given", "photos"),
    [(((1,), {"keepdim": True}), 2), ((([1, 2, 3], False, True), {}), 2), (((), {}), 1)],
)
def test_deviation_and_mean_at_once(statistics, given, photos):
    args, options = given

    def standardised(a, b, keep=as_is):
        deviation, mean = statistics(b, *args, **options)
        return (b - mean) / (keep(deviation) + 1e-3)

    net, x, target, _ = explained(lambda a, b: b)
    net.join, x, target = standardised, x[:photos], target[:photos]
    result = lrp.relevance(net, x, target, composite=ZERO)
    wanted = gradient_times_input(net, lambda a, b: standardised(a, b, constant), x, target)
    torch.testing.assert_close(result.relevance, wanted, rtol=1e-8, atol=1e-12)
