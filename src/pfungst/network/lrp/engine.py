"""The public call: one recorded forward pass, then relevance step by step back to the input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pfungst.errors import PfungstError
from pfungst.network.lrp.checking import check_given
from pfungst.network.lrp.completeness import check_complete
from pfungst.network.lrp.composite import Composite, Fallback, split_fallback
from pfungst.network.lrp.composite import composite as find_composite
from pfungst.network.lrp.elementwise import total
from pfungst.network.lrp.ending import left_out
from pfungst.network.lrp.errors import LrpError
from pfungst.network.lrp.folding import FoldedBatchError, Photos
from pfungst.network.lrp.plan import SUITED, assignments, plan, suited
from pfungst.network.lrp.result import LedgerRow, LrpLedger, LrpResult, joined
from pfungst.network.lrp.rules import Bound
from pfungst.network.lrp.tape import Tape, record
from pfungst.network.lrp.targets import Targets, starts
from pfungst.network.lrp.walk import Row, Walk
from pfungst.network.outputs import class_scores


def relevance(
    module: nn.Module,
    inputs: Tensor,
    targets: Targets | None = None,
    *,
    composite: str | Composite = SUITED,
    output_relevance: Tensor | None = None,
    input_bounds: tuple[Bound, Bound] | None = None,
    fallback: Fallback | None = None,
) -> LrpResult:
    """Layer-wise relevance propagation through any feed-forward network in evaluation mode.

    ``Σ_i R_i = f(x)`` but for what biases, stabilisers and zero denominators take; the ledger says how much
    and where.
    The module is not changed. All targets share one forward pass and all denominators.

    Parameters
    ----------
    module : torch.nn.Module
        The network; its output is a tensor ``(n, n_outputs)``, or a tuple or dict with one. A softmax or
        sigmoid at its end is left out.
    inputs : (n, ...) floating tensor
        A batch, of the module's device and dtype.
    targets : int, (n,) or (n, n_targets) integers
        Outputs to explain: one for all images, one an image, or several an image.
    composite : str or Composite
        Which rule meets which layer; by default ``epsilon-plus-flat`` for networks of convolutions and
        ``attnlrp`` for those with norms, softmax or products of signals inside.
    output_relevance : (n, n_outputs) tensor, optional
        Instead of ``targets``: relevance to send back from the output.
    input_bounds : (low, high), optional
        The range of the input after preprocessing, for the rule z^B; numbers or tensors that broadcast to
        ``(C, H, W)``.
    fallback : {"gradient", "pass"}, optional
        What to do at operations without a rule, where ``composite`` does not say it; by default they are an
        error. ``composite="suited+gradient"`` is the same.

    Returns
    -------
    LrpResult
        Relevance ``targets.shape + inputs.shape[1:]``, scores, ledger and assignments.

    Raises
    ------
    LrpError
        If the module is in training mode, the input is not a finite floating batch of the module's dtype,
        targets are missing or out of range, a rule does not fit, or relevance leaves the floating range.
    UnsupportedOperationError
        If relevance reaches an operation without a rule; it names the operation and the module that called
        it.
    HiddenOperationError
        If numbers of the network leave the recording unseen (:mod:`pfungst.network.lrp.completeness`).

    References
    ----------
    Bach et al. 2015, On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
    propagation.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).eval()
    >>> result = relevance(net, torch.rand(5, 3, 8, 8), 1, composite="epsilon-plus")
    >>> result.relevance.shape
    torch.Size([5, 3, 8, 8])
    >>> bool((result.ledger.residual.abs() < 1e-4).all())
    True
    """
    return Recording(module, inputs).relevance(
        targets,
        composite=composite,
        output_relevance=output_relevance,
        input_bounds=input_bounds,
        fallback=fallback,
    )


class Recording:
    """One forward pass, recorded: its raw scores, and relevance from them.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    inputs : (n, ...) floating tensor

    Attributes
    ----------
    outputs : Tensor
        What the module returns, but for what is left out.
    left_out : tuple of str
        Functions at the module's end that would squash the scores, such as ``softmax``, the last first.

    Raises
    ------
    LrpError, UnsupportedOperationError
        As :func:`relevance`.
    """

    def __init__(self, module: nn.Module, inputs: Tensor) -> None:
        check_given(module, inputs)
        self._module = module
        with torch.inference_mode(False), torch.no_grad():  # what is made in inference mode has no gradients
            self._inputs = inputs.clone() if inputs.is_inference() else inputs
            self._tape: Tape | None = self._raw_tape()
            self.outputs = self._tape.output.tensor()

    def _raw_tape(self) -> Tape:
        tape = self._recorded(self._inputs)
        self.left_out = left_out(tape)
        return tape

    def _recorded(self, inputs: Tensor) -> Tape:
        try:
            return record(self._module, _in_fast_layout(inputs))
        except PfungstError:
            raise
        except Exception as error:  # a module raises what it likes
            reason = str(error).strip().split("\n", 1)[0][:200]
            raise LrpError(
                f"the network fails on an input of shape {tuple(self._inputs.shape)} ({reason})",
                allowed="the input that its layers were made for",
            ) from error

    def relevance(
        self,
        targets: Targets | None = None,
        *,
        composite: str | Composite = SUITED,
        output_relevance: Tensor | None = None,
        input_bounds: tuple[Bound, Bound] | None = None,
        fallback: Fallback | None = None,
    ) -> LrpResult:
        """As :func:`relevance`, of the recorded pass; a second call needs and makes a second recording."""
        with torch.inference_mode(False):
            return self._relevance(
                targets, composite, _Choice(None, output_relevance, input_bounds, fallback)
            )

    def _relevance(self, targets: Targets | None, composite: str | Composite, choice: _Choice) -> LrpResult:
        if isinstance(composite, str) and choice.fallback is None:
            composite, fallback = split_fallback(composite)
            choice = replace(choice, fallback=fallback)
        if composite != SUITED:
            choice = replace(choice, rules=find_composite(composite))
        tape, self._tape = self._tape or self._raw_tape(), None
        check_complete(self._module, self._inputs, tape, self._recorded)
        try:
            return _explained(tape, targets, choice)
        except FoldedBatchError:
            return joined(list(self._one_by_one(targets, choice)))

    def _one_by_one(self, targets: Targets | None, choice: _Choice) -> Iterator[LrpResult]:
        """Each photo recorded by itself; among the others where the module takes no other batch."""
        parts = enumerate(_photo_by_photo(self._inputs, targets, choice))
        for photo, (inputs, own_targets, own_choice) in parts:
            try:
                tape = self._recorded(inputs)
            except LrpError:
                yield _explained(self._raw_tape(), targets, choice, photo=photo)
                continue
            left_out(tape)
            yield _explained(tape, own_targets, own_choice)


@dataclass(frozen=True)
class _Choice:
    """What a call asks for beside its targets; without ``rules`` those that suit the network."""

    rules: Composite | None
    output_relevance: Tensor | None
    input_bounds: tuple[Bound, Bound] | None
    fallback: Fallback | None


def _explained(
    tape: Tape, targets: Targets | None, choice: _Choice, *, photo: int | None = None
) -> LrpResult:
    """The way back; of one ``photo`` of a batch relevance of the others is 0 at the output already."""
    with torch.no_grad():
        rules = choice.rules or suited(tape)
        if choice.fallback is not None:
            rules = rules.with_fallback(choice.fallback)
        steps = plan(tape, rules, input_bounds=choice.input_bounds)
        photos = Photos(tape)
        tape.nodes.clear()
        outputs = tape.output.tensor()
        sent, chosen = starts(outputs, targets, choice.output_relevance)
        if photo is not None:
            one = slice(photo, photo + 1)
            photos.n, outputs, chosen = 1, outputs[one], chosen[one] if chosen is not None else None
            sent = [_alone(item, one) for item in sent]
        table = assignments(steps)
        sums = [total(item) for item in sent]
        walk = Walk(photos, {id(tape.output): sent}, rules.fallback or "pass")
        rows = walk.back(steps)
        arrived = [item.contiguous() for item in walk.store[id(tape.input)]]
        if photo is not None:
            sums, arrived = [item[one] for item in sums], [item[one] for item in arrived]
    shape = chosen.shape if chosen is not None else torch.Size([photos.n])
    ledger = _ledger(sums, arrived, rows, shape)
    return LrpResult(
        relevance=_joined(arrived, shape),
        scores=_scores(outputs, chosen, ledger),
        targets=chosen,
        outputs=outputs,
        ledger=ledger,
        assignments=table,
        composite=rules.name,
    )


def _alone(relevance: Tensor, one: slice) -> Tensor:
    result = torch.zeros_like(relevance)
    result[one] = relevance[one]
    return result


def _photo_by_photo(
    inputs: Tensor, targets: Targets | None, choice: _Choice
) -> Iterator[tuple[Tensor, Targets | None, _Choice]]:
    n = len(inputs)
    wanted = None
    if targets is not None:
        wanted = torch.as_tensor(targets)
        wanted = wanted.expand(n) if wanted.dim() == 0 else wanted
    for i in range(n):
        given = choice.output_relevance
        one = replace(choice, output_relevance=given[i : i + 1] if given is not None else None)
        yield inputs[i : i + 1], wanted[i : i + 1] if wanted is not None else None, one


def _in_fast_layout(inputs: Tensor) -> Tensor:
    """Channels last on a CPU in single precision: a fifth less time in convolutions, the same numbers."""
    if inputs.dim() == 4 and inputs.device.type == "cpu" and inputs.dtype == torch.float32:
        return inputs.contiguous(memory_format=torch.channels_last)
    return inputs


def _joined(values: list[Tensor], shape: torch.Size) -> Tensor:
    return torch.stack(values, dim=1) if len(shape) == 2 else values[0]


def _ledger(sent: list[Tensor], arrived: list[Tensor], rows: list[Row], shape: torch.Size) -> LrpLedger:
    sums = [total(item) for item in arrived]
    _check_finite(sums, rows)
    return LrpLedger(sent=_joined(sent, shape), arrived=_joined(sums, shape), rows=_shaped(rows, shape))


def _check_finite(arrived: list[Tensor], rows: list[Row]) -> None:
    """Refuse relevance that grew beyond the floating range: quotients by sums that nearly cancel multiply."""
    if all(bool(torch.isfinite(item).all()) for item in arrived):
        return
    broken = (
        f" from {row.step.node.layer} ({row.step.node.name}, {row.step.rule or row.step.kind}) on"
        for row in rows
        if not all(bool(torch.isfinite(item).all()) for item in row.passed)
    )
    raise LrpError(
        f"relevance is NaN or infinite{next(broken, '')}",
        hint='a larger epsilon, bias="absorb" or a rule without negative contributions, such as ZPlus',
    )


def _shaped(rows: list[Row], shape: torch.Size) -> tuple[LedgerRow, ...]:
    shaped = []
    for row in rows:
        step = row.step
        causes = {cause: _joined([item[cause] for item in row.taken], shape) for cause in row.taken[0]}
        shaped.append(
            LedgerRow(
                layer=step.node.layer,
                operation=step.node.name,
                rule=str(step.rule) if step.rule is not None else step.kind,
                received=_joined(row.received, shape),
                passed=_joined(row.passed, shape),
                taken=causes,
            )
        )
    return tuple(shaped)


def _scores(outputs: Tensor, chosen: Tensor | None, ledger: LrpLedger) -> Tensor:
    if chosen is None:
        return ledger.sent.to(outputs.dtype)
    columns = chosen if chosen.dim() == 2 else chosen[:, None]
    return class_scores(outputs).gather(1, columns).reshape(chosen.shape)
