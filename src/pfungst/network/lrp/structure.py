"""Relevance through everything without weights: sums, pooling, normalisation, gates, shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pfungst.network.lrp.elementwise import dense, multiplied, quotient, total
from pfungst.network.lrp.errors import LrpError, UnsupportedOperationError
from pfungst.network.lrp.kernels import Taken
from pfungst.network.lrp.linear import affine_of
from pfungst.network.lrp.rules import Epsilon, Flat, Pass, Proportional, Rule, Taylor, WinnerTakesAll, ZPlus
from pfungst.network.lrp.tape import Node, Value


@dataclass(frozen=True)
class Shares:
    """Relevance of a call's inputs for one target, in pairs, and what was taken by cause.

    ``total`` is the sum a sample of all of it, where it is known without adding up.
    """

    parts: list[tuple[Value, Tensor]]
    taken: Taken = field(default_factory=dict)
    total: Tensor | None = None


Outputs = Sequence[Tensor | None]
"""Relevance of each output of a call for one target; None where none came."""


def pullback(node: Node, outputs: Outputs) -> list[Tensor]:
    """``Jᵀ s`` of a recorded call for each of its inputs."""
    with torch.enable_grad():
        inputs = [value.tensor().detach().requires_grad_() for value in node.inputs]
        result = node.call(*inputs)
        results = (
            [result] if isinstance(result, Tensor) else [item for item in result if item.is_floating_point()]
        )
        pairs = [(y, s) for y, s in zip(results, outputs, strict=True) if s is not None]
        gradients = torch.autograd.grad(
            [y for y, _ in pairs], inputs, [s.to(y) for y, s in pairs], allow_unused=True
        )
    return [
        torch.zeros_like(x) if gradient is None else gradient
        for x, gradient in zip(inputs, gradients, strict=True)
    ]


def single(outputs: Outputs) -> Tensor:
    """The relevance of a call with one output that carries any."""
    (only,) = (s for s in outputs if s is not None)
    return only


def through(node: Node, outputs: Outputs, rule: Rule | None) -> Shares:
    """Activations ``x · g(x)``, dropout and the like: relevance passes."""
    del rule
    return Shares([(node.inputs[0], single(outputs))])


def raised(node: Node, outputs: Outputs, rule: Epsilon) -> Shares:
    """Activations ``f(0) + x · g(x)``: f(0) has its share.

    ``R_i = (f(x_i) − f(0)) / (f(x_i) + ε sgn f(x_i)) R_i``.
    """
    value, y = node.inputs[0], node.outputs[0].tensor()
    start: Tensor = node.call(torch.zeros_like(value.tensor()))
    q = quotient(single(outputs), y, rule.epsilon)
    taken = {"stabiliser": q.stabiliser, "zero": q.zero, "constant": total(q.values * start)}
    return Shares([(value, q.values * (y - start))], taken)


def reshaped(node: Node, outputs: Outputs, rule: Rule | None) -> Shares:
    """The same numbers in another shape."""
    del rule
    return Shares([(node.inputs[0], single(outputs).reshape(node.inputs[0].shape))])


FILLING = frozenset({"pad", "constant_pad_nd", "unfold"})
"""Calls that move numbers and put constants beside them."""


def rearranged(node: Node, outputs: Outputs, rule: Rule | None) -> Shares:
    """Slices, permutations, copies, padding: each output's relevance to the input that it is a copy of."""
    del rule
    (relevance,) = pullback(node, outputs)
    taken = {}
    if node.name in FILLING:
        taken["constant"] = total(single(outputs)) - total(relevance)
    return Shares([(node.inputs[0], relevance)], taken)


def concatenated(node: Node, outputs: Outputs, rule: Rule | None) -> Shares:
    """Each number's relevance to the input that it is from; what falls on constants is taken by them."""
    del rule
    relevance = pullback(node, outputs)
    parts = list(zip(node.inputs, relevance, strict=True))
    if not has_constants(node):
        return Shares(parts)
    left = total(single(outputs)) - sum(total(item) for item in relevance)
    return Shares(parts, {"constant": left})


def has_constants(node: Node) -> bool:
    """Whether a call joins its signals with constants, or chooses between them."""
    if node.kind == "choice":
        return True
    items: Sequence[Any] = node.argument(0, "tensors")
    return any(isinstance(item, Tensor) for item in items)


def summed(node: Node, outputs: Outputs, rule: Epsilon) -> Shares:
    """``R_k = a_k / (Σ_k' a_k' + ε sgn) R`` for a sum of signals."""
    r = single(outputs)
    return _in_proportion(_terms(node, r), node.outputs[0].tensor(), r, rule.epsilon)


