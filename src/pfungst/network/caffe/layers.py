"""Caffe's layers as torch modules made from plain settings; torch's own class where it computes the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's custom


class InnerProduct(nn.Linear):
    """All axes from ``axis`` on as one vector, then ``y = W x + b``."""

    def __init__(self, in_features: int, out_features: int, bias: bool, axis: int) -> None:
        super().__init__(in_features, out_features, bias)
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """``(..., in_features)`` to ``(..., out_features)``."""
        return F.linear(x.flatten(self.axis), self.weight, self.bias)


class LRNWithinChannel(nn.Module):
    """``y = x / (1 + α/n² Σ x²)^β`` over an n × n window of the same channel; zeros beyond the edge count."""

    def __init__(self, size: int, alpha: float, beta: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta = size, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        """Shape kept."""
        mean_square = F.avg_pool2d(x * x, self.size, stride=1, padding=self.size // 2)
        return x / (1.0 + self.alpha * mean_square) ** self.beta


class WidePaddedPool(nn.Module):
    """Pooling whose padding is wider than half the window, which torch's own pooling refuses.

    Windows start at ``i·stride − pad`` and must start before the padded far edge; an average divides by the
    window's part within the padded photo.
    """

    def __init__(
        self, method: str, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int], ceil: bool
    ):
        super().__init__()
        self.method, self.kernel, self.stride, self.pad, self.ceil = (
            method,
            tuple(kernel),
            tuple(stride),
            tuple(pad),
            ceil,
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` to ``(n, c, pooled h, pooled w)``."""
        wanted = [self._extent(int(x.shape[2 + axis]), axis) for axis in (0, 1)]
        after = [
            wanted[axis] - int(x.shape[2 + axis]) - self.pad[axis] for axis in (0, 1)
        ]  # what is needed beyond the far edge; negative where windows end before it
        edges = (self.pad[1], after[1], self.pad[0], after[0])
        if self.method == "max":
            largest: Tensor = F.max_pool2d(F.pad(x, edges, value=-math.inf), self.kernel, self.stride)
            return largest
        inside = x.new_ones((1, 1, x.shape[2] + 2 * self.pad[0], x.shape[3] + 2 * self.pad[1]))
        cut = (0, wanted[1] - inside.shape[3], 0, wanted[0] - inside.shape[2])
        share = F.avg_pool2d(F.pad(inside, cut), self.kernel, self.stride)
        return F.avg_pool2d(F.pad(x, edges), self.kernel, self.stride) / share

    def _extent(self, size: int, axis: int) -> int:
        count = pooled_size(size, self.kernel[axis], self.stride[axis], self.pad[axis], ceil=self.ceil)
        return (count - 1) * self.stride[axis] + self.kernel[axis]


