"""Products of signals and softmax against sums over single contributions."""

import math

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


def exact(**types):
    kinds = ("convolution", "linear", "sum", "affine", "avg_pool", "norm", "contraction")
    zero = dict.fromkeys(kinds, lrp.Epsilon(epsilon=0.0))
    return lrp.Composite(name="exact", types={**zero, "multiplication": lrp.Halves(epsilon=0.0), **types})


def halves(a, b, r, epsilon=EPSILON):
    """Each factor of ``O = A B`` its half, contribution by contribution."""
    r_a, r_b = torch.zeros_like(a), torch.zeros_like(b)
    for j in range(a.shape[0]):
        for p in range(b.shape[1]):
            o = sum(a[j, i] * b[i, p] for i in range(a.shape[1]))
            stable = 2 * o + (epsilon if o >= 0 else -epsilon)
            for i in range(a.shape[1]):
                r_a[j, i] += a[j, i] * b[i, p] * r[j, p] / stable
                r_b[i, p] += a[j, i] * b[i, p] * r[j, p] / stable
    return r_a, r_b


PRODUCTS = {
    "@": lambda a, b: a @ b,
    "bmm": torch.bmm,
    "einsum": lambda a, b: torch.einsum("nji,nip->njp", a, b),
    "baddbmm": lambda a, b: torch.baddbmm(torch.zeros((), dtype=a.dtype), a, b, beta=0.0),
    "linear": lambda a, b: torch.stack([F.linear(a[i], b[i].T) for i in range(len(a))]),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_each_factor_takes_half_by_its_contributions(name):
    x, r = generic(2, 18), generic(2, 3, 2, seed=8)
    call = PRODUCTS[name]
    got = back(
        lambda v: call(v[:, :12].reshape(-1, 3, 4), v[:, 12:].repeat(1, 2)[:, :8].reshape(-1, 4, 2)),
        x, r, multiplication=lrp.Halves(epsilon=EPSILON), affine=lrp.Epsilon(epsilon=0.0),
    )  # fmt: skip
    for one, part, found in zip(x, r, got.relevance, strict=True):
        b = one[12:].repeat(2)[:8]
        r_a, r_b = halves(one[:12].reshape(3, 4), b.reshape(4, 2), part)
        second = r_b.flatten()[:6].clone()
        second[:2] += r_b.flatten()[6:]
        torch.testing.assert_close(found, torch.cat([r_a.flatten(), second]))
    assert got.ledger.residual.abs().max() < 1e-12


def test_a_signal_times_itself_keeps_its_relevance():
    x, r = generic(2, 5), generic(2, 5, seed=8)
    for call in (lambda v: v * v, lambda v: v.square(), lambda v: v**2, lambda v: v.pow(3)):
        torch.testing.assert_close(back(call, x, r).relevance, r)
    a = generic(2, 3, 4)
    gram = back(lambda v: v @ v.transpose(1, 2), a, generic(2, 3, 3), multiplication=lrp.Halves(epsilon=0.0))
    torch.testing.assert_close(gram.relevance.sum((1, 2)), gram.ledger.sent)


def test_three_factors_take_a_third_each():
    x = generic(2, 9)
    r = generic(2, seed=8)
    got = back(
        lambda v: torch.einsum("ni,ni,ni->n", v[:, :3], v[:, 3:6], v[:, 6:]), x, r,
        multiplication=lrp.Halves(epsilon=0.0),
    ).relevance.reshape(2, 3, 3)  # fmt: skip
    for part in range(3):
        torch.testing.assert_close(got[:, part].sum(1), r / 3)


def test_gated_products_of_signals_are_halved_and_gates_are_not():
    x, r = generic(2, 8), generic(2, 4, seed=8)
    w = generic(4, 8, seed=3)
    swiglu = back(lambda v: F.silu(v[:, :4]) * v[:, 4:], x, r).relevance
    torch.testing.assert_close(swiglu, torch.cat([r / 2, r / 2], 1))
    glu = back(lambda v: F.glu(v, 1), x, r).relevance
    torch.testing.assert_close(glu, torch.cat([r, torch.zeros_like(r)], 1))
    for shaped in (
        lambda v: (v @ w.T).mean(1, keepdim=True).sigmoid().expand_as(v[:, :4]),
        lambda v: (v @ w.T).sigmoid().reshape(-1).view_as(v[:, :4]),
        lambda v: (v @ w.T).sigmoid().type_as(v),
    ):
        gated = back(lambda v, shaped=shaped: shaped(v) * v[:, :4], x, r).relevance
        torch.testing.assert_close(gated, torch.cat([r, torch.zeros_like(r)], 1))
    squeezed = back(lambda v: (v @ w.T).sigmoid() * v[:, :4], x, r).relevance
    torch.testing.assert_close(squeezed, torch.cat([r, torch.zeros_like(r)], 1))


@pytest.mark.parametrize("dim", [1, 2])
def test_softmax_by_its_taylor_expansion(dim):
    x, r = generic(2, 3, 4), generic(2, 3, 4, seed=8)
    got = back(lambda v: v.softmax(dim), x.clone(), r, softmax=lrp.SoftmaxTaylor())
    jacobian = torch.autograd.functional.jacobian(lambda v: v.softmax(dim), x)
    s = x.softmax(dim)
    wanted = x * torch.einsum("abcijk,abc->ijk", jacobian, r / s)
    # a softmax at the end of a network is left out; `back` gives its relevance to the scores there
    torch.testing.assert_close(got.relevance, r)
    inside = back(lambda v: v.softmax(dim) * 1.0 + 0.0, x, r, affine=lrp.Epsilon(epsilon=0.0))
    torch.testing.assert_close(inside.relevance, wanted)
    left = inside.ledger.taken["linearisation"]
    torch.testing.assert_close(left, r.sum((1, 2)) - wanted.sum((1, 2)))
    assert inside.ledger.residual.abs().max() < 1e-12


def attention(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return (scores if mask is None else scores + mask).softmax(-1) @ v


def attention_twin(q, k, v, r):
    """AttnLRP of one head by the equations of the paper, ε = 0."""
    scores = q @ k.T / math.sqrt(q.shape[-1])
    s = scores.softmax(-1)
    r_s, r_v = halves(s, v, r, 0.0)
    r_scores = scores * (r_s - s * r_s.sum(-1, keepdim=True))
    r_q, r_k = halves(q / math.sqrt(q.shape[-1]), k.T, r_scores, 0.0)
    return r_q, r_k.T, r_v, r.sum() - r_v.sum() - r_scores.sum()


def test_attention_equals_the_equations():
    x, r = generic(2, 3, 12), generic(2, 3, 4, seed=8)
    split = lambda call: lambda v: call(*v.chunk(3, dim=-1))  # noqa: E731
    for call in (attention, F.scaled_dot_product_attention):
        got = lrp.relevance(Only(split(call)).eval(), x, output_relevance=r, composite=exact())
        for one, part, found, left in zip(
            x, r, got.relevance, got.ledger.taken["linearisation"], strict=True
        ):
            r_q, r_k, r_v, wanted_left = attention_twin(*one.chunk(3, dim=-1), part)
            torch.testing.assert_close(found, torch.cat([r_q, r_k, r_v], -1))
            torch.testing.assert_close(left, wanted_left)
        assert got.ledger.residual.abs().max() < 1e-12


def test_attention_weights_as_constants_give_all_to_the_values():
    x, r = generic(2, 3, 12), generic(2, 3, 4, seed=8)
    net = Only(lambda v: attention(*v.chunk(3, dim=-1))).eval()
    rules = exact(softmax=lrp.Constant())
    got = lrp.relevance(net, x, output_relevance=r, composite=rules)
    q, k, v = x.chunk(3, dim=-1)
    s = (q @ k.transpose(1, 2) / 2).softmax(-1)
    o = s @ v
    wanted = v * (s.transpose(1, 2) @ (r / o))
    torch.testing.assert_close(
        got.relevance, torch.cat([torch.zeros_like(q), torch.zeros_like(k), wanted], -1)
    )
    torch.testing.assert_close(got.relevance.sum((1, 2)), r.sum((1, 2)))
    assert "linearisation" not in got.ledger.taken


MASKS = {
    "bool": torch.ones(3, 3).tril().bool(),
    "numbers": generic(3, 3, seed=4),
    "-inf": torch.zeros(3, 3).double().masked_fill(torch.ones(3, 3).triu(1).bool(), -math.inf),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_take_their_share_as_constants_and_masked_scores_none(name):
    mask = MASKS[name]
    x, r = generic(2, 3, 12), generic(2, 3, 4, seed=8)

    def called(v):
        return F.scaled_dot_product_attention(*v.chunk(3, dim=-1), attn_mask=mask)

    got = lrp.relevance(Only(called).eval(), x, output_relevance=r, composite=exact())
    q, k, v = (item.clone().requires_grad_() for item in x.chunk(3, dim=-1))
    added = mask if mask.is_floating_point() else torch.zeros(3, 3).double().masked_fill(~mask, -math.inf)
    half = lambda y: 0.5 * y + 0.5 * y.detach()  # noqa: E731
    o = half((half(q @ k.transpose(1, 2) / 2) + added).softmax(-1) @ v)
    torch.testing.assert_close(o, called(x))
    gradients = torch.autograd.grad(o, (q, k, v), r / o)
    wanted = torch.cat([a.detach() * g for a, g in zip((q, k, v), gradients, strict=True)], -1)
    torch.testing.assert_close(got.relevance, wanted)
    assert torch.isfinite(got.ledger.residual).all()
    assert got.ledger.residual.abs().max() < 1e-12


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("extra", [{}, {"add_bias_kv": True, "add_zero_attn": True}])
def test_the_attention_module_is_recorded_as_what_it_computes(batch_first, extra):
    torch.manual_seed(2)
    module = nn.MultiheadAttention(8, 2, batch_first=batch_first, **extra).double().eval()
    padding = torch.zeros(2, 5, dtype=torch.bool)
    padding[1, 3:] = True
    mask = generic(5, 5, seed=3)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = module

        def forward(self, x):
            x = x if batch_first else x.transpose(0, 1)
            y = self.attention(x, x, x, key_padding_mask=padding.double(), attn_mask=mask)[0]
            return (y if batch_first else y.transpose(0, 1)).flatten(1)

    x = generic(2, 5, 8)
    net = Net().eval()
    result = lrp.relevance(net, x, [3, 30], composite=exact())
    torch.testing.assert_close(result.outputs, net(x))
    assert result.ledger.residual.abs().max() < 1e-12
    assert {"linearisation", "bias"} <= set(result.ledger.taken)


def test_the_other_attention_module_paths():
    torch.manual_seed(2)
    separate = nn.MultiheadAttention(8, 2, kdim=6, vdim=4, batch_first=True).double().eval()
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu").double().eval()
    x = generic(2, 5, 8)
    for call in (lambda v: separate(v, v[..., :6], v[..., 2:6])[0], layer, nn.TransformerEncoder(layer, 2)):
        net = nn.Sequential(Only(call), nn.Flatten()).eval()
        result = lrp.relevance(net, x, 3, composite=exact())
        torch.testing.assert_close(result.outputs, net(x))
        assert result.ledger.residual.abs().max() < 1e-12


def test_constants_in_other_arrangements_are_linear_maps():
    x, w = generic(2, 3, 4), generic(5, 3, seed=3)
    calls = {
        "const @ signal": (lambda v: w @ v, lambda v: w @ v),
        "einsum": (lambda v: torch.einsum("ok,nki->noi", w, v), lambda v: w @ v),
        "tensordot": (lambda v: torch.tensordot(v, w, ([1], [1])), lambda v: (w @ v).transpose(1, 2)),
    }
    for name, (call, same) in calls.items():
        z = same(x)
        r = generic(*z.shape, seed=8)
        got = back(call, x, r, contraction=lrp.Epsilon(epsilon=EPSILON), linear=lrp.Epsilon(epsilon=EPSILON))
        v = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(same(v), v, r / torch.where(z >= 0, z + EPSILON, z - EPSILON))
        torch.testing.assert_close(got.relevance, x * slope, msg=name)
        assert got.ledger.residual.abs().max() < 1e-12
