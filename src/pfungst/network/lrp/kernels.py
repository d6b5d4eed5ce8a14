"""The rules' arithmetic for weighted layers: one function a rule, a list of targets at a time.

Each takes the layer, the relevance of its output (one tensor a target; they may be overwritten) and the
rule, and returns the relevance of its input. What the input does not depend on (denominators) is computed
once for all targets.

Cost in passes of the layer's product, the forward pass's own z among them: ε 2, z⁺ 3, γ 3, αβ 4 (5 where
z − z⁺ cancels), flat and w² 1 + 1; inputs of both signs take twice the products with W⁺ and W⁻.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pfungst.network.lrp.elementwise import (
    LOST,
    aligned,
    below_zero,
    multiplied,
    negative_part,
    quotient,
    strengthened,
    total,
)
from pfungst.network.lrp.errors import LrpError
from pfungst.network.lrp.linear import WeightedLayer
from pfungst.network.lrp.rules import AlphaBeta, Bound, Epsilon, Flat, Gamma, Pass, Rule, WSquare, ZBox, ZPlus

Taken = dict[str, Tensor]


@dataclass(frozen=True)
class Passed:
    """What one target's relevance became: R_i, its sum a sample, and what was taken by cause (float64)."""

    relevance: Tensor
    total: Tensor
    taken: Taken = field(default_factory=dict)

    @classmethod
    def of(cls, relevance: Tensor, **taken: Tensor) -> Passed:
        """With the sum of the given relevance."""
        return cls(relevance, total(relevance), taken)


def epsilon(layer: WeightedLayer, relevance: list[Tensor], rule: Epsilon) -> list[Passed]:
    """``R_i = a_i Σ_j w_ij s_j``, ``s_j = R_j / (z_j + ε sgn z_j)``."""
    bias = layer.bias if rule.bias == "absorb" else None
    z = _forward_output(layer, rule)
    results = []
    for r in relevance:
        q = quotient(r, z, rule.epsilon)
        taken = {"stabiliser": q.stabiliser, "zero": q.zero, "bias": layer.bias_share(q.values, bias)}
        results.append(Passed(*multiplied(layer.back(q.values, layer.weight), layer.a()), taken))
    return results


def z_plus(layer: WeightedLayer, relevance: list[Tensor], rule: ZPlus) -> list[Passed]:
    """``R_i = Σ_j z_ij⁺ s_j``, ``s_j = R_j / z_j⁺``."""
    layer.output.data = None
    positive = _positive_parts(layer)
    bias = layer.bias.clamp(min=0) if layer.bias is not None and rule.bias == "absorb" else None
    z = _sum_forward(layer, positive, bias)
    results = []
    for r in relevance:
        q = quotient(r, z, rule.epsilon)
        taken = {"stabiliser": q.stabiliser, "zero": q.zero, "bias": layer.bias_share(q.values, bias)}
        results.append(_collected(layer, [(positive, q.values)], taken))
    return results


def alpha_beta(layer: WeightedLayer, relevance: list[Tensor], rule: AlphaBeta) -> list[Passed]:
    """``R_i = Σ_j z_ij⁺ s_j⁺ + z_ij⁻ s_j⁻``, ``s_j⁺ = α R_j / z_j⁺``, ``s_j⁻ = β R_j / z_j⁻``.

    z⁻ is z − z⁺.
    """
    absorbed = layer.bias if rule.bias == "absorb" else None
    bias_plus = absorbed.clamp(min=0) if absorbed is not None else None
    bias_minus = absorbed.clamp(max=0) if absorbed is not None else None
    positive = _positive_parts(layer)
    negative = _negative_parts(layer, positive)
    plus = _sum_forward(layer, positive, bias_plus)
    minus = _negative_sums(layer, negative, plus, bias_minus, rule)
    layer.output.data = None
    results = []
    for number, r in enumerate(relevance):
        last = number == len(relevance) - 1
        own = minus if last else torch.empty_like(minus)
        down = quotient(r, minus, rule.epsilon, factor=rule.beta, out=own)
        up = quotient(r, plus, rule.epsilon, factor=rule.alpha)
        if last:
            del plus, minus
        taken = {
            "stabiliser": up.stabiliser + down.stabiliser,
            "zero": up.zero + down.zero,
            "bias": layer.bias_share(up.values, bias_plus) + layer.bias_share(down.values, bias_minus),
        }
        results.append(_collected(layer, [(positive, up.values), (negative, down.values)], taken))
    return results


