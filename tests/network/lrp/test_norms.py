"""Norms that take their statistics from the signal, against the three steps written out as matrices."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pfungst.network import lrp

EPSILON = 0.05


def generic(*shape, seed=7):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Only(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


def back(call, x, r, **types):
    rules = lrp.Composite(name="one", types=types)
    return lrp.relevance(Only(call).eval(), x, output_relevance=r, composite=rules)


def stable(z, epsilon=EPSILON):
    return torch.where(z >= 0, z + epsilon, z - epsilon)


def twin(x, groups, scale, r, *, centred=True, excluded=False):
    """One photo, flat: groups are lists of indices; each step with its own matrix of contributions."""
    relevance = torch.zeros_like(x)
    weight, bias, eps = scale
    for indices in groups:
        a, g, b, part = x[indices], weight[indices], bias[indices], r[indices]
        n = len(indices)
        centring = torch.eye(n).double() - (torch.full((n, n), 1 / n).double() if centred else 0)
        c = centring @ a
        sigma = ((c**2).mean() + eps).sqrt()
        scaled = g * c / sigma  # scale and shift: the ε rule, the shift takes its share
        of_centred = scaled / stable(scaled if excluded else scaled + b) * part
        # division by σ passes relevance; centring: the 0 rule
        relevance[indices] = (centring.T * a[:, None]) @ (of_centred / c)
    return relevance


SHAPE = (3, 6, 2, 4)


def per_channel(values):
    return values[:, None].expand(6, 8).flatten()


def groups_of(kind):
    index = torch.arange(48).view(6, 2, 4)
    if kind in {"layer", "rms"}:
        return [index[c, h].tolist() for c in range(6) for h in range(2)]
    size = {"group": 2, "instance": 1}[kind]
    return [index[c : c + size].flatten().tolist() for c in range(0, 6, size)]


def case(kind):
    """The call, and its weight and bias for each of the 48 numbers of a photo."""
    last, channels = (generic(4, seed=1), generic(4, seed=2)), (generic(6, seed=1), generic(6, seed=2))
    zero = torch.zeros(48).double()
    if kind == "layer":
        return lambda v: F.layer_norm(v, (4,), *last, 0.01), last[0].repeat(12), last[1].repeat(12)
    if kind == "rms":
        return lambda v: F.rms_norm(v, (4,), last[0], 0.01), last[0].repeat(12), zero
    if kind == "group":
        call = lambda v: F.group_norm(v, 3, *channels, 0.01)  # noqa: E731
    else:
        call = lambda v: F.instance_norm(v, None, None, *channels, eps=0.01)  # noqa: E731
    return call, per_channel(channels[0]), per_channel(channels[1])


@pytest.mark.parametrize("policy", ["absorb", "exclude"])
@pytest.mark.parametrize("kind", ["layer", "rms", "group", "instance"])
def test_every_norm_equals_its_three_steps(kind, policy):
    call, weight, bias = case(kind)
    x, r = generic(*SHAPE), generic(*SHAPE, seed=8)
    got = back(call, x, r, norm=lrp.Epsilon(epsilon=EPSILON, bias=policy))
    options = {"centred": kind != "rms", "excluded": policy == "exclude"}
    wanted = torch.stack(
        [twin(a.flatten(), groups_of(kind), (weight, bias, 0.01), one.flatten(), **options)
         for a, one in zip(x, r, strict=True)]
    )  # fmt: skip
    torch.testing.assert_close(got.relevance.flatten(1), wanted, rtol=1e-10, atol=1e-10)
    assert got.ledger.residual.abs().max() < 1e-12


def test_what_the_shift_takes_is_booked_as_bias():
    x, r, shift = generic(*SHAPE), generic(*SHAPE, seed=8), generic(4, seed=2)
    got = back(lambda v: F.layer_norm(v, (4,), None, shift), x, r, norm=lrp.Epsilon(epsilon=0.0))
    y = F.layer_norm(x, (4,), None, shift)
    torch.testing.assert_close(got.ledger.taken["bias"], (shift / y * r).sum((1, 2, 3)))
    assert got.ledger.taken["stabiliser"].abs().max() == 0


def test_a_norm_can_pass_relevance_as_it_is():
    x, r = generic(*SHAPE), generic(*SHAPE, seed=8)
    got = back(lambda v: F.layer_norm(v, (4,)), x, r, norm=lrp.Pass())
    torch.testing.assert_close(got.relevance, r)


class ByHand(nn.Module):
    """Norms as people write them, without a call of their own."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.weight, self.bias = generic(5, seed=1), generic(5, seed=2)

    def forward(self, x):
        if self.kind == "rms":
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 0.01) * self.weight
        if self.kind == "rms by a power":
            return x * (x.square().mean(-1, keepdim=True) + 0.01) ** -0.5 * self.weight
        centred = x - x.mean(-1, keepdim=True)
        y = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 0.01)
        return self.weight * y + self.bias


