"""PyTorch's own operators (ATen), as ``torch.export`` writes them, in the words of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from pfungst.network.sources.graph.tracing import Signal, Traced, Tracer, UntraceableError

Translator: TypeAlias = "Callable[[Call], Any]"
ATEN: dict[str, Translator] = {}
_EVERYTHING = 2**62


@dataclass(frozen=True)
class Call:
    """One call: its arguments by the names that the operator's schema gives them."""

    tracer: Tracer
    arguments: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        """An argument that must be there."""
        if name not in self.arguments:
            raise UntraceableError(f"its argument {name!r} is missing")
        return self.arguments[name]

    @property
    def x(self) -> Any:
        """The first tensor."""
        return self.arguments["self"] if "self" in self.arguments else self["input"]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or what the operator's schema has in its place."""
        value = self.arguments.get(name)
        return default if value is None else value

    def do(self, op: str, *inputs: Traced | None, **settings: Any) -> Traced:
        """Carry out and note an operation."""
        return self.tracer.call(op, *inputs, **settings)

    def parts(self, op: str, *inputs: Traced | None, **settings: Any) -> list[Traced]:
        """The same for one with several results."""
        return self.tracer.parts(op, *inputs, **settings)


def aten(*names: str) -> Callable[[Translator], Translator]:
    """Add a translator under the names of its operators, without overloads."""

    def add(function: Translator) -> Translator:
        ATEN.update(dict.fromkeys(names, function))
        return function

    return add


def _unary(op: str) -> Translator:
    return lambda call: call.do(op, call.x)


_UNARY = (
    "relu relu6 sigmoid tanh hardsigmoid hardswish silu mish erf exp log sqrt rsqrt reciprocal neg abs selu"
)
for _name in _UNARY.split():
    ATEN[_name] = _unary(_name)
for _name in (
    "detach",
    "alias",
    "contiguous",
    "clone",
    "dropout",
    "feature_dropout",
    "lift_fresh_copy",
    "lift_fresh",
    "dropout2d",
):
    ATEN[_name] = lambda call: call.x


@aten("to", "_to_copy", "type_as", "float")
def _to(call: Call) -> Any:
    dtype = call.get("dtype")
    if isinstance(call.x, Signal):
        if isinstance(dtype, torch.dtype) and not dtype.is_floating_point:
            raise UntraceableError("it turns the photo's values into integers")
        return call.x
    if dtype is None:
        return call.x
    return call.x.float() if dtype.is_floating_point else call.x.to(dtype)


@aten(
    "_assert_tensor_metadata",
    "_assert_scalar",
    "sym_constrain_range",
    "sym_constrain_range_for_size",
    "_assert_async",
)
def _asserted(call: Call) -> None:
    del call


@aten("sym_size")
def _sym_size(call: Call) -> int:
    return int(call.x.shape[call["dim"]])


def _number(value: Any) -> Any:
    if isinstance(value, (Signal, Tensor)):
        return value
    return torch.tensor(value)


def _arithmetic(op: str) -> Translator:
    def translate(call: Call) -> Any:
        if call.get("rounding_mode") is not None:
            raise UntraceableError("it rounds")
        other, alpha = _number(call["other"]), call.get("alpha", 1)
        if alpha != 1:
            other = call.do("mul", other, torch.tensor(alpha))
        return call.do(op, call.x, other)

    return translate


ATEN |= {name: _arithmetic(name) for name in ("add", "sub", "mul", "div")}
ATEN |= {
    "maximum": lambda call: call.do("maximum", call.x, call["other"]),
    "minimum": lambda call: call.do("minimum", call.x, call["other"]),
    "rsub": lambda call: call.do("sub", _number(call["other"]), call.x),
    "pow": lambda call: call.do("pow", call.x, _number(call["exponent"])),
    "square": lambda call: call.do("mul", call.x, call.x),
    "where": lambda call: call.do("where", call["condition"], call.x, call["other"]),
    "matmul": lambda call: call.do("matmul", call.x, call["other"]),
    "mm": lambda call: call.do("matmul", call.x, call["mat2"]),
    "bmm": lambda call: call.do("matmul", call.x, call["mat2"]),
    "einsum": lambda call: call.do("einsum", *call["tensors"], equation=call["equation"]),
}