def gamma(layer: WeightedLayer, relevance: list[Tensor], rule: Gamma) -> list[Passed]:
    """``R_i = Σ_j (z_ij + γ z_ij^σ) s_j`` with σ the sign of z_j.

    One product if no relevance is where z_j < 0.
    """
    bias = layer.bias if rule.bias == "absorb" else None
    positive = _positive_parts(layer)
    z = _forward_output(layer, rule)
    z_sign = _sum_forward(layer, positive, bias.clamp(min=0) if bias is not None else None)
    denominator = strengthened(z, z_sign, rule.gamma)
    up = _favoured(layer, positive, rule.gamma, 0)
    results = []
    for r in relevance:
        q = quotient(r, denominator, rule.epsilon)
        taken = {"stabiliser": q.stabiliser, "zero": q.zero}
        below = below_zero(q.values, z)
        terms = [(up, q.values)]
        if below is not None:
            terms = [(up, q.values.sub_(aligned(below, q.values)))]
            terms.append((_favoured(layer, positive, rule.gamma, 1), below))
        taken["bias"] = _gamma_bias(layer, bias, rule.gamma, [s for _, s in terms])
        results.append(_collected(layer, terms, taken))
    return results


def _favoured(layer: WeightedLayer, parts: Parts, strength: float, sign: int) -> Parts:
    """``W + γ W^σ`` for each piece of the input; ``sign`` 0 for units above zero, 1 for those below."""
    bounds = ({"min": 0}, {"max": 0})
    weights = [torch.add(layer.weight, layer.weight.clamp(**bounds[(sign + number) % 2]), alpha=strength)
               for number in range(len(parts))]  # fmt: skip
    return _with_weights(parts, *weights)


def _gamma_bias(layer: WeightedLayer, bias: Tensor | None, strength: float, parts: list[Tensor]) -> Tensor:
    if bias is None:
        return layer.bias_share(parts[0], None)
    signed = (bias + strength * bias.clamp(min=0), bias + strength * bias.clamp(max=0))
    shares = [layer.bias_share(s, values) for s, values in zip(parts, signed, strict=False)]
    return torch.stack(shares).sum(dim=0)


def w_square(layer: WeightedLayer, relevance: list[Tensor], rule: WSquare) -> list[Passed]:
    """``R_i = Σ_j w_ij² s_j``, ``s_j = R_j / Σ_i w_ij²``; the denominator is that of one image for all."""
    del rule
    squared = layer.weight**2
    norm = layer.forward(_ones(layer), squared)
    results = []
    for r in relevance:
        q = quotient(r, norm, 0.0)
        results.append(Passed.of(layer.back(q.values, squared), zero=q.zero))
    return results


def flat(layer: WeightedLayer, relevance: list[Tensor], rule: Flat) -> list[Passed]:
    """``R_i = Σ_{j fed by i} R_j / |inputs of j|``.

    Output channels are summed first, as all weights are equal.
    """
    del rule
    groups, per_group = layer.map.groups, layer.weight.shape[1]
    if layer.map.transposed or layer.output.shape[layer.channel_dim] % groups:
        return w_square(_with_unit_weights(layer), relevance, WSquare())
    ones = torch.ones_like(layer.weight[:groups, :1])
    dim = layer.channel_dim % len(layer.input.shape)
    shape = list(layer.input.shape)
    shape[dim] = groups
    one_image = torch.ones([1, *shape[1:]], dtype=ones.dtype, device=ones.device)
    count = layer.forward(one_image, ones) * per_group
    results = []
    for r in relevance:
        summed = torch.unflatten(r, dim, (groups, -1)).sum(dim=dim + 1)
        q = quotient(summed, count, 0.0)
        shares = layer.map.transposed_product(q.values, ones, torch.Size(shape))
        results.append(Passed.of(shares.repeat_interleave(per_group, dim=dim), zero=q.zero))
    return results


