"""Where relevance starts: at the raw class scores, before a sigmoid or softmax that ends the network.

A probability p = σ(z) is positive whatever z is, and sent back in the place of z it turns every sign where
z < 0. Of a softmax the same holds, and each score depends on all of them.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pfungst.network.lrp.tape import Node, Tape

_SQUASHING = frozenset({
    "softmax", "_softmax", "log_softmax", "_log_softmax", "special_softmax", "special_log_softmax",
    "sigmoid", "hardsigmoid", "special_expit", "logsigmoid", "log_sigmoid",
})  # fmt: skip
_INCREASING = frozenset({"log", "exp", "clamp", "clamp_min", "clamp_max"})
"""What may follow a squashing function without changing the order of the scores."""
_SHAPES = frozenset({"identity", "reshape", "rearrange"})


def left_out(tape: Tape) -> tuple[str, ...]:
    """Make the tape end in raw scores; names of the functions that are left out, the last first.

    They become identities, wherever they stand among calls that only move numbers (``flatten``, indexing);
    such calls then move the raw scores.
    """
    chain = _tail(tape)
    last = max((i for i, node in enumerate(chain) if node.name in _SQUASHING), default=-1)
    chain = chain[: last + 1]
    names = []
    for node in chain:
        for value in node.outputs:
            value.data = None
            value.nonnegative = False
        if node.kind not in _SHAPES:
            names.append(node.name)
            node.kind, node.func = "identity", _same
    return tuple(names)


def _tail(tape: Tape) -> list[Node]:
    """The calls that end the network one after the other, from its output on, while each has one input."""
    chain = []
    node = tape.output.producer
    while node is not None and len(node.inputs) == 1 and _may_follow(node):
        chain.append(node)
        node = node.inputs[0].producer
    return chain


def _may_follow(node: Node) -> bool:
    return node.kind in _SHAPES or node.name in _SQUASHING or node.name in _INCREASING


def _same(input: Tensor, *_args: Any, **_options: Any) -> Tensor:  # noqa: A002 - torch's own name
    return input