@pytest.mark.parametrize("kind", ["rms", "rms by a power", "layer"])
def test_norms_by_hand_equal_the_modules(kind):
    net = ByHand(kind).eval()
    rms = lambda v: F.rms_norm(v, (5,), net.weight, 0.01)  # noqa: E731
    layer = lambda v: F.layer_norm(v, (5,), net.weight, net.bias, 0.01)  # noqa: E731
    call = layer if kind == "layer" else rms
    x, r = generic(3, 4, 5), generic(3, 4, 5, seed=8)
    rules = exact()
    got = lrp.relevance(net, x, output_relevance=r, composite=rules)
    wanted = lrp.relevance(Only(call).eval(), x, output_relevance=r, composite=rules)
    torch.testing.assert_close(got.relevance, wanted.relevance, rtol=1e-9, atol=1e-10)
    assert got.ledger.residual.abs().max() < 1e-12


def exact():
    kinds = ("convolution", "linear", "sum", "affine", "avg_pool", "norm", "contraction")
    return lrp.Composite(
        name="exact",
        types={
            **dict.fromkeys(kinds, lrp.Epsilon(epsilon=0.0)),
            "multiplication": lrp.Halves(epsilon=0.0),
        },
    )


def test_global_response_normalisation_counts_as_a_constant():
    weight, bias = generic(5, seed=1), generic(5, seed=2)

    def grn(v):
        g = v.norm(p=2, dim=(1, 2), keepdim=True)
        return v + torch.addcmul(bias, weight, v * (g / (g.mean(-1, keepdim=True) + 1e-6)))

    x, r = generic(2, 3, 4, 5), generic(2, 3, 4, 5, seed=8)
    got = lrp.relevance(Only(grn).eval(), x, output_relevance=r, composite=exact())
    g = x.norm(p=2, dim=(1, 2), keepdim=True)
    scale = 1 + weight * g / (g.mean(-1, keepdim=True) + 1e-6)
    torch.testing.assert_close(got.relevance, scale * x / (scale * x + bias) * r, rtol=1e-9, atol=1e-10)


def test_standardised_weights_are_constants():
    class Standardised(nn.Conv2d):
        def forward(self, x):
            flat = self.weight.reshape(1, self.out_channels, -1)
            weight = F.batch_norm(flat, None, None, training=True, momentum=0.0, eps=1e-6)
            return F.conv2d(x, weight.reshape(self.weight.shape), self.bias)

    torch.manual_seed(0)
    net = Standardised(3, 4, 3).double().eval()
    x = generic(2, 3, 6, 6)
    flat = net.weight.reshape(4, -1)
    plain = nn.Conv2d(3, 4, 3).double().eval()
    weight = (flat - flat.mean(1, keepdim=True)) / (flat.var(1, correction=0, keepdim=True) + 1e-6).sqrt()
    plain.weight.data, plain.bias.data = weight.view_as(net.weight).detach(), net.bias.detach()
    r = generic(2, 4, 4, 4, seed=8)
    got, wanted = (
        lrp.relevance(one, x, output_relevance=r, composite="epsilon").relevance for one in (net, plain)
    )
    torch.testing.assert_close(got, wanted)
