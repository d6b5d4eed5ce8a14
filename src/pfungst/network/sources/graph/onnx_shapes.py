"""ONNX operators that convolve, pool, reduce and rearrange; with them the list is complete."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pfungst.network.sources.graph.onnx_operators import OPERATORS, Call, Translator, operator
from pfungst.network.sources.graph.tracing import Signal, Traced

__all__ = ["OPERATORS"]
_LOWEST = -torch.finfo(torch.float32).max


@operator("Conv")
def _conv(call: Call) -> Any:
    weight = call[1]
    kernel = list(weight.shape[2:])
    x, padding = _symmetric(call, call[0], kernel)
    return call.do(
        "conv", x, weight, call[2], stride=call.get("strides", [1] * len(kernel)), padding=padding,
        dilation=call.get("dilations", [1] * len(kernel)), groups=call.get("group", 1),
    )  # fmt: skip


@operator("ConvTranspose")
def _conv_transpose(call: Call) -> Any:
    ones = [1] * len(call[1].shape[2:])
    before, after = _pads(call, call[0], list(call[1].shape[2:]))
    if before != after or "output_shape" in call.attributes:
        raise call.refuse("uneven padding or an output_shape", "even padding")
    return call.do(
        "conv_transpose", call[0], call[1], call[2], stride=call.get("strides", ones), padding=before,
        output_padding=call.get("output_padding", [0] * len(ones)), dilation=call.get("dilations", ones),
        groups=call.get("group", 1),
    )  # fmt: skip


def _pads(call: Call, x: Traced, kernel: Sequence[int]) -> tuple[list[int], list[int]]:
    """Padding before and after each spatial axis."""
    n, mode = len(kernel), call.get("auto_pad", "NOTSET")
    if mode in {"NOTSET", "VALID"}:
        pads = call.get("pads", [0] * 2 * n) if mode == "NOTSET" else [0] * 2 * n
        return list(pads[:n]), list(pads[n:])
    strides, dilations = call.get("strides", [1] * n), call.get("dilations", [1] * n)
    totals = []
    for size, k, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        totals.append(max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0))
    smaller, larger = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return (smaller, larger) if mode == "SAME_UPPER" else (larger, smaller)


def _symmetric(
    call: Call, x: Traced, kernel: Sequence[int], value: float = 0.0, most: Sequence[int] | None = None
) -> tuple[Traced, list[int]]:
    """The input with what a layer's own padding cannot do padded before it, and the layer's padding."""
    before, after = _pads(call, x, kernel)
    fits = most is None or all(pad <= limit for pad, limit in zip(before, most, strict=True))
    if before == after and fits:
        return x, before
    flat = [side for pair in zip(before[::-1], after[::-1], strict=True) for side in pair]
    return call.do("pad", x, pad=flat, mode="constant", value=value), [0] * len(kernel)


@operator("MaxPool")
def _max_pool(call: Call) -> Any:
    if call.n_outputs > 1 or call.get("storage_order", 0):
        raise call.refuse("indices as outputs", "one output")
    kernel = call.get("kernel_shape")
    x, padding = _symmetric(call, call[0], kernel, _LOWEST, [k // 2 for k in kernel])
    return call.do(
        "max_pool", x, kernel_size=kernel, stride=call.get("strides", [1] * len(kernel)), padding=padding,
        dilation=call.get("dilations", [1] * len(kernel)), ceil_mode=bool(call.get("ceil_mode", 0)),
    )  # fmt: skip


@operator("AveragePool")
def _average_pool(call: Call) -> Any:
    kernel, counted = call.get("kernel_shape"), bool(call.get("count_include_pad", 0))
    if any(step != 1 for step in call.get("dilations", [1])):
        raise call.refuse("dilations", "1")
    settings = {
        "kernel_size": kernel, "stride": call.get("strides", [1] * len(kernel)),
        "ceil_mode": bool(call.get("ceil_mode", 0)),
    }  # fmt: skip
    x, padding = _symmetric(call, call[0], kernel, 0.0, [k // 2 for k in kernel])
    pooled = call.do("avg_pool", x, padding=padding, count_include_pad=counted, **settings)
    if x is call[0] or counted:
        return pooled
    ones = torch.ones(1, 1, *call[0].shape[2:])
    padded, _ = _symmetric(call, ones, kernel, 0.0, [k // 2 for k in kernel])
    share = call.do("avg_pool", padded, padding=padding, count_include_pad=True, **settings)
    return call.do("mul", pooled, call.do("reciprocal", share))


@operator("GlobalAveragePool")
def _global_average_pool(call: Call) -> Any:
    if len(call[0].shape) == 4:
        return call.do("adaptive_avg_pool2d", call[0], output_size=1)
    return call.do("mean", call[0], dim=list(range(2, len(call[0].shape))), keepdim=True)


@operator("GlobalMaxPool")
def _global_max_pool(call: Call) -> Any:
    return call.do("amax", call[0], dim=list(range(2, len(call[0].shape))), keepdim=True)


def _reduction(op: str, **settings: Any) -> Translator:
    def translate(call: Call) -> Any:
        x = call[0]
        axes = call.integers(1, "axes")
        if not axes and call.get("noop_with_empty_axes", 0):
            return x
        axes = list(axes) if axes else list(range(len(x.shape)))
        return call.do(op, x, dim=axes, keepdim=bool(call.get("keepdims", 1)), **settings)

    return translate


OPERATORS |= {
    "ReduceMean": _reduction("mean"),
    "ReduceSum": _reduction("sum"),
    "ReduceMax": _reduction("amax"),
    "ReduceMin": _reduction("amin"),
    "ReduceL1": _reduction("norm", p=1.0),
    "ReduceL2": _reduction("norm", p=2.0),
}


@operator("ReduceSumSquare")
def _reduce_sum_square(call: Call) -> Any:
    squared = call.do("mul", call[0], call[0])
    return _reduction("sum")(Call(call.tracer, call.opset, [squared, *call.inputs[1:]], call.attributes, 1))


@operator("Flatten")
def _flatten(call: Call) -> Any:
    x = call[0]
    axis = call.get("axis", 1) % (len(x.shape) + 1)
    if axis == 1:
        return call.do("flatten", x, start_dim=1)
    return call.do("reshape", x, shape=[math.prod(x.shape[:axis]), -1])


@operator("Reshape")
def _reshape(call: Call) -> Any:
    x, shape = call[0], call.tracer.integers(call[1], "shape")
    if not call.get("allowzero", 0):
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    if shape[:1] == [-1] and isinstance(x, Signal):
        shape[0] = x.example.numel() // max(math.prod(shape[1:]), 1)
    return call.do("reshape", x, shape=shape)


@operator("Expand")
def _expand(call: Call) -> Any:
    x, shape = call[0], call.tracer.integers(call[1], "shape")
    wanted = list(torch.broadcast_shapes(x.shape, shape))  # type: ignore[no-untyped-call]
    return x if wanted == list(x.shape) else call.do("expand", x, shape=wanted)


@operator("Tile")
def _tile(call: Call) -> Any:
    return call.do("repeat", call[0], repeats=call.tracer.integers(call[1], "repeats"))


@operator("Transpose")
def _transpose(call: Call) -> Any:
    n = len(call[0].shape)
    return call.do("permute", call[0], dims=call.get("perm", list(range(n))[::-1]))


@operator("Squeeze")
def _squeeze(call: Call) -> Any:
    axes = call.integers(1, "axes")
    if axes is None:
        axes = [axis for axis, size in enumerate(call[0].shape) if size == 1]
    return call.do("squeeze", call[0], dim=list(axes))


@operator("Unsqueeze")
def _unsqueeze(call: Call) -> Any:
    axes = call.integers(1, "axes")
    x, n = call[0], len(call[0].shape) + len(axes)
    for axis in sorted(axis % n for axis in axes):
        x = call.do("unsqueeze", x, dim=axis)
    return x


@operator("Concat")
def _concat(call: Call) -> Any:
    if all(isinstance(item, Tensor) for item in call.inputs):
        joined: Tensor = torch.cat(list(call.inputs), call.get("axis"))  # type: ignore[arg-type]
        return joined
    return call.do("cat", *call.inputs, dim=call.get("axis"))


@operator("Split")
def _split(call: Call) -> list[Traced]:
    axis = call.get("axis", 0)
    sizes = call.integers(1, "split")
    if sizes is None:
        size, n = call[0].shape[axis], call.get("num_outputs", call.n_outputs)
        each = -(-size // n)
        sizes = [each] * (n - 1) + [size - each * (n - 1)]
    return call.parts("split", call[0], sizes=list(sizes), dim=axis)


@operator("Slice")
def _slice(call: Call) -> Any:
    x, starts, ends = call[0], call.integers(1, "starts"), call.integers(2, "ends")
    axes = call.integers(3, "axes", list(range(len(starts))))
    steps = call.integers(4, "steps", [1] * len(starts))
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        dim, size = axis % len(x.shape), x.shape[axis]
        if step < 0:
            x = _reversed(call, x, dim, (start, end, step))
        elif (max(start, -size), min(end, size), step) not in {(0, size, 1), (-size, size, 1)}:
            bounded = [max(-size, min(value, size)) for value in (start, end)]
            x = call.do("slice", x, dim=dim, start=bounded[0], end=bounded[1], step=step)
    return x


def _reversed(call: Call, x: Traced, dim: int, bounds: tuple[int, int, int]) -> Traced:
    size = x.shape[dim]
    start, end, step = bounds
    chosen = list(range(size))[slice(start, None if end < -size else end, step)]
    return call.do("index_select", x, torch.tensor(chosen), dim=dim)


@operator("Gather")
def _gather(call: Call) -> Any:
    x, indices = call[0], call.tracer.constant(call[1], "indices")
    axis = call.get("axis", 0) % len(x.shape)
    wrapped = torch.where(indices < 0, indices + x.shape[axis], indices)
    if indices.dim() == 0:
        return call.do("select", x, dim=axis, index=int(wrapped))
    picked = call.do("index_select", x, wrapped.reshape(-1), dim=axis)
    if indices.dim() == 1:
        return picked
    shape = [*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]]
    return call.do("reshape", picked, shape=shape)


@operator("Einsum")
def _einsum(call: Call) -> Any:
    return call.do("einsum", *call.inputs, equation=call.get("equation"))


@operator("Pad")
def _pad(call: Call) -> Any:
    x, mode = call[0], call.get("mode", "constant")
    pads, n = call.integers(1, "pads"), len(call[0].shape)
    axes = call.integers(3, "axes", list(range(n)))
    value = call.floats(2, "value", [0.0])
    sides = {axis % n: (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    flat = [side for axis in range(n - 1, -1, -1) for side in sides.get(axis, (0, 0))]
    while len(flat) > 2 and flat[-2:] == [0, 0]:
        flat = flat[:-2]
    names = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if not any(flat):
        return x
    number = value[0] if isinstance(value, list) else value
    return call.do("pad", x, pad=flat, mode=names[mode], value=float(number))


@operator("DepthToSpace")
def _depth_to_space(call: Call) -> Any:
    block, (n, c, h, w) = call.get("blocksize"), tuple(call[0].shape)
    if call.get("mode", "DCR") == "CRD":
        return call.do("pixel_shuffle", call[0], upscale_factor=block)
    depth = c // block**2
    x = call.do("reshape", call[0], shape=[n, block, block, depth, h, w])
    x = call.do("permute", x, dims=[0, 3, 4, 1, 5, 2])
    return call.do("reshape", x, shape=[n, depth, h * block, w * block])


@operator("SpaceToDepth")
def _space_to_depth(call: Call) -> Any:
    block, (n, c, h, w) = call.get("blocksize"), tuple(call[0].shape)
    x = call.do("reshape", call[0], shape=[n, c, h // block, block, w // block, block])
    x = call.do("permute", x, dims=[0, 3, 5, 1, 2, 4])
    return call.do("reshape", x, shape=[n, block**2 * c, h // block, w // block])


@operator("Resize", "Upsample")
def _resize(call: Call) -> Any:
    x, n = call[0], len(call[0].shape)
    scales, sizes = call.floats(2, "scales"), call.integers(3, "sizes")
    if not sizes:
        scales = scales or call.floats(1, "scales")
        sizes = [math.floor(size * scale) for size, scale in zip(x.shape, scales, strict=True)]
    elif len(sizes) != n:
        raise call.refuse("sizes of some axes", "a size of every axis")
    if list(sizes[:2]) != list(x.shape[:2]) or n != 4:
        raise call.refuse(f"sizes {list(sizes)}", "height and width alone changed")
    mode, where = call.get("mode", "nearest"), call.get("coordinate_transformation_mode", "half_pixel")
    exact = all(
        abs(s * scale - size) < 1e-6 for s, scale, size in zip(x.shape, scales or [], sizes, strict=False)
    )
    kind = (mode, where, call.get("nearest_mode", "round_prefer_floor") if mode == "nearest" else "")
    if kind not in _RESIZES or call.get("antialias", 0) or not exact:
        raise call.refuse(
            f"the variant {', '.join(filter(None, kind))}", "nearest, linear or cubic as PyTorch exports them"
        )
    settings = _RESIZES[kind]
    return call.do("interpolate", x, size=list(sizes[2:]), **settings)


_RESIZES: dict[tuple[str, str, str], dict[str, Any]] = {
    ("nearest", "asymmetric", "floor"): {"mode": "nearest"},
    ("nearest", "half_pixel", "round_prefer_ceil"): {"mode": "nearest-exact"},
    ("linear", "half_pixel", ""): {"mode": "bilinear", "align_corners": False},
    ("linear", "pytorch_half_pixel", ""): {"mode": "bilinear", "align_corners": False},
    ("linear", "align_corners", ""): {"mode": "bilinear", "align_corners": True},
}
