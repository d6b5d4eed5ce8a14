"""Whole networks with norms, attention, folded batches and exported graphs: against AttnLRP by modified
gradients, and the account closes.
"""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pfungst.network import lrp

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
KINDS = ("convolution", "linear", "sum", "affine", "avg_pool", "norm", "contraction")
EXACT = lrp.composite("attnlrp").extended(
    name="exact",
    types={**dict.fromkeys(KINDS, lrp.Epsilon(epsilon=0.0)), "multiplication": lrp.Halves(epsilon=0.0)},
)


def module_of(name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def generic(*shape, seed=7):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Tokens(nn.Module):
    """Patches, a class token and positions."""

    def __init__(self, width=8):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token, self.positions = (
            nn.Parameter(torch.randn(1, 1, width)),
            nn.Parameter(torch.randn(1, 17, width)),
        )

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(len(x), -1, -1), tokens], 1) + self.positions


class SwiGLU(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.both, self.out = nn.Linear(width, 4 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        a, b = self.both(x).chunk(2, -1)
        return self.out(F.silu(a) * b)


class Block(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.one, self.two = nn.LayerNorm(width), nn.RMSNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = SwiGLU(width)

    def forward(self, x):
        h = self.one(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.mlp(self.two(x))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.blocks, self.head = Tokens(), nn.Sequential(Block(), Block()), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.blocks(self.tokens(x))[:, 0])


class Windows(nn.Module):
    """Attention in shifted windows, folded into the batch, with relative position biases."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 2, 2), nn.LayerNorm(8)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.bias = nn.Parameter(torch.randn(2, 16, 16))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        h = self.stem(x).permute(0, 2, 3, 1)
        n = len(h)
        y = self.norm(h).roll((-1, -1), (1, 2))
        y = y.view(n, 2, 4, 2, 4, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, 8)
        q, k, v = self.qkv(y).reshape(-1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)
        a = ((q * 0.5) @ k.transpose(-2, -1) + self.bias).softmax(-1)
        y = self.out((a @ v).transpose(1, 2).reshape(-1, 16, 8))
        y = y.view(n, 2, 2, 4, 4, 8).permute(0, 1, 3, 2, 4, 5).reshape(n, 8, 8, 8).roll((1, 1), (1, 2))
        return self.head((h + y).mean((1, 2)))


class GatedConvolutions(nn.Module):
    """Group and instance norm, a gated convolution, a squeeze, global response normalisation by hand."""

    def __init__(self):
        super().__init__()
        self.stem, self.group, self.instance = (
            nn.Conv2d(3, 8, 3),
            nn.GroupNorm(2, 8),
            nn.InstanceNorm2d(8, affine=True),
        )
        self.gate, self.value, self.squeeze = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        h = F.gelu(self.group(self.stem(x)))
        h = self.instance(F.gelu(self.gate(h)) * self.value(h))
        h = h * self.squeeze(h.abs().mean((2, 3))).sigmoid()[:, :, None, None]
        g = h.norm(dim=(2, 3), keepdim=True)
        h = h + 0.7 * (h * (g / (g.mean(1, keepdim=True) + 1e-6)))
        return self.head(h.amax((2, 3)))


NETWORKS = (Transformer, Windows, GatedConvolutions)


def made(kind):
    torch.manual_seed(4)
    net = kind().double().eval().requires_grad_(False)
    for part in net.modules():
        if isinstance(part, (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d, nn.RMSNorm)):
            for number, item in enumerate(part.parameters()):
                item.copy_(generic(*item.shape, seed=number))
    return net, generic(2, 3, 16, 16)


@pytest.mark.parametrize("kind", NETWORKS)
def test_attnlrp_equals_modified_gradients(kind):
    net, x = made(kind)
    result = lrp.relevance(net, x, [1, 3], composite=EXACT)
    wanted = module_of("_oracle").gradient_times_input(net, x, torch.tensor([1, 3]))
    assert (result.relevance - wanted).abs().max() < 1e-12 * wanted.abs().max()
    scale = sum(item.abs() for item in result.ledger.taken.values()) + result.scores.abs()
    assert (result.ledger.residual.abs() < 1e-13 * scale).all()


@pytest.mark.parametrize("name", ["suited", *lrp.COMPOSITES])
@pytest.mark.parametrize("kind", NETWORKS)
def test_every_composite_closes_for_batches_and_single_photos(kind, name):
    net, x = made(kind)
    options = {"composite": name, "input_bounds": (-9.0, 9.0)}
    result = lrp.relevance(net, x, [[0, 1], [2, 3]], **options)
    scale = sum(item.abs() for item in result.ledger.taken.values()) + result.scores.abs()
    assert (result.ledger.residual.abs() < 1e-12 * scale).all()
    one = lrp.relevance(net, x[1:], 3, **options)
    torch.testing.assert_close(result.relevance[1, 1], one.relevance[0], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(result.ledger.arrived[1, 1], one.ledger.arrived[0])
    assert result.composite == ("attnlrp" if name == "suited" else name)
    single = lrp.relevance(net.float(), x.float(), [0, 2], **options).ledger
    scale = sum(item.abs() for item in single.taken.values()) + single.sent.abs()
    assert (single.residual.abs() < 1e-4 * scale).all()


def test_a_network_of_convolutions_keeps_its_default():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 3)).eval()
    assert lrp.relevance(net, torch.rand(2, 3, 16, 16), 0).composite == "epsilon-plus-flat"


@pytest.mark.parametrize("kind", NETWORKS)
def test_exported_graphs_are_explained_like_the_module(kind):
    net, x = made(kind)
    graph = torch.export.export(net, (x,)).module()  # of batches of two only
    graph.training = False
    for part in graph.modules():
        part.training = False
    wanted = lrp.relevance(net, x, [1, 3], composite=EXACT)
    got = lrp.relevance(graph, x, [1, 3], composite=EXACT)
    torch.testing.assert_close(got.outputs, wanted.outputs)
    torch.testing.assert_close(got.relevance, wanted.relevance, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(got.ledger.arrived, wanted.ledger.arrived)
    assert got.ledger.residual.abs().max() < 1e-12


def test_what_is_taken_has_names():
    net, x = made(Transformer)
    taken = lrp.relevance(net, x, 0).ledger.taken
    assert {"bias", "constant", "linearisation"} <= {cause for cause in taken if taken[cause].abs().max() > 0}
    conserving = lrp.relevance(net, x, 0, composite="cp-lrp").ledger.taken
    assert "linearisation" not in conserving


def test_photos_that_a_ledger_cannot_tell_apart_are_explained_one_by_one():
    class Mixed(nn.Module):
        def forward(self, x):
            tokens = x.flatten(2).permute(2, 0, 1)  # tokens first, the batch second
            return (tokens @ self.weight + 0.3).mean(0)

        weight = generic(3, 4)

    x = generic(3, 3, 4, 4)
    net = Mixed().eval()
    result = lrp.relevance(net, x, [0, 1, 2], composite=EXACT)
    assert result.relevance.shape == x.shape
    assert result.ledger.residual.abs().max() < 1e-12
    one = lrp.relevance(net, x[2:], 2, composite=EXACT)
    torch.testing.assert_close(result.relevance[2], one.relevance[0])
    torch.testing.assert_close(result.ledger.taken["bias"][2:], one.ledger.taken["bias"])
