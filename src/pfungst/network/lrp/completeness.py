"""Whether a recording holds all that the network does: compared with a second input, once for each network.

What leaves the tape unseen (``torch.jit``, NumPy, integers, ``vmap``, an operation written elsewhere) comes
back as a constant, and its relevance would be booked as bias. So a second input is recorded: a constant that
is another one for it depends on the input, and a call that gives other numbers when it is repeated was
changed from outside. The cost is two forward passes, once for each module and shape of input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from pfungst.network.lrp.errors import HiddenOperationError
from pfungst.network.lrp.nested import flat
from pfungst.network.lrp.tape import Node, Tape, Value

_checked: WeakKeyDictionary[nn.Module, set[Any]] = WeakKeyDictionary()
_TOLERANCE = 1e-3
"""Of the largest number; faults found so far are of 0.2 and more, complete tapes of 0."""


def check_complete(module: nn.Module, inputs: Tensor, tape: Tape, record: Callable[[Tensor], Tape]) -> None:
    """Compare a tape with that of another input, unless such a network was compared before.

    Parameters
    ----------
    module : torch.nn.Module
    inputs : (n, ...) floating tensor
        Of which ``tape`` is the recording.
    tape : Tape
    record : callable
        From other inputs to their tape.

    Raises
    ------
    HiddenOperationError
        Naming the call where numbers come in, or the tapes part, and its module.
    """
    structure = tuple((name, type(part)) for name, part in module.named_modules())
    key = (tuple(inputs.shape[1:]), inputs.dtype, inputs.device, structure)
    done = _checked.setdefault(module, set())
    if key in done:
        return
    with torch.no_grad():
        second = record(_other(inputs))
        _same_calls(tape, second)
        _repeat(second)
    done.add(key)


def _other(inputs: Tensor) -> Tensor:
    """Another input of the same kind: mirrored in all axes, mixed with noise of a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(inputs.shape, generator=generator, dtype=torch.float64).to(inputs)
    spread = inputs.std().clamp(min=1e-3) if inputs.numel() > 1 else 1.0
    return 0.7 * inputs.flip(tuple(range(1, inputs.dim()))) + 0.3 * spread * noise


def _same_calls(first: Tape, second: Tape) -> None:
    """Refuse two tapes of which one has another call, or another constant."""
    for one, two in zip(first.nodes, second.nodes, strict=False):
        if (one.name, one.module_name) != (two.name, two.module_name):
            raise HiddenOperationError(two.title, two.place, "is not called for every input")
        for old, new in zip(_constants(one), _constants(two), strict=False):
            if not _agree(old, new) and not _may_differ(two, new):
                raise HiddenOperationError(
                    two.title, two.place, "is given a number that depends on the input by an unseen way"
                )
    if len(first.nodes) != len(second.nodes):
        longer = max(first.nodes, second.nodes, key=len)[min(len(first.nodes), len(second.nodes))]
        raise HiddenOperationError(longer.title, longer.place, "is not called for every input")


def _constants(node: Node) -> Iterator[Any]:
    return (item for item in flat([node.args, node.kwargs]) if not isinstance(item, Value))


def _may_differ(node: Node, constant: Any) -> bool:
    """Masks that the tape saw being made may scale a signal, and indices move it: both are decisions."""
    made_from = node.decisions.get(id(constant))
    return (node.kind == "product" and made_from == "mask") or (
        node.kind in {"rearrange", "choice"} and made_from is not None
    )


def _agree(old: Any, new: Any) -> bool:
    if old is new:
        return True
    if isinstance(old, Tensor) and isinstance(new, Tensor):
        return old.shape == new.shape and _close(old, new)
    if isinstance(old, (bool, int, float)) and isinstance(new, (bool, int, float)):
        return old == new or abs(old - new) <= _TOLERANCE * max(abs(old), abs(new))
    return True  # names, devices, types


def _close(old: Tensor, new: Tensor) -> bool:
    if not (old.is_floating_point() and new.is_floating_point()):
        return torch.equal(old, new)
    different = old != new  # masks hold infinities, of which no difference can be taken
    finite = new[torch.isfinite(new)]
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    return bool(((old - new)[different].abs() <= _TOLERANCE * scale).all())


def _repeat(tape: Tape) -> None:
    """Repeat every call; where the numbers differ from those that the network went on with, refuse."""
    values = {id(tape.input): tape.input.tensor()}
    for node in tape.nodes:
        result = node.call(*(values[id(value)] for value in node.inputs))
        found = [item for item in flat(result) if isinstance(item, Tensor) and item.is_floating_point()]
        for value, tensor in zip(node.outputs, found, strict=True):
            values[id(value)] = tensor
            if value.data is not None and not _close(tensor, value.data):
                raise HiddenOperationError(
                    node.title, node.place, "gives numbers that are changed afterwards by an unseen way"
                )
