"""Which rules each kind of operation can have, and the arithmetic of each: a table that users extend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from typing import Any

from pfungst.errors import unknown_name
from pfungst.network.lrp import kernels, norms, products, structure
from pfungst.network.lrp.errors import LrpError
from pfungst.network.lrp.rules import Rule

WEIGHTED = ("convolution", "linear")
"""Kinds with weights: their kernels take a :class:`~pfungst.network.lrp.linear.WeightedLayer`."""

_KERNELS: dict[str, dict[type[Rule], Callable[..., Any]]] = {
    **{kind: dict(kernels.KERNELS) for kind in WEIGHTED},
    **{
        kind: dict(by_rule)
        for table in (structure.KERNELS, norms.KERNELS, products.KERNELS)
        for kind, by_rule in table.items()
    },
}


def register_rule(rule: type[Rule], kernel: Callable[..., Any], kinds: Sequence[str] = WEIGHTED) -> None:
    """Make a rule of your own known: composites can then use it like the built-in ones.

    Parameters
    ----------
    rule : type
        A frozen dataclass that inherits from :class:`~pfungst.network.lrp.Rule`; its fields are the
        parameters.
    kernel : callable
        The arithmetic. For kinds with weights ``kernel(layer, relevance, rule)``: a
        :class:`~pfungst.network.lrp.WeightedLayer`, the relevance of its output (a list with one tensor a
        target, which may be overwritten), and the rule; it returns a list of
        :class:`~pfungst.network.lrp.Passed`, one a target. For all others ``kernel(node, outputs, rule)``,
        for one target at a time, which returns :class:`~pfungst.network.lrp.Shares`.
    kinds : sequence of str
        Kinds of operations that can have it; default ``convolution`` and ``linear``.

    Raises
    ------
    LrpError
        If it is no rule, or a kind has it already.
    ConfigError
        If a kind is unknown.

    Examples
    --------
    Relevance evenly to the positive inputs of a fully connected layer::

        @dataclass(frozen=True, kw_only=True, eq=False)
        class Even(lrp.Rule):
            pass

        def even(layer, relevance, rule):
            on = (layer.a() > 0).to(layer.weight)
            shares = on / on.sum(dim=1, keepdim=True)
            return [lrp.Passed.of(shares * r.sum(dim=1, keepdim=True)) for r in relevance]

        lrp.register_rule(Even, even, ["linear"])
        lrp.register_composite(lrp.Composite(name="even", types={"linear": Even()}))
    """
    if not (isinstance(rule, type) and issubclass(rule, Rule) and is_dataclass(rule)):
        raise LrpError(f"{rule!r} as a rule", allowed="a frozen dataclass that inherits from lrp.Rule")
    for kind in kinds:
        if kind not in _KERNELS:
            raise unknown_name("kind of operation", str(kind), tuple(_KERNELS))
        if rule in _KERNELS[kind]:
            raise LrpError(f"the kind {kind!r} has the rule {rule.__name__} already", hint="another class")
    for kind in kinds:
        _KERNELS[kind][rule] = kernel


def kinds_with_rules() -> tuple[str, ...]:
    """Kinds of operations that a composite gives rules to."""
    return tuple(_KERNELS)


def rules_of(kind: str) -> tuple[type[Rule], ...]:
    """The rules that a kind of operation can have."""
    return tuple(_KERNELS[kind])


def fits(rule: Rule, kind: str) -> bool:
    """Whether operations of a kind can have the rule."""
    return isinstance(rule, rules_of(kind))


def kernel_of(kind: str, rule: Rule) -> Callable[..., Any]:
    """The arithmetic of a rule that fits; that of its nearest base class where it has none of its own."""
    return next(_KERNELS[kind][part] for part in type(rule).__mro__ if part in _KERNELS[kind])


def check_rule(rule: Rule, kind: str, place: str) -> None:
    """Refuse a rule where it cannot work.

    Raises
    ------
    LrpError
        With the rules that can.
    """
    if not fits(rule, kind):
        names = ", ".join(allowed.__name__ for allowed in rules_of(kind))
        raise LrpError(f"rule {rule} for an operation of kind {kind!r} ({place})", allowed=names)
