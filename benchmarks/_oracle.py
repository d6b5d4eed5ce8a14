"""AttnLRP from another hand: gradient × input of a network whose operations have modified gradients.

With ε → 0 AttnLRP equals gradient × input where σ of a norm, the ratio f(x)/x of an activation, and gates
are constants, and every product ``y`` of two signals is ``½ y + ½ detach(y)``. Nothing here uses the engine:
signals are tensors that require gradients, and autograd does the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

ACTIVATIONS = frozenset(
    [
        "relu",
        "relu6",
        "hardtanh",
        "leaky_relu",
        "prelu",
        "elu",
        "selu",
        "celu",
        "gelu",
        "silu",
        "hardswish",
        "mish",
        "softplus",
        "softsign",
        "tanh",
        "clamp",
        "clamp_min",
        "clamp_max",
        "pow",
        "square",
        "sqrt",
        "abs",
        "sigmoid",
        "hardsigmoid",
        "logsigmoid",
        "log_sigmoid",
        "exp",
        "cos",
        "sin",
        "log1p",
        "clip",
        "_threshold",
        "threshold",
    ]
)
STATISTICS = frozenset(
    [
        "norm",
        "vector_norm",
        "linalg_vector_norm",
        "std",
        "var",
        "rsqrt",
        "reciprocal",
        "__rtruediv__",
        "__rpow__",
    ]
)
SQUASHED = frozenset(["sigmoid", "hardsigmoid", "softmax", "erf"])
MOVING = frozenset(
    [
        "view",
        "reshape",
        "flatten",
        "unflatten",
        "squeeze",
        "unsqueeze",
        "permute",
        "transpose",
        "__getitem__",
        "chunk",
        "split",
        "unbind",
        "expand",
        "expand_as",
        "mean",
        "sum",
        "interpolate",
        "contiguous",
        "add",
        "sub",
        "__radd__",
        "__rsub__",
        "mul",
        "__rmul__",
        "div",
        "type_as",
        "to",
        "float",
        "cat",
        "select",
        "narrow",
        "repeat",
        "repeat_interleave",
        "tile",
    ]
)
PRODUCTS = frozenset(["matmul", "mm", "bmm", "einsum", "linear"])


def gradient_times_input(module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """AttnLRP of ``module(inputs)[:, targets]`` with ε → 0, in the shape of ``inputs``."""
    x = inputs.clone().requires_grad_()
    with ModifiedGradients():
        output = module(x)
    chosen = output.gather(1, targets[:, None]).sum()
    (gradient,) = torch.autograd.grad(chosen, x)
    return (x * gradient).detach()


def half(y: Tensor) -> Tensor:
    return 0.5 * y + 0.5 * y.detach()


class ModifiedGradients(TorchFunctionMode):
    """Calls with the gradients that AttnLRP stands for."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: Any = WeakTensorKeyDictionary()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        given = dict(kwargs or {})
        name = _base(str(getattr(func, "__name__", func)))
        signals = [item for item in _flat([*args, *given.values()]) if _signal(item)]
        if not signals:
            return func(*args, **given)
        result = self._called(func, name, args, given, signals)
        self._mark(name, args, signals, result)
        return result

    def _called(
        self, func: Any, name: str, args: Sequence[Any], given: dict[str, Any], signals: list[Tensor]
    ) -> Any:
        if name in OWN:
            with self:
                return OWN[name](*args, **given)
        if name in {"mul", "multiply"} and len(signals) > 1:
            return self._product(*signals)
        return self._linear(func, name, args, given, signals)

    def _linear(
        self, func: Any, name: str, args: Sequence[Any], given: dict[str, Any], signals: list[Tensor]
    ) -> Any:
        if name in ACTIVATIONS and (name != "pow" or _signal(args[0])):
            return _activation(_anew(func, name), args, given)
        if name in {"add", "sub"} and str(getattr(func, "__name__", "")).endswith("_"):
            return func(*args, **given)  # in place, as others may read it there
        if name in {"div", "true_divide"} and len(args) > 1 and _signal(args[1]):
            return args[0] / args[1].detach()
        if name in PRODUCTS or (name.startswith("conv") and len(signals) > 1):
            y = func(*args, **given)
            return half(y) if len(signals) > 1 else y
        if given.pop("inplace", False) or name != str(getattr(func, "__name__", func)):
            func = _anew(func, name)
        return func(*args, **given)

    def _product(self, a: Tensor, b: Tensor) -> Tensor:
        rank = self.gates.get(a, 0), self.gates.get(b, 0)
        if rank[0] == rank[1] and rank[0]:
            rank = -a.numel(), -b.numel()
        if rank[0] == rank[1] or a is b:
            return half(a * b)
        return a * b.detach() if rank[0] < rank[1] else a.detach() * b

    def _mark(self, name: str, args: Sequence[Any], signals: list[Tensor], result: Any) -> None:
        """Remember what is a gate: 3 statistics, 2 squashed, 1 tanh and clamps of shifted signals."""
        read = signals[:1] if name in {"expand_as", "type_as", "to"} else signals
        known = min(self.gates.get(item, 0) for item in read)
        rank = known if name in MOVING or (known == 3 and name in ACTIVATIONS) else 0
        if name in STATISTICS or name == "sqrt" or (name == "pow" and _is_inverse(args[1])):
            rank = 3
        elif name in SQUASHED:
            rank = 2
        elif name == "tanh":
            rank = 1
        elif name in {"relu6", "hardtanh", "clamp", "clip"} and _shifted(signals[0]):
            rank = max(rank, 1)
        for item in _flat([result]):
            if rank and isinstance(item, Tensor):
                self.gates[item] = rank


