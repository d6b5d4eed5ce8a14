"""Recording one forward pass: every torch function that touches the input, in order, with what it was given.

``torch.overrides.TorchFunctionMode`` sees the calls of a module's code however they are written: layers,
functions, operators, shared and in-place activations. In-place calls run out of place, and the tensor that
the module holds is pointed at the new storage, so that no recorded value is overwritten.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from pfungst.network.lrp.decompose import decomposition
from pfungst.network.lrp.errors import LrpError, UnsupportedOperationError
from pfungst.network.lrp.nested import differentiable, flat, mapped
from pfungst.network.lrp.operations import (
    KIND_OF,
    REPLAYED,
    SHAPE_ONLY,
    base_name,
    full_name,
    function_name,
    nonnegative_output,
)
from pfungst.network.lrp.overwriting import assigned, copied, overwrites, same_index, written_anew
from pfungst.network.outputs import score_tensor


@dataclass(eq=False)
class Value:
    """A tensor of the forward pass: a node of the data-flow graph's edges.

    Attributes
    ----------
    shape : torch.Size
        Its shape.
    producer : Node or None
        The call that made it; None for the network's input.
    data : Tensor or None
        The numbers; None if they are computed again when needed.
    nonnegative : bool
        Known to have no negative values.
    uses : int
        How many recorded calls read it.
    """

    shape: torch.Size
    producer: Node | None = None
    data: Tensor | None = None
    nonnegative: bool = False
    uses: int = 0

    def tensor(self) -> Tensor:
        """The numbers, computed again if they were not kept."""
        if self.data is None:
            assert self.producer is not None
            self.producer.replay()
        assert self.data is not None
        return self.data

    def is_nonnegative(self) -> bool:
        """Whether all numbers are ≥ 0; looked at once if it is not known from the operation."""
        if not self.nonnegative:
            self.nonnegative = bool(self.tensor().min() >= 0)
        return self.nonnegative


@dataclass(eq=False)
class Node:
    """One recorded call; tensors that depend on the input are :class:`Value` in ``args`` and ``kwargs``.

    ``role`` is the kind of the way back, and ``carriers`` are the inputs that relevance goes to (see
    :mod:`~pfungst.network.lrp.roles`).
    """

    name: str
    kind: str
    func: Callable[..., Any]
    title: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: list[Value]
    module_name: str
    module: nn.Module | None
    outputs: list[Value] = field(default_factory=list)
    merged: list[Node] = field(default_factory=list)
    role: str = ""
    carriers: list[Value] = field(default_factory=list)
    decisions: dict[int, str] = field(default_factory=dict)
    """By identity, constants that were made from the input: a ``mask`` (of truth values) or an ``index``."""

    @property
    def place(self) -> str:
        """The calling module in words: its path and type."""
        kind = type(self.module).__name__ if self.module is not None else "?"
        return f"{self.module_name or 'the network itself'} ({kind})"

    @property
    def layer(self) -> str:
        """The module path for tables."""
        return self.module_name or "(network)"

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument given by position or by name."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    def call(self, *tensors: Tensor) -> Any:
        """The call once more with other tensors in the place of ``inputs``."""
        given = dict(zip(map(id, self.inputs), tensors, strict=True))

        def put(item: Any) -> Any:
            return given[id(item)] if isinstance(item, Value) else item

        return self.func(*mapped(self.args, put), **mapped(self.kwargs, put))

    def replay(self) -> None:
        """Compute the outputs' numbers again."""
        with torch.no_grad():
            result = self.call(*(value.tensor() for value in self.inputs))
        tensors = [item for item in flat(result) if differentiable(item)]
        for value, tensor in zip(self.outputs, tensors, strict=True):
            value.data = tensor


@dataclass
class Tape:
    """A recorded forward pass."""

    nodes: list[Node]
    input: Value
    output: Value


