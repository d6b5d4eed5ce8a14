"""Writing a network down: its operations are carried out on an example and noted where they meet its input.

What does not depend on the input, shapes above all, is computed at once and becomes a constant. An operation
is first tried on tensors without storage, so that a file cannot ask for more memory than a network needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from pfungst.errors import ConfigError, PfungstError
from pfungst.network.sources.graph.network import INPUT, Graph, StepPlan, module_name
from pfungst.network.sources.graph.operations import OPERATIONS

_LARGEST = 2**28
_TYPES = {torch.float32: "float32", torch.int64: "int64", torch.bool: "bool"}
_ROLES = {
    "conv": ("", "weight", "bias"),
    "conv_transpose": ("", "weight", "bias"),
    "linear": ("", "weight", "bias"),
    "batch_norm": ("", "running_mean", "running_var", "weight", "bias"),
    "layer_norm": ("", "weight", "bias"),
    "group_norm": ("", "weight", "bias"),
    "instance_norm": ("", "weight", "bias"),
    "prelu": ("", "weight"),
}
_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Signal:
    """A tensor that depends on the network's input: its name, and its value for the example."""

    name: str
    example: Tensor

    @property
    def shape(self) -> torch.Size:
        """Of the example."""
        return self.example.shape


Traced: TypeAlias = "Signal | Tensor"


class UntraceableError(ConfigError):
    """An operation cannot be written down; the importer adds where it stands."""


@dataclass(eq=False)
class Noted:
    """One step, with its weights and the shape of its first output."""

    op: str
    name: str
    inputs: list[Any]
    outputs: list[str]
    settings: dict[str, Any]
    weights: dict[str, Tensor]
    shape: tuple[int, ...] = ()


