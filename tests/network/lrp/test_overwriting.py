"""Calls that write into tensors, against the same written with new ones."""

import pytest
import torch
from torch import nn

from pfungst.network import lrp


def generic(*shape, seed=7):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Only(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


def assigned(x):
    y = x * 2
    y[:, 0] = x[:, 1]
    y[:, 2] = 5.0
    return y


def into_zeros(x):
    y = torch.zeros(len(x), 6, dtype=x.dtype)
    y[:, 1:5] = x[:, :4]
    y[:, 0] = x[:, 4]
    return y


def added_to_a_part(x):
    y = x * 1
    y[:, 1:3] += x[:, 3:]
    return y


def scattered(x):
    return torch.zeros(len(x), 7, dtype=x.dtype).scatter_(1, torch.tensor([[6, 0, 2, 3, 1]] * len(x)), x)


def put(x):
    return (x * 1).index_put_((torch.arange(len(x)), torch.zeros(len(x)).long()), x[:, 3])


ASSIGNED = torch.tensor([[0, 1, 0, 0, 0], [0, 2, 0, 0, 0], [0] * 5, [0, 0, 0, 2, 0], [0, 0, 0, 0, 2]])
SCATTERED = torch.zeros(7, 5).index_put((torch.tensor([6, 0, 2, 3, 1]), torch.arange(5)), torch.ones(5))
CASES = {
    "assigned": (assigned, lambda x: x @ ASSIGNED.T.double()),
    "into zeros": (into_zeros, lambda x: torch.cat([x[:, 4:], x[:, :4], 0 * x[:, :1]], 1)),
    "added to a part": (added_to_a_part, lambda x: torch.cat([x[:, :1], x[:, 1:3] + x[:, 3:], x[:, 3:]], 1)),
    "scattered": (scattered, lambda x: x @ SCATTERED.T.double()),
    "put": (put, lambda x: torch.cat([x[:, 3:4], x[:, 1:]], 1)),
    "where": (lambda x: torch.where(x > 0, x, x.new_tensor(2.0)), lambda x: x * (x > 0)),
    "rolled": (lambda x: x.roll(2, 1), lambda x: torch.cat([x[:, 3:], x[:, :3]], 1)),
    "masked": (lambda x: x.masked_fill(x < 0, 3.0), lambda x: x * (x > 0)),
    "gathered": (lambda x: x.gather(1, torch.tensor([[1, 1, 4]] * len(x))), lambda x: x[:, [1, 1, 4]]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_number_takes_its_relevance_to_where_it_is_from(name):
    call, same = CASES[name]
    x = generic(3, 5)
    net = Only(call).eval()
    r = generic(*net(x).shape, seed=8)
    rules = lrp.Composite(name="one", types={"sum": lrp.Epsilon(epsilon=0.0)})
    result = lrp.relevance(net, x, output_relevance=r, composite=rules)
    v = x.clone().requires_grad_()
    z = net(x)
    (slope,) = torch.autograd.grad(same(v), v, r / torch.where(z == 0, 1.0, z))
    torch.testing.assert_close(result.relevance, x * slope)
    assert result.ledger.residual.abs().max() < 1e-12
    lost = r.sum(1) - result.relevance.sum(1)
    torch.testing.assert_close(result.ledger.taken.get("constant", torch.zeros(3).double()), lost)


def test_a_buffer_that_the_module_writes_carries_relevance():
    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("last", torch.zeros(2, 5, dtype=torch.float64))

        def forward(self, x):
            self.last.copy_(x * 3)
            return self.last * x

    net, x = Keeps().eval(), generic(2, 5)
    wanted = net(x)
    result = lrp.relevance(net, x, output_relevance=wanted)
    torch.testing.assert_close(result.outputs, wanted)
    torch.testing.assert_close(result.relevance, wanted)
