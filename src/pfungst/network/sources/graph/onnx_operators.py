"""ONNX operators (opset 11 to 21) in the words of a graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from pfungst.network.sources.graph.tracing import Signal, Traced, Tracer, UntraceableError

Translator: TypeAlias = "Callable[[Call], Any]"
OPERATORS: dict[str, Translator] = {}


@dataclass(frozen=True)
class Call:
    """One node: its inputs by position (None where left out), attributes, number of outputs."""

    tracer: Tracer
    opset: int
    inputs: Sequence[Traced | None]
    attributes: Mapping[str, Any]
    n_outputs: int

    def __getitem__(self, position: int) -> Any:
        """An input; None where it is left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def do(self, op: str, *inputs: Traced | None, **settings: Any) -> Traced:
        """Carry out and note an operation."""
        return self.tracer.call(op, *inputs, **settings)

    def parts(self, op: str, *inputs: Traced | None, **settings: Any) -> list[Traced]:
        """The same for one with several results."""
        return self.tracer.parts(op, *inputs, **settings)

    def integers(self, position: int, name: str, default: Any = None) -> Any:
        """A list of integers that is an input in newer opsets and was an attribute in older ones."""
        if self[position] is not None:
            return self.tracer.integers(self[position], name)
        return self.get(name, default)

    def floats(self, position: int, name: str, default: Any = None) -> Any:
        """A list of numbers, likewise."""
        if self[position] is not None:
            return [float(v) for v in self.tracer.constant(self[position], name).reshape(-1).tolist()]
        return self.get(name, default)

    def refuse(self, what: str, allowed: str | None = None) -> UntraceableError:
        """An error about a variant that is not carried over."""
        return UntraceableError(f"it has {what}", allowed=allowed)


def operator(*names: str) -> Callable[[Translator], Translator]:
    """Add a translator under the names of its operators."""

    def add(function: Translator) -> Translator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return add


def _plain(op: str) -> Translator:
    return lambda call: call.do(op, *call.inputs)


def _same(*pairs: tuple[str, str]) -> None:
    """Operators that take tensors alone and are one function."""
    for onnx_name, op in pairs:
        OPERATORS[onnx_name] = _plain(op)


_same(
    ("Relu", "relu"), ("Sigmoid", "sigmoid"), ("Tanh", "tanh"), ("Erf", "erf"), ("Exp", "exp"),
    ("Log", "log"),
    ("Sqrt", "sqrt"), ("Reciprocal", "reciprocal"), ("Neg", "neg"), ("Abs", "abs"), ("Softplus", "softplus"),
    ("Softsign", "softsign"), ("Mish", "mish"), ("HardSwish", "hardswish"), ("MatMul", "matmul"),
)  # fmt: skip