def summed_positive(node: Node, outputs: Outputs, rule: ZPlus) -> Shares:
    """The same of the positive parts only."""
    r = single(outputs)
    terms = [(value, term.clamp(min=0)) for value, term in _terms(node, r)]
    return _in_proportion(terms, torch.stack([term for _, term in terms]).sum(dim=0), r, rule.epsilon)


def _in_proportion(terms: list[tuple[Value, Tensor]], z: Tensor, r: Tensor, epsilon: float) -> Shares:
    q = quotient(r, z, epsilon)
    (first, one), (second, other) = terms
    share, last = q.values * one, q.values.mul_(other)
    parts = [(first, share.sum_to_size(first.shape)), (second, last.sum_to_size(second.shape))]
    return Shares(parts, {"stabiliser": q.stabiliser, "zero": q.zero})


def _terms(node: Node, like: Tensor) -> list[tuple[Value, Tensor]]:
    pairs = [(value, value.tensor(), sign) for value, sign in _signed_terms(node)]
    return [(value, _expanded(x if sign == 1 else sign * x, like)) for value, x, sign in pairs]


def _signed_terms(node: Node) -> list[tuple[Value, float]]:
    items = [*node.args, *(node.kwargs[key] for key in ("input", "other") if key in node.kwargs)]
    alpha = float(node.kwargs.get("alpha", 1))
    second = -alpha if node.name in {"sub", "subtract"} else alpha
    return [(items[0], 1.0), (items[1], second)]


def _expanded(tensor: Tensor, like: Tensor) -> Tensor:
    return tensor if tensor.shape == like.shape else tensor.expand(like.shape)


def affine(node: Node, outputs: Outputs, rule: Epsilon) -> Shares:
    """A scale and shift a channel: ``R_i = c_i x_i / (c_i x_i + d_i) R_i``.

    Without a shift relevance passes.
    """
    r, value = single(outputs), node.inputs[0]
    scale, shift = affine_of(node)
    if not bool(shift.any()):
        return affine_passed(node, outputs, rule)
    x = value.tensor()
    product = scale.to(x) * x
    excluded = rule.bias == "exclude"
    q = quotient(r, product if excluded else node.outputs[0].tensor(), rule.epsilon)
    taken = {"stabiliser": q.stabiliser, "zero": q.zero}
    if not excluded:
        cause = "bias" if node.kind == "batch_norm" else "constant"
        taken[cause] = total(q.values * shift.to(x))
    return Shares([(value, (q.values * product).sum_to_size(value.shape))], taken)


def affine_passed(node: Node, outputs: Outputs, rule: Rule) -> Shares:
    """A scale and shift that leave relevance as it is."""
    del rule
    return Shares([(node.inputs[0], single(outputs).sum_to_size(node.inputs[0].shape))])


def averaged(node: Node, outputs: Outputs, rule: Epsilon) -> Shares:
    """Means and other fixed weights: in proportion to the inputs."""
    return _weighed(node, outputs, node.inputs[0].tensor(), node.outputs[0].tensor(), rule.epsilon)


def averaged_positive(node: Node, outputs: Outputs, rule: ZPlus) -> Shares:
    """The same of the positive inputs only."""
    x = node.inputs[0].tensor().clamp(min=0)
    return _weighed(node, outputs, x, node.call(x), rule.epsilon)


def _weighed(node: Node, outputs: Outputs, x: Tensor, z: Tensor, epsilon: float) -> Shares:
    q = quotient(single(outputs), z, epsilon)
    relevance, passed = multiplied(pullback(node, [q.values])[0], x)
    return Shares([(node.inputs[0], relevance)], {"stabiliser": q.stabiliser, "zero": q.zero}, passed)


def averaged_evenly(node: Node, outputs: Outputs, rule: Flat) -> Shares:
    """Means and other fixed weights: evenly over the inputs, whatever they are."""
    del rule
    value = node.inputs[0]
    weight: Tensor = node.call(torch.ones_like(value.tensor()))
    q = quotient(single(outputs), weight, 0.0)
    return Shares([(value, pullback(node, [q.values])[0])], {"zero": q.zero})


def pooled(node: Node, outputs: Outputs, rule: WinnerTakesAll) -> Shares:
    """Max pooling: to the winner."""
    del rule
    return Shares(list(zip(node.inputs, pullback(node, [*outputs]), strict=True)))


