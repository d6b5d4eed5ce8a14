"""What a relevance pass returns: relevance, scores, every layer's account, and which rule met it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pfungst.contract.explanation import Ledger
from pfungst.network.lrp.plan import Assignment


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """One call's account: ``received = passed + sum(taken.values())`` up to rounding.

    Numbers are float64, of the targets' shape.

    Attributes
    ----------
    layer, operation : str
        Path of the calling module and the function.
    rule : str
        What was applied.
    received : Tensor
        Σ_j R_j at its output.
    passed : Tensor
        Σ_i R_i at its inputs.
    taken : mapping of str to Tensor
        ``bias``, ``stabiliser``, ``zero`` (denominators that are 0), ``constant`` (constants that were
        concatenated, padded or added), ``linearisation`` (an opt-in fallback).
    """

    layer: str
    operation: str
    rule: str
    received: Tensor
    passed: Tensor
    taken: Mapping[str, Tensor]

    @property
    def residual(self) -> Tensor:
        """What this account cannot place."""
        return self.received - self.passed - _summed(self.taken, self.received)


@dataclass(frozen=True, kw_only=True)
class LrpLedger:
    """The account of a whole pass: ``sent = arrived + Σ taken + residual``; float64, of the targets' shape.

    Attributes
    ----------
    sent : Tensor
        Relevance at the output: the raw score f(x), or Σ of the given ``output_relevance``.
    arrived : Tensor
        Σ R over the input.
    rows : tuple of LedgerRow
        From the output to the input.
    """

    sent: Tensor
    arrived: Tensor
    rows: tuple[LedgerRow, ...]

    @property
    def taken(self) -> dict[str, Tensor]:
        """All that was taken, by cause."""
        causes: dict[str, Tensor] = {}
        for row in self.rows:
            for cause, amount in row.taken.items():
                causes[cause] = causes[cause] + amount if cause in causes else amount
        return causes

    @property
    def residual(self) -> Tensor:
        """What the account cannot place: rounding errors only, if all is well."""
        return self.sent - self.arrived - _summed(self.taken, self.sent)

    def sample(self, *index: int) -> Ledger:
        """One image's (and target's) account in the form of the contract."""
        taken = {cause: float(amount[index]) for cause, amount in self.taken.items()}
        return Ledger(score=float(self.sent[index]), pixels=float(self.arrived[index]), taken=taken)

    def table(self, *index: int) -> str:
        """One image's account as text, a line a layer."""
        lines = [f"{'layer':<28} {'operation':<18} {'received':>12} {'passed':>12}  taken"]
        for row in self.rows:
            parts = [
                f"{cause} {float(value[index]):+.3g}"
                for cause, value in row.taken.items()
                if value[index] != 0
            ]
            lines.append(
                f"{row.layer:<28} {row.operation:<18} {float(row.received[index]):>12.5g} "
                f"{float(row.passed[index]):>12.5g}  {', '.join(parts)}".rstrip()
            )
        lines.append(f"residual {float(self.residual[index]):.3g} of {float(self.sent[index]):.5g}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class LrpResult:
    """The result of :func:`~pfungst.network.lrp.relevance`.

    Attributes
    ----------
    relevance : Tensor
        Relevance of the network's input, ``targets.shape + input.shape[1:]``: ``(n, C, H, W)`` for one
        target an image, ``(n, n_targets, C, H, W)`` for several.
    scores : Tensor
        The raw scores f(x) of the targets (before a last softmax); Σ of ``output_relevance`` if that was
        given.
    targets : Tensor or None
        Which outputs were explained.
    outputs : Tensor
        All raw outputs, ``(n, ...)``.
    ledger : LrpLedger
        Where the relevance went.
    assignments : tuple of Assignment
        Which rule met which layer, in the order of the forward pass.
    composite : str
        The composite's name.
    """

    relevance: Tensor
    scores: Tensor
    targets: Tensor | None
    outputs: Tensor
    ledger: LrpLedger
    assignments: tuple[Assignment, ...]
    composite: str

    def table(self) -> str:
        """The composite as it met this network, a line a layer."""
        lines = [f"composite {self.composite}"]
        for item in self.assignments:
            notes = ["first"] if item.first else []
            notes += [f"with {name}" for name in item.merged]
            lines.append(f"{item.layer:<28} {item.operation:<18} {item.rule:<42} {'; '.join(notes)}".rstrip())
        return "\n".join(lines)


def _summed(taken: Mapping[str, Tensor], like: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(like), *taken.values()]).sum(dim=0)


def joined(parts: Sequence[LrpResult]) -> LrpResult:
    """Results of one photo each as the result of a batch."""
    first = parts[0]
    targets = [part.targets for part in parts if part.targets is not None]
    return replace(
        first,
        relevance=torch.cat([part.relevance for part in parts]),
        scores=torch.cat([part.scores for part in parts]),
        targets=torch.cat(targets) if targets else None,
        outputs=torch.cat([part.outputs for part in parts]),
        ledger=LrpLedger(
            sent=torch.cat([part.ledger.sent for part in parts]),
            arrived=torch.cat([part.ledger.arrived for part in parts]),
            rows=tuple(map(_joined_rows, zip(*(part.ledger.rows for part in parts), strict=True))),
        ),
    )


def _joined_rows(rows: Sequence[LedgerRow]) -> LedgerRow:
    return replace(
        rows[0],
        received=torch.cat([row.received for row in rows]),
        passed=torch.cat([row.passed for row in rows]),
        taken={cause: torch.cat([row.taken[cause] for row in rows]) for cause in rows[0].taken},
    )