def _with_unit_weights(layer: WeightedLayer) -> WeightedLayer:
    return WeightedLayer(layer.map, torch.ones_like(layer.weight), None, layer.input, layer.output)


def z_box(layer: WeightedLayer, relevance: list[Tensor], rule: ZBox) -> list[Passed]:
    """``R_i = Σ_j ((a_i − l_i) w_ij⁺ + (a_i − h_i) w_ij⁻) s_j``; what l and h add to z is one image's."""
    low, high = (_bound(layer, bound) for bound in (rule.low, rule.high))
    _check_inside(layer, low, high)
    a, plus, minus = layer.a(), layer.weight.clamp(min=0), layer.weight.clamp(max=0)
    z = layer.z() - (layer.forward(low, plus, layer.bias) + layer.forward(high, minus))
    results = []
    for r in relevance:
        q = quotient(r, z, rule.epsilon)
        by_plus, by_minus = _two_products(layer, q.values, plus, minus)
        shares = (a - low).mul_(by_plus).add_((a - high).mul_(by_minus))
        results.append(Passed.of(shares, stabiliser=q.stabiliser, zero=q.zero))
    return results


def _two_products(layer: WeightedLayer, s: Tensor, plus: Tensor, minus: Tensor) -> tuple[Tensor, Tensor]:
    """``W⁺ᵀ s`` and ``W⁻ᵀ s``: as one product with twice the channels where there are no groups."""
    if layer.map.groups > 1 or layer.map.transposed:
        return layer.back(s, plus), layer.back(s, minus)
    dim = layer.channel_dim % len(layer.input.shape)
    shape = list(layer.input.shape)
    shape[dim] *= 2
    stacked = layer.map.transposed_product(s, torch.cat([plus, minus], dim=1), torch.Size(shape))
    by_plus, by_minus = stacked.chunk(2, dim=dim)
    return by_plus, by_minus


def _bound(layer: WeightedLayer, bound: Bound | None) -> Tensor:
    if bound is None:
        raise LrpError(
            "the rule ZBox needs the range of the network's input",
            hint="input_bounds=(low, high), numbers or tensors (C, 1, 1), of black and white",
        )
    a = layer.a()
    values = torch.as_tensor(bound, dtype=a.dtype, device=a.device)
    try:
        return values.expand(1, *a.shape[1:])
    except RuntimeError as error:
        raise LrpError(
            f"input bounds of shape {tuple(values.shape)} for a first layer's input {tuple(a.shape[1:])}",
            allowed="shapes that broadcast to it",
        ) from error


def _check_inside(layer: WeightedLayer, low: Tensor, high: Tensor) -> None:
    a = layer.a()
    slack = 1e-5 * (high - low).abs().max()
    if bool((a < low - slack).any()) or bool((a > high + slack).any()):
        raise LrpError(
            f"the first layer's input, {float(a.min()):.4g} to {float(a.max()):.4g}, leaves the box of ZBox",
            allowed="inputs between the bounds",
            hint="input_bounds in the units of the preprocessed input",
        )


def pass_on(layer: WeightedLayer, relevance: list[Tensor], rule: Pass) -> list[Passed]:
    """``R_i = R_i``, for layers that keep the shape."""
    del rule
    if layer.input.shape != layer.output.shape:
        raise LrpError(
            f"rule Pass from {tuple(layer.output.shape)} to {tuple(layer.input.shape)}", allowed="same shapes"
        )
    return [Passed.of(r) for r in relevance]


KERNELS: Mapping[type[Rule], Callable[[WeightedLayer, list[Tensor], Any], list[Passed]]] = {
    Epsilon: epsilon,
    Gamma: gamma,
    AlphaBeta: alpha_beta,
    ZPlus: z_plus,
    WSquare: w_square,
    Flat: flat,
    ZBox: z_box,
    Pass: pass_on,
}

