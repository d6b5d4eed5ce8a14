"""Composites: which rule meets which layer, as data with a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Literal, get_args

from torch import nn

from pfungst.errors import unknown_name
from pfungst.network.lrp.errors import LrpError
from pfungst.network.lrp.registry import WEIGHTED, check_rule, fits, kinds_with_rules
from pfungst.network.lrp.rules import (
    AlphaBeta,
    Constant,
    Epsilon,
    Flat,
    Gamma,
    Halves,
    Pass,
    Rule,
    SoftmaxTaylor,
    Taylor,
    WinnerTakesAll,
    ZBox,
    ZPlus,
)

_DEFAULTS: Mapping[str, Rule] = {
    "convolution": Epsilon(),
    "linear": Epsilon(),
    "sum": Epsilon(),
    "affine": Epsilon(),
    "avg_pool": Epsilon(),
    "max_pool": WinnerTakesAll(),
    "lrn": Pass(),
    "norm": Epsilon(),
    "multiplication": Halves(),
    "contraction": Epsilon(),
    "softmax": SoftmaxTaylor(),
    "squash": Epsilon(),
}


Fallback = Literal["gradient", "pass"]
FALLBACKS: tuple[str, ...] = get_args(Fallback)
"""What may be done at operations without a rule."""


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
        Keys are kinds of operations (``convolution linear sum affine avg_pool max_pool lrn norm
        multiplication contraction softmax squash``) or classes of modules.
    first : Rule, optional
        For the pixel layer.
    names : mapping of str to Rule
        Patterns as in file names, such as ``"features.[0-9]"`` or ``"classifier.*"``.
    fallback : {"gradient", "pass"}, optional
        What to do at operations without a rule; by default they are an error.

    Raises
    ------
    LrpError
        If a rule cannot be used where it is put.

    Examples
    --------
    >>> softer = {"classifier.*": Epsilon(epsilon=0.25)}
    >>> mine = composite("epsilon-plus-flat").extended(names=softer, name="mine")
    >>> print(mine.names["classifier.*"])
    Epsilon(epsilon=0.25)
    """

    name: str
    types: Mapping[str | type[nn.Module], Rule] = field(default_factory=dict)
    first: Rule | None = None
    names: Mapping[str, Rule] = field(default_factory=dict)
    fallback: Fallback | None = None

    def __post_init__(self) -> None:
        if self.fallback not in {None, *FALLBACKS}:
            raise unknown_name("fallback", str(self.fallback), FALLBACKS)
        for key, rule in self.types.items():
            if not isinstance(key, str):
                continue
            if key not in kinds_with_rules():
                raise unknown_name("kind of operation", key, kinds_with_rules())
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

    def with_fallback(self, fallback: Fallback) -> Composite:
        """The same with something to do at operations without a rule; its name says so."""
        return replace(self, name=f"{self.name}+{fallback}", fallback=fallback)

    def rule_for(self, kind: str, path: str, module: nn.Module | None, *, first: bool) -> Rule:
        """The rule of one operation of ``kind``, called in ``module`` at ``path``."""
        for pattern, rule in self.names.items():
            if fnmatchcase(path, pattern):
                if fits(rule, kind):
                    return rule
                if kind in WEIGHTED:
                    check_rule(rule, kind, path)
        if first and self.first is not None:
            return self.first
        for key, rule in self.types.items():
            if key == kind:
                return rule
            if not isinstance(key, str) and isinstance(module, key) and fits(rule, kind):
                return rule
        return _DEFAULTS[kind]


_ALPHA2_BETA1 = AlphaBeta(alpha=2.0, beta=-1.0)
_COMPOSITES: dict[str, Composite] = {
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
        Composite(name="attnlrp"),
        Composite(
            name="attnlrp-gamma", types={"convolution": Gamma(gamma=0.25), "linear": Gamma(gamma=0.05)}
        ),
        Composite(name="cp-lrp", types={"softmax": Constant()}),
    )
}
COMPOSITES: Mapping[str, Composite] = MappingProxyType(_COMPOSITES)
"""Composites by name; ``linear`` layers have ε where nothing else is said.

``cvpr2016`` is the setting of the paper: convolutions αβ with α = 2, β = −1, fully connected layers ε = 1,
LRN by its Taylor expansion, max pooling winner takes all, from the raw class score.

``attnlrp`` is AttnLRP (Achtibat et al. 2024): ε for layers with weights, norms as linear maps with a
constant σ, half to each factor of a product of signals, softmax by its Taylor expansion. ``attnlrp-gamma``
has γ = 0.25 for convolutions and γ = 0.05 for ``linear`` layers in place of ε. ``cp-lrp`` is CP-LRP (Ali et
al. 2022): attention weights and σ count as constants, all relevance of ``A V`` goes to V.
"""
PLUGINS = "pfungst.lrp"
"""Group of entry points of other packages: each names a module that registers rules and composites."""


def register_composite(item: Composite) -> None:
    """Make a composite known by its name, on the command line (``--rule``) as well.

    A package that is installed beside this one registers its own without being imported by hand when it
    declares an entry point of the group ``pfungst.lrp`` that names the module which does so.

    Raises
    ------
    LrpError
        If another composite has the name.
    """
    if item.name in _COMPOSITES:
        raise LrpError(f"a second composite of the name {item.name!r}", hint="another name")
    _COMPOSITES[item.name] = item


def composite(choice: str | Composite) -> Composite:
    """A composite by name; a composite is returned as it is.

    ``NAME+gradient`` and ``NAME+pass`` are that composite with a fallback.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if isinstance(choice, Composite):
        return choice
    name, fallback = split_fallback(choice)
    if fallback is not None:
        return composite(name).with_fallback(fallback)
    if choice not in COMPOSITES:
        _load_plugins()
    if choice not in COMPOSITES:
        raise unknown_name("composite", str(choice), tuple(COMPOSITES))
    return COMPOSITES[choice]


def split_fallback(name: str) -> tuple[str, Fallback | None]:
    """A composite's name without its fallback, and the fallback."""
    base, _, end = name.rpartition("+")
    for known in get_args(Fallback):
        if base and end == known:
            return base, known
    return name, None


@cache
def _load_plugins() -> None:
    for plugin in entry_points(group=PLUGINS):
        plugin.load()
