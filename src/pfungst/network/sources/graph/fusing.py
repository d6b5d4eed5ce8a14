"""Steps that a format spells out in small operations, put together again: biases, GELU, layer norms.

Explanations depend on it: a layer norm is one operation with a rule of its own, a bias belongs to its layer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pfungst.network.sources.graph.tracing import Noted


def fused(steps: Sequence[Noted], output: str) -> list[Noted]:
    """The same network with the patterns that are known put together."""
    kept = list(steps)
    for pattern in (_as_linear, _layer_norm, _layer_norm_affine, _bias, _gelu):
        kept = _applied(kept, output, pattern)
    return kept


class Neighbours:
    """Who makes and who reads each tensor."""

    def __init__(self, steps: Sequence[Noted], output: str) -> None:
        self.maker = {name: step for step in steps for name in step.outputs}
        self.readers = Counter(item for step in steps for item in step.inputs if isinstance(item, str))
        self.readers[output] += 1

    def before(self, name: Any, op: str, *, readers: int = 1) -> Noted | None:
        """The step of kind ``op`` that makes a tensor which has so many readers."""
        step = self.maker.get(name) if isinstance(name, str) else None
        return step if step is not None and step.op == op and self.readers[name] == readers else None


def _applied(steps: list[Noted], output: str, pattern: Any) -> list[Noted]:
    """Replace the last step of each match by the whole; steps nobody reads any more are left out later."""
    kept = []
    near = Neighbours(steps, output)
    for step in steps:
        found = pattern(step, near)
        kept.append(found or step)
        if found:
            near = Neighbours([*kept, *steps[len(kept) :]], output)
    return kept


def _other(step: Noted) -> tuple[Any, Tensor | None]:
    """The signal and the constant of an operation on both, in whichever order."""
    signals = [item for item in step.inputs if isinstance(item, str)]
    constants = list(step.weights.values())
    return (signals[0] if signals else None), (constants[0] if len(constants) == len(signals) == 1 else None)


def _constant(step: Noted | None, value: float) -> Any:
    """The signal of a step whose constant is this number; None for another step."""
    if step is None:
        return None
    signal, constant = _other(step)
    fits = (
        constant is not None and constant.numel() == 1 and math.isclose(float(constant), value, rel_tol=1e-4)
    )
    return signal if fits else None


def _as_linear(step: Noted, near: Neighbours) -> Noted | None:
    """``x @ W`` with a constant matrix is a linear layer."""
    del near
    if step.op != "matmul" or not isinstance(step.inputs[0], str) or set(step.weights) != {"constant1"}:
        return None
    matrix = step.weights["constant1"]
    if matrix.dim() != 2:
        return None
    weights = {"weight": matrix.T.contiguous()}
    return Noted(
        "linear", step.name, [step.inputs[0], {"weight": "weight"}], step.outputs, {}, weights, step.shape
    )


def _bias(step: Noted, near: Neighbours) -> Noted | None:
    """A constant vector added to a linear layer without bias."""
    signal, constant = _other(step)
    if step.op != "add" or step.settings or constant is None:
        return None
    layer = near.before(signal, "linear")
    if layer is None or "bias" in layer.weights or constant.numel() != constant.shape[-1:].numel():
        return None
    if constant.numel() != layer.weights["weight"].shape[0]:
        return None
    weights = {**layer.weights, "bias": constant.reshape(-1).contiguous()}
    slots = [layer.inputs[0], {"weight": "weight"}, {"weight": "bias"}]
    return Noted("linear", layer.name, slots, step.outputs, {}, weights, step.shape)


def _gelu(step: Noted, near: Neighbours) -> Noted | None:
    """``x · (1 + erf(x / √2)) · ½``, the half multiplied at either end."""
    if step.op != "mul":
        return None
    for x in _gelu_inputs(step, near):
        if x is not None:
            return Noted("gelu", step.name, [x], step.outputs, {"approximate": "none"}, {}, step.shape)
    return None


def _gelu_inputs(step: Noted, near: Neighbours) -> list[Any]:
    signal, constant = _other(step)
    if constant is not None:  # (x · (1 + erf)) · ½
        inner = near.before(signal, "mul")
        half = _constant(step, 0.5) is not None
        return [_erf_pair(inner, near, 1.0)] if half and inner is not None else []
    return [_erf_pair(step, near, 0.5)]  # (x · ½) · (1 + erf), or x · (½ · (1 + erf))


def _erf_pair(product: Noted, near: Neighbours, half: float) -> Any:
    """The x of a product of x and ``1 + erf(x / √2)``; ``half`` is what one of the two is multiplied by."""
    if len([item for item in product.inputs if isinstance(item, str)]) != 2:
        return None
    for x, gate in (product.inputs, product.inputs[::-1]):
        halved_x, halved_gate = (_constant(near.before(item, "mul"), half) for item in (x, gate))
        for value, plus_one in ((x, halved_gate), (halved_x, gate)) if half != 1.0 else ((x, gate),):
            if value is not None and _erf_input(near.before(plus_one, "add"), near) == value:
                return value
    return None


def _erf_input(plus_one: Noted | None, near: Neighbours) -> Any:
    """The x of ``1 + erf(x / √2)``; a name no tensor has where it is something else."""
    erf = near.before(_constant(plus_one, 1.0), "erf")
    if erf is None:
        return ""
    quotient, product = near.before(erf.inputs[0], "div"), near.before(erf.inputs[0], "mul")
    root = math.sqrt(2.0)
    found = _constant(quotient, root) if quotient is not None else _constant(product, 1 / root)
    return found if found is not None else ""


def _layer_norm(step: Noted, near: Neighbours) -> Noted | None:
    """``(x − mean) / √(mean (x − mean)² + ε)`` over the last axes."""
    if step.op != "div" or not all(isinstance(item, str) for item in step.inputs):
        return None
    centred = near.maker.get(step.inputs[0])
    root = near.before(step.inputs[1], "sqrt")
    shifted = near.before(root.inputs[0], "add") if root is not None else None
    if centred is None or centred.op != "sub" or shifted is None:
        return None
    variance, epsilon = _other(shifted)
    mean, spread = near.before(centred.inputs[1], "mean"), near.before(variance, "mean")
    if mean is None or spread is None or epsilon is None or epsilon.numel() != 1:
        return None
    x, squared = centred.inputs[0], near.maker.get(spread.inputs[0])
    if mean.inputs[0] != x or mean.settings != spread.settings or not _is_square(squared, step.inputs[0]):
        return None
    return _normalised(step, x, mean, float(epsilon))


def _is_square(step: Noted | None, name: str) -> bool:
    if step is None:
        return False
    if step.op == "pow":
        return bool(step.inputs[0] == name and _constant(step, 2.0) == name)
    return bool(step.op == "mul" and step.inputs == [name, name])


def _normalised(step: Noted, x: str, mean: Noted, epsilon: float) -> Noted | None:
    """Known where the mean is over the last axis alone, as a layer norm has it."""
    dims, n = mean.settings["dim"], len(step.shape)
    if not mean.settings["keepdim"] or [dim % n for dim in dims] != [n - 1]:
        return None
    settings = {"shape": [step.shape[-1]], "eps": epsilon}
    return Noted("layer_norm", step.name, [x, None, None], step.outputs, settings, {}, step.shape)


def _layer_norm_affine(step: Noted, near: Neighbours) -> Noted | None:
    """A constant scale and shift after a layer norm are the norm's own."""
    signal, constant = _other(step)
    if step.op not in {"mul", "add"} or constant is None:
        return None
    norm = near.before(signal, "layer_norm")
    role = "weight" if step.op == "mul" else "bias"
    if norm is None or role in norm.weights or list(constant.shape) != norm.settings["shape"]:
        return None
    if role == "weight" and "bias" in norm.weights:
        return None
    weights = {"weight": torch.ones_like(constant), **norm.weights, role: constant.contiguous()}
    slots = [norm.inputs[0], {"weight": "weight"}, {"weight": "bias"} if "bias" in weights else None]
    return Noted("layer_norm", norm.name, slots, step.outputs, norm.settings, weights, step.shape)
