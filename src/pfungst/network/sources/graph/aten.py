"""PyTorch's own operators (ATen), as ``torch.export`` writes them, in the words of a graph."""

from __future__ import annotations

from typing import Any

import torch

from pfungst.network.sources.graph import aten_layers, aten_shapes  # noqa: F401 - they fill the list
from pfungst.network.sources.graph.aten_calls import ATEN, Call, Translator, as_tensor, aten
from pfungst.network.sources.graph.tracing import Signal, UntraceableError


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


def _arithmetic(op: str) -> Translator:
    def translate(call: Call) -> Any:
        if call.get("rounding_mode") is not None:
            raise UntraceableError("it rounds")
        other, alpha = as_tensor(call["other"]), call.get("alpha", 1)
        if alpha != 1:
            other = call.do("mul", other, torch.tensor(alpha))
        return call.do(op, call.x, other)

    return translate


ATEN |= {name: _arithmetic(name) for name in ("add", "sub", "mul", "div")}
ATEN |= {
    "maximum": lambda call: call.do("maximum", call.x, call["other"]),
    "minimum": lambda call: call.do("minimum", call.x, call["other"]),
    "rsub": lambda call: call.do("sub", as_tensor(call["other"]), call.x),
    "pow": lambda call: call.do("pow", call.x, as_tensor(call["exponent"])),
    "square": lambda call: call.do("mul", call.x, call.x),
    "matmul": lambda call: call.do("matmul", call.x, call["other"]),
    "mm": lambda call: call.do("matmul", call.x, call["mat2"]),
    "bmm": lambda call: call.do("matmul", call.x, call["mat2"]),
    "einsum": lambda call: call.do("einsum", *call["tensors"], equation=call["equation"]),
}
