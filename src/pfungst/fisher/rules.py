"""The three decompositions of a Fisher vector's relevance onto descriptors, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pfungst.errors import ConfigError, unknown_name


@dataclass(frozen=True, kw_only=True)
class Naive:
    """q_d(l) = m_d(l) / Z_d [9]: conserves, unstable where contributions cancel."""

    def __str__(self) -> str:
        return "naive"


@dataclass(frozen=True, kw_only=True)
class Epsilon:
    """q_d(l) = m_d(l) / (Z_d + ε sgn Z_d) [11]: stable; the stabiliser absorbs relevance.

    Attributes
    ----------
    value : float
        ε, on the scale of the plain sum Z_d. The paper's is 100, for 69,000 descriptors an image on average.
    relative : bool
        Multiply ``value`` by sqrt(|L|), the noise scale of Z_d under the mixture, so that images of any size
        are treated alike; the paper's 100 then corresponds to 0.38.
    absorbed : {"report", "spread"}
        ``report``: what the stabiliser absorbed is missing from the heatmap and stands in the ledger, as in
        the paper. ``spread``: it is spread evenly over all descriptors, so that Σ R^(2) = f(x), while their
        ranking stays the same.
    """

    value: float = 100.0
    relative: bool = False
    absorbed: Literal["report", "spread"] = "report"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.value) and self.value > 0):
            raise ConfigError(f"epsilon = {self.value}", allowed="a positive number", hint="rule naive for 0")
        if self.absorbed not in ("report", "spread"):
            raise ConfigError(f"absorbed = {self.absorbed!r}", allowed="'report' or 'spread'")

    def epsilon(self, n_descriptors: int) -> float:
        """ε for an image of |L| descriptors."""
        return self.value * float(np.sqrt(n_descriptors)) if self.relative else self.value

    def __str__(self) -> str:
        scale = "*sqrt(L)" if self.relative else ""
        spread = ",spread" if self.absorbed == "spread" else ""
        return f"epsilon={self.value:g}{scale}{spread}"


@dataclass(frozen=True, kw_only=True)
class Absolute:
    """q_d(l) = |m_d(l)| / Σ_l' |m_d(l')| [12]: conserves, no stabiliser, loses the signs.

    Attributes
    ----------
    gamma_threshold : float
        Pairs of descriptor and component with a smaller γ_k(l) are left out of the first and second order
        parts; 0 keeps all. At 1e-4 some 7 of 256 components a descriptor remain, R^(2) changes by 2e-4
        of its norm on photos, and conservation is not touched.
    """

    gamma_threshold: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 <= self.gamma_threshold < 1:
            raise ConfigError(f"gamma_threshold = {self.gamma_threshold}", allowed="0 or more, below 1")

    def __str__(self) -> str:
        return "absolute"


Rule = Naive | Epsilon | Absolute
RULE_NAMES = ("naive", "epsilon", "absolute")
_EPSILON_PATTERN = re.compile(r"epsilon(?:[=:]([0-9.eE+-]+)(\*sqrt\(L\))?)?(,spread)?")


def parse_rule(text: str | Rule, **options: object) -> Rule:
    """A rule from its name: ``naive``, ``absolute``, ``epsilon``, ``epsilon=10``, ``epsilon=0.38*sqrt(L)``.

    Parameters
    ----------
    text : str or Rule
        A rule is returned as it is; the text is what ``str(rule)`` writes.
    options
        Attributes of the rule that the text leaves open: ``epsilon`` (its value), ``relative``,
        ``absorbed``, ``gamma_threshold``. None counts as not given.

    Raises
    ------
    ConfigError
        If the name or an option is unknown.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not isinstance(text, str):
        if given:
            raise ConfigError(f"options {sorted(given)} beside a finished rule {text}", allowed="one of both")
        return text
    match = _EPSILON_PATTERN.fullmatch(text)
    if match:
        return _epsilon(match, given)
    if text == "naive":
        return _checked(Naive, given)
    if text == "absolute":
        return _checked(Absolute, given)
    raise unknown_name("rule", text, RULE_NAMES)


def _epsilon(match: re.Match[str], given: dict[str, object]) -> Rule:
    if match[1] is not None:
        try:
            given.setdefault("epsilon", float(match[1]))
        except ValueError as error:
            raise ConfigError(f"epsilon = {match[1]!r}", allowed="a positive number") from error
    if match[2] is not None:
        given.setdefault("relative", True)
    if match[3] is not None:
        given.setdefault("absorbed", "spread")
    if "epsilon" in given:
        given["value"] = given.pop("epsilon")
    return _checked(Epsilon, given)


def _checked(kind: type[Rule], given: dict[str, object]) -> Rule:
    allowed = getattr(kind, "__dataclass_fields__", {})
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise ConfigError(
            f"rule {kind.__name__.lower()} has no option {', '.join(unknown)}",
            allowed=", ".join(allowed) or "no options",
        )
    rule: Rule = kind(**given)  # type: ignore[arg-type]
    return rule
