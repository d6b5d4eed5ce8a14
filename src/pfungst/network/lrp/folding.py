"""Which photo each row of a recorded value belongs to.

Networks fold windows or tokens into the first dimension (Swin, MaxViT, LeViT) and move the batch behind
other dimensions for a while (queries, keys and values). The ledger is a photo's, so sums over rows need to
know whose they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pfungst.network.lrp.nested import differentiable, flat
from pfungst.network.lrp.tape import Node, Tape, Value

_FILLING = frozenset({"pad", "constant_pad_nd", "unfold"})
_MOVING = frozenset({"reshape", "rearrange"})


@dataclass(frozen=True)
class Owners:
    """The photo of each index of one dimension."""

    dim: int
    ids: Tensor


class FoldedBatchError(Exception):
    """Photos of a batch cannot be told apart at a step that has an account: explain them one by one."""


class Photos:
    """Sums of rows as sums of photos.

    Parameters
    ----------
    tape : Tape
        The recorded pass.
    """

    def __init__(self, tape: Tape) -> None:
        self.n = tape.input.shape[0]
        self._owners: dict[int, Owners | None] = {}
        if self.n > 1:
            self._owners[id(tape.input)] = Owners(0, torch.arange(self.n))
            for node in tape.nodes:
                self._follow(node)

    def _follow(self, node: Node) -> None:
        found = [self._owners.get(id(value)) for value in node.inputs]
        if node.kind in _MOVING and node.name not in _FILLING and len(found) == 1:
            owners = _moved(node, found[0])
        else:
            owners = [_agreed(value, node.inputs, found) for value in node.outputs]
        self._owners.update(zip(map(id, node.outputs), owners, strict=True))

    def sums(self, value: Value, rows: Tensor) -> Tensor:
        """``(n,)`` sums of photos from the sums of a value's rows.

        Raises
        ------
        FoldedBatchError
            If its rows are not of one photo each.
        """
        if self.n == 1:
            return rows.sum().reshape(1)
        owners = self.check(value)
        assert owners is not None
        if len(rows) == self.n and bool((owners.ids == torch.arange(self.n)).all()):
            return rows
        return rows.new_zeros(self.n).index_add_(0, owners.ids.to(rows.device), rows)

    def check(self, value: Value) -> Owners | None:
        """The photos of a value's rows; None where there is one photo only.

        Raises
        ------
        FoldedBatchError
            If its rows are not of one photo each.
        """
        if self.n == 1:
            return None
        owners = self._owners.get(id(value))
        if owners is None or owners.dim != 0:
            raise FoldedBatchError
        return owners


def _agreed(value: Value, inputs: list[Value], found: list[Owners | None]) -> Owners | None:
    """What the inputs say of an output in which the dimensions keep their places."""
    placed = [_placed(value, item, owners) for item, owners in zip(inputs, found, strict=True)]
    first = placed[0] if placed else None
    if first is None or any(item is None for item in placed):
        return None
    same = all(
        item is not None and item.dim == first.dim and torch.equal(item.ids, first.ids) for item in placed
    )
    return first if same else None


def _placed(value: Value, source: Value, owners: Owners | None) -> Owners | None:
    if owners is None:
        return None
    dim = owners.dim + max(len(value.shape) - len(source.shape), 0)
    if dim < len(value.shape) and value.shape[dim] == len(owners.ids):
        return Owners(dim, owners.ids)
    return None


def _moved(node: Node, owners: Owners | None) -> list[Owners | None]:
    """Where a call that only moves numbers takes them: it is asked to move the photos' numbers."""
    (source,) = node.inputs
    if owners is None:
        return [None for _ in node.outputs]
    if node.kind == "reshape" and owners.dim == 0 and node.outputs[0].shape[:1] == source.shape[:1]:
        return [owners]
    shape = [-1 if dim == owners.dim else 1 for dim in range(len(source.shape))]
    numbers = owners.ids.to(torch.float32).view(shape).expand(source.shape)
    moved = [item for item in flat(node.call(numbers)) if differentiable(item)]
    return [_read(item) for item in moved]


def _read(numbers: Tensor) -> Owners | None:
    """The only dimension along which photos' numbers vary; any where they are all of one photo."""
    varying = [
        dim
        for dim in range(numbers.dim())
        if numbers.stride(dim) and bool((numbers != numbers.narrow(dim, 0, 1)).any())
    ]
    if len(varying) > 1 or not numbers.dim() or not numbers.numel():
        return None
    dim = varying[0] if varying else 0
    line = numbers.movedim(dim, 0).reshape(numbers.shape[dim], -1)[:, 0]
    return Owners(dim, line.long())
