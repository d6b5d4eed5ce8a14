"""Layers, activations, pools and reductions of PyTorch, in the words of a graph."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pfungst.network.sources.graph.aten_calls import ATEN, Call, Translator, aten
from pfungst.network.sources.graph.tracing import Traced, UntraceableError


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
