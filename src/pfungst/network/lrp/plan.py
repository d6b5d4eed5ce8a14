"""From a recorded pass and a composite to the steps back: what merges, what is first, which rule where."""

from __future__ import annotations

from dataclasses import dataclass

from pfungst.network.lrp.composite import Composite
from pfungst.network.lrp.composite import composite as find_composite
from pfungst.network.lrp.errors import LrpError, UnsupportedOperationError
from pfungst.network.lrp.linear import is_zero_pad, mergeable
from pfungst.network.lrp.registry import WEIGHTED, kinds_with_rules
from pfungst.network.lrp.roles import assign_roles
from pfungst.network.lrp.rules import Bound, Constant, Rule
from pfungst.network.lrp.tape import Node, Tape, Value

SUITED = "suited"
"""The name of the choice of a composite by a network's operations."""
_ATTENTIVE = frozenset({"norm", "softmax", "multiplication", "quotient"})


@dataclass(eq=False)
class Step:
    """One call on the way back.

    Attributes
    ----------
    node : Node
        The call.
    kind : str
        Its kind, ``merged`` if its arithmetic is done by a weighted layer before or after it.
    rule : Rule or None
        For kinds that a composite decides.
    first : bool
        A weighted layer that reads the input with no weighted layer before it.
    pad : Node or None
        Zero padding that merges into a convolution.
    """

    node: Node
    kind: str
    rule: Rule | None = None
    first: bool = False
    pad: Node | None = None


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Which rule met which layer: one line of the printed composite."""

    layer: str
    operation: str
    rule: str
    first: bool = False
    merged: tuple[str, ...] = ()


def plan(
    tape: Tape,
    composite: Composite,
    *,
    input_bounds: tuple[Bound, Bound] | None = None,
) -> list[Step]:
    """The steps from the network's output back, in the order of the forward pass.

    Raises
    ------
    UnsupportedOperationError
        If relevance would reach an operation without a rule and there is no fallback.
    """
    assign_roles(tape, lambda node: isinstance(_rule_of(node, "softmax", composite), Constant))
    behind_weights = _behind_weights(tape)
    carriers = {id(tape.output)}
    steps: list[Step] = []
    pads, absorbed = _merges(tape)
    for node in reversed(tape.nodes):
        if not any(id(value) in carriers for value in node.outputs):
            continue
        if id(node) in absorbed:
            step = Step(node, "merged")
        else:
            step = _step(node, composite, behind_weights)
            step.pad = pads.get(id(node))
            if step.rule is not None and input_bounds is not None:
                step.rule = step.rule.bounded(*input_bounds)
        carriers.update(id(value) for value in node.carriers)
        steps.append(step)
    if id(tape.input) not in carriers:
        raise LrpError("the network's output does not depend on its input")
    return steps[::-1]


def suited(tape: Tape) -> Composite:
    """The composite for a network by its operations, where none was chosen.

    ``attnlrp`` where a norm, a softmax or a product of signals is on the way to the output, else
    ``epsilon-plus-flat``.
    """
    assign_roles(tape)
    ahead = {id(tape.output)}
    for node in reversed(tape.nodes):
        if any(id(value) in ahead for value in node.outputs):
            ahead.update(id(value) for value in node.carriers)
            if node.role in _ATTENTIVE:
                return find_composite("attnlrp")
    return find_composite("epsilon-plus-flat")


def _behind_weights(tape: Tape) -> set[int]:
    behind: set[int] = set()
    for node in tape.nodes:
        if node.kind in WEIGHTED or any(id(value) in behind for value in node.inputs):
            behind.update(id(value) for value in node.outputs)
    return behind


def _readers(tape: Tape) -> dict[int, list[Node]]:
    readers: dict[int, list[Node]] = {}
    for node in tape.nodes:
        for value in node.inputs:
            readers.setdefault(id(value), []).append(node)
    return readers


def _step(node: Node, composite: Composite, behind_weights: set[int]) -> Step:
    kind = node.role
    if kind in {"unknown", "log_softmax"}:
        if composite.fallback is None:
            raise UnsupportedOperationError(node.title, node.place)
        return Step(node, "fallback")
    if kind not in kinds_with_rules():
        return Step(node, kind)
    first = kind in WEIGHTED and not any(id(value) in behind_weights for value in node.inputs)
    return Step(node, kind, _rule_of(node, kind, composite, first=first), first)


def _rule_of(node: Node, kind: str, composite: Composite, *, first: bool = False) -> Rule:
    return composite.rule_for(kind, node.module_name, node.module, first=first)


def _merges(tape: Tape) -> tuple[dict[int, Node], set[int]]:
    """Let weighted layers take over the scales and shifts after them and the zeros padded before them.

    Only where the data flow is exclusive: nothing else reads the value between the two.

    Returns
    -------
    pads : dict
        By the identity of a convolution's node, the padding that it takes over.
    absorbed : set
        Identities of all nodes that were taken over.
    """
    readers = _readers(tape)
    pads: dict[int, Node] = {}
    absorbed: set[int] = set()
    for node in tape.nodes:
        if node.kind not in WEIGHTED:
            continue
        node.merged = _affine_chain(node, readers, tape.output)
        absorbed.update(map(id, node.merged))
        before = node.inputs[0].producer
        if (
            before is not None
            and node.kind == "convolution"
            and is_zero_pad(before)
            and node.inputs[0].uses == 1
        ):
            pads[id(node)] = before
            absorbed.add(id(before))
    return pads, absorbed


def _affine_chain(node: Node, readers: dict[int, list[Node]], end: Value) -> list[Node]:
    chain: list[Node] = []
    value = node.outputs[0]
    while value is not end and value.uses == 1:
        (after,) = readers[id(value)]
        if after.role != "affine" or not mergeable(after, node):
            break
        chain.append(after)
        value = after.outputs[0]
    return chain


def assignments(steps: list[Step]) -> tuple[Assignment, ...]:
    """The printed composite: one line for each call that has a rule to choose, a gate or a fallback."""
    taken_over = {id(node) for step in steps for node in step.node.merged}
    lines = []
    for step in steps:
        if id(step.node) in taken_over or (
            step.rule is None and step.kind not in {"gate", "quotient", "fallback"}
        ):
            continue
        merged = [*([step.pad] if step.pad else []), *step.node.merged]
        lines.append(
            Assignment(
                layer=step.node.layer,
                operation=step.node.name,
                rule=str(step.rule) if step.rule is not None else step.kind,
                first=step.first,
                merged=tuple(f"{node.layer}: {node.name}" for node in merged),
            )
        )
    return tuple(lines)
