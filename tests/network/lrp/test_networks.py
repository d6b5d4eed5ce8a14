"""Networks as people write them: residuals, functional calls, shared layers, gates, inception."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pfungst.network import lrp

EXACT = lrp.Composite(
    name="exact",
    types={kind: lrp.Epsilon(epsilon=1e-12) for kind in ("convolution", "linear", "sum", "avg_pool")},
)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.inner = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 4, bias=False)

    def forward(self, x):
        h = self.act(self.stem(x))
        h = h + self.act(self.inner(h))
        h += self.inner(h)
        return self.head(F.relu(h, inplace=True).mean((2, 3)))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, bias=False)
        self.one = nn.Conv2d(4, 3, 1, bias=False)
        self.three = nn.Conv2d(4, 3, 3, padding=1, bias=False)
        self.norm = nn.LocalResponseNorm(3, alpha=0.5, beta=0.75, k=1.5)
        self.head = nn.Linear(10, 4, bias=False)

    def forward(self, x):
        h = self.norm(torch.relu(self.stem(x)))
        pooled = F.max_pool2d(h, 3, stride=1, padding=1)
        h = torch.cat([self.one(h).relu(), F.relu(self.three(h)), pooled], dim=1)
        h = F.avg_pool2d(h, 2, ceil_mode=True)
        return self.head(F.adaptive_avg_pool2d(h, 1).view(h.size(0), -1))


def made(kind, dtype=torch.float64):
    torch.manual_seed(11)
    return kind().to(dtype).eval(), torch.randn(3, 3, 9, 8, dtype=dtype)


@pytest.mark.parametrize("kind", [Residual, Inception])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_networks_without_bias_conserve(kind, dtype):
    net, x = made(kind, dtype)
    for rules in (EXACT, EXACT.extended(types={"lrn": lrp.Taylor(epsilon=1e-12)})):
        result = lrp.relevance(net, x, [0, 1, 2], composite=rules)
        sums = result.relevance.sum(dim=(1, 2, 3))
        torch.testing.assert_close(sums, result.scores, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(result.scores, net(x)[range(3), range(3)], rtol=1e-5, atol=1e-6)


def test_epsilon_zero_is_input_times_gradient_in_a_piecewise_linear_network():
    net, x = made(
        lambda: nn.Sequential(
            nn.Conv2d(3, 5, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(45, 4)
        )
    )
    result = lrp.relevance(net, x, 2, composite=EXACT)
    v = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(v)[:, 2].sum(), v)
    torch.testing.assert_close(result.relevance, gradient * x, rtol=1e-6, atol=1e-9)


def test_the_network_is_left_as_it_was():
    net, x = made(Residual)
    before, kept = net(x), x.clone()
    lrp.relevance(net, x, 0)
    assert torch.equal(net(x), before)
    assert torch.equal(x, kept)
    assert not net._forward_hooks
    assert not net.stem._forward_pre_hooks
    assert net.stem.weight.requires_grad


@pytest.mark.parametrize("name", lrp.COMPOSITES)
def test_named_composites_close_their_ledger(name):
    for kind in (Residual, Inception):
        net, x = made(kind)
        result = lrp.relevance(net, x, [[0, 1], [2, 3], [1, 1]], composite=name, input_bounds=(-9.0, 9.0))
        assert result.relevance.shape == (3, 2, 3, 9, 8)
        assert result.ledger.residual.abs().max() < 1e-10
        one = lrp.relevance(net, x[1:2], 3, composite=name, input_bounds=(-9.0, 9.0))
        torch.testing.assert_close(result.relevance[1, 1], one.relevance[0], rtol=1e-9, atol=1e-10)


class Normalised(nn.Module):
    def __init__(self, pad=False):
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1)) if pad else nn.Identity()
        self.norm = nn.BatchNorm2d(4)
        self.conv = nn.Conv2d(3, 4, 3, bias=True)
        self.act = nn.ReLU6(inplace=True)
        self.head = nn.Linear(4, 4)

    def forward(self, x):
        return self.head(self.act(self.norm(self.conv(self.pad(x)))).mean([2, 3]))


def randomised(net):
    net.norm.running_mean.normal_()
    net.norm.running_var.uniform_(0.5, 2)
    nn.init.normal_(net.norm.weight)
    nn.init.normal_(net.norm.bias)
    return net


@pytest.mark.parametrize("name", lrp.COMPOSITES)
def test_batch_norm_and_padding_merge_into_the_convolution(name):
    net, x = made(lambda: Normalised(pad=True))
    randomised(net)
    norm = net.norm
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    folded = nn.Conv2d(3, 4, 3, padding=1, dtype=torch.float64)
    folded.weight.data = net.conv.weight.data * scale[:, None, None, None].detach()
    folded.bias.data = ((net.conv.bias - norm.running_mean) * scale + norm.bias).detach()
    crop = lambda h: h[:, :, 1:, 1:]  # noqa: E731 - padding of one on two sides is that of four, cropped

    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = folded, net.head

        def forward(self, x):
            return self.head(F.relu6(crop(self.conv(x))).mean([2, 3]))

    options = {"composite": name, "input_bounds": (-9.0, 9.0)}
    got = lrp.relevance(net, x, 1, **options)
    wanted = lrp.relevance(Folded().eval(), x, 1, **options)
    torch.testing.assert_close(got.relevance, wanted.relevance, rtol=1e-9, atol=1e-10)
    assert "with norm: batch_norm" in got.table()
    assert "first" in got.table()


def test_shared_batch_norm_input_does_not_merge():
    class Two(Normalised):
        def forward(self, x):
            h = self.conv(x)
            return self.head((self.norm(h) + h).relu().mean([2, 3]))

    net, x = made(Two)
    randomised(net)
    result = lrp.relevance(net, x, 0, composite="epsilon")
    assert result.ledger.residual.abs().max() < 1e-10
    rules = {item.operation: item for item in result.assignments}
    assert rules["conv2d"].merged == ()
    assert rules["batch_norm"].rule == "Epsilon(epsilon=1e-06)"


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.squeeze = nn.Linear(4, 4)
        self.head = nn.Linear(4, 4, bias=False)

    def forward(self, x):
        h = F.silu(self.conv(x))
        gate = self.squeeze(h.pow(2).mean((2, 3))).cumsum(1).sigmoid()
        return F.softmax(self.head((gate[:, :, None, None] * h).flatten(2).mean(2)), dim=1)


def test_a_gate_is_a_constant_and_a_last_softmax_is_skipped():
    net, x = made(Gated)
    result = lrp.relevance(net, x, 1, composite=EXACT)
    torch.testing.assert_close(result.relevance.sum((1, 2, 3)), result.scores, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(result.outputs.softmax(1), net(x))
    assert "gate" in result.table()


def test_first_is_first_in_data_flow_not_in_definition_order():
    net, x = made(Normalised)
    result = lrp.relevance(net, x, 0)
    assert [(item.layer, item.first) for item in result.assignments] == [
        ("conv", True),
        ("(network)", False),
        ("head", False),
    ]
    assert result.assignments[0].rule == "Flat()"


def test_own_composites_by_type_and_by_name():
    net, x = made(Residual)
    mine = lrp.composite("epsilon").extended(
        names={"inner": lrp.ZPlus()}, types={nn.Conv2d: lrp.Gamma()}, name="mine"
    )
    result = lrp.relevance(net, x, 0, composite=mine)
    rules = {item.layer: item.rule for item in result.assignments}
    assert rules["inner"].startswith("ZPlus")
    assert rules["stem"].startswith("Gamma")
    assert rules["head"].startswith("Epsilon")
    assert result.table().startswith("composite mine")
    assert "residual" in result.ledger.table(0)


class Odd(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.body = nn.ModuleDict({"step": Step(step)})
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.body["step"](x))


class Step(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        return self.step(x)


@pytest.mark.parametrize(
    ("step", "operation"),
    [
        (lambda x: x.cumsum(1), "torch.Tensor.cumsum"),
        (lambda x: torch.log_softmax(x, 1), "torch.log_softmax"),
        (lambda x: x * torch.exp(x), "torch.exp"),
        (lambda x: 1 / x, "torch.Tensor.__rtruediv__"),
        (torch.exp, "torch.exp"),
    ],
)
def test_unknown_operations_are_named_with_their_module(step, operation):
    net, x = Odd(step).eval(), torch.rand(2, 5) + 0.1
    with pytest.raises(lrp.UnsupportedOperationError) as caught:
        lrp.relevance(net, x, 0)
    assert caught.value.operation == operation
    assert caught.value.module == "body.step (Step)"
    assert "fallback" in str(caught.value)
    for fallback in ("gradient", "pass"):
        result = lrp.relevance(net, x, 0, fallback=fallback)
        assert result.ledger.residual.abs().max() < 1e-5
        assert result.composite.endswith(f"+{fallback}")
        named = lrp.relevance(net, x, 0, composite=f"suited+{fallback}")
        torch.testing.assert_close(named.relevance, result.relevance)
        assert named.composite == result.composite


def test_reading_a_tensor_after_a_view_of_it_changed_is_an_error_not_a_wrong_answer():
    def aliased(x):
        y = x * 2
        y.view(-1).relu_()
        return y

    def view_of_a_constant(x):
        y = torch.zeros(2, 5)
        y[:, 1:].copy_(x[:, 1:])
        return y + x

    for step in (aliased, view_of_a_constant):
        with pytest.raises(lrp.UnsupportedOperationError, match=r"overwrites a tensor|changed in place"):
            lrp.relevance(Odd(step).eval(), torch.rand(2, 5), 0)


def test_wrong_calls_say_what_is_wrong():
    net, x = made(Residual)
    cases = [
        (lambda: lrp.relevance(net, x), "which output to explain is not stated"),
        (lambda: lrp.relevance(net, x, 4), "targets from 4 to 4.*0 to 3"),
        (lambda: lrp.relevance(net, x, [0, 1]), r"targets \(2,\) for 3 images"),
        (lambda: lrp.relevance(net, x, 0.5), "targets of torch.float32"),
        (lambda: lrp.relevance(net, x * torch.nan, 0), "inputs hold NaN"),
        (lambda: lrp.relevance(net, x.float(), 0), "inputs of torch.float32"),
        (lambda: lrp.relevance(net, x[0, 0, 0], 0), r"inputs \(8,\)"),
        (lambda: lrp.relevance(net, x, output_relevance=x), "output_relevance"),
        (lambda: lrp.relevance(net, x, 0, composite="epsilon-gamma-box"), "input_bounds"),
        (
            lambda: lrp.relevance(net, x, 0, composite="epsilon-gamma-box", input_bounds=(0.0, 1.0)),
            "leaves the box",
        ),
        (lambda: lrp.relevance(net.train(), x, 0), "training mode"),
    ]
    for call, words in cases:
        with pytest.raises(lrp.LrpError, match=words):
            call()


def test_active_dropout_is_refused():
    net = nn.Sequential(Step(F.dropout), nn.Linear(5, 2)).eval()
    with pytest.raises(lrp.LrpError, match="works in training mode"):
        lrp.relevance(net, torch.rand(2, 5), 0)


def test_relevance_beyond_the_floating_range_is_an_error():
    net = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU()).eval()
    net[0].weight.data = torch.tensor([[1.0, -0.99999]])
    x, r = torch.ones(1, 2), torch.tensor([[3e38]])
    with pytest.raises(lrp.LrpError, match=r"NaN or infinite from 0 \(linear, Epsilon(.|\n)* larger epsilon"):
        lrp.relevance(net, x, output_relevance=r, composite="epsilon")
