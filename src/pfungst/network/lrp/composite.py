"""Composites: which rule meets which layer, as data with a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from torch import nn

from pfungst.errors import unknown_name
from pfungst.network.lrp.errors import LrpError
from pfungst.network.lrp.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Pass,
    Proportional,
    Rule,
    Taylor,
    WinnerTakesAll,
    WSquare,
    ZBox,
    ZPlus,
)

_WEIGHTED: tuple[type[Rule], ...] = (Epsilon, Gamma, AlphaBeta, ZPlus, WSquare, Flat, ZBox, Pass)
ALLOWED: Mapping[str, tuple[type[Rule], ...]] = {
    "convolution": _WEIGHTED,
    "linear": _WEIGHTED,
    "sum": (Epsilon, ZPlus),
    "affine": (Epsilon, Pass),
    "avg_pool": (Epsilon, ZPlus, Flat),
    "max_pool": (WinnerTakesAll, Proportional),
    "lrn": (Pass, Taylor),
}
"""Kinds of operations that a composite gives rules to, and the rules each can have.

``sum`` is an addition of signals (residuals), ``affine`` a scale and shift that is not part of a weighted
layer (such as a batch norm that could not be merged). All other known operations have one rule only.
"""
_DEFAULTS: Mapping[str, Rule] = {
    "convolution": Epsilon(),
    "linear": Epsilon(),
    "sum": Epsilon(),
    "affine": Epsilon(),
    "avg_pool": Epsilon(),
    "max_pool": WinnerTakesAll(),
    "lrn": Pass(),
}


@dataclass(frozen=True, kw_only=True)
class Composite:
    """A rule for every layer.

    For each operation the first of these that says something decides: ``names`` (patterns of module paths),
    ``first`` (weighted layers that read the input with no weighted layer before them, in the order of data
    flow), ``types`` (the module's class, or the kind of operation), the default (ε = 1e-6; winner takes
    all; LRN passes).

    Attributes
    ----------
    name : str
        For tables and explanations.
    types : mapping of str or type to Rule
        Keys are kinds of operations (``convolution linear sum affine avg_pool max_pool lrn``) or classes of
        modules.
    first : Rule, optional
        For the pixel layer.
    names : mapping of str to Rule
        Patterns as in file names, such as ``"features.[0-9]"`` or ``"classifier.*"``.

    Raises
    ------
    LrpError
        If a rule cannot be used where it is put.

    Examples
    --------
    >>> mine = composite("epsilon-plus-flat").extended(names={"classifier.*": Epsilon(epsilon=0.25)},
    name="mine") >>> print(mine.names["classifier.*"])
    Epsilon(epsilon=0.25)
    """

    name: str
    types: Mapping[str | type[nn.Module], Rule] = field(default_factory=dict)
    first: Rule | None = None
    names: Mapping[str, Rule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, rule in self.types.items():
            if not isinstance(key, str):
                continue
            if key not in ALLOWED:
                raise unknown_name("kind of operation", key, ALLOWED)
            check_rule(rule, key, f"composite {self.name!r}")
        if self.first is not None:
            check_rule(self.first, "convolution", f"the first layer of composite {self.name!r}")

    def extended(
        self,
        *,
        types: Mapping[str | type[nn.Module], Rule] | None = None,
        names: Mapping[str, Rule] | None = None,
        first: Rule | None = None,
        name: str | None = None,
    ) -> Composite:
        """A copy in which the given rules come before the present ones."""
        return replace(
            self,
            name=name or f"{self.name}+",
            types={
                **(types or {}),
                **{key: rule for key, rule in self.types.items() if key not in (types or {})},
            },
            names={
                **(names or {}),
                **{key: rule for key, rule in self.names.items() if key not in (names or {})},
            },
            first=first or self.first,
        )

    def rule_for(self, kind: str, path: str, module: nn.Module | None, *, first: bool) -> Rule:
        """The rule of one operation of ``kind``, called in ``module`` at ``path``."""
        for pattern, rule in self.names.items():
            if fnmatchcase(path, pattern):
                if isinstance(rule, ALLOWED[kind]):
                    return rule
                if kind in {"convolution", "linear"}:
                    check_rule(rule, kind, path)
        if first and self.first is not None:
            return self.first
        for key, rule in self.types.items():
            if key == kind:
                return rule
            if not isinstance(key, str) and isinstance(module, key) and isinstance(rule, ALLOWED[kind]):
                return rule
        return _DEFAULTS[kind]


def check_rule(rule: Rule, kind: str, place: str) -> None:
    """Refuse a rule where it cannot work."""
    if not isinstance(rule, ALLOWED[kind]):
        names = ", ".join(allowed.__name__ for allowed in ALLOWED[kind])
        raise LrpError(f"rule {rule} for an operation of kind {kind!r} ({place})", allowed=names)


_ALPHA2_BETA1 = AlphaBeta(alpha=2.0, beta=-1.0)
COMPOSITES: Mapping[str, Composite] = {
    item.name: item
    for item in (
        Composite(name="epsilon"),
        Composite(name="epsilon-plus", types={"convolution": ZPlus()}),
        Composite(name="epsilon-plus-flat", types={"convolution": ZPlus()}, first=Flat()),
        Composite(name="epsilon-gamma-box", types={"convolution": Gamma()}, first=ZBox()),
        Composite(name="epsilon-alpha2-beta1", types={"convolution": _ALPHA2_BETA1}),
        Composite(name="epsilon-alpha2-beta1-flat", types={"convolution": _ALPHA2_BETA1}, first=Flat()),
        Composite(
            name="cvpr2016",
            types={"convolution": _ALPHA2_BETA1, "linear": Epsilon(epsilon=1.0), "lrn": Taylor()},
        ),
    )
}
"""Composites by name; ``linear`` layers have ε where nothing else is said.

``cvpr2016`` is the setting of the paper: convolutions αβ with α = 2, β = −1, fully connected layers ε = 1,
LRN by its Taylor expansion, max pooling winner takes all, from the raw class score.
"""


def composite(choice: str | Composite) -> Composite:
    """A composite by name; a composite is returned as it is.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if isinstance(choice, Composite):
        return choice
    if choice not in COMPOSITES:
        raise unknown_name("composite", str(choice), COMPOSITES)
    return COMPOSITES[choice]
