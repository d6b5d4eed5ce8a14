"""Relevance through norms that take their statistics from the signal itself: layer, group, instance, RMS.

A norm computes ``y = γ (x − μ) / σ + β``. Three steps, of which only the first has a denominator of its own:

- scale and shift are a linear map, ε rule: ``s = R / (y + ε sgn y)``, the shift takes ``Σ β s`` (``bias``);
- division by σ, which counts as a constant, passes relevance (Achtibat et al. 2024, Proposition 3.4);
- centring is a linear map, 0 rule: what divides it cancels against what the step before multiplied.

Together ``R_i = x_i (u_i − mean(u))`` with ``u = γ s / σ``; without a mean (RMS norm) ``R_i = x_i u_i``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pfungst.network.lrp.elementwise import multiplied, quotient, total
from pfungst.network.lrp.rules import Epsilon, Pass, Rule
from pfungst.network.lrp.structure import Outputs, Shares, single, through
from pfungst.network.lrp.tape import Node


@dataclass(frozen=True)
class Form:
    """One norm: how its input is cut into groups that share statistics, and what scales them.

    ``shape`` is the input's with its groups apart, ``dims`` the dimensions of ``shape`` within a group;
    ``weight`` and ``bias`` broadcast over the input.
    """

    shape: tuple[int, ...]
    dims: tuple[int, ...]
    weight: Tensor | None
    bias: Tensor | None
    epsilon: float
    centred: bool = True

    def inverse_deviation(self, x: Tensor) -> Tensor:
        """``1 / σ`` of each group of ``x`` in the groups' shape."""
        if self.centred:
            spread = torch.var(x, self.dims, correction=0, keepdim=True)
        else:
            spread = x.square().mean(self.dims, keepdim=True)
        return (spread + self.epsilon).rsqrt()


def form(node: Node) -> Form:
    """The form of a recorded norm."""
    return {"layer_norm": _layer, "rms_norm": _rms, "group_norm": _group, "instance_norm": _instance}[
        node.name
    ](node)


def _layer(node: Node) -> Form:
    shape = tuple(node.inputs[0].shape)
    dims = tuple(range(len(shape) - len(_normalised(node)), len(shape)))
    weight, bias = node.argument(2, "weight"), node.argument(3, "bias")
    return Form(shape, dims, weight, bias, float(node.argument(4, "eps", 1e-5)))


def _rms(node: Node) -> Form:
    shape = tuple(node.inputs[0].shape)
    dims = tuple(range(len(shape) - len(_normalised(node)), len(shape)))
    epsilon = node.argument(3, "eps")
    if epsilon is None:
        epsilon = torch.finfo(node.inputs[0].tensor().dtype).eps
    return Form(shape, dims, node.argument(2, "weight"), None, float(epsilon), centred=False)


def _normalised(node: Node) -> tuple[int, ...]:
    shape = node.argument(1, "normalized_shape")
    return (shape,) if isinstance(shape, int) else tuple(shape)


def _group(node: Node) -> Form:
    n, channels, *spatial = node.inputs[0].shape
    groups = int(node.argument(1, "num_groups"))
    shape = (n, groups, channels // groups, *spatial)
    weight, bias = (
        _of_channels(item, len(spatial)) for item in (node.argument(2, "weight"), node.argument(3, "bias"))
    )
    return Form(shape, tuple(range(2, len(shape))), weight, bias, float(node.argument(4, "eps", 1e-5)))


def _instance(node: Node) -> Form:
    shape = tuple(node.inputs[0].shape)
    weight, bias = (
        _of_channels(item, len(shape) - 2) for item in (node.argument(3, "weight"), node.argument(4, "bias"))
    )
    return Form(shape, tuple(range(2, len(shape))), weight, bias, float(node.argument(7, "eps", 1e-5)))


def _of_channels(values: Tensor | None, n_spatial: int) -> Tensor | None:
    return values.view(-1, *[1] * n_spatial) if values is not None else None


def normalised(node: Node, outputs: Outputs, rule: Epsilon) -> Shares:
    """``R_i = x_i (u_i − mean(u))``, ``u = γ / σ · R / (y + ε sgn y)``; β takes its share."""
    norm, value = form(node), node.inputs[0]
    x, y = value.tensor(), node.outputs[0].tensor()
    bias = norm.bias.detach() if norm.bias is not None else None
    if bias is not None and rule.bias == "exclude":
        y, bias = y - bias, None
    q = quotient(single(outputs), y, rule.epsilon)
    taken = {"stabiliser": q.stabiliser, "zero": q.zero}
    if bias is not None:
        taken["bias"] = total(q.values * bias)
    scaled = q.values * norm.weight.detach() if norm.weight is not None else q.values
    u = scaled.reshape(norm.shape) * norm.inverse_deviation(x.reshape(norm.shape))
    if norm.centred:
        u -= u.mean(norm.dims, keepdim=True)
    relevance, passed = multiplied(u.reshape(x.shape), x)
    return Shares([(value, relevance)], taken, passed)


KERNELS: Mapping[str, Mapping[type[Rule], Callable[[Node, Outputs, Any], Shares]]] = {
    "norm": {Epsilon: normalised, Pass: through}
}
"""The rules of norms: see above, or relevance passes."""
