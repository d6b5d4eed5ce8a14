"""A network as a list of steps on named tensors: plain JSON beside its weights."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pfungst.errors import ConfigError, unknown_name
from pfungst.network.sources.graph.operations import OPERATIONS, SHAPED

INPUT = "input"
_DTYPES = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool}
_MAX_STEPS, _MAX_DIMENSIONS = 100_000, 8
_CONVOLUTIONS = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """One step of a graph.

    Attributes
    ----------
    op : str
        A name of :data:`OPERATIONS`.
    name : str
        Of its module.
    inputs : list of (str or {"weight": str} or None)
        Tensors made before, the step's own weights, or nothing, in the order of the operation's arguments.
    outputs : list of str
        Names of what it makes.
    settings : dict
        Plain values, keywords of the operation.
    weights : dict of str to (shape, dtype)
        Of its weights.
    """

    op: str
    name: str
    inputs: list[Any]
    outputs: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)

    @property
    def signals(self) -> list[str]:
        """Names of the inputs that other steps made."""
        return [item for item in self.inputs if isinstance(item, str)]


class BatchNorm(nn.BatchNorm2d):
    """A batch norm for any number of dimensions."""

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - its name in PyTorch
        del input


class Step(nn.Module):
    """One operation with its constant tensors."""

    def __init__(self, plan: StepPlan) -> None:
        super().__init__()
        self.op, self.settings, self.slots = plan.op, dict(plan.settings), list(plan.inputs)
        for name, (shape, dtype) in plan.weights.items():
            tensor = torch.empty(shape, dtype=_DTYPES[dtype])
            if dtype == "float32":
                self.register_parameter(name, nn.Parameter(tensor, requires_grad=True))
            else:
                self.register_buffer(name, tensor)

    def forward(self, *signals: Tensor, ratio: int = 1) -> Any:
        """Apply the operation; a stated shape has the batch of the example, ``ratio`` times as many now."""
        given = iter(signals)
        arguments = [
            next(given) if isinstance(slot, str) else getattr(self, slot["weight"]) if slot else None
            for slot in self.slots
        ]
        settings = self.settings
        if self.op in SHAPED:
            first, *rest = settings["shape"]
            settings = {"shape": [first * ratio if first > 0 else first, *rest]}
        return OPERATIONS[self.op](*arguments, **settings)


class Graph(nn.Module):
    """A network that is run step by step.

    Parameters
    ----------
    description : mapping
        ``steps`` (list of :class:`StepPlan` as JSON), ``output``, ``batch`` (that of the example with which
        it was written down), ``batched`` (whether other batches can be run at once).

    Raises
    ------
    ConfigError
        If it is not such a description.
    """

    def __init__(self, description: Mapping[str, Any]) -> None:
        super().__init__()
        plans = read_steps(description)
        self.batch, self.batched = int(description["batch"]), bool(description["batched"])
        self.output = str(description["output"])
        last = {name: index for index, plan in enumerate(plans) for name in plan.signals}
        self.order = [
            (plan.name, plan.signals, plan.outputs, [n for n in set(plan.signals) if last[n] == index])
            for index, plan in enumerate(plans)
        ]
        for plan in plans:
            self.add_module(plan.name, _module(plan))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(n, n_classes)`` of a batch."""
        n = x.shape[0]
        missing = -n % self.batch
        if missing:
            x = torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])
        if self.batched or x.shape[0] == self.batch:
            scores = self._run(x)
        else:
            scores = torch.cat([self._run(part) for part in torch.split(x, self.batch)])
        return scores[:n] if missing else scores

    def _run(self, x: Tensor) -> Tensor:
        ratio = x.shape[0] // self.batch
        values: dict[str, Any] = {INPUT: x}
        for name, inputs, outputs, finished in self.order:
            step = getattr(self, name)
            given = [values[item] for item in inputs]
            made = step(*given, ratio=ratio) if isinstance(step, Step) else step(*given)
            for item in finished:
                if item != self.output:
                    del values[item]
            values.update(zip(outputs, made if isinstance(made, (tuple, list)) else (made,), strict=True))
        result: Tensor = values[self.output]
        return result