def on_constants(*names: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Add operators that compute shapes and masks, and are refused where they meet the photo."""

    def add(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def translate(call: Call) -> Tensor:
            inputs = [item if item is None else call.tracer.constant(item, "input") for item in call.inputs]
            return function(call, *inputs)

        OPERATORS.update(dict.fromkeys(names, translate))
        return function

    return add


_HOST: dict[str, Callable[..., Tensor]] = {
    "Equal": torch.eq, "Less": torch.lt, "LessOrEqual": torch.le, "Greater": torch.gt,
    "GreaterOrEqual": torch.ge, "Not": torch.logical_not, "And": torch.logical_and, "Or": torch.logical_or,
    "Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round, "Sign": torch.sign, "Sin": torch.sin,
    "Cos": torch.cos,
}  # fmt: skip
for _name, _function in _HOST.items():
    on_constants(_name)(lambda call, *x, function=_function: function(*x))


@on_constants("Mod")
def _mod(call: Call, x: Tensor, y: Tensor) -> Tensor:
    return torch.fmod(x, y) if call.get("fmod", 0) else torch.remainder(x, y)


@on_constants("Range")
def _range(call: Call, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    _check_size(call, (limit.item() - start.item()) / (delta.item() or 1))
    return torch.arange(start.item(), limit.item(), delta.item()).to(start.dtype)


@on_constants("ConstantOfShape")
def _constant_of_shape(call: Call, shape: Tensor) -> Tensor:
    sizes = [int(size) for size in shape.tolist()]
    _check_size(call, math.prod(sizes))
    value = call.get("value", torch.zeros(1))
    return torch.full(sizes, value.reshape(-1)[0].item(), dtype=value.dtype)


@on_constants("Trilu")
def _trilu(call: Call, x: Tensor, k: Tensor | None = None) -> Tensor:
    diagonal = 0 if k is None else int(k)
    return torch.triu(x, diagonal) if call.get("upper", 1) else torch.tril(x, diagonal)


@on_constants("CumSum")
def _cumsum(call: Call, x: Tensor, axis: Tensor) -> Tensor:
    if call.get("exclusive", 0) or call.get("reverse", 0):
        raise call.refuse("exclusive or reverse sums")
    return torch.cumsum(x, int(axis))


@on_constants("GatherElements")
def _gather_elements(call: Call, x: Tensor, indices: Tensor) -> Tensor:
    return torch.gather(x, call.get("axis", 0), indices)


@on_constants("ScatterND")
def _scatter_nd(call: Call, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    if call.get("reduction", "none") != "none":
        raise call.refuse("a reduction", "none")
    result = x.clone()
    result[tuple(indices.unbind(-1))] = updates
    return result


@on_constants("ReduceProd")
def _reduce_prod(call: Call, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = axes.tolist() if axes is not None else call.get("axes", list(range(x.dim())))
    for axis in sorted((a % x.dim() for a in chosen), reverse=True):
        x = torch.prod(x, axis, keepdim=bool(call.get("keepdims", 1)))
    return x


_MAX_CONSTANT = 2**26


def _check_size(call: Call, count: float) -> None:
    if not 0 <= count <= _MAX_CONSTANT:
        raise call.refuse(f"{count:.0f} numbers", f"at most {_MAX_CONSTANT}")


@operator("Identity", "Dropout")
def _identity(call: Call) -> Any:
    return call[0] if call.n_outputs == 1 else [call[0], None]


@operator("Constant")
def _constant(call: Call) -> Tensor:
    for key, dtype in (("value_float", torch.float32), ("value_floats", torch.float32),
                       ("value_int", torch.int64), ("value_ints", torch.int64)):  # fmt: skip
        if key in call.attributes:
            return torch.tensor(call.attributes[key], dtype=dtype)
    value: Tensor | None = call.get("value")
    if value is None:
        raise call.refuse(f"{', '.join(call.attributes)}", "value, value_float(s), value_int(s)")
    return value


@operator("Cast", "CastLike")
def _cast(call: Call) -> Any:
    x, to = call[0], call.get("to", 1)
    if isinstance(x, Signal):
        if to not in _FLOATS and "to" in call.attributes:
            raise call.refuse("a cast of the photo's values to integers")
        return x
    if "to" not in call.attributes:
        return x.to(call.tracer.constant(call[1], "type").dtype)
    if to in _FLOATS:
        return x.float()
    if to == _BOOL:
        return x.bool()
    if to not in _INTEGERS:
        raise call.refuse(f"a cast to the type {to}", "numbers and bool")
    return x.long()


_FLOATS, _INTEGERS, _BOOL = frozenset((1, 10, 11, 16)), frozenset((2, 3, 4, 5, 6, 7, 12, 13)), 9


@operator("Shape")
def _shape(call: Call) -> Tensor:
    shape = list(call[0].shape)
    end = call.get("end")
    return torch.tensor(shape[call.get("start", 0) : len(shape) if end is None else end], dtype=torch.int64)


@operator("Size")
def _size(call: Call) -> Tensor:
    return torch.tensor(math.prod(call[0].shape))


def _arithmetic(op: str) -> Translator:
    def translate(call: Call) -> Any:
        first, second = call[0], call[1]
        whole = all(isinstance(item, Tensor) and not item.is_floating_point() for item in (first, second))
        if op == "div" and whole:
            return call.do("div", first, second, rounding_mode="trunc")
        return call.do(op, first, second)

    return translate


OPERATORS |= {
    "Add": _arithmetic("add"),
    "Sub": _arithmetic("sub"),
    "Mul": _arithmetic("mul"),
    "Div": _arithmetic("div"),
}
OPERATORS |= {"Pow": _arithmetic("pow"), "Where": lambda call: call.do("where", *call.inputs)}


def _variadic(op: str, *, mean: bool = False) -> Translator:
    def translate(call: Call) -> Any:
        result = call[0]
        for item in call.inputs[1:]:
            result = call.do(op, result, item)
        return call.do("div", result, torch.tensor(float(len(call.inputs)))) if mean else result

    return translate


OPERATORS |= {"Max": _variadic("maximum"), "Min": _variadic("minimum")}
OPERATORS |= {"Sum": _variadic("add"), "Mean": _variadic("add", mean=True)}


@operator("Clip")
def _clip(call: Call) -> Any:
    low, high = (call.floats(position, name) for position, name in ((1, "min"), (2, "max")))
    low, high = (value[0] if isinstance(value, list) else value for value in (low, high))
    if low is None and high is None:
        return call[0]
    if (low, high) == (0.0, 6.0):
        return call.do("relu6", call[0])
    if not isinstance(call[0], Signal) and not call[0].is_floating_point():
        low, high = (value if value is None else int(value) for value in (low, high))
    return (
        call.do("relu", call[0])
        if (low, high) == (0.0, None)
        else call.do("clamp", call[0], min=low, max=high)
    )


@operator("LeakyRelu")
def _leaky_relu(call: Call) -> Any:
    return call.do("leaky_relu", call[0], negative_slope=call.get("alpha", 0.01))


@operator("PRelu")
def _prelu(call: Call) -> Any:
    x, slope = call[0], call.tracer.constant(call[1], "slope")
    alone = list(slope.shape) in ([1] * slope.dim(), [x.shape[1], *[1] * (len(x.shape) - 2)])
    if slope.numel() != 1 and not alone:
        raise call.refuse(f"a slope of shape {tuple(slope.shape)}", "one number, or one a channel")
    return call.do("prelu", x, slope.reshape(-1))


@operator("Elu")
def _elu(call: Call) -> Any:
    return call.do("elu", call[0], alpha=call.get("alpha", 1.0))


@operator("Celu")
def _celu(call: Call) -> Any:
    return call.do("celu", call[0], alpha=call.get("alpha", 1.0))


@operator("Selu")
def _selu(call: Call) -> Any:
    alpha, gamma = call.get("alpha", 1.67326319), call.get("gamma", 1.05070102)
    if abs(alpha - 1.67326319) > 1e-5 or abs(gamma - 1.05070102) > 1e-5:
        raise call.refuse(f"alpha {alpha} and gamma {gamma}", "those of the SELU paper")
    return call.do("selu", call[0])


@operator("HardSigmoid")
def _hard_sigmoid(call: Call) -> Any:
    alpha, beta = call.get("alpha", 0.2), call.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return call.do("hardsigmoid", call[0])
    scaled = call.do("add", call.do("mul", call[0], torch.tensor(alpha)), torch.tensor(beta))
    return call.do("clamp", scaled, min=0.0, max=1.0)


@operator("Gelu")
def _gelu(call: Call) -> Any:
    return call.do("gelu", call[0], approximate=call.get("approximate", "none"))


def _softmax_by(op: str) -> Translator:
    def translate(call: Call) -> Any:
        x = call[0]
        axis = call.get("axis", 1 if call.opset < 13 else -1) % max(len(x.shape), 1)
        if call.opset >= 13 or axis == len(x.shape) - 1:
            return call.do(op, x, dim=axis)
        flat = call.do("flatten", x, start_dim=axis)
        return call.do("reshape", call.do(op, flat, dim=axis), shape=list(x.shape))

    return translate


OPERATORS |= {"Softmax": _softmax_by("softmax"), "LogSoftmax": _softmax_by("log_softmax")}
