"""The words in which a network of another format is written down: one torch function for each.

A model folder names these, and nothing else can be called from it. Each function takes tensors and plain
settings; ``shape`` settings have the batch in front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

Operation = Callable[..., Any]


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, **settings: Any) -> Tensor:
    function = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[weight.dim()]
    return function(x, weight, bias, **settings)


def _conv_transpose(x: Tensor, weight: Tensor, bias: Tensor | None = None, **settings: Any) -> Tensor:
    function = {3: F.conv_transpose1d, 4: F.conv_transpose2d, 5: F.conv_transpose3d}[weight.dim()]
    return function(x, weight, bias, **settings)


def _batch_norm(
    x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, *, eps: float
) -> Tensor:
    return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)


def _layer_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, shape: Sequence[int], eps: float
) -> Tensor:
    return F.layer_norm(x, list(shape), weight, bias, eps)


def _group_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, groups: int, eps: float
) -> Tensor:
    return F.group_norm(x, groups, weight, bias, eps)


def _instance_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, eps: float
) -> Tensor:
    return F.instance_norm(x, weight=weight, bias=bias, eps=eps)


def _concatenated(*parts: Tensor, dim: int) -> Tensor:
    """A constant of one row (a class token) serves every row of the batch."""
    rows = max(part.shape[0] for part in parts) if dim % parts[0].dim() else 1
    same = [part.expand(rows, *part.shape[1:]) if _one_row(part, rows) else part for part in parts]
    return torch.cat(same, dim)


def _one_row(part: Tensor, rows: int) -> bool:
    return rows > 1 and part.shape[0] == 1


def _sliced(x: Tensor, *, dim: int, start: int, end: int, step: int) -> Tensor:
    index = [slice(None)] * x.dim()
    index[dim] = slice(start, end, step)
    return x[tuple(index)]


def _padded(x: Tensor, *, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    return F.pad(x, list(pad), mode, value) if mode == "constant" else F.pad(x, list(pad), mode)


def _interpolated(x: Tensor, *, size: Sequence[int], mode: str, align_corners: bool | None = None) -> Tensor:
    return F.interpolate(x, list(size), mode=mode, align_corners=align_corners)


def _attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, **settings: Any) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, mask, **settings)


def _variance(x: Tensor, *, dim: Sequence[int], correction: float, keepdim: bool) -> Tensor:
    return torch.var(x, list(dim), correction=correction, keepdim=keepdim)


def _max_pool(x: Tensor, **settings: Any) -> Any:
    return {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}[x.dim()](x, **settings)


def _avg_pool(x: Tensor, **settings: Any) -> Any:
    return {3: F.avg_pool1d, 4: F.avg_pool2d, 5: F.avg_pool3d}[x.dim()](x, **settings)


def _norm(x: Tensor, *, p: float, dim: Sequence[int], keepdim: bool) -> Any:
    return torch.linalg.vector_norm(x, p, list(dim), keepdim=keepdim)


SHAPED: frozenset[str] = frozenset(("reshape", "expand"))
"""Operations whose ``shape`` begins with the batch."""

OPERATIONS: dict[str, Operation] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": F.linear,
    "matmul": torch.matmul,
    "einsum": lambda *x, equation: torch.einsum(equation, *x),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "local_response_norm": F.local_response_norm,
    "relu": F.relu,
    "relu6": F.relu6,
    "clamp": torch.clamp,
    "leaky_relu": F.leaky_relu,
    "prelu": F.prelu,
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "softmax": F.softmax,
    "log_softmax": F.log_softmax,
    "erf": torch.erf,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "neg": torch.neg,
    "abs": torch.abs,
    "pow": torch.pow,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "where": torch.where,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "adaptive_avg_pool2d": F.adaptive_avg_pool2d,
    "adaptive_max_pool2d": F.adaptive_max_pool2d,
    "mean": torch.mean,
    "sum": torch.sum,
    "amax": torch.amax,
    "amin": torch.amin,
    "var": _variance,
    "norm": _norm,
    "attention": _attention,
    "reshape": lambda x, *, shape: x.reshape(shape),
    "expand": lambda x, *, shape: x.expand(shape),
    "flatten": torch.flatten,
    "permute": lambda x, *, dims: x.permute(dims),
    "squeeze": lambda x, *, dim: torch.squeeze(x, tuple(dim)),
    "unsqueeze": torch.unsqueeze,
    "cat": _concatenated,
    "stack": lambda *x, dim: torch.stack(x, dim),
    "split": lambda x, *, sizes, dim: torch.split(x, sizes, dim),
    "slice": _sliced,
    "select": lambda x, *, dim, index: torch.select(x, dim, index),
    "index_select": lambda x, indices, *, dim: torch.index_select(x, dim, indices),
    "roll": lambda x, *, shifts, dims: torch.roll(x, shifts, dims),
    "flip": lambda x, *, dims: torch.flip(x, dims),
    "repeat": lambda x, *, repeats: x.repeat(repeats),
    "pad": _padded,
    "interpolate": _interpolated,
    "pixel_shuffle": F.pixel_shuffle,
    "pixel_unshuffle": F.pixel_unshuffle,
}