def pooled_in_proportion(node: Node, outputs: Outputs, rule: Proportional) -> Shares:
    """Max pooling: in proportion to all inputs of the window."""
    r = single(outputs)
    if node.name not in {"max_pool2d", "max_pool2d_with_indices"} or node.argument(4, "dilation", 1) not in (
        1,
        (1, 1),
    ):
        raise LrpError(
            f"{node.title}, called in {node.place}, with the rule Proportional",
            allowed="max_pool2d without dilation",
        )
    kernel = node.argument(1, "kernel_size")
    stride = node.argument(2, "stride") or kernel
    padding, ceil = node.argument(3, "padding", 0), bool(node.argument(5, "ceil_mode", False))
    value = node.inputs[0]
    with torch.enable_grad():
        x = value.tensor().detach().requires_grad_()
        z = nn.functional.avg_pool2d(x, kernel, stride, padding, ceil, divisor_override=1)
        q = quotient(r, z.detach(), rule.epsilon)
        (c,) = torch.autograd.grad(z, x, q.values)
    relevance, passed = multiplied(c, x.detach())
    return Shares([(value, relevance)], {"stabiliser": q.stabiliser, "zero": q.zero}, passed)


def normalised(node: Node, outputs: Outputs, rule: Taylor) -> Shares:
    """Local response normalisation by its Taylor expansion."""
    r, value = single(outputs), node.inputs[0]
    size = int(node.argument(1, "size"))
    ratio = float(node.argument(2, "alpha", 1e-4)) / size
    beta, k = float(node.argument(3, "beta", 0.75)), float(node.argument(4, "k", 1.0))
    x = value.tensor()
    squared = ratio * x**2
    s_sum = k + _window_sum(squared, size // 2, (size - 1) // 2)
    own = x * (k + squared) ** -beta
    outward = -2 * beta * x * s_sum ** (-beta - 1)
    denominator = own + outward * (s_sum - k - squared)
    q = quotient(r, denominator, rule.epsilon)
    weighted = outward * q.values
    spread = _window_sum(weighted, (size - 1) // 2, size // 2) - weighted
    return Shares([(value, own * q.values + squared * spread)], {"stabiliser": q.stabiliser, "zero": q.zero})


def _window_sum(x: Tensor, before: int, after: int) -> Tensor:
    """Sum over the channels from ``before`` below to ``after`` above each channel."""
    padding = [0, 0] * (x.dim() - 2) + [before, after]
    padded = nn.functional.pad(x, padding)
    result = torch.zeros_like(x)
    for offset in range(before + after + 1):
        result += padded[:, offset : offset + x.shape[1]]
    return result


def gated(node: Node, outputs: Outputs, rule: Rule | None) -> Shares:
    """Signal times gate: the gate is a constant, relevance goes to the signal."""
    del rule
    (signal,) = node.carriers
    return Shares([(signal, single(outputs).sum_to_size(signal.shape))])


def fallen_back(node: Node, outputs: Outputs, mode: str) -> Shares:
    """An operation without a rule: relevance passes, or follows ``x_i ∂y_j/∂x_i``, stabilised by 1e-6."""
    r = single(outputs)
    if mode == "pass":
        if len(node.inputs) != 1 or node.inputs[0].shape != r.shape:
            raise UnsupportedOperationError(
                node.title, node.place, 'does not keep the shape, as fallback="pass" needs'
            )
        return Shares([(node.inputs[0], r)])
    received = total(r)
    q = quotient(r, node.outputs[0].tensor(), 1e-6)
    gradients = pullback(node, [q.values if s is not None else None for s in outputs])
    parts = [(v, dense(c) * v.tensor()) for v, c in zip(node.inputs, gradients, strict=True)]
    passed = sum((total(part) for _, part in parts), torch.zeros_like(received))
    left = received - passed - q.stabiliser - q.zero
    return Shares(parts, {"stabiliser": q.stabiliser, "zero": q.zero, "linearisation": left}, passed)


FIXED: Mapping[str, Callable[[Node, Outputs, Rule | None], Shares]] = {
    "activation": through,
    "identity": through,
    "reshape": reshaped,
    "rearrange": rearranged,
    "concat": concatenated,
    "choice": concatenated,
    "gate": gated,
    "quotient": gated,
}
"""Kinds of operations with one rule only."""

KERNELS: Mapping[str, Mapping[type[Rule], Callable[[Node, Outputs, Any], Shares]]] = {
    "sum": {Epsilon: summed, ZPlus: summed_positive},
    "affine": {Epsilon: affine, Pass: affine_passed},
    "avg_pool": {Epsilon: averaged, ZPlus: averaged_positive, Flat: averaged_evenly},
    "max_pool": {WinnerTakesAll: pooled, Proportional: pooled_in_proportion},
    "lrn": {Pass: through, Taylor: normalised},
    "squash": {Epsilon: raised, Pass: through},
}
"""Kinds whose rule a composite chooses.

``sum`` is an addition of signals (residuals), ``affine`` a scale and shift that is not part of a weighted
layer (such as a batch norm that could not be merged), ``squash`` an activation that is not 0 at 0.
"""
