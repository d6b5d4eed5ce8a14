"""Operations without weights against slow twins: LRN, pooling, sums, shapes; and captum as a peer."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pfungst.network import lrp


class Only(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


def back(call, x, r, **types):
    rules = lrp.Composite(name="one", types=types)
    return lrp.relevance(Only(call).eval(), x, output_relevance=r, composite=rules)


def generic(*shape, seed=7):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [3, 4, 5])
def test_lrn_taylor_equals_its_definition(size):
    x, r = generic(2, 6, 2, 3), generic(2, 6, 2, 3, seed=8)
    alpha, beta, k, epsilon = 0.9, 0.75, 1.3, 0.05
    got = back(
        lambda v: F.local_response_norm(v, size, alpha, beta, k), x, r, lrn=lrp.Taylor(epsilon=epsilon)
    )
    wanted = torch.zeros_like(x)
    channels = range(x.shape[1])
    for j in channels:
        window = [i for i in channels if j - size // 2 <= i <= j + (size - 1) // 2]
        s_j = k + alpha / size * sum(x[:, i] ** 2 for i in window)
        z = {i: -2 * beta * alpha / size * x[:, i] ** 2 * x[:, j] * s_j ** (-beta - 1) for i in window}
        z[j] = x[:, j] * (k + alpha / size * x[:, j] ** 2) ** -beta
        total = sum(z.values())
        stabilised = total + epsilon * torch.where(total >= 0, 1.0, -1.0)
        for i in window:
            wanted[:, i] += z[i] / stabilised * r[:, j]
    torch.testing.assert_close(got.relevance, wanted)
    assert got.ledger.residual.abs().max() < 1e-10


def test_max_pooling_winner_and_proportional():
    x, r = generic(2, 2, 5, 5), generic(2, 2, 3, 3, seed=8)
    pool = lambda v: F.max_pool2d(v, 3, 2, ceil_mode=True, padding=1)  # noqa: E731
    winner, shares = torch.zeros_like(x), torch.zeros_like(x)
    for n in range(2):
        for c in range(2):
            for row in range(3):
                for column in range(3):
                    rows = [i for i in range(2 * row - 1, 2 * row + 2) if 0 <= i < 5]
                    columns = [j for j in range(2 * column - 1, 2 * column + 2) if 0 <= j < 5]
                    cells = [(i, j) for i in rows for j in columns]
                    best = max(cells, key=lambda cell: x[n, c, cell[0], cell[1]])
                    winner[n, c, best[0], best[1]] += r[n, c, row, column]
                    total = sum(x[n, c, i, j] for i, j in cells)
                    total = total + (0.1 if total >= 0 else -0.1)
                    for i, j in cells:
                        shares[n, c, i, j] += x[n, c, i, j] / total * r[n, c, row, column]
    torch.testing.assert_close(back(pool, x, r).relevance, winner)
    got = back(pool, x, r, max_pool=lrp.Proportional(epsilon=0.1))
    torch.testing.assert_close(got.relevance, shares)
    assert got.ledger.residual.abs().max() < 1e-10


def test_sums_share_in_proportion():
    x, r = generic(3, 5), generic(3, 5, seed=8)
    got = back(lambda v: torch.sub(v, v.flip(1), alpha=0.5), x, r, sum=lrp.Epsilon(epsilon=0.2))
    first, second = x, -0.5 * x.flip(1)
    z = first + second
    s = r / (z + 0.2 * torch.where(z >= 0, 1.0, -1.0))
    torch.testing.assert_close(got.relevance, first * s + (second * s).flip(1))
    assert got.ledger.residual.abs().max() < 1e-10


def test_average_pooling_in_proportion_and_evenly():
    x, r = generic(2, 3, 4, 4), generic(2, 3, seed=8)
    got = back(lambda v: v.mean((2, 3)), x, r, avg_pool=lrp.Epsilon(epsilon=0.1))
    z = x.mean((2, 3))
    s = r / (z + 0.1 * torch.where(z >= 0, 1.0, -1.0))
    torch.testing.assert_close(got.relevance, x / 16 * s[:, :, None, None])
    even = back(lambda v: v.mean((2, 3)), x, r, avg_pool=lrp.Flat())
    torch.testing.assert_close(even.relevance, (r / 16)[:, :, None, None].expand(x.shape))


@pytest.mark.parametrize(
    "call",
    [
        lambda v: v.permute(0, 2, 3, 1)[:, 1:, :, ::2],
        lambda v: torch.stack(v.chunk(2, dim=1), dim=-1),
        lambda v: F.pixel_shuffle(v, 2),
        lambda v: torch.cat([v[:, :1], F.pad(v, (1, 1, 2, 0), mode="reflect")[:, 1:, 2:, 1:-1]], 1),
        lambda v: v.unsqueeze(1).expand(-1, 3, -1, -1, -1).reshape(2, 3, -1),
    ],
)
def test_rearranged_values_take_their_relevance_along(call):
    x = generic(2, 4, 3, 4)
    r = generic(*call(x).shape, seed=8)
    v = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(call(v), v, r)
    torch.testing.assert_close(back(call, x, r).relevance, wanted)


def test_constants_that_are_padded_joined_or_added_are_reported():
    x = generic(2, 3)
    ones = torch.ones(2, 2, dtype=torch.float64)
    for call in (lambda v: torch.cat([v, ones], 1), lambda v: F.pad(v, (0, 2), value=1.0)):
        result = back(call, x, torch.ones(2, 5, dtype=torch.float64))
        torch.testing.assert_close(result.ledger.taken["constant"], torch.full((2,), 2.0).double())
    result = back(lambda v: v + 1.0, x.abs(), x, affine=lrp.Epsilon(epsilon=0.0))
    torch.testing.assert_close(result.relevance, x * x.abs() / (x.abs() + 1))
    torch.testing.assert_close(result.ledger.taken["constant"], (x / (x.abs() + 1)).sum(1))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.act = nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.ReLU()
        self.pool, self.two = nn.MaxPool2d(2), nn.Conv2d(5, 6, 2)
        self.act2, self.head = nn.ReLU(), nn.Linear(54, 4)

    def forward(self, x):
        return self.head(torch.flatten(self.act2(self.two(self.pool(self.act(self.one(x))))), 1))


def test_captum_agrees_on_epsilon():
    attr = pytest.importorskip("captum.attr")
    rules = pytest.importorskip("captum.attr._utils.lrp_rules")
    torch.manual_seed(2)
    net = Plain().double().eval()
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    for layer in net.children():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.rule = rules.EpsilonRule(epsilon=1e-3)
    wanted = attr.LRP(net).attribute(x.clone().requires_grad_(), target=torch.tensor([0, 1, 2])).detach()
    mine = lrp.Composite(
        name="captum", types={kind: lrp.Epsilon(epsilon=1e-3) for kind in ("convolution", "linear")}
    )
    got = lrp.relevance(net, x, [0, 1, 2], composite=mine)
    torch.testing.assert_close(got.relevance, wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", lrp.COMPOSITES)
def test_efficientnet_needs_no_surgery(name):
    package = pytest.importorskip("efficientnet_lite_pytorch")
    torch.manual_seed(0)
    net = package.EfficientNet.from_name("efficientnet-lite0", num_classes=5).eval()
    x = torch.rand(2, 3, 224, 224)[:, :, :96, :96] * 2 - 1
    result = lrp.relevance(net, x, [1, 4], composite=name, input_bounds=(-1.0, 1.0))
    torch.testing.assert_close(result.scores, net(x)[[0, 1], [1, 4]], rtol=1e-4, atol=1e-4)
    largest = max(float(row.received.abs().max()) for row in result.ledger.rows)
    assert result.ledger.residual.abs().max() < 1e-3 * max(largest, 1.0)
    assert sum("batch_norm" in " ".join(item.merged) for item in result.assignments) == 49
