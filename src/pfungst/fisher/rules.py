"""The three decompositions of a Fisher vector's relevance onto descriptors, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pfungst.errors import ConfigError, unknown_name

_AMPLIFYING = 0.3
"""An ε below this share of sqrt(|L|) amplifies the rounding of float32 products beyond 2e-5 of R^(2)."""

Dtype = type[np.float32] | type[np.float64]


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """What all rules have.

    Attributes
    ----------
    bias : {"spread", "separate"}
        ``spread``: R_d holds b / V, as in the paper. ``separate``: R_d = w_d Φ(x)_d alone, and the ledger
        says what b took; b / (V Z_d) then does not order the descriptors where |Z_d| is tiny.
    """

    bias: Literal["spread", "separate"] = "spread"

    def __post_init__(self) -> None:
        if self.bias not in ("spread", "separate"):
            raise ConfigError(f"bias = {self.bias!r}", allowed="'spread' or 'separate'")

    @property
    def _words(self) -> str:
        return ",separate" if self.bias == "separate" else ""


@dataclass(frozen=True, kw_only=True)
class Naive(Decomposition):
    """q_d(l) = m_d(l) / Z_d [9]: conserves, unstable where contributions cancel."""

    def dtype(self, n_descriptors: int) -> Dtype:
        """Of products over descriptors: quotients amplify rounding errors without bound."""
        del n_descriptors
        return np.float64

    def __str__(self) -> str:
        return f"naive{self._words}"


@dataclass(frozen=True, kw_only=True)
class Epsilon(Decomposition):
    """q_d(l) = m_d(l) / (Z_d + ε sgn Z_d) [11]: stable; the stabiliser absorbs relevance.

    Attributes
    ----------
    epsilon : float
        ε, on the scale of the plain sum Z_d. The paper's is 100, for 69,000 descriptors an image on average.
    relative : bool
        Multiply ``epsilon`` by sqrt(|L|), the noise scale of Z_d under the mixture, so that images of any
        size are treated alike; the paper's 100 then corresponds to 0.38.
    absorbed : {"report", "spread"}
        ``report``: what the stabiliser absorbed is missing from the heatmap and stands in the ledger, as in
        the paper. ``spread``: it is spread evenly over all descriptors, so that Σ R^(2) = f(x), while their
        ranking stays the same.
    """

    epsilon: float = 100.0
    relative: bool = False
    absorbed: Literal["report", "spread"] = "report"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (np.isfinite(self.epsilon) and self.epsilon > 0):
            raise ConfigError(
                f"epsilon = {self.epsilon}", allowed="a positive number", hint="rule naive for 0"
            )
        if self.absorbed not in ("report", "spread"):
            raise ConfigError(f"absorbed = {self.absorbed!r}", allowed="'report' or 'spread'")

    def scaled(self, n_descriptors: int) -> float:
        """ε for an image of |L| descriptors."""
        return self.epsilon * float(np.sqrt(n_descriptors)) if self.relative else self.epsilon

    def dtype(self, n_descriptors: int) -> Dtype:
        """Of products over |L| descriptors: float64 where the quotient amplifies their rounding."""
        small = self.scaled(n_descriptors) < _AMPLIFYING * np.sqrt(n_descriptors)
        return np.float64 if small else np.float32

    def __str__(self) -> str:
        scale = "*sqrt(L)" if self.relative else ""
        spread = ",spread" if self.absorbed == "spread" else ""
        return f"epsilon={_shortest(self.epsilon)}{scale}{spread}{self._words}"


@dataclass(frozen=True, kw_only=True)
class Absolute(Decomposition):
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
        super().__post_init__()
        if not 0 <= self.gamma_threshold < 1:
            raise ConfigError(f"gamma_threshold = {self.gamma_threshold}", allowed="0 or more, below 1")

    def dtype(self, n_descriptors: int) -> Dtype:
        """Of products over descriptors."""
        del n_descriptors
        return np.float32

    def __str__(self) -> str:
        usual = self.gamma_threshold == Absolute.gamma_threshold
        number = "" if usual else f"={_shortest(self.gamma_threshold)}"
        return f"absolute{number}{self._words}"


Rule = Naive | Epsilon | Absolute
RULE_NAMES = ("naive", "epsilon", "absolute")
_NUMBER = r"[0-9.eE+-]+"
_PATTERN = re.compile(rf"(naive|epsilon|absolute)(?:[=:]({_NUMBER})(\*sqrt\(L\))?)?((?:,[a-z]+)*)")
_MODIFIERS: dict[str, dict[str, object]] = {
    "spread": {"absorbed": "spread"},
    "separate": {"bias": "separate"},
}
"""Words after a rule, with commas, and what they set."""


def parse_rule(text: str | Rule, **options: object) -> Rule:
    """A rule from its name: ``naive``, ``absolute``, ``epsilon``, ``epsilon=10``, ``epsilon=0.38*sqrt(L)``.

    Parameters
    ----------
    text : str or Rule
        A rule is returned as it is; the text is what ``str(rule)`` writes.
    options
        Attributes of the rule that the text leaves open: ``epsilon``, ``relative``, ``absorbed``, ``bias``,
        ``gamma_threshold``. None counts as not given.

    Raises
    ------
    ConfigError
        If the name or an option is unknown.

    Examples
    --------
    >>> parse_rule("epsilon=0.38*sqrt(L),spread")
    Epsilon(bias='spread', epsilon=0.38, relative=True, absorbed='spread')
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not isinstance(text, str):
        if given:
            raise ConfigError(f"options {sorted(given)} beside a finished rule {text}", allowed="one of both")
        return text
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise unknown_name("rule", text, RULE_NAMES)
    kind = _KINDS[match[1]]
    return _checked(kind, {**_written(kind, match), **given})


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Several rules with commas between them; a rule's own words follow it: ``epsilon=10,spread,naive``.

    Raises
    ------
    ConfigError
        If there is none, or one is unknown.

    Examples
    --------
    >>> [str(rule) for rule in parse_rules("epsilon=0.38*sqrt(L),spread,naive")]
    ['epsilon=0.38*sqrt(L),spread', 'naive']
    """
    found = [parse_rule(part) for part in split_rules(text)]
    if not found:
        raise ConfigError("no rule", allowed=", ".join(RULE_NAMES))
    return tuple(found)


def split_rules(text: str) -> tuple[str, ...]:
    """The rules of a list as texts, separated by commas, or by semicolons if there are any.

    Words that belong to the rule before them stay with it; ``none`` is an empty list.

    Examples
    --------
    >>> split_rules("epsilon=1,spread, epsilon=10")
    ('epsilon=1,spread', 'epsilon=10')
    """
    if text.strip() == "none":
        return ()
    if ";" in text:
        return tuple(filter(None, map(str.strip, text.split(";"))))
    parts: list[str] = []
    for part in filter(None, map(str.strip, text.split(","))):
        if part in _MODIFIERS and parts:
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return tuple(parts)


_KINDS: dict[str, type[Rule]] = {"naive": Naive, "epsilon": Epsilon, "absolute": Absolute}
_VALUES = {"epsilon": "epsilon", "absolute": "gamma_threshold"}
"""What the number after a rule's name is."""


def _written(kind: type[Rule], match: re.Match[str]) -> dict[str, object]:
    """What the text says of the rule's attributes."""
    name, number, scale, words = match.groups()
    found: dict[str, object] = {}
    if number is not None:
        try:
            found[_VALUES.get(name, "number")] = float(number)
        except ValueError as error:
            raise ConfigError(f"{name} = {number!r}", allowed="a positive number") from error
    if scale is not None:
        found["relative"] = True
    for word in words.split(",")[1:]:
        if word not in _MODIFIERS:
            raise unknown_name(f"word after rule {name}:", word, list(_MODIFIERS))
        found |= _MODIFIERS[word]
    return found


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


def _shortest(number: float) -> str:
    """The shortest text that is read as the same number."""
    return text if float(text := f"{number:g}") == number else repr(float(number))
