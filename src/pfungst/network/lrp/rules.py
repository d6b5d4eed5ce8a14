"""Propagation rules as data: which rule and its parameters; the arithmetic is in ``kernels``.

Notation: a layer computes ``z_j = Σ_i z_ij + b_j`` with contributions ``z_ij = a_i w_ij``; ``(·)⁺`` and
``(·)⁻`` are the positive and negative parts; sgn(0) = +1.

Biases. ``bias="absorb"`` leaves b_j in the denominator: the bias takes its share of R_j and the ledger says
how much. ``bias="exclude"`` drops b_j from the denominator: all of R_j goes to the inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

from torch import Tensor

from pfungst.network.lrp.errors import LrpError

BiasPolicy = Literal["absorb", "exclude"]
Bound = float | Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """Base of all rules: a frozen dataclass whose fields are the parameters."""

    def bounded(self, low: Bound, high: Bound) -> Rule:
        """The rule for an input within bounds; the same for rules that do not look at them."""
        del low, high
        return self

    def __str__(self) -> str:
        """Name and the parameters that are numbers, such as ``Epsilon(epsilon=1e-06)``."""
        shown = (
            f"{item.name}={getattr(self, item.name):g}"
            for item in fields(self)
            if isinstance(getattr(self, item.name), (int, float))
        )
        excluded = ["bias=exclude"] if getattr(self, "bias", "absorb") == "exclude" else []
        return f"{type(self).__name__}({', '.join([*shown, *excluded])})"


def _check(rule: Rule, holds: bool, allowed: str) -> None:
    if not holds:
        raise LrpError(f"rule {rule}", allowed=allowed)


@dataclass(frozen=True, kw_only=True, eq=False)
class Epsilon(Rule):
    """``R_i = Σ_j z_ij / (z_j + ε sgn z_j) R_j``; ``epsilon=0`` is the 0 rule (Bach et al. 2015).

    Attributes
    ----------
    epsilon : float
        ε ≥ 0, on the scale of z_j; what it takes is reported as ``stabiliser``.
    bias : {"absorb", "exclude"}
        Whether b_j is part of z_j.
    """

    epsilon: float = 1e-6
    bias: BiasPolicy = "absorb"

    def __post_init__(self) -> None:
        _check(self, self.epsilon >= 0, "epsilon ≥ 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class Gamma(Rule):
    """Favour contributions of the sign of z_j by a factor 1 + γ (Montavon et al. 2019; Andéol et al. 2021).

    ``R_i = Σ_j (z_ij + γ z_ij^σ) / (z_j + γ Σ_i' z_i'j^σ) R_j``, where σ is ⁺ for z_j ≥ 0 and ⁻ for z_j < 0.
    For z_j ≥ 0 and inputs ≥ 0 that is the rule ``a_i (w_ij + γ w_ij⁺)``.
    """

    gamma: float = 0.25
    epsilon: float = 1e-6
    bias: BiasPolicy = "absorb"

    def __post_init__(self) -> None:
        _check(self, self.epsilon >= 0 and self.gamma >= 0, "epsilon ≥ 0, gamma ≥ 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class AlphaBeta(Rule):
    """``R_i = Σ_j (α z_ij⁺ / z_j⁺ + β z_ij⁻ / z_j⁻) R_j`` with α + β = 1 (Bach et al. 2015).

    Each z_j^± is stabilised. The share α or β of a unit without any contribution of that sign is taken and
    reported as ``zero``.
    """

    alpha: float = 2.0
    beta: float = -1.0
    epsilon: float = 1e-6
    bias: BiasPolicy = "absorb"

    def __post_init__(self) -> None:
        sums_to_one = abs(self.alpha + self.beta - 1) < 1e-9
        _check(self, self.epsilon >= 0 and sums_to_one, "epsilon ≥ 0, alpha + beta = 1 (beta ≤ 0)")


@dataclass(frozen=True, kw_only=True, eq=False)
class ZPlus(Rule):
    """``R_i = Σ_j z_ij⁺ / z_j⁺ R_j``: α = 1, β = 0 (Montavon et al. 2017)."""

    epsilon: float = 1e-6
    bias: BiasPolicy = "absorb"

    def __post_init__(self) -> None:
        _check(self, self.epsilon >= 0, "epsilon ≥ 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class WSquare(Rule):
    """``R_i = Σ_j w_ij² / Σ_i' w_i'j² R_j``, without regard to the input (Montavon et al. 2017)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Flat(Rule):
    """``R_i = Σ_j 1 / |{i' : i' feeds j}| R_j``: evenly over a unit's inputs (Lapuschkin et al. 2017)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ZBox(Rule):
    """The pixel layer's rule for inputs in the box ``low ≤ a ≤ high`` (Montavon et al. 2017).

    ``R_i = Σ_j (a_i w_ij − l_i w_ij⁺ − h_i w_ij⁻) / Σ_i' (a_i' w_i'j − l_i' w_i'j⁺ − h_i' w_i'j⁻) R_j``;
    the bias has no part in it.

    Attributes
    ----------
    low, high : float or Tensor, optional
        Bounds that broadcast to the input ``(C, H, W)``; by default ``input_bounds`` of the call.
    epsilon : float
        Stabiliser.
    """

    low: Bound | None = None
    high: Bound | None = None
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        _check(self, self.epsilon >= 0, "epsilon ≥ 0")

    def bounded(self, low: Bound, high: Bound) -> ZBox:
        """With these bounds, unless it has its own."""
        return replace(self, low=low, high=high) if self.low is None else self


@dataclass(frozen=True, kw_only=True, eq=False)
class Pass(Rule):
    """Relevance passes unchanged."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WinnerTakesAll(Rule):
    """Max pooling: all of R_j to the window's maximum."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Proportional(Rule):
    """Max pooling: ``R_i = Σ_j a_i / Σ_{i' ∈ window j} a_i' R_j``, stabilised."""

    epsilon: float = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Taylor(Rule):
    """Local response normalisation across channels by its Taylor expansion (Binder et al. 2016).

    With ``S_j = k + (α/n) Σ_{i ∈ N(j)} x_i²``: ``z_jj = x_j (k + (α/n) x_j²)^(−β)`` and
    ``z_ij = −2 β (α/n) x_i² x_j S_j^(−β−1)`` for i ≠ j in the window, made conserving by
    ``R_i = Σ_j z_ij / Σ_i' z_i'j R_j``, stabilised.
    """

    epsilon: float = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Halves(Rule):
    """A product of signals ``y_j = Σ_i a_i b_ij``: half of the relevance to each factor.

    ``R_a,i = Σ_j a_i b_ij R_j / (2 y_j + ε sgn y_j)``, and the same for b (Achtibat et al. 2024, AttnLRP);
    of three factors each gets a third.
    """

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        _check(self, self.epsilon >= 0, "epsilon ≥ 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class SoftmaxTaylor(Rule):
    """Softmax inside a network by its Taylor expansion at x (Achtibat et al. 2024, AttnLRP).

    ``R_i = x_i (R_s,i − s_i Σ_j R_s,j)``; it does not conserve, and what is left over is reported as
    ``linearisation``.
    """


@dataclass(frozen=True, kw_only=True, eq=False)
class Constant(Rule):
    """The output of a softmax counts as a constant (Ali et al. 2022, CP-LRP).

    Products give all of their relevance to the other factor.
    """


Zero = Epsilon(epsilon=0.0)
"""The 0 rule: ε without a stabiliser; relevance of units with z_j = 0 is reported as ``zero``."""
