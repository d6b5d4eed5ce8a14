"""One call of an operator of PyTorch (ATen), and the list of those that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from pfungst.network.sources.graph.tracing import Signal, Traced, Tracer, UntraceableError

Translator: TypeAlias = "Callable[[Call], Any]"
ATEN: dict[str, Translator] = {}


@dataclass(frozen=True)
class Call:
    """One call: its arguments by the names that the operator's schema gives them."""

    tracer: Tracer
    arguments: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        """An argument that must be there."""
        if name not in self.arguments:
            raise UntraceableError(f"its argument {name!r} is missing")
        return self.arguments[name]

    @property
    def x(self) -> Any:
        """The first tensor."""
        return self.arguments["self"] if "self" in self.arguments else self["input"]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or what the operator's schema has in its place."""
        value = self.arguments.get(name)
        return default if value is None else value

    def do(self, op: str, *inputs: Traced | None, **settings: Any) -> Traced:
        """Carry out and note an operation."""
        return self.tracer.call(op, *inputs, **settings)

    def parts(self, op: str, *inputs: Traced | None, **settings: Any) -> list[Traced]:
        """The same for one with several results."""
        return self.tracer.parts(op, *inputs, **settings)


def aten(*names: str) -> Callable[[Translator], Translator]:
    """Add a translator under the names of its operators, without overloads."""

    def add(function: Translator) -> Translator:
        ATEN.update(dict.fromkeys(names, function))
        return function

    return add


def as_tensor(value: Any) -> Any:
    """A number as a tensor; tensors as they are."""
    if isinstance(value, (Signal, Tensor)):
        return value
    return torch.tensor(value)


SYMBOLS: dict[str, Callable[..., Any]] = {
    "_operator.add": lambda a, b: a + b,
    "_operator.sub": lambda a, b: a - b,
    "_operator.mul": lambda a, b: a * b,
    "_operator.floordiv": lambda a, b: a // b,
    "_operator.mod": lambda a, b: a % b,
    "_operator.neg": lambda a: -a,
    "math.trunc": int,
    "torch.sym_int": int,
}
"""Arithmetic on sizes of a batch that was left open."""