def read_steps(description: Mapping[str, Any]) -> list[StepPlan]:
    """The checked steps of a description.

    Raises
    ------
    ConfigError
        If anything in it is unknown, missing or refers to what is not made before.
    """
    entries = description.get("steps")
    if not isinstance(entries, list) or not 0 < len(entries) <= _MAX_STEPS:
        raise ConfigError("a graph without steps", allowed=f"1 to {_MAX_STEPS}")
    if not isinstance(description.get("batch"), int) or not 0 < description["batch"] <= 1024:
        raise ConfigError("a graph without its batch", allowed="1 to 1024")
    try:
        plans = [StepPlan(**entry) for entry in entries]
        known, names = {INPUT}, set[str]()
        for plan in plans:
            _check_step(plan, known, names)
            known.update(plan.outputs)
            names.add(plan.name)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ConfigError(f"a graph with a step that cannot be read ({error})") from error
    if description.get("output") not in known:
        raise ConfigError(f"a graph whose output {str(description.get('output'))[:80]!r} no step makes")
    return plans


def _check_step(plan: StepPlan, known: set[str], names: set[str]) -> None:
    if plan.op not in OPERATIONS:
        raise unknown_name("operation", str(plan.op)[:80], list(OPERATIONS))
    if plan.name in names or plan.name != module_name(plan.name, ()):
        raise ConfigError(f"a graph with the step name {plan.name[:80]!r}", allowed="distinct plain names")
    missing = [item for item in plan.signals if item not in known]
    weights = [item["weight"] for item in plan.inputs if isinstance(item, dict)]
    if missing or not set(weights) <= set(plan.weights) or not all(isinstance(o, str) for o in plan.outputs):
        raise ConfigError(f"step {plan.name!r} reads what is not made before: {[*missing, *weights][:3]}")
    for name, (shape, dtype) in plan.weights.items():
        sizes = all(isinstance(size, int) and 0 <= size < 2**31 for size in shape)
        if not name.isidentifier() or dtype not in _DTYPES or not sizes or len(shape) > _MAX_DIMENSIONS:
            raise ConfigError(f"step {plan.name!r} has the weight {name[:40]!r} of {str(shape)[:80]} {dtype}")


def module_name(text: str, taken: Iterable[str]) -> str:
    """A name that a module can have: letters, digits and underscores, unlike any attribute of modules."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")[:120] or "step"
    if name[0].isdigit() or keyword.iskeyword(name) or hasattr(nn.Module, name) or name in _RESERVED:
        name = f"step_{name}"
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique


_RESERVED = frozenset(("batch", "batched", "output", "order", "training", "weight", "bias"))


def _module(plan: StepPlan) -> nn.Module:
    """A layer of PyTorch where there is one for the operation, else a :class:`Step`."""
    maker = _LAYERS.get(plan.op)
    roles = tuple(item["weight"] for item in plan.inputs[1:] if isinstance(item, dict))
    if maker is None or plan.signals[:1] != plan.inputs[:1] or len(plan.signals) > 1 or "weight" not in roles:
        return Step(plan)
    return maker(plan)


def _shape(plan: StepPlan) -> Sequence[int]:
    shape: Sequence[int] = plan.weights["weight"][0]
    return shape


def _convolution(plan: StepPlan) -> nn.Module:
    outputs, inputs, *kernel = _shape(plan)
    groups = plan.settings.get("groups", 1)
    settings = {
        key: _plain(plan.settings[key]) for key in ("stride", "padding", "dilation") if key in plan.settings
    }
    return _unset(
        _CONVOLUTIONS[len(kernel) + 2], inputs * groups, outputs, tuple(kernel), groups=groups,
        bias="bias" in plan.weights, **settings,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _linear(plan: StepPlan) -> nn.Module:
    outputs, inputs = _shape(plan)
    return _unset(nn.Linear, inputs, outputs, bias="bias" in plan.weights)


def _normalised(plan: StepPlan) -> nn.Module:
    if not {"bias", "running_mean", "running_var"} <= set(plan.weights):
        return Step(plan)
    return BatchNorm(_shape(plan)[0], eps=plan.settings["eps"])


def _layer_normalised(plan: StepPlan) -> nn.Module:
    if list(plan.settings["shape"]) != list(_shape(plan)):
        return Step(plan)
    return nn.LayerNorm(list(_shape(plan)), eps=plan.settings["eps"], bias="bias" in plan.weights)


def _unset(kind: Any, *arguments: Any, **settings: Any) -> nn.Module:
    """A layer whose weights are not drawn, since they will be set."""
    module: nn.Module = nn.utils.skip_init(kind, *arguments, **settings)  # type: ignore[no-untyped-call]
    return module


_LAYERS = {
    "conv": _convolution,
    "linear": _linear,
    "batch_norm": _normalised,
    "layer_norm": _layer_normalised,
}
