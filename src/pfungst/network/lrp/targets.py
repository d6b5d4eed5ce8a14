"""What is explained: which of the network's outputs, and the relevance that they send back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pfungst.network.lrp.errors import LrpError
from pfungst.network.outputs import class_scores

Targets = int | Sequence[int] | Sequence[Sequence[int]] | Tensor


def starts(
    outputs: Tensor, targets: Targets | None, output_relevance: Tensor | None
) -> tuple[list[Tensor], Tensor | None]:
    """Relevance at the output, one tensor a target, and the targets as ``(n,)`` or ``(n, n_targets)``."""
    if not bool(torch.isfinite(outputs).all()):
        raise LrpError(
            "the network's outputs hold NaN or infinity", hint="the weights, and the input's preprocessing"
        )
    if (targets is None) == (output_relevance is None):
        raise LrpError(
            "which output to explain is not stated"
            if targets is None
            else "both targets and output_relevance are given",
            allowed="targets (an int, (n,) or (n, n_targets)), or output_relevance",
        )
    if output_relevance is not None:
        if output_relevance.shape != outputs.shape or not bool(torch.isfinite(output_relevance).all()):
            raise LrpError(
                f"output_relevance {tuple(output_relevance.shape)}",
                allowed=f"finite, of shape {tuple(outputs.shape)}",
            )
        return [output_relevance.detach().to(outputs, copy=True)], None
    scores = class_scores(outputs)
    chosen = _checked_targets(targets, scores)
    columns = chosen if chosen.dim() == 2 else chosen[:, None]
    found = []
    for column in columns.T:
        start = torch.zeros_like(scores)
        start.scatter_(1, column[:, None], scores.gather(1, column[:, None]))
        found.append(start.view(outputs.shape))
    return found, chosen


def _checked_targets(targets: Targets | None, outputs: Tensor) -> Tensor:
    n, n_outputs = outputs.shape
    chosen = torch.as_tensor(targets, device=outputs.device)
    if chosen.is_floating_point() or chosen.is_complex() or chosen.dtype == torch.bool:
        raise LrpError(f"targets of {chosen.dtype}", allowed="integers")
    chosen = chosen.long().expand(n) if chosen.dim() == 0 else chosen.long()
    if chosen.dim() > 2 or chosen.shape[0] != n or not chosen.numel():
        raise LrpError(
            f"targets {tuple(chosen.shape)} for {n} images", allowed=f"an int, ({n},) or ({n}, n_targets)"
        )
    if int(chosen.min()) < 0 or int(chosen.max()) >= n_outputs:
        raise LrpError(
            f"targets from {int(chosen.min())} to {int(chosen.max())}", allowed=f"0 to {n_outputs - 1}"
        )
    return chosen
