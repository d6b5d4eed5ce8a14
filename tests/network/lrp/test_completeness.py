"""What leaves the tape unseen is refused by name; what only decides is not."""

import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pfungst.network import lrp

C = 6


class Branch(nn.Module):
    def __init__(self, step, **modules):
        super().__init__()
        self.step = step
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.step(self, x)


class Net(nn.Module):
    """A residual network, one branch of which does what a test wants."""

    def __init__(self, branch):
        super().__init__()
        self.stem = nn.Conv2d(3, C, 3, 2, 1, bias=False)
        self.branch = branch
        self.head = nn.Linear(C, 4, bias=False)

    def forward(self, x):
        x = F.relu(self.stem(x))
        return self.head((x + self.branch(x)).mean((2, 3)))


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, gradient):
        raise NotImplementedError


@torch.library.custom_op("pfungst_tests::rectified", mutates_args=())
def rectified(x: torch.Tensor) -> torch.Tensor:
    return x.clamp(min=0)


@torch.jit.ignore
def _zeroed_outside(x):
    x.detach().numpy()[:, 0] = 0
    return x


def conv():
    return nn.Conv2d(C, C, 3, padding=1, bias=False)


def hidden(step):
    return lambda: Branch(step, conv=conv())


HIDDEN = {
    "numpy": hidden(lambda s, x: torch.from_numpy(np.maximum(s.conv(x).detach().numpy(), 0))),
    "list": hidden(lambda s, x: torch.tensor(s.conv(x).tolist(), dtype=x.dtype)),
    "number": hidden(lambda s, x: s.conv(x) + float(x.mean())),
    "number as a factor": hidden(lambda s, x: s.conv(x) * float(x.mean())),
    "integers": hidden(lambda s, x: (s.conv(x) * 8).round().int().to(x.dtype) / 8),
    "index as a number": hidden(lambda s, x: s.conv(x) + x.argmax(1, keepdim=True).to(x.dtype)),
    "mask as a number": hidden(lambda s, x: s.conv(x) + (x > 0.3).to(x.dtype)),
    "custom operation": hidden(lambda s, x: rectified(s.conv(x))),
    "vmap": hidden(lambda s, x: torch.func.vmap(lambda y: F.relu(s.conv(y[None]))[0])(x)),
    "fourier": hidden(lambda s, x: torch.fft.irfft2(torch.fft.rfft2(x) * 2, s=x.shape[2:])),
    "changed by numpy": hidden(lambda s, x: _zeroed_outside(s.conv(x))),
    "scripted": lambda: torch.jit.script(nn.Sequential(conv(), nn.ReLU())),
    "traced": lambda: torch.jit.trace(nn.Sequential(conv(), nn.ReLU()), torch.rand(1, C, 8, 8)),
    "another way": hidden(lambda s, x: s.conv(x) if x.mean() > 0.21 else x.relu()),
}
SEEN = {
    "plain": hidden(lambda s, x: F.relu(s.conv(x))),
    "rectified by a mask": hidden(lambda s, x: s.conv(x) * (s.conv(x) > 0)),
    "rectified by a number mask": hidden(lambda s, x: s.conv(x) * (s.conv(x) > 0).to(x.dtype)),
    "sorted": hidden(lambda s, x: s.conv(x)[:, torch.arange(C).flip(0)]),
    "checkpoint": hidden(
        lambda s, x: torch.utils.checkpoint.checkpoint(s.conv, x, use_reentrant=False).relu()
    ),
    "functional": hidden(
        lambda s, x: torch.func.functional_call(s.conv, dict(s.conv.named_parameters()), (x,))
    ),
    "weights made on the way": hidden(
        lambda s, x: F.conv2d(x, s.conv.weight - s.conv.weight.mean(), padding=1)
    ),
}


def made(make):
    torch.manual_seed(0)
    net = Net(make()).eval().requires_grad_(False)
    return net, torch.rand(2, 3, 16, 16)


@pytest.mark.filterwarnings("ignore")  # of torch.jit
@pytest.mark.parametrize("name", HIDDEN)
def test_what_leaves_the_tape_is_refused(name):
    net, x = made(HIDDEN[name])
    with pytest.raises((lrp.HiddenOperationError, lrp.UnsupportedOperationError)) as caught:
        lrp.relevance(net, x, 0, composite="epsilon")
    assert caught.value.module.startswith(("branch", "the network itself"))


@pytest.mark.parametrize("name", SEEN)
def test_what_is_seen_is_not_refused_and_right(name):
    net, x = made(SEEN[name])
    net, x = net.double(), x.double()
    zero = lrp.Composite(
        name="zero", types=dict.fromkeys(("convolution", "linear", "sum", "affine", "avg_pool"), lrp.Zero)
    )
    result = lrp.relevance(net, x, 1, composite=zero)
    v = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(v)[:, 1].sum(), v)  # piecewise linear without biases
    torch.testing.assert_close(result.relevance, gradient * x, rtol=1e-9, atol=1e-12)


def test_the_comparison_is_made_once_for_a_network_and_a_shape():
    calls = []
    net, x = made(hidden(lambda s, x: (calls.append(1), s.conv(x))[1]))
    for _ in range(3):
        lrp.relevance(net, x, 0)
    assert len(calls) == 3 + 1  # and one repetition that calls functions, not modules
    lrp.relevance(net, torch.rand(1, 3, 20, 16), 0)
    assert len(calls) == 6
    net.branch = Branch(HIDDEN["numpy"]().step, conv=conv()).eval()
    net.extra = nn.Identity().eval()
    with pytest.raises(lrp.HiddenOperationError):
        lrp.relevance(net, x, 0)