def _shifted(x: Tensor) -> bool:
    return x.grad_fn is not None and "Add" in type(x.grad_fn).__name__ and len(_parents(x)) == 1


def _parents(x: Tensor) -> list[Any]:
    return [parent for parent, _ in x.grad_fn.next_functions if parent is not None]


def _is_inverse(exponent: Any) -> bool:
    return isinstance(exponent, (int, float)) and (exponent < 0 or exponent != int(exponent))


def _activation(func: Any, args: Sequence[Any], given: dict[str, Any]) -> Tensor:
    given.pop("inplace", None)
    x = args[0] if args else given.pop("input")
    with torch.no_grad():
        y = func(x, *args[1:], **given)
        start = func(torch.zeros_like(x), *args[1:], **given).nan_to_num(posinf=0.0, neginf=0.0)
        ratio = torch.where(x == 0, 0.0, (y - start) / torch.where(x == 0, 1.0, x))
    result: Tensor = x * ratio + (y - x.detach() * ratio)
    return result


def _base(name: str) -> str:
    name = name.split(".", maxsplit=1)[0]
    if name.startswith("__i") and name.endswith("__") and name != "__index__":
        return {"truediv": "div", "pow": "pow"}.get(name[3:-2], name[3:-2])
    if name.endswith("_") and not name.endswith("__"):
        return name[:-1]
    return {
        "__add__": "add", "__sub__": "sub", "__mul__": "mul", "__matmul__": "matmul", "__truediv__": "div",
        "__pow__": "pow", "__rmul__": "mul",
    }.get(name, name)  # fmt: skip


def _anew(func: Any, name: str) -> Any:
    """The function that leaves its input as it is."""
    own = str(getattr(func, "__name__", func))
    if own == name or own.startswith(("__r", "__getitem", "__setitem")) or own == "copy_":
        return func
    return getattr(Tensor, name, None) or getattr(F, name, None) or func


def _signal(item: Any) -> bool:
    return isinstance(item, Tensor) and item.requires_grad and not isinstance(item, nn.Parameter)


def _flat(items: Any) -> list[Any]:
    if isinstance(items, dict):
        return _flat(list(items.values()))
    if isinstance(items, (list, tuple)):
        return [found for item in items for found in _flat(item)]
    return [items]


def _standardised(x: Tensor, dims: tuple[int, ...], eps: float, centred: bool = True) -> Tensor:
    c = x - x.mean(dims, keepdim=True) if centred else x
    return c / ((c * c).mean(dims, keepdim=True) + eps).sqrt().detach()


def layer_norm(
    input: Tensor, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Tensor:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    y = _standardised(input, tuple(range(-len(shape), 0)), eps)
    y = y * weight if weight is not None else y
    return y + bias if bias is not None else y


def rms_norm(input: Tensor, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Tensor:
    dims = tuple(range(-len(tuple(normalized_shape)), 0))
    y = _standardised(input, dims, torch.finfo(input.dtype).eps if eps is None else eps, centred=False)
    return y * weight if weight is not None else y


def group_norm(
    input: Tensor, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Tensor:
    n, c = input.shape[:2]
    grouped = input.reshape(n, num_groups, -1)
    return _per_channel(_standardised(grouped, (2,), eps).reshape(input.shape), weight, bias, c)


def instance_norm(
    input: Tensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    dims = tuple(range(2, input.dim()))
    return _per_channel(_standardised(input, dims, eps), weight, bias, input.shape[1])


def _per_channel(y: Tensor, weight: Any, bias: Any, c: int) -> Tensor:
    shape = (c, *[1] * (y.dim() - 2))
    y = y * weight.view(shape) if weight is not None else y
    return y + bias.view(shape) if bias is not None else y


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    assert not is_causal
    assert not enable_gqa
    scores = torch.matmul(query, key.transpose(-2, -1)) * (scale or 1 / math.sqrt(query.shape[-1]))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -1e30)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return torch.matmul(scores.softmax(-1), value)


def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    width: int,
    heads: int,
    in_weight: Tensor,
    in_bias: Tensor,
    bias_k: None,
    bias_v: None,
    add_zero: bool,
    dropout: float,
    out_weight: Tensor,
    out_bias: Tensor,
    **_: Any,
) -> tuple[Tensor, None]:
    assert bias_k is None
    assert not add_zero
    weights, biases = in_weight.chunk(3), in_bias.chunk(3)
    length, n = query.shape[:2]

    def split(x: Tensor, position: int) -> Tensor:
        y = F.linear(x, weights[position], biases[position])
        return y.reshape(x.shape[0], n, heads, width // heads).permute(1, 2, 0, 3)

    mixed = attention(*(split(x, i) for i, x in enumerate((query, key, value))))
    return F.linear(mixed.permute(2, 0, 1, 3).reshape(length, n, width), out_weight, out_bias), None


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None) -> Tensor:
    return input / input.detach().norm(p, dim, keepdim=True).clamp_min(eps)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    a, b = input.chunk(2, dim)
    return a * b.sigmoid().detach()


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return beta * input + alpha * torch.matmul(mat1, mat2)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    return input + value * (tensor1 * tensor2)


OWN = {
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "scaled_dot_product_attention": attention,
    "multi_head_attention_forward": multi_head_attention,
    "normalize": normalize,
    "glu": glu,
    "addmm": addmm,
    "baddbmm": addmm,
    "addcmul": addcmul,
}
