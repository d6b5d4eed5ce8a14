"""Linear layers and normalisations of ONNX, in the words of a graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pfungst.network.sources.graph.onnx_operators import Call, operator


@operator("Gemm")
def _gemm(call: Call) -> Any:
    a, b, c = call[0], call[1], call[2]
    alpha, beta = call.get("alpha", 1.0), call.get("beta", 1.0)
    a = call.do("permute", a, dims=[1, 0]) if call.get("transA", 0) else a
    if (
        isinstance(b, Tensor)
        and alpha == 1.0
        and (c is None or (isinstance(c, Tensor) and _is_bias(c, b, call)))
    ):
        weight = b if call.get("transB", 0) else b.T.contiguous()
        bias = None if c is None else (c * beta).reshape(-1).expand(weight.shape[0]).contiguous()
        return call.do("linear", a, weight, bias)
    product = call.do("matmul", a, call.do("permute", b, dims=[1, 0]) if call.get("transB", 0) else b)
    product = product if alpha == 1.0 else call.do("mul", product, torch.tensor(alpha))
    if c is None:
        return product
    return call.do("add", product, c if beta == 1.0 else call.do("mul", c, torch.tensor(beta)))


def _is_bias(c: Tensor, b: Tensor, call: Call) -> bool:
    width = b.shape[0] if call.get("transB", 0) else b.shape[-1]
    return c.numel() == c.shape[-1:].numel() and c.numel() in {1, width}


@operator("BatchNormalization")
def _batch_normalization(call: Call) -> Any:
    if call.get("training_mode", 0) or call.n_outputs > 1:
        raise call.refuse("training mode", "a network exported for inference")
    x, scale, bias, mean, variance = call.inputs
    return call.do("batch_norm", x, mean, variance, scale, bias, eps=call.get("epsilon", 1e-5))


@operator("LayerNormalization")
def _layer_normalization(call: Call) -> Any:
    if call.n_outputs > 1:
        raise call.refuse("mean and deviation as outputs", "one output")
    x, axis = call[0], call.get("axis", -1)
    shape = list(x.shape)[axis % len(x.shape) :]
    return call.do("layer_norm", x, call[1], call[2], shape=shape, eps=call.get("epsilon", 1e-5))


@operator("InstanceNormalization")
def _instance_normalization(call: Call) -> Any:
    return call.do("instance_norm", *call.inputs, eps=call.get("epsilon", 1e-5))


@operator("GroupNormalization")
def _group_normalization(call: Call) -> Any:
    x, groups = call[0], call.get("num_groups")
    scale, bias = (call.tracer.constant(call[position], "scale and bias") for position in (1, 2))
    if scale.numel() == groups != x.shape[1]:  # one a group, as opset 18 has it
        scale, bias = (item.repeat_interleave(x.shape[1] // groups) for item in (scale, bias))
    return call.do("group_norm", x, scale, bias, groups=groups, eps=call.get("epsilon", 1e-5))


@operator("LRN")
def _lrn(call: Call) -> Any:
    size = call.get("size")
    if size % 2 == 0:
        raise call.refuse(f"an even size {size}", "an odd one")
    return call.do(
        "local_response_norm", call[0], size=size, alpha=call.get("alpha", 1e-4), beta=call.get("beta", 0.75),
        k=call.get("bias", 1.0),
    )  # fmt: skip


@operator("LpNormalization")
def _lp_normalization(call: Call) -> Any:
    axis, p = call.get("axis", -1), float(call.get("p", 2))
    return call.do("div", call[0], call.do("norm", call[0], p=p, dim=[axis], keepdim=True))
