"""The rules of AttnLRP beside those of its authors' own package (LRP eXplains Transformers), where that is
installed: the same relevance to 1e-6 in double precision.
"""

import pytest
import torch
from torch import nn

from pfungst.network import lrp

lxt = pytest.importorskip("lxt.explicit.functional", reason="lxt is not installed")
TINY = 1e-12
KINDS = ("convolution", "linear", "sum", "affine", "avg_pool", "norm", "contraction", "squash")
RULES = lrp.composite("attnlrp").extended(
    name="tiny ε",
    types={**dict.fromkeys(KINDS, lrp.Epsilon(epsilon=TINY)), "multiplication": lrp.Halves(epsilon=TINY)},
)


class Steps(nn.Module):
    """Our side of a case: PyTorch's own functions, with their weights as constants."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def forward(self, x):
        return self.steps(x)


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


torch.manual_seed(4)
W, V = drawn(5, 6), drawn(5, 5)
GAMMA, BETA = drawn(6), drawn(6)
MASK = torch.zeros(4, 4, dtype=torch.float64).masked_fill(torch.ones(4, 4).triu(1).bool(), -torch.inf)


def halves(x):
    return x[:, 0], x[:, 1]


def attention(product, softmax):
    def steps(x):
        q, k, v = x[:, 0], x[:, 1], x[:, 2]
        return product(softmax(product(q, k.transpose(-2, -1))), v)

    return steps


def lxt_matmul(a, b):
    return lxt.matmul(a, b, False, TINY)


CASES = {
    "linear": ((3, 6), lambda x: x @ W.T, lambda x: lxt.linear_epsilon(x, W, None, TINY)),
    "linear with a bias": (
        (3, 6),
        lambda x: nn.functional.linear(x, W, GAMMA[:5]),
        lambda x: lxt.linear_epsilon(x, W, GAMMA[:5], TINY),
    ),
    "sum": (
        (3, 2, 6),
        lambda x: halves(x)[0] + halves(x)[1],
        lambda x: lxt.add2(*halves(x), False, TINY),
    ),
    "product": ((3, 2, 6), lambda x: halves(x)[0] * halves(x)[1], lambda x: lxt.mul2(*halves(x))),
    "product of matrices": (
        (3, 2, 4, 4),
        lambda x: halves(x)[0] @ halves(x)[1],
        lambda x: lxt_matmul(*halves(x)),
    ),
    "softmax": (
        (3, 5),
        lambda x: nn.functional.linear(x.softmax(-1), V),
        lambda x: lxt.linear_epsilon(lxt.softmax(x, -1), V, None, TINY),
    ),
    "masked softmax": (
        (3, 4, 4),
        lambda x: nn.functional.linear(x.masked_fill(MASK < 0, -torch.inf).softmax(-1), V[:, :4]),
        lambda x: lxt.linear_epsilon(
            lxt.softmax(x.masked_fill(MASK < 0, -torch.inf), -1), V[:, :4].contiguous(), None, TINY
        ),
    ),
    "attention": (
        (2, 3, 4, 6),
        attention(torch.matmul, lambda x: x.softmax(-1)),
        attention(lxt_matmul, lambda x: lxt.softmax(x, -1)),
    ),
    "layer norm": (
        (3, 6),
        lambda x: nn.functional.layer_norm(x, (6,), GAMMA, None, 1e-5),
        lambda x: lxt.layer_norm_grad_fn.apply(x, GAMMA, None, 1e-5, TINY),
    ),
    "layer norm with a shift": (
        (3, 6),
        lambda x: nn.functional.layer_norm(x, (6,), GAMMA, BETA, 1e-5),
        lambda x: lxt.layer_norm_grad_fn.apply(x, GAMMA, BETA, 1e-5, TINY),
    ),
    "RMS norm": (
        (3, 6),
        lambda x: nn.functional.rms_norm(x, (6,), GAMMA, 1e-5),
        lambda x: lxt.rms_norm_identity(x, GAMMA, 1e-5),
    ),
    "RMS norm by hand": (
        (3, 6),
        lambda x: GAMMA * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)),
        lambda x: lxt.rms_norm_identity(x, GAMMA, 1e-5),
    ),
    "mean": ((3, 4, 6), lambda x: x.mean(1, True), lambda x: lxt.mean(x, 1, True, TINY)),
    "normalize": (
        (3, 6),
        lambda x: nn.functional.normalize(x, dim=-1),
        lambda x: lxt.normalize(x, dim=-1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_relevance_is_that_of_lxt(name):
    shape, ours, theirs = CASES[name]
    torch.manual_seed(1)
    x = drawn(*shape).requires_grad_()
    y = theirs(x)
    sent = drawn(*y.shape)
    (wanted,) = torch.autograd.grad(y, x, sent)  # its functions hand relevance back where gradients would go
    result = lrp.relevance(Steps(ours).eval(), x.detach(), output_relevance=sent, composite=RULES)
    torch.testing.assert_close(result.outputs, y.detach(), rtol=1e-6, atol=1e-6)
    error = (result.relevance - wanted).abs().max() / wanted.abs().max()
    assert float(error) <= 1e-6
    assert result.ledger.residual.abs().max() < 1e-10 * wanted.abs().sum()