@aten("conv1d", "conv2d", "conv3d", "convolution")
def _conv(call: Call) -> Any:
    ones = [1] * (len(call["weight"].shape) - 2)
    if call.get("transposed"):
        return _conv_transpose(call)
    return call.do(
        "conv", call["input"], call["weight"], call.get("bias"), stride=_many(call.get("stride", ones), ones),
        padding=_many(call.get("padding", [0]), ones), dilation=_many(call.get("dilation", ones), ones),
        groups=call.get("groups", 1),
    )  # fmt: skip


@aten("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _conv_transpose(call: Call) -> Any:
    ones = [1] * (len(call["weight"].shape) - 2)
    names = ("stride", 1), ("padding", 0), ("output_padding", 0), ("dilation", 1)
    settings = {name: _many(call.get(name, [value]), ones) for name, value in names}
    return call.do(
        "conv_transpose", call["input"], call["weight"], call.get("bias"), groups=call.get("groups", 1),
        **settings,
    )  # fmt: skip


def _many(value: Any, like: list[int]) -> Any:
    """One number serves every axis."""
    return value if isinstance(value, str) or len(value) == len(like) else list(value) * len(like)


@aten("linear")
def _linear(call: Call) -> Any:
    return call.do("linear", call["input"], call["weight"], call.get("bias"))


@aten("addmm", "baddbmm")
def _addmm(call: Call) -> Any:
    first, second = (
        (call["mat1"], call["mat2"]) if "mat1" in call.arguments else (call["batch1"], call["batch2"])
    )
    if call.get("alpha", 1) != 1 or call.get("beta", 1) != 1:
        raise UntraceableError("it has factors")
    if isinstance(second, Tensor) and isinstance(call.x, Tensor) and second.dim() == 2 and call.x.dim() == 1:
        return call.do("linear", first, second.T.contiguous(), call.x)
    return call.do("add", call.do("matmul", first, second), call.x)


@aten("batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm", "native_batch_norm")
def _batch_norm(call: Call) -> Any:
    if call.get("training", False):
        raise UntraceableError("it is in training mode", hint="model.eval() before torch.export.export")
    names = ("running_mean", "running_var", "weight", "bias")
    result = call.do("batch_norm", call["input"], *(call.get(name) for name in names), eps=call["eps"])
    return result if "cudnn_enabled" in call.arguments else [result, None, None]


@aten("layer_norm", "native_layer_norm")
def _layer_norm(call: Call) -> Any:
    shape = [int(size) for size in call["normalized_shape"]]
    result = call.do(
        "layer_norm",
        call["input"],
        call.get("weight"),
        call.get("bias"),
        shape=shape,
        eps=call.get("eps", 1e-5),
    )
    return [result, None, None]


@aten("group_norm", "native_group_norm")
def _group_norm(call: Call) -> Any:
    groups = call["num_groups"] if "num_groups" in call.arguments else call["group"]
    result = call.do(
        "group_norm",
        call["input"],
        call.get("weight"),
        call.get("bias"),
        groups=groups,
        eps=call.get("eps", 1e-5),
    )
    return [result, None, None]


@aten("instance_norm")
def _instance_norm(call: Call) -> Any:
    return call.do("instance_norm", call["input"], call.get("weight"), call.get("bias"), eps=call["eps"])


@aten("gelu")
def _gelu(call: Call) -> Any:
    return call.do("gelu", call.x, approximate=call.get("approximate", "none"))


@aten("leaky_relu")
def _leaky_relu(call: Call) -> Any:
    return call.do("leaky_relu", call.x, negative_slope=call.get("negative_slope", 0.01))


@aten("elu")
def _elu(call: Call) -> Any:
    if (call.get("scale", 1), call.get("input_scale", 1)) != (1, 1):
        raise UntraceableError("it is scaled")
    return call.do("elu", call.x, alpha=call.get("alpha", 1.0))


@aten("prelu", "_prelu_kernel")
def _prelu(call: Call) -> Any:
    return call.do("prelu", call.x, call.tracer.constant(call["weight"], "slope").reshape(-1))


@aten("softplus")
def _softplus(call: Call) -> Any:
    return call.do("softplus", call.x, beta=call.get("beta", 1), threshold=call.get("threshold", 20))


@aten("hardtanh", "clamp", "clamp_min", "clamp_max")
def _clamp(call: Call) -> Any:
    defaults = (-1, 1) if not set(call.arguments) - {"self"} else (None, None)
    low = call.get("min_val", call.get("min", defaults[0]))
    high = call.get("max_val", call.get("max", defaults[1]))
    if (low, high) in {(0, 6), (0.0, 6.0)}:
        return call.do("relu6", call.x)
    return call.do("clamp", call.x, min=low, max=high)


ATEN |= {name: lambda call: call.do("softmax", call.x, dim=call["dim"]) for name in ("softmax", "_softmax")}
ATEN |= {
    name: lambda call: call.do("log_softmax", call.x, dim=call["dim"])
    for name in ("log_softmax", "_log_softmax")
}


@aten("scaled_dot_product_attention")
def _attention(call: Call) -> Any:
    if call.get("dropout_p", 0.0) != 0.0:
        raise UntraceableError("it has a dropout", hint="model.eval() before torch.export.export")
    settings = {"is_causal": bool(call.get("is_causal", False)), "scale": call.get("scale")}
    return call.do("attention", call["query"], call["key"], call["value"], call.get("attn_mask"), **settings)


@aten("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices")
def _max_pool(call: Call) -> Any:
    kernel = call["kernel_size"]
    result = call.do(
        "max_pool", call.x, kernel_size=kernel, stride=call.get("stride") or kernel,
        padding=call.get("padding", 0), dilation=call.get("dilation", 1),
        ceil_mode=bool(call.get("ceil_mode", False)),
    )  # fmt: skip
    return [result, None]


@aten("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _avg_pool(call: Call) -> Any:
    kernel = call["kernel_size"]
    if call.get("divisor_override") is not None:
        raise UntraceableError("it has a divisor of its own")
    return call.do(
        "avg_pool", call.x, kernel_size=kernel, stride=call.get("stride") or kernel,
        padding=call.get("padding", 0), ceil_mode=bool(call.get("ceil_mode", False)),
        count_include_pad=bool(call.get("count_include_pad", True)),
    )  # fmt: skip


def _adaptive_pool(op: str) -> Translator:
    return lambda call: [call.do(op, call.x, output_size=list(call["output_size"])), None]


ATEN |= {
    "adaptive_avg_pool2d": _adaptive_pool("adaptive_avg_pool2d"),
    "_adaptive_avg_pool2d": _adaptive_pool("adaptive_avg_pool2d"),
    "adaptive_max_pool2d": _adaptive_pool("adaptive_max_pool2d"),
}


@aten("adaptive_avg_pool1d")
def _adaptive_avg_pool1d(call: Call) -> Any:
    if list(call["output_size"]) != [1]:
        raise UntraceableError(f"its output size is {call['output_size']}", allowed="1")
    return call.do("mean", call.x, dim=[len(call.x.shape) - 1], keepdim=True)


def _reduction(op: str) -> Translator:
    def translate(call: Call) -> Any:
        dims = call.get("dim")
        dims = list(range(len(call.x.shape))) if dims is None or dims == [] else dims
        return call.do(
            op,
            call.x,
            dim=dims if isinstance(dims, list) else [dims],
            keepdim=bool(call.get("keepdim", False)),
        )

    return translate


ATEN |= {
    "mean": _reduction("mean"),
    "sum": _reduction("sum"),
    "amax": _reduction("amax"),
    "amin": _reduction("amin"),
}


@aten("linalg_vector_norm", "norm")
def _norm(call: Call) -> Any:
    p = float(call.get("ord", call.get("p", 2)))
    return call.do("norm", call.x, p=p, dim=call["dim"], keepdim=bool(call.get("keepdim", False)))


@aten("var")
def _var(call: Call) -> Any:
    return call.do(
        "var",
        call.x,
        dim=call["dim"],
        correction=call.get("correction", 1.0),
        keepdim=bool(call.get("keepdim", False)),
    )


@aten("var_mean")
def _var_mean(call: Call) -> list[Traced]:
    mean = call.do("mean", call.x, dim=call["dim"], keepdim=bool(call.get("keepdim", False)))
    return [_var(call), mean]


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
        return function(x, call.tracer.constant(_number(call["other"]), "input"))

    return translate


ATEN |= {
    name: _host(getattr(torch, name))
    for name in (
        "eq",
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


@aten("masked_fill")
def _masked_fill(call: Call) -> Any:
    return call.do("where", call["mask"], _number(float(call["value"])), call.x)


SYMBOLS: dict[str, Callable[..., Any]] = {
    "_operator.add": lambda a, b: a + b,
    "_operator.sub": lambda a, b: a - b,
    "_operator.mul": lambda a, b: a * b,
    "_operator.floordiv": lambda a, b: a // b,
    "_operator.mod": lambda a, b: a % b,
    "_operator.neg": lambda a: -a,
    "math.trunc": int,
    "torch.sym_int": int,
}
"""Arithmetic on sizes of a batch that was left open."""
