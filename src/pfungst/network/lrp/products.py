"""Relevance through products of signals, and softmax inside a network.

``y = Σ a b`` of two signals gives half of its relevance to each factor, in proportion to the contributions;
three factors get a third each. Where one factor counts as a constant, the other gets all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pfungst.network.lrp.elementwise import multiplied, quotient, total
from pfungst.network.lrp.nested import flat
from pfungst.network.lrp.rules import Constant, Epsilon, Halves, Rule, SoftmaxTaylor
from pfungst.network.lrp.structure import Outputs, Shares, pullback, single
from pfungst.network.lrp.tape import Node, Value

_PLAIN = frozenset({"matmul", "bmm", "mm"})


def multiplicity(node: Node, value: Value) -> int:
    """How often a signal is a factor of a call."""
    return sum(item is value for item in flat([node.args, node.kwargs]))


def shared(node: Node, outputs: Outputs, rule: Halves) -> Shares:
    """``R_a,i = Σ_j a_i b_ij R_j / (2 y_j + ε sgn)``, and the same for b (Achtibat et al. 2024, eq. 14)."""
    r = single(outputs)
    degree = sum(multiplicity(node, value) for value in node.carriers)
    if node.kind == "product":
        shares = ((value, multiplicity(node, value) / degree) for value in node.carriers)
        return Shares([(value, (part * r).sum_to_size(value.shape)) for value, part in shares])
    q = quotient(r, node.outputs[0].tensor(), rule.epsilon / degree)
    parts = [
        (value, slope.mul_(value.tensor()).div_(degree))
        for value, slope in zip(node.carriers, _slopes(node, q.values), strict=True)
    ]
    return Shares(parts, {"stabiliser": q.stabiliser, "zero": q.zero})


def linear_map(node: Node, outputs: Outputs, rule: Epsilon) -> Shares:
    """A signal times constants in any arrangement: ``R_i = x_i Σ_j ∂y_j/∂x_i R_j / (y_j + ε sgn y_j)``."""
    (value,) = node.carriers
    q = quotient(single(outputs), node.outputs[0].tensor(), rule.epsilon)
    (slope,) = _slopes(node, q.values)
    relevance, passed = multiplied(slope, value.tensor())
    return Shares([(value, relevance)], {"stabiliser": q.stabiliser, "zero": q.zero}, passed)


def _slopes(node: Node, s: Tensor) -> list[Tensor]:
    """``Jᵀ s`` for each factor that carries relevance."""
    if node.name not in _PLAIN or min(len(value.shape) for value in node.outputs) < 2:
        by_value = dict(zip(map(id, node.inputs), pullback(node, [s]), strict=True))
        return [by_value[id(value)] for value in node.carriers]
    a, b = (item.tensor() if isinstance(item, Value) else item.detach() for item in _factors(node))
    found: dict[int, Tensor] = {}
    for position, item in enumerate(_factors(node)):
        if not isinstance(item, Value):
            continue
        slope = s @ b.transpose(-2, -1) if position == 0 else a.transpose(-2, -1) @ s
        slope = slope.sum_to_size(item.shape)
        found[id(item)] = found[id(item)] + slope if id(item) in found else slope
    return [found[id(value)] for value in node.carriers]


def _factors(node: Node) -> tuple[Value | Tensor, Value | Tensor]:
    first = node.argument(0, "input")
    second = node.argument(1, "mat2" if node.name in {"bmm", "mm"} else "other")
    return first, second


def softened(node: Node, outputs: Outputs, rule: SoftmaxTaylor) -> Shares:
    """``R_i = x_i (R_s,i − s_i Σ_j R_s,j)``; what that does not conserve is taken by ``linearisation``.

    Where x is −∞ (masked) there is nothing to share.
    """
    del rule
    r, value, s = single(outputs), node.inputs[0], node.outputs[0].tensor()
    dim = int(node.argument(1, "dim", -1))
    slope = r - s * r.sum(dim, keepdim=True)
    x = value.tensor()
    relevance, passed = multiplied(slope, x.masked_fill(torch.isinf(x), 0.0))
    return Shares([(value, relevance)], {"linearisation": total(r) - passed}, passed)


def kept(node: Node, outputs: Outputs, rule: Constant) -> Shares:
    """An output that counts as a constant keeps what reaches it."""
    del rule
    r, value = single(outputs), node.inputs[0]
    nothing = torch.zeros(value.shape, dtype=r.dtype, device=r.device)
    return Shares([(value, nothing)], {"constant": total(r)})


KERNELS: Mapping[str, Mapping[type[Rule], Callable[[Node, Outputs, Any], Shares]]] = {
    "multiplication": {Halves: shared},
    "contraction": {Epsilon: linear_map},
    "softmax": {SoftmaxTaylor: softened, Constant: kept},
}
"""``multiplication`` is of two signals, ``contraction`` of a signal and constants in other than a layer's
arrangement.
"""