Parts = list[tuple[Tensor, Tensor]]
"""Pieces of the input with the weights that each meets."""


def _positive_parts(layer: WeightedLayer) -> Parts:
    """The products that make the positive contributions; one for inputs ≥ 0."""
    a, plus = layer.a(), layer.weight.clamp(min=0)
    if layer.input.is_nonnegative():
        return [(a, plus)]
    return [(a.clamp(min=0), plus), (a.clamp(max=0), layer.weight.clamp(max=0))]


def _negative_parts(layer: WeightedLayer, positive: Parts) -> Parts:
    """The products that make the negative contributions, with the same pieces of the input."""
    if len(positive) == 1:
        return _with_weights(positive, layer.weight.clamp(max=0))
    (_, plus), (_, minus) = positive
    return _with_weights(positive, minus, plus)


def _with_weights(parts: Parts, *weights: Tensor) -> Parts:
    return [(a, weight) for (a, _), weight in zip(parts, weights, strict=False)]


def _sum_forward(layer: WeightedLayer, parts: Parts, bias: Tensor | None) -> Tensor:
    (a, weight), *others = parts
    result = layer.forward(a, weight, bias)
    for a, weight in others:
        result.add_(layer.forward(a, weight))
    return result


_FEW = 25
"""Contributions a unit of a depthwise convolution at most has: its own z⁻ is cheap, and often 0 or tiny."""


def _negative_sums(
    layer: WeightedLayer, negative: Parts, plus: Tensor, bias: Tensor | None, rule: AlphaBeta
) -> Tensor:
    """``z⁻ = z − z⁺``; where that cancels, its own product, for the channels in which such units are.

    A quotient by rounding errors would pass on a relevance that no R_j accounts for.
    """
    if layer.weight[0].numel() > _FEW:
        offset = layer.of_channels(layer.offset) if layer.offset is not None else torch.zeros(1).to(plus)
        minus, lost = negative_part(_forward_output(layer, rule), plus, float(offset.max()))
        if not lost:
            return minus
        if layer.map.groups == 1 and not layer.map.transposed:
            return _mended(layer, minus, minus > (plus + offset) * -LOST, negative, bias)
    return _sum_forward(layer, negative, bias).clamp_(max=0.0)


def _mended(
    layer: WeightedLayer, minus: Tensor, lost: Tensor, negative: Parts, bias: Tensor | None
) -> Tensor:
    """Channels with lost units by their own product."""
    dim = layer.channel_dim % minus.dim()
    found = lost.any(dim=[axis for axis in range(lost.dim()) if axis != dim]).nonzero().flatten()
    if not found.numel():  # lost by the largest offset, but not by the channels' own
        return minus
    some = [(a, weight[found]) for a, weight in negative]
    exact = _sum_forward(layer, some, bias[found] if bias is not None else None)
    return minus.index_copy_(dim, found, exact.clamp_(max=0.0))


def _forward_output(layer: WeightedLayer, rule: Any) -> Tensor:
    """z, with or without the bias."""
    if layer.bias is None or rule.bias == "absorb":
        return layer.z()
    return layer.z() - layer.of_channels(layer.bias)


def _collected(layer: WeightedLayer, terms: list[tuple[Parts, Tensor]], taken: Taken) -> Passed:
    """``R_i = Σ a_i (Wᵀ s)_i`` over all terms; products that share a piece of the input are added first."""
    products: dict[int, tuple[Tensor, Tensor]] = {}
    for parts, s in terms:
        for a, weight in parts:
            c = layer.back(s, weight)
            known = products.get(id(a))
            products[id(a)] = (a, c if known is None else known[1].add_(c))
    (a, c), *others = products.values()
    relevance, summed = multiplied(c, a)
    for a, c in others:
        more, more_summed = multiplied(c, a)
        relevance.add_(aligned(more, relevance))
        summed = summed + more_summed
    return Passed(relevance, summed, taken)


def _ones(layer: WeightedLayer) -> Tensor:
    return torch.ones([1, *layer.input.shape[1:]], dtype=layer.weight.dtype, device=layer.weight.device)
