"""What a run of quality measurements does: methods, rules, orders, sizes, seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from pfungst.contract.classifier import Classifier
from pfungst.contract.look import looking
from pfungst.errors import ConfigError, unknown_name
from pfungst.evaluation.attributions import DEFAULT_RULE
from pfungst.evaluation.localisation import TOLERANCE
from pfungst.evaluation.operators import checked_operator
from pfungst.evaluation.orders import ORDERS, checked_orders
from pfungst.evaluation.replacement import ReplacementConfig

Method = Literal["descriptors", "regions", "localisation"]
METHODS: tuple[str, ...] = get_args(Method)
PAPER_RULES = ("naive", "epsilon=1", "epsilon=10", "epsilon=100", "epsilon=1000", "absolute")
"""The decompositions that Figure 1 compares."""


@dataclass(frozen=True, kw_only=True)
class RegionConfig:
    """How regions are perturbed.

    Attributes
    ----------
    size : int
        Side in pixels of the model's input.
    steps : int
        Points of measurement L; where the picture has fewer regions, as many as it has.
    per_step : int
        Regions replaced between two measurements.
    operators : tuple of str
        What regions are replaced with: ``noise``, ``mean``, ``blur``, ``inpaint``.
    repetitions : int
        Traces with new noise, and with new random orders; a deterministic operator needs one.
    """

    size: int = 9
    steps: int = 100
    per_step: int = 1
    operators: tuple[str, ...] = ("noise",)
    repetitions: int = 5

    def __post_init__(self) -> None:
        if min(self.size, self.steps, self.per_step, self.repetitions) < 1:
            raise ConfigError(
                f"regions of {self.size} pixels, {self.steps} steps of {self.per_step}, "
                f"{self.repetitions} repetitions",
                allowed="1 or more of each",
            )
        for name in self.operators:
            checked_operator(name)
        if not self.operators:
            raise ConfigError("no operator", allowed="at least one")


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """A run of quality measurements; the defaults are the paper's.

    Attributes
    ----------
    methods : tuple of str
        ``descriptors`` (Algorithm 1), ``regions``, ``localisation``.
    rules : tuple of str
        Decompositions by name, as ``explain(rule=...)`` takes them.
    orders : tuple of str
        ``morf``, ``random``, ``lerf``.
    replacement : ReplacementConfig
    regions : RegionConfig
    tolerance : float
        Of the pointing game, in pixels of the photo.
    random_state : int
        Seed of every draw and random order.
    """

    methods: tuple[str, ...] = ("descriptors",)
    rules: tuple[str, ...] = PAPER_RULES
    orders: tuple[str, ...] = ORDERS
    replacement: ReplacementConfig = field(default_factory=ReplacementConfig)
    regions: RegionConfig = field(default_factory=RegionConfig)
    tolerance: float = TOLERANCE
    random_state: int = 0

    def __post_init__(self) -> None:
        for name in self.methods:
            if name not in METHODS:
                raise unknown_name("method", name, METHODS)
        checked_orders(self.orders)
        for what, names in (("methods", self.methods), ("rules", self.rules), ("orders", self.orders)):
            if len(set(names)) != len(names):
                raise ConfigError(f"{what} {', '.join(names)} with a repetition", allowed="each once")
        if not self.methods or not self.orders:
            raise ConfigError("no method or no order", allowed="at least one of each")
        if self.random_state < 0:
            raise ConfigError(f"seed {self.random_state}", allowed="0 or more")


def default_methods(classifier: Classifier, *, with_boxes: bool) -> tuple[str, ...]:
    """Algorithm 1 where the classifier has descriptors, else regions; localisation where there are boxes."""
    first = "descriptors" if looking(classifier).has_descriptors else "regions"
    return (first, "localisation") if with_boxes else (first,)


def default_rules(classifier: Classifier) -> tuple[str, ...]:
    """The rules of Figure 1 for a classifier of descriptors; else the classifier's own default rule."""
    return PAPER_RULES if looking(classifier).has_descriptors else (DEFAULT_RULE,)


def check_methods(classifier: Classifier, config: QualityConfig, attributions: Sequence[str]) -> None:
    """Refuse what the classifier, or a user's map of pixels, cannot do.

    Raises
    ------
    ConfigError
        If descriptors are to be replaced without a classifier of descriptors, or there is nothing to rank.
    """
    if "descriptors" in config.methods:
        if not looking(classifier).has_descriptors:
            raise ConfigError(
                "descriptor replacement on a model without local descriptors",
                allowed="method regions or localisation",
            )
        if attributions and config.methods == ("descriptors",):
            raise ConfigError(
                f"attributions {', '.join(attributions)} are maps of pixels and rank no descriptors",
                allowed="method regions or localisation",
            )
    if not config.rules and not attributions:
        raise ConfigError("no rule and no attribution to rank", allowed="at least one")