class Tracer:
    """Carries out operations and notes those that an input takes part in.

    Parameters
    ----------
    example : (n, ...) float32
        The input.
    """

    def __init__(self, example: Tensor) -> None:
        self.input = Signal(INPUT, example)
        self.steps: list[Noted] = []
        self.place = "step"
        self._count = 0

    def call(self, op: str, *inputs: Traced | None, **settings: Any) -> Traced:
        """One operation of :data:`OPERATIONS`: a constant where all inputs are, else a signal.

        Raises
        ------
        UntraceableError
            If the operation fails, or its result is too large.
        """
        (result,) = self.parts(op, *inputs, **settings)
        return result

    def parts(self, op: str, *inputs: Traced | None, **settings: Any) -> list[Traced]:
        """The same for an operation with several results."""
        values = [item.example if isinstance(item, Signal) else item for item in inputs]
        result = _carried_out(op, values, settings)
        made: list[Tensor] = list(result) if isinstance(result, (tuple, list)) else [result]
        if not any(isinstance(item, Signal) for item in inputs):
            return list(made)
        signals = [Signal(self._new_name(), part) for part in made]
        slots, weights = _slots(op, inputs)
        outputs = [item.name for item in signals]
        self.steps.append(
            Noted(op, self.place, slots, outputs, dict(settings), weights, tuple(made[0].shape))
        )
        return list(signals)

    def _new_name(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def constant(self, value: Traced | None, what: str) -> Tensor:
        """The value, if it does not depend on the input.

        Raises
        ------
        UntraceableError
            If it does.
        """
        if isinstance(value, Signal) or value is None:
            reason = "depends on the values of the photo" if value is not None else "is missing"
            raise UntraceableError(f"its {what} {reason}", allowed="a constant")
        return value

    def integers(self, value: Traced | None, what: str) -> list[int]:
        """A constant list of whole numbers."""
        return [int(item) for item in self.constant(value, what).reshape(-1).tolist()]


def _carried_out(op: str, values: Sequence[Tensor | None], settings: dict[str, Any]) -> Any:
    function = OPERATIONS[op]
    try:
        shapes = function(*(item if item is None else item.to("meta") for item in values), **settings)
        made = shapes if isinstance(shapes, (tuple, list)) else [shapes]
        size = sum(item.numel() for item in made)
        if size > _LARGEST:
            raise UntraceableError(f"{op} makes {size} numbers", allowed=f"at most {_LARGEST}")
        with torch.no_grad():
            return function(*values, **settings)
    except PfungstError:
        raise
    except Exception as error:  # torch refuses what does not fit by errors of many kinds
        reason = str(error).strip().split("\n", 1)[0][:200]
        raise UntraceableError(f"{op} fails ({reason or type(error).__name__})") from error


def _slots(op: str, inputs: Sequence[Traced | None]) -> tuple[list[Any], dict[str, Tensor]]:
    """Where each argument comes from, and the constants under the names they have in layers."""
    slots: list[Any] = []
    weights: dict[str, Tensor] = {}
    roles = _ROLES.get(op, ())
    for position, item in enumerate(inputs):
        if item is None or isinstance(item, Signal):
            slots.append(item.name if item is not None else None)
            continue
        name = roles[position] if position < len(roles) and roles[position] else f"constant{position}"
        weights[name] = plain(item)
        slots.append({"weight": name})
    return slots, weights


def plain(tensor: Tensor) -> Tensor:
    """A tensor of the types that a graph keeps: float32, int64, bool."""
    if tensor.is_complex():
        raise UntraceableError("complex numbers", allowed="real ones")
    if tensor.is_floating_point():
        return tensor.detach().float()
    return tensor if tensor.dtype == torch.bool else tensor.long()


def finished(tracer: Tracer, output: Traced, origin: str) -> tuple[Graph, dict[str, Any]]:
    """The network that was noted, and its architecture.

    Steps that the output does not need are left out. Whether the graph can be run with other batches than
    the example's is tried, not believed.

    Raises
    ------
    UntraceableError
        If the output does not depend on the input, or the graph does not repeat what the example gave.
    """
    if not isinstance(output, Signal):
        raise UntraceableError("the network's output does not depend on its input")
    steps = _needed(tracer.steps, output.name)
    names: set[str] = set()
    plans: list[StepPlan] = []
    state: dict[str, Tensor] = {}
    for step in steps:
        name = module_name(step.name, names)
        names.add(name)
        weights = {key: [list(value.shape), _TYPES[value.dtype]] for key, value in step.weights.items()}
        plans.append(
            StepPlan(
                op=step.op, name=name, inputs=step.inputs, outputs=step.outputs,
                settings=step.settings, weights=weights,
            )
        )  # fmt: skip
        state |= {f"{name}.{key}": value for key, value in step.weights.items()}
    architecture: dict[str, Any] = {
        "type": "graph",
        "origin": origin,
        "steps": [asdict(plan) for plan in plans],
        "output": output.name,
        "batch": tracer.input.shape[0],
        "batched": False,
    }
    graph = filled(architecture, state)
    _check_example(graph, tracer, output)
    architecture["batched"] = graph.batched = _runs_batched(graph, tracer.input.example)
    return graph, architecture


def _needed(steps: Sequence[Noted], output: str) -> list[Noted]:
    wanted, kept = {output}, []
    for step in reversed(steps):
        if wanted & set(step.outputs):
            kept.append(step)
            wanted.update(item for item in step.inputs if isinstance(item, str))
    return kept[::-1]


def filled(architecture: dict[str, Any], state: dict[str, Tensor]) -> Graph:
    """The module of an architecture with its weights."""
    graph = Graph(architecture)
    own = graph.state_dict()
    counters = {key: torch.zeros((), dtype=torch.long) for key in own if key.endswith("num_batches_tracked")}
    graph.load_state_dict({**counters, **state})
    return graph


def _check_example(graph: nn.Module, tracer: Tracer, output: Signal) -> None:
    with torch.no_grad():
        again = graph(tracer.input.example)
    scale = max(float(output.example.abs().max()), 1e-6)
    if again.shape != output.shape or not float((again - output.example).abs().max()) <= _TOLERANCE * scale:
        raise UntraceableError("the network as written down does not repeat the example's scores")


def _runs_batched(graph: Graph, example: Tensor) -> bool:
    """Whether three different inputs at once give what they give one by one."""
    generator = torch.Generator().manual_seed(1)
    three = torch.randn((3 * graph.batch, *example.shape[1:]), generator=generator)
    graph.batched = True
    with torch.no_grad():
        try:
            together = graph(three)
        except Exception:  # a shape that holds for the example's batch alone
            return False
        single = torch.cat([graph(part) for part in torch.split(three, graph.batch)])
    scale = max(float(single.abs().max()), 1e-6)
    return together.shape == single.shape and bool((together - single).abs().max() <= _TOLERANCE * scale)
