"""Shapes, indices, masks and constants of PyTorch, in the words of a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pfungst.network.sources.graph.aten_calls import ATEN, Call, Translator, as_tensor, aten
from pfungst.network.sources.graph.tracing import Signal, Traced, UntraceableError

_EVERYTHING = 2**62


@aten("view", "reshape", "_unsafe_view")
def _reshape(call: Call) -> Any:
    shape = [int(size) for size in (call["size"] if "size" in call.arguments else call["shape"])]
    if shape[:1] == [-1] and isinstance(call.x, Signal):
        rest = 1
        for size in shape[1:]:
            rest *= size
        shape[0] = call.x.example.numel() // max(rest, 1)
    return call.do("reshape", call.x, shape=shape)


@aten("expand")
def _expand(call: Call) -> Any:
    shape, old = list(call["size"]), list(call.x.shape)
    old = [1] * (len(shape) - len(old)) + old
    wanted = [have if size == -1 else int(size) for size, have in zip(shape, old, strict=True)]
    return call.x if wanted == list(call.x.shape) else call.do("expand", call.x, shape=wanted)


@aten("flatten")
def _flatten(call: Call) -> Any:
    return call.do("flatten", call.x, start_dim=call.get("start_dim", 0), end_dim=call.get("end_dim", -1))


@aten("unflatten")
def _unflatten(call: Call) -> Any:
    shape, dim = list(call.x.shape), call["dim"] % len(call.x.shape)
    return call.do("reshape", call.x, shape=[*shape[:dim], *map(int, call["sizes"]), *shape[dim + 1 :]])


@aten("permute")
def _permute(call: Call) -> Any:
    return call.do("permute", call.x, dims=list(call["dims"]))


@aten("transpose", "t", "swapaxes", "numpy_T")
def _transpose(call: Call) -> Any:
    n = len(call.x.shape)
    first, second = call.get("dim0", call.get("axis0", 0)) % n, call.get("dim1", call.get("axis1", n - 1)) % n
    dims = list(range(n))
    dims[first], dims[second] = second, first
    return call.do("permute", call.x, dims=dims)


@aten("squeeze")
def _squeeze(call: Call) -> Any:
    dims = call.get("dim", [axis for axis, size in enumerate(call.x.shape) if size == 1])
    return call.do("squeeze", call.x, dim=dims if isinstance(dims, list) else [dims])


@aten("unsqueeze")
def _unsqueeze(call: Call) -> Any:
    return call.do("unsqueeze", call.x, dim=call["dim"])


@aten("cat", "concat", "concatenate")
def _cat(call: Call) -> Any:
    return call.do("cat", *call["tensors"], dim=call.get("dim", 0))


@aten("stack")
def _stack(call: Call) -> Any:
    return call.do("stack", *call["tensors"], dim=call.get("dim", 0))


@aten("split", "split_with_sizes", "chunk")
def _split(call: Call) -> list[Traced]:
    dim = call.get("dim", 0)
    length = call.x.shape[dim]
    if "split_sizes" in call.arguments or isinstance(call.get("split_size"), list):
        sizes = [int(size) for size in call.get("split_sizes", call.get("split_size"))]
    else:
        each = int(call.get("split_size", 0)) or -(-length // int(call["chunks"]))
        sizes = [min(each, length - start) for start in range(0, length, each)]
    return call.parts("split", call.x, sizes=sizes, dim=dim)


@aten("unbind")
def _unbind(call: Call) -> list[Traced]:
    dim = call.get("dim", 0)
    return [call.do("select", call.x, dim=dim, index=index) for index in range(call.x.shape[dim])]


@aten("slice")
def _slice(call: Call) -> Any:
    dim = call.get("dim", 0)
    size = call.x.shape[dim]
    start, end = call.get("start", 0), min(int(call.get("end", _EVERYTHING)), size)
    if (start, end, call.get("step", 1)) == (0, size, 1):
        return call.x
    return call.do(
        "slice", call.x, dim=dim % len(call.x.shape), start=int(start), end=end, step=int(call.get("step", 1))
    )


@aten("select")
def _select(call: Call) -> Any:
    return call.do("select", call.x, dim=call["dim"], index=int(call["index"]))


@aten("index_select")
def _index_select(call: Call) -> Any:
    return call.do("index_select", call.x, call.tracer.constant(call["index"], "index"), dim=call["dim"])


@aten("index")
def _index(call: Call) -> Any:
    """``x[indices]``: of a constant at once (position biases); of a signal along one axis alone."""
    indices = call["indices"]
    if isinstance(call.x, Tensor) and not any(isinstance(item, Signal) for item in indices):
        found: Tensor = call.x[tuple(slice(None) if item is None else item for item in indices)]
        return found
    given = [(axis, item) for axis, item in enumerate(indices) if item is not None]
    if len(given) != 1 or not isinstance(given[0][1], Tensor) or given[0][1].dim() != 1:
        raise UntraceableError("it picks along several axes", allowed="one axis, by a constant list")
    return call.do("index_select", call.x, given[0][1], dim=given[0][0])


@aten("roll")
def _roll(call: Call) -> Any:
    return call.do("roll", call.x, shifts=list(call["shifts"]), dims=list(call.get("dims", [])))


@aten("flip")
def _flip(call: Call) -> Any:
    return call.do("flip", call.x, dims=list(call["dims"]))


@aten("repeat")
def _repeat(call: Call) -> Any:
    return call.do("repeat", call.x, repeats=[int(size) for size in call["repeats"]])


@aten("pad", "constant_pad_nd")
def _pad(call: Call) -> Any:
    pad = [int(side) for side in call["pad"]]
    return call.do(
        "pad", call.x, pad=pad, mode=call.get("mode", "constant"), value=float(call.get("value", 0.0))
    )


def _upsample(mode: str) -> Translator:
    def translate(call: Call) -> Any:
        size = call.get("output_size") or [
            int(length * factor)
            for length, factor in zip(call.x.shape[2:], call["scale_factors"], strict=True)
        ]
        corners = None if mode.startswith("nearest") else bool(call.get("align_corners", False))
        return call.do(
            "interpolate", call.x, size=[int(side) for side in size], mode=mode, align_corners=corners
        )

    return translate


ATEN |= {
    "upsample_nearest2d": _upsample("nearest"),
    "_upsample_nearest_exact2d": _upsample("nearest-exact"),
    "upsample_bilinear2d": _upsample("bilinear"),
    "upsample_bicubic2d": _upsample("bicubic"),
    "pixel_shuffle": lambda call: call.do("pixel_shuffle", call.x, upscale_factor=call["upscale_factor"]),
    "pixel_unshuffle": lambda call: call.do(
        "pixel_unshuffle", call.x, downscale_factor=call["downscale_factor"]
    ),
}


@aten("channel_shuffle")
def _channel_shuffle(call: Call) -> Any:
    (n, c, *rest), groups = call.x.shape, call["groups"]
    x = call.do("reshape", call.x, shape=[n, groups, c // groups, *rest])
    x = call.do("permute", x, dims=[0, 2, 1, *range(3, 3 + len(rest))])
    return call.do("reshape", x, shape=[n, c, *rest])


def _filled(value: float | None) -> Translator:
    def translate(call: Call) -> Tensor:
        shape = call.get("size", None)
        shape = list(call.x.shape) if shape is None else [int(size) for size in shape]
        number = call.get("fill_value", value)
        return _bounded(shape, float(number if number is not None else 0))

    return translate


def _bounded(shape: list[int], value: float) -> Tensor:
    count = 1
    for size in shape:
        count *= size
    if not 0 <= count <= 2**26:
        raise UntraceableError(f"it makes {count} numbers", allowed=f"at most {2**26}")
    return torch.full(shape, value)


ATEN |= {name: _filled(0.0) for name in ("zeros", "zeros_like", "new_zeros")}
ATEN |= {name: _filled(1.0) for name in ("ones", "ones_like", "new_ones")}
ATEN |= {name: _filled(None) for name in ("full", "full_like", "new_full")}


@aten("scalar_tensor")
def _scalar_tensor(call: Call) -> Tensor:
    return torch.tensor(call["s"])


@aten("arange")
def _arange(call: Call) -> Tensor:
    start, end, step = call.get("start", 0), call["end"], call.get("step", 1)
    if not 0 <= (end - start) / step <= 2**26:
        raise UntraceableError("it counts too far")
    return torch.arange(start, end, step)


def _host(function: Callable[..., Tensor]) -> Translator:
    """Masks and indices, computed at once; refused where they meet the photo."""

    def translate(call: Call) -> Tensor:
        x = call.tracer.constant(call.x, "input")
        if "other" not in call.arguments:
            return function(x)
        return function(x, call.tracer.constant(as_tensor(call["other"]), "input"))

    return translate


ATEN |= {
    name: _host(getattr(torch, name))
    for name in (
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "logical_not",
        "logical_and",
        "logical_or",
        "floor",
        "ceil",
        "round",
        "sin",
        "cos",
    )
}


@aten("eq")
def _equal(call: Call) -> Tensor:
    """As other comparisons; but no number of a photo is −∞, which attention looks for: of masks, in vain."""
    other = as_tensor(call["other"])
    endless = isinstance(other, Tensor) and bool(torch.isneginf(other).all())
    if endless and isinstance(call.x, Signal) and not bool(torch.isneginf(call.x.example).any()):
        return _bounded(list(call.x.shape), 0.0).bool()
    return _host(torch.eq)(call)  # type: ignore[no-any-return]


@aten("any")
def _any(call: Call) -> Tensor:
    x, dims = call.tracer.constant(call.x, "input"), call.get("dim")
    return torch.any(x) if dims is None else torch.any(x, dims, bool(call.get("keepdim", False)))


@aten("where")
def _where(call: Call) -> Any:
    """What a condition chooses; where it never holds and the shape stays, the other."""
    condition, other = call["condition"], call["other"]
    never = isinstance(condition, Tensor) and not bool(condition.any())
    chosen = call.do("where", condition, call.x, other)
    return other if never and chosen.shape == other.shape else chosen


@aten("masked_fill")
def _masked_fill(call: Call) -> Any:
    return call.do("where", call["mask"], as_tensor(float(call["value"])), call.x)
