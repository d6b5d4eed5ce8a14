"""What each recorded call is on the way back: its kind where that depends on what it was given, and which
of its inputs carry relevance.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from pfungst.network.lrp.nested import flat
from pfungst.network.lrp.tape import Node, Tape, Value

_STATISTIC, _SQUASHED, _CLAMPED = 3, 2, 1
_GATES = {
    **dict.fromkeys(("norm", "vector_norm", "linalg_vector_norm", "linalg_norm", "std", "var"), _STATISTIC),
    **dict.fromkeys(("sqrt", "rsqrt", "reciprocal", "__rtruediv__"), _STATISTIC),
    **dict.fromkeys(("sigmoid", "hardsigmoid", "softmax", "erf"), _SQUASHED),
    "tanh": _CLAMPED,
}
"""Functions whose output scales a signal, and how plainly so: norms, then squashed, then clamped values."""
_LOWER = frozenset({"relu6", "hardtanh", "relu", "clamp_min"})
_UPPER = frozenset({"relu6", "hardtanh", "clamp_max"})
_BY_BOUNDS = frozenset({"clamp", "clip"})
_MAY_MISS_ZERO = frozenset({"clamp", "clip", "clamp_min", "clamp_max", "hardtanh", "threshold", "_threshold"})
"""Activations that are 0 at 0 with some parameters only."""
_TRANSPARENT = frozenset({"identity", "reshape", "rearrange", "product", "sum_of", "concat", "avg_pool"})
_QUOTIENTS = frozenset({"div", "true_divide", "divide", "__truediv__"})


def assign_roles(tape: Tape, is_constant: Callable[[Node], bool] = lambda node: False) -> None:
    """Set ``role`` and ``carriers`` of every recorded call.

    Parameters
    ----------
    tape : Tape
        The recorded pass.
    is_constant : callable
        Whether the output of a softmax counts as a constant in the products that it is a factor of.
    """
    ranks: dict[int, int] = {}
    constants: set[int] = set()
    for node in tape.nodes:
        rank = _rank(node, ranks)
        passes_on = node.kind in _TRANSPARENT and all(id(value) in constants for value in node.inputs)
        for value in node.outputs:
            ranks[id(value)] = rank
            if passes_on or (node.kind == "softmax" and is_constant(node)):
                constants.add(id(value))
        node.role, node.carriers = _role(node, ranks, constants)


def _rank(node: Node, ranks: dict[int, int]) -> int:
    """How plainly the output of a call is a gate; 0 where it is a signal."""
    inputs = [ranks.get(id(value), 0) for value in node.inputs]
    if node.name == "pow":
        exponent = node.argument(1, "exponent")
        if isinstance(exponent, (int, float)) and (exponent < 0 or exponent != int(exponent)):
            return _STATISTIC
    own = _GATES.get(node.name, 0)
    if own:
        return own
    passes = node.kind in {"activation", "squash"} and min(inputs) == _STATISTIC
    if passes or node.kind in _TRANSPARENT:
        return min(inputs)
    return _CLAMPED if _ramp(node) else 0


def _ramp(node: Node) -> bool:
    """Whether a call ends a signal plus a number that is clamped from both sides, as in ``relu6(x + 3)``."""
    lower = upper = False
    part: Node | None = node
    while part is not None and (part.name in _LOWER | _UPPER | _BY_BOUNDS):
        given = part.name in _BY_BOUNDS
        lower |= part.name in _LOWER or (given and part.argument(1, "min") is not None)
        upper |= part.name in _UPPER or (given and part.argument(2, "max") is not None)
        part = part.inputs[0].producer
    shifted = part is not None and part.kind == "sum_of" and len(part.inputs) == 1
    return lower and upper and shifted and len(factors(node)) == 1


def _role(node: Node, ranks: dict[int, int], constants: set[int]) -> tuple[str, list[Value]]:
    signals = factors(node)
    if node.kind in {"sum_of", "batch_norm"}:
        return ("sum" if len(signals) > 1 else "affine"), node.inputs
    if node.kind == "product":
        return _product(node, signals, ranks)
    if node.kind == "contraction":
        carriers = [value for value in node.inputs if id(value) not in constants] or node.inputs
        alone = sum(item is carriers[0] for item in signals) == 1 and len(carriers) == 1
        return ("contraction" if alone else "multiplication"), carriers
    if node.name == "pow" and not _is_power(node):
        return "unknown", node.inputs
    if node.kind == "activation" and node.name in _MAY_MISS_ZERO and _misses_zero(node):
        return "squash", node.inputs
    return node.kind, node.inputs


def _misses_zero(node: Node) -> bool:
    """Whether an activation is not 0 at 0."""
    if len(node.inputs) != 1:
        return False  # a bound that is a signal
    bounds = [item for item in flat([node.args, node.kwargs]) if isinstance(item, torch.Tensor)]
    zeros = torch.zeros(node.inputs[0].shape).to(bounds[0]) if bounds else torch.zeros(1)
    return bool(node.call(zeros).any())


def _is_power(node: Node) -> bool:
    """Whether a signal is raised to a constant power above 0: ``x · g(x)``."""
    base, exponent = node.argument(0, "input"), node.argument(1, "exponent")
    if not isinstance(base, Value) or isinstance(exponent, Value):
        return False
    return bool(torch.as_tensor(exponent).gt(0).all())


def factors(node: Node) -> list[Value]:
    """The signals that a call was given, as often as it was given them."""
    return [item for item in flat([node.args, node.kwargs]) if isinstance(item, Value)]


def _product(node: Node, signals: list[Value], ranks: dict[int, int]) -> tuple[str, list[Value]]:
    """A gate scales its signal; without one, both factors share; a quotient is its numerator's."""
    first = node.args[0] if node.args else node.kwargs.get("input")
    quotient = node.name in _QUOTIENTS
    if node.name == "__rtruediv__" or (quotient and not isinstance(first, Value)):
        return "unknown", node.inputs
    if len(signals) == 1:
        return "affine", node.inputs
    if quotient and isinstance(first, Value) and signals[0] is not signals[1]:
        return "quotient", [first]
    signal = _signal(signals[0], signals[1], ranks)
    if signal is None:
        return "multiplication", node.inputs
    statistic = any(ranks.get(id(value)) == _STATISTIC for value in signals if value is not signal)
    return ("quotient" if statistic else "gate"), [signal]


def _signal(first: Value, second: Value, ranks: dict[int, int]) -> Value | None:
    """The factor that is scaled by the other, a gate; None if neither or both could be it."""
    a, b = ranks.get(id(first), 0), ranks.get(id(second), 0)
    if a == b and a:
        a, b = -first.shape.numel(), -second.shape.numel()
    if a == b or first is second:
        return None
    return first if a < b else second