class _Recorder(TorchFunctionMode):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.stack: list[tuple[str, nn.Module]] = [("", module)]
        self.values: Any = WeakTensorKeyDictionary()
        self.decisions: Any = WeakTensorKeyDictionary()
        self.stale: Any = WeakTensorKeyDictionary()
        self.windows: Any = WeakTensorKeyDictionary()
        self.by_storage: dict[int, list[weakref.ref[Tensor]]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if not any(isinstance(item, Tensor) and item in self.values for item in flat([args, options])):
            return self._decided(func(*args, **options), args, options)
        name = function_name(func)
        if name in SHAPE_ONLY:
            return func(*args, **options)
        if name.endswith("=") or options.get("out") is not None:
            raise UnsupportedOperationError(full_name(func), self._place(), "overwrites a tensor")
        if overwrites(name, options):
            return self._record_in_place(func, name, tuple(args), options)
        parts = decomposition(func, base_name(name), args)
        if parts is not None:
            with self:
                return parts(*args, **options)
        result = func(*args, **options) if name != "view" else _viewed(*args, **options)
        if any(differentiable(item) for item in flat(result)):
            self._check_stale(func, args, options)
            self._record(func, name, tuple(args), options, result)
        for item in flat(result):
            if isinstance(item, Tensor) and not differentiable(item):
                self.decisions[item] = "mask" if item.dtype == torch.bool else "index"
        return result

    def _decided(self, result: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Follow masks and indices that were made from the input; masks as numbers, too."""
        kinds = {self.decisions[item] for item in flat([args, options])
                 if isinstance(item, Tensor) and item in self.decisions}  # fmt: skip
        for item in flat(result) if kinds else ():
            if isinstance(item, Tensor) and (kinds == {"mask"} or not item.is_floating_point()):
                self.decisions[item] = "mask" if kinds == {"mask"} else "index"
        return result

    def _record_in_place(
        self, func: Any, name: str, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Tensor:
        target: Tensor = args[0] if args else options["input"]
        self._restore(name, args)
        self._check_stale(func, args, options)
        replacement = written_anew(func, name, options)
        tracked = target in self.values
        if replacement is None or not (tracked or (args and not target._is_view())):
            raise UnsupportedOperationError(full_name(func), self._place(), "overwrites a tensor")
        if not tracked:
            kept = torch.zeros_like(target) if replacement is copied else target.clone()
            args = (kept, *args[1:])
        result = replacement(*args, **options)
        kind_name = "assigned" if replacement is assigned else base_name(name)
        node = self._node(replacement, kind_name, args, options)
        if tracked:
            self._mark_aliases(target)
            target.set_(result)
            self._add(node, [target])
        else:
            target.copy_(result)
            self._add(node, [target], [result])
        return target

    def _restore(self, name: str, args: tuple[Any, ...]) -> None:
        """``x[i] += y`` changes ``x[i]`` in place and assigns it to where it came from: ``x`` is right
        again.
        """
        if name != "__setitem__" or not isinstance(args[2], Tensor):
            return
        changed = self.stale.get(args[0])
        if changed is not None and changed() is args[2] and same_index(self.windows.get(args[2]), args[1]):
            del self.stale[args[0]]

    def _record(
        self, func: Any, name: str, args: tuple[Any, ...], options: dict[str, Any], result: Any
    ) -> None:
        node = self._node(func if name != "view" else _viewed, name, args, options)
        self._add(node, [item for item in flat(result) if differentiable(item)])

    def _node(self, func: Any, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Node:
        inputs: list[Value] = []

        def put(item: Any) -> Any:
            if not isinstance(item, Tensor) or item not in self.values:
                return item
            value = self.values[item]
            if not any(value is known for known in inputs):
                inputs.append(value)
            value.uses += 1
            return value

        module_name, module = self.stack[-1]
        bound = mapped(args, put), mapped(options, put)
        kind = _kind(base_name(name), *bound)
        node = Node(base_name(name), kind, func, full_name(func), *bound, inputs, module_name, module)
        node.decisions = {id(item): self.decisions[item] for item in flat([args, options])
                          if isinstance(item, Tensor) and item in self.decisions}  # fmt: skip
        _check_evaluation(node)
        return node

    def _add(self, node: Node, tensors: Sequence[Tensor], numbers: Sequence[Tensor] | None = None) -> None:
        """Append a call; ``numbers`` are those of ``tensors`` where other memory is to hold them."""
        given = list(flat([node.args, node.kwargs]))
        added = node.kind == "sum_of" and any(isinstance(item, (int, float)) for item in given)
        signs = all(value.nonnegative for value in node.inputs)
        constants = added or any(isinstance(item, Tensor) for item in given)
        nonnegative = nonnegative_output(node.name, node.kind, signs and not constants)
        for tensor, kept in zip(tensors, numbers or tensors, strict=True):
            data = None if node.kind in REPLAYED else kept.detach()
            value = Value(tensor.shape, node, data, nonnegative)
            node.outputs.append(value)
            self._track(tensor, value)
        self.nodes.append(node)
        _drop_before_normalisation(node)

    def _track(self, tensor: Tensor, value: Value) -> None:
        self.values[tensor] = value
        self.by_storage.setdefault(tensor.untyped_storage().data_ptr(), []).append(weakref.ref(tensor))

    def _mark_aliases(self, target: Tensor) -> None:
        """After a change in place, other tensors on the same storage are wrong: refuse their later use."""
        pointer = target.untyped_storage().data_ptr()
        producer = self.values[target].producer
        if producer is not None and producer.name == "__getitem__":
            self.windows[target] = producer.args[1]
        for reference in self.by_storage.pop(pointer, []):
            alias = reference()
            if alias is None or alias is target or alias.untyped_storage().data_ptr() != pointer:
                continue
            self.stale[alias] = weakref.ref(target)

    def _check_stale(self, func: Any, args: Any, options: Any) -> None:
        if any(isinstance(item, Tensor) and item in self.stale for item in flat([args, options])):
            raise UnsupportedOperationError(
                full_name(func), self._place(), "reads a tensor of which a view was changed in place"
            )

    def _place(self) -> str:
        name, module = self.stack[-1]
        return f"{name or 'the network itself'} ({type(module).__name__})"


def _viewed(tensor: Tensor, *shape: Any) -> Tensor:
    """``Tensor.view`` for any memory layout."""
    if len(shape) == 1 and isinstance(shape[0], torch.dtype):
        return tensor.view(shape[0])
    return tensor.reshape(*shape)


def _kind(name: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> str:
    """The kind of a call; a layer with weights is one only if its weights and its bias are constants."""
    kind = KIND_OF.get(name, "unknown")
    if name == "instance_norm":
        statistics = args[5] if len(args) > 5 else options.get("use_input_stats", True)
        return kind if statistics else "batch_norm"
    if kind not in {"convolution", "linear"}:
        return kind
    names = ("input", {"matmul": "other", "mm": "mat2"}.get(name, "weight"), "bias")
    given = [*args[:3], *(options.get(key) for key in names[len(args) :])]
    if name in {"matmul", "mm"}:
        plain = isinstance(given[0], Value) and isinstance(given[1], Tensor) and given[1].dim() == 2
        return "linear" if plain else "contraction"
    if len(given) > 2 and isinstance(given[2], Value):
        return "unknown"
    return kind if isinstance(given[0], Value) and isinstance(given[1], Tensor) else "contraction"


def _check_evaluation(node: Node) -> None:
    """Refuse calls that draw random numbers or take statistics of the batch."""
    active = node.kwargs.get("training", False)
    if node.kind == "batch_norm":
        active = node.argument(5, "training", False) or node.argument(1, "running_mean") is None
    elif "dropout" in node.name:
        active = node.argument(2, "training", True) and node.argument(1, "p", 0.5) > 0
    if active:
        raise LrpError(
            f"{node.title}, called in {node.place}, works in training mode",
            hint="module.eval() (before torch.export), and training=self.training in functional calls",
        )


def _drop_before_normalisation(node: Node) -> None:
    """A batch norm is merged into the layer before it, whose own output is then not needed."""
    if node.kind != "batch_norm" or node.inputs[0].producer is None:
        return
    before = node.inputs[0]
    if before.uses == 1 and before.producer is not None and before.producer.kind in {"convolution", "linear"}:
        before.data = None


@contextmanager
def _module_stack(module: nn.Module, stack: list[tuple[str, nn.Module]]) -> Iterator[None]:
    """Keep the path of the module that is running on top of ``stack``."""
    handles = []
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            continue  # it cannot be hooked, and what it does is not seen: its output comes back as a constant

        def enter(_module: nn.Module, _inputs: Any, name: str = name, part: nn.Module = part) -> None:
            stack.append((name, part))

        def leave(_module: nn.Module, _inputs: Any, _output: Any) -> None:
            stack.pop()

        handles += [part.register_forward_pre_hook(enter), part.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def record(module: nn.Module, inputs: Tensor) -> Tape:
    """Run ``module(inputs)`` once and record it.

    Raises
    ------
    LrpError
        If the module's output is no scores that depend on the input, or it works in training mode.
    UnsupportedOperationError
        If it overwrites a tensor in a way that cannot be followed.
    """
    recorder = _Recorder(module)
    start = inputs.detach()
    value = Value(start.shape, None, start.detach())
    with torch.no_grad(), _module_stack(module, recorder.stack):
        recorder.values[start] = value
        with recorder:
            output = score_tensor(module(start))
    if output not in recorder.values:
        raise LrpError(
            "the network's output does not depend on its input by operations that can be followed",
            allowed="one tensor (n, outputs), made by PyTorch's own functions",
        )
    return Tape(recorder.nodes, value, recorder.values[output])
