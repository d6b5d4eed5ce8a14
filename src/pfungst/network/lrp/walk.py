"""Relevance step by step from a network's output back to its input, and the account of every step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pfungst.network.lrp.elementwise import total
from pfungst.network.lrp.folding import Photos
from pfungst.network.lrp.kernels import Taken
from pfungst.network.lrp.linear import weighted_layer
from pfungst.network.lrp.plan import Step
from pfungst.network.lrp.registry import WEIGHTED, kernel_of
from pfungst.network.lrp.structure import FILLING, FIXED, Shares, fallen_back, has_constants
from pfungst.network.lrp.tape import Value

_LOSSLESS = frozenset({"activation", "identity", "reshape", "merged"})


@dataclass(frozen=True)
class Row:
    """One step's account, a tensor ``(n,)`` a target."""

    step: Step
    received: list[Tensor]
    passed: list[Tensor]
    taken: list[Taken]


def has_account(step: Step) -> bool:
    """Whether a step may keep some of its relevance; others hand on the very numbers that they receive."""
    if step.kind == "rearrange":
        return step.node.name in FILLING
    if step.kind in {"concat", "choice"}:
        return has_constants(step.node)
    return step.kind not in _LOSSLESS


@dataclass
class Walk:
    """The way back.

    Attributes
    ----------
    photos : Photos
        Whose the rows of each value are.
    store : dict
        Relevance of values by identity, one tensor a target.
    fallback : str
        What to do at operations without a rule.
    """

    photos: Photos
    store: dict[int, list[Tensor]]
    fallback: str

    def back(self, steps: list[Step]) -> list[Row]:
        """Take the steps from the last to the first.

        Steps are dropped as they are taken, and with them the numbers that only they needed.

        Raises
        ------
        FoldedBatchError
            If a step's account cannot be told apart by photos; nothing is computed then.
        """
        self._check_photos(steps)
        rows: list[Row] = []
        while steps:
            step = steps.pop()
            outputs = [self.store.pop(id(value), None) for value in step.node.outputs]
            if not any(item is not None for item in outputs):
                continue
            row = self._taken(step, outputs)
            if row is not None:
                rows.append(row)
            if step.kind == "merged":
                continue  # its numbers are those of the layer that it belongs to
            for node in (step.node, *step.node.merged):
                for value in node.outputs:
                    value.data = None
        return rows

    def _check_photos(self, steps: list[Step]) -> None:
        for step in steps:
            if has_account(step):
                for value in (*step.node.outputs, *step.node.carriers):
                    self.photos.check(value)

    def _taken(self, step: Step, outputs: list[list[Tensor] | None]) -> Row | None:
        """One step back and its account; None where there is nothing to account for."""
        given = [item for item in outputs if item is not None]
        if step.kind == "merged":
            self._put(step.node.inputs[0], given[0])
            return None
        n_targets = len(given[0])
        if not has_account(step):
            self._structural(step, outputs, n_targets)
            return None
        received = [self._received(step, outputs, k) for k in range(n_targets)]
        if step.kind in WEIGHTED:
            passed, taken = self._weighted(step, given[0])
        else:
            results = self._structural(step, outputs, n_targets)
            passed, taken = [self._passed(item) for item in results], [item.taken for item in results]
        owner = step.node.outputs[0]
        taken = [{cause: self.photos.sums(owner, amount) for cause, amount in item.items()} for item in taken]
        return Row(step, received, passed, taken) if step.rule is not None or any(taken) else None

    def _received(self, step: Step, outputs: list[list[Tensor] | None], target: int) -> Tensor:
        sums = [
            self.photos.sums(value, total(item[target]))
            for value, item in zip(step.node.outputs, outputs, strict=True)
            if item is not None
        ]
        return torch.stack(sums).sum(dim=0)

    def _weighted(self, step: Step, given: list[Tensor]) -> tuple[list[Tensor], list[Taken]]:
        assert step.rule is not None
        layer = weighted_layer(step.node, step.pad)
        results = kernel_of(step.kind, step.rule)(layer, given, step.rule)
        self._put(layer.input, [item.relevance for item in results])
        passed = [self.photos.sums(layer.input, item.total) for item in results]
        return passed, [item.taken for item in results]

    def _structural(self, step: Step, outputs: list[list[Tensor] | None], n_targets: int) -> list[Shares]:
        results = self._shares(step, outputs, n_targets)
        for position, (value, _) in enumerate(results[0].parts):
            self._put(value, [item.parts[position][1] for item in results])
        return results

    def _passed(self, shares: Shares) -> Tensor:
        if shares.total is not None:
            return self.photos.sums(shares.parts[0][0], shares.total)
        return torch.stack([self.photos.sums(value, total(part)) for value, part in shares.parts]).sum(dim=0)

    def _shares(self, step: Step, outputs: list[list[Tensor] | None], n_targets: int) -> list[Shares]:
        results = []
        for k in range(n_targets):
            one = [item[k] if item is not None else None for item in outputs]
            if step.kind == "fallback":
                results.append(fallen_back(step.node, one, self.fallback))
            else:
                handler = FIXED[step.kind] if step.rule is None else kernel_of(step.kind, step.rule)
                results.append(handler(step.node, one, step.rule))
        return results

    def _put(self, value: Value, parts: list[Tensor]) -> None:
        known = self.store.get(id(value))
        self.store[id(value)] = parts if known is None else [a + b for a, b in zip(known, parts, strict=True)]
