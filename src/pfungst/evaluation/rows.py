"""What is measured, row by row: of one photo, and of all photos together.

Every row goes to JSON and back by :mod:`pfungst.contract.plain`, which checks it when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pfungst.contract.plain import stored_as
from pfungst.errors import Failure
from pfungst.evaluation.localisation import Localisation
from pfungst.evaluation.orders import Order
from pfungst.evaluation.statistics import Estimate
from pfungst.showing import listed, table_html

CONTROL = "-"
"""Stands for the rule of traces that no relevance has ordered."""
MIXTURE = "mixture"
"""The operator of Algorithm 1: draws from the model's own mixture."""
ALL = "all"
"""Stands for all classes together, every true positive counting the same, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class Positive:
    """A class that a photo shows: f(x), and whether the class is predicted."""

    score: float
    true_positive: bool


@dataclass(frozen=True, kw_only=True)
class TraceRow:
    """One photo's traces of one class, method, operator, rule and order, averaged over repetitions.

    Attributes
    ----------
    a, aopc, v : float
        See :mod:`pfungst.evaluation.curves`.
    drop : tuple of float
        f(x) − f(x^(i)), i = 1..steps.
    changed : tuple of float
        Share of repetitions that predict otherwise at each step.
    """

    method: str
    operator: str
    class_name: str = field(metadata=stored_as("class"))
    rule: str
    order: Order
    steps: int
    repetitions: int
    a: float = field(metadata=stored_as("A"))
    aopc: float = field(metadata=stored_as("AOPC"))
    v: float = field(metadata=stored_as("V"))
    drop: tuple[float, ...]
    changed: tuple[float, ...]

    def __post_init__(self) -> None:
        _require_lengths(self.steps, self.drop, self.changed)


@dataclass(frozen=True, kw_only=True)
class PlaceRow:
    """How well one heatmap of one photo finds its class's boxes."""

    class_name: str = field(metadata=stored_as("class"))
    rule: str
    found: Localisation


@dataclass(frozen=True, kw_only=True)
class PhotoRecord:
    """Everything that is measured on one photo.

    Attributes
    ----------
    image : str
        Its id.
    positives : mapping of str to Positive
        By class that it shows.
    traces, places : tuple
        Of its true positives.
    """

    image: str
    positives: Mapping[str, Positive] = field(default_factory=dict)
    traces: tuple[TraceRow, ...] = ()
    places: tuple[PlaceRow, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """What there was to measure of one class.

    Attributes
    ----------
    positives, true_positives : int
        Photos that show it, and those of them that are predicted.
    threshold : float
        NaN where validation gave none.
    note : str or None
        Why nothing was measured.
    """

    positives: int
    true_positives: int
    threshold: float
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Band:
    """A mean curve with its pointwise band, each as long as the traces."""

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class CurveRow:
    """All traces of one method, operator, class (or ``all``), rule, order and number of steps.

    Attributes
    ----------
    repetitions : tuple of int
        The different numbers of repetitions.
    n_images, n_true_positives, n_traces : int
        Photos, photos times classes, and traces.
    a, aopc, v : Estimate
        With intervals over photos.
    drop : Band
        Mean drop of the score.
    changed : tuple of float
        Share of changed predictions at each step.
    """

    method: str
    operator: str
    class_name: str = field(metadata=stored_as("class"))
    rule: str
    order: Order
    steps: int
    repetitions: tuple[int, ...]
    n_images: int
    n_true_positives: int
    n_traces: int
    a: Estimate = field(metadata=stored_as("A"))
    aopc: Estimate = field(metadata=stored_as("AOPC"))
    v: Estimate = field(metadata=stored_as("V"))
    drop: Band
    changed: tuple[float, ...]

    def __post_init__(self) -> None:
        _require_lengths(self.steps, self.drop.mean, self.drop.low, self.drop.high, self.changed)


@dataclass(frozen=True, kw_only=True)
class BetweenRow:
    """Two orders of one method, operator, class, rule and number of steps, compared within photos.

    Attributes
    ----------
    abpc : Estimate or None
        LeRF − MoRF; None without a LeRF order.
    a_over_random : Estimate or None
        A of MoRF minus A of the random order; None without a random order.
    """

    method: str
    operator: str
    class_name: str = field(metadata=stored_as("class"))
    rule: str
    steps: int
    abpc: Estimate | None = field(default=None, metadata=stored_as("ABPC"))
    a_over_random: Estimate | None = field(default=None, metadata=stored_as("A_over_random"))


@dataclass(frozen=True, kw_only=True)
class LocalisationRow:
    """Localisation of one class (or ``all``) and rule; None where no map could be scored.

    Attributes
    ----------
    n_scored, n_empty_boxes, n_zero_maps : int
        Maps scored; left out for want of a box; scored 0 for want of positive relevance.
    pointing, mass, rank, area, near_area : Estimate or None
        As in :class:`~pfungst.evaluation.localisation.Localisation`.
    """

    class_name: str = field(metadata=stored_as("class"))
    rule: str
    n_scored: int
    n_empty_boxes: int
    n_zero_maps: int
    pointing: Estimate | None = None
    mass: Estimate | None = None
    rank: Estimate | None = None
    area: Estimate | None = None
    near_area: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The result of :func:`pfungst.evaluation.quality.measure_quality`.

    Attributes
    ----------
    classes : mapping of str to ClassRow
    curves : tuple of CurveRow
    between : tuple of BetweenRow
    localisation : tuple of LocalisationRow
    failures : tuple of Failure
        Photos that could not be measured, and why.
    manifest : mapping
        What was measured, on what, with which seed.
    """

    classes: Mapping[str, ClassRow]
    curves: tuple[CurveRow, ...]
    between: tuple[BetweenRow, ...]
    localisation: tuple[LocalisationRow, ...]
    failures: tuple[Failure, ...] = field(default=(), metadata=stored_as("failures", "failed"))
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        measured = dict.fromkeys(f"{row.method}, {row.operator}" for row in self.curves)
        photos = max((row.n_images for row in self.curves), default=0)
        return (
            f"<Quality: {listed(list(measured)) or 'nothing measured'}; {len(self.classes)} classes, "
            f"{photos} photos, {len(self.curves)} curves, {len(self.failures)} failures>"
        )

    def _repr_html_(self) -> str:
        """In a notebook: A and V of every rule and order over all classes."""
        rows = [
            (row.method, row.operator, row.rule, row.order, row.a, row.v, row.n_images)
            for row in self.curves
            if row.class_name == ALL
        ]
        header = ("method", "operator", "rule", "order", "A", "V", "photos")
        return table_html("Heatmap quality", [], header, rows)

    def find(self, **wanted: Any) -> list[CurveRow]:
        """The rows of ``curves`` with the given values, such as ``rule="epsilon=100", order="morf"``."""
        return [
            row for row in self.curves if all(getattr(row, key) == value for key, value in wanted.items())
        ]


def _require_lengths(steps: int, *curves: tuple[float, ...]) -> None:
    if steps < 1 or any(len(curve) != steps for curve in curves):
        found = ", ".join(str(len(curve)) for curve in curves)
        raise ValueError(f"traces of {steps} steps with {found} points of measurement")