def pooled_size(size: int, kernel: int, stride: int, pad: int, *, ceil: bool) -> int:
    """Caffe's output extent, ``ceil((size + 2 pad − kernel) / stride) + 1``.

    Less a window that would start beyond the far edge; ``floor`` where the file says so.
    """
    room = size + 2 * pad - kernel
    count = (-(-room // stride) if ceil else room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + pad else count


class GlobalPool(nn.Module):
    """The maximum or mean of each channel, ``(n, c, 1, 1)``."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.pool = F.max_pool2d if method == "max" else F.avg_pool2d

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` to ``(n, c, 1, 1)``."""
        pooled: Tensor = self.pool(x, (int(x.shape[2]), int(x.shape[3])))
        return pooled


class Concat(nn.Module):
    """Several blobs one after the other along ``axis``."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *parts: Tensor) -> Tensor:
        """Shapes agree but for ``axis``."""
        return torch.cat(parts, dim=self.axis)


class Slice(nn.Module):
    """One blob cut along ``axis``."""

    def __init__(self, axis: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.axis, self.sizes = axis, list(sizes)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """As many parts as sizes."""
        return tuple(torch.split(x, self.sizes, dim=self.axis))


class Split(nn.Module):
    """The same blob under several names."""

    def __init__(self, copies: int) -> None:
        super().__init__()
        self.copies = copies

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """``copies`` times x."""
        return (x,) * self.copies


class Eltwise(nn.Module):
    """Sum (weighted by coefficients), product or maximum of blobs of one shape."""

    def __init__(self, operation: str, coefficients: Sequence[float]) -> None:
        super().__init__()
        self.operation, self.coefficients = operation, tuple(coefficients)

    def forward(self, *parts: Tensor) -> Tensor:
        """Shape kept."""
        weighted = [
            part if factor == 1.0 else part * factor
            for part, factor in zip(parts, self.coefficients, strict=True)
        ]
        result = weighted[0]
        for part in weighted[1:]:
            if self.operation == "sum":
                result = result + part
            else:
                result = result * part if self.operation == "product" else torch.maximum(result, part)
        return result


class BatchNorm(nn.Module):
    """``y = (x − mean) / sqrt(var + ε)`` with the stored moments, in training too."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Shape kept."""
        return F.batch_norm(x, self.running_mean, self.running_var, None, None, False, 0.0, self.eps)


class Scale(nn.Module):
    """``y = w x + b`` with w and b of ``shape``, which matches x from ``axis`` on."""

    def __init__(self, axis: int, shape: Sequence[int], bias: bool) -> None:
        super().__init__()
        self.axis = axis
        self.weight = nn.Parameter(torch.ones(*shape))
        self.bias = nn.Parameter(torch.zeros(*shape)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Shape kept."""
        trailing = (1,) * (x.dim() - self.axis - self.weight.dim())
        scaled = x * self.weight.reshape(self.weight.shape + trailing)
        return scaled if self.bias is None else scaled + self.bias.reshape(self.bias.shape + trailing)


class Multiply(nn.Module):
    """``y = x · s`` with a second blob s that matches x from ``axis`` on (a gate for each channel)."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor, factor: Tensor) -> Tensor:
        """Shape of x."""
        return x * factor.reshape(factor.shape + (1,) * (x.dim() - self.axis - factor.dim()))


class Power(nn.Module):
    """``y = (shift + scale · x)^power``."""

    def __init__(self, power: float, scale: float, shift: float) -> None:
        super().__init__()
        self.power, self.scale, self.shift = power, scale, shift

    def forward(self, x: Tensor) -> Tensor:
        """Shape kept."""
        inner = x if self.scale == 1.0 else x * self.scale
        inner = inner if self.shift == 0.0 else inner + self.shift
        return inner if self.power == 1.0 else inner**self.power


class Reshape(nn.Module):
    """The same numbers in another shape; the batch stays."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, ...)`` to ``(n, *shape)``."""
        return x.reshape(x.shape[0], *self.shape)


class Permute(nn.Module):
    """Axes in another order; the batch stays first."""

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        self.order = tuple(order)

    def forward(self, x: Tensor) -> Tensor:
        """Axis i of the result is axis ``order[i]`` of x."""
        return x.permute(self.order)


def _convolution(
    *,
    in_channels: int,
    out_channels: int,
    kernel: Any,
    stride: Any,
    pad: Any,
    dilation: Any,
    groups: int,
    bias: bool,
) -> nn.Module:
    return nn.Conv2d(
        in_channels, out_channels, tuple(kernel), tuple(stride), tuple(pad), tuple(dilation), groups, bias
    )  # fmt: skip


def _relu(*, slope: float) -> nn.Module:
    return nn.ReLU() if slope == 0 else nn.LeakyReLU(slope)


def _lrn(*, size: int, alpha: float, beta: float, k: float) -> nn.Module:
    return nn.LocalResponseNorm(size, alpha, beta, k)


def _pooling(*, method: str, kernel: Any, stride: Any, pad: Any, ceil: bool) -> nn.Module:
    kernel, stride, pad = tuple(kernel), tuple(stride), tuple(pad)
    if any(2 * before > size for before, size in zip(pad, kernel, strict=True)):
        return WidePaddedPool(method, kernel, stride, pad, ceil)
    if method == "max":
        return nn.MaxPool2d(kernel, stride, pad, ceil_mode=ceil)
    return nn.AvgPool2d(kernel, stride, pad, ceil_mode=ceil, count_include_pad=True)


FACTORIES: dict[str, Callable[..., nn.Module]] = {
    "batch_norm": BatchNorm,
    "concat": Concat,
    "convolution": _convolution,
    "dropout": lambda *, ratio: nn.Dropout(ratio),
    "eltwise": Eltwise,
    "elu": lambda *, alpha: nn.ELU(alpha),
    "flatten": lambda *, start, end: nn.Flatten(start, end),
    "global_pooling": GlobalPool,
    "inner_product": InnerProduct,
    "lrn": _lrn,
    "lrn_within_channel": LRNWithinChannel,
    "multiply": Multiply,
    "permute": Permute,
    "pooling": _pooling,
    "power": Power,
    "prelu": lambda *, channels: nn.PReLU(channels),
    "relu": _relu,
    "reshape": Reshape,
    "scale": Scale,
    "sigmoid": nn.Sigmoid,
    "slice": Slice,
    "softmax": lambda *, axis: nn.Softmax(axis),
    "split": Split,
    "tanh": nn.Tanh,
}
"""What makes the module of each layer type of a description from its settings."""
