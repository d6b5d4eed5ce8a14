"""Everything that is measured on photos: their true positives, traces of these, their localisation.

The result is one small record a photo. It depends on the seed, the photo, the classifier and the
configuration alone, not on what else is measured, in which order or in how many processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import Classifier
from pfungst.contract.look import Look, looking
from pfungst.contract.plain import to_plain
from pfungst.errors import ConfigError, PfungstError
from pfungst.evaluation.attributions import Attribution, RelevanceMap, model_map, rule_options, user_map
from pfungst.evaluation.config import QualityConfig
from pfungst.evaluation.curves import Traces, aopc, mean_drop
from pfungst.evaluation.localisation import localise
from pfungst.evaluation.operators import RANDOM_OPERATORS
from pfungst.evaluation.orders import Order, generator_for, perturbation_order
from pfungst.evaluation.regions import RegionTrace, region_grid, region_relevance, region_scores
from pfungst.evaluation.replacement import replacement_scores
from pfungst.evaluation.rows import CONTROL, MIXTURE, PhotoRecord, PlaceRow, Positive, TraceRow
from pfungst.evaluation.scoring import finite_scores
from pfungst.images.dataset import POSITIVE, Record
from pfungst.runs.photos import Photo
from pfungst.runs.recorded import Finished


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasurePhotos:
    """A picklable task of :func:`~pfungst.runs.photos.run_photos`: labelled photos in, their records out.

    Attributes
    ----------
    classifier : Classifier
    config : QualityConfig
    classes : tuple of str
        Classes whose true positives are measured: f(x) above the decision threshold.
    attributions : mapping of str to callable
        A user's heatmaps by name, ranked beside the model's rules.
    """

    classifier: Classifier
    config: QualityConfig
    classes: tuple[str, ...]
    attributions: Mapping[str, Attribution]

    def __call__(self, photos: Sequence[Photo]) -> list[Finished]:
        """Measure a batch of photos; each record is a :class:`~pfungst.evaluation.rows.PhotoRecord`."""
        look = looking(self.classifier).look([photo.image for photo in photos], relevance=True)
        records = self.measured(look, [photo.record for photo in photos])
        return [Finished(record=to_plain(record)) for record in records]

    def measured(self, look: Look, records: Sequence[Record]) -> list[PhotoRecord]:
        """Measure the photos of a look, which others may have used before."""
        subjects = [_Subject(self, look, position, record) for position, record in enumerate(records)]
        for subject in subjects:
            subject.replace_descriptors()
        if {"regions", "localisation"} & set(self.config.methods):
            for rule, maps in self._maps(look, subjects):
                for subject, found in zip(subjects, maps, strict=True):
                    subject.rank(rule, found)
        for subject in subjects:
            subject.rank_at_random()
        wanted = [[trace for plan in subject.plans for trace in plan.traces] for subject in subjects]
        if any(wanted):
            for subject, scores in zip(subjects, region_scores(look, wanted), strict=True):
                subject.take(scores)
        return [subject.result() for subject in subjects]

    def _maps(
        self, look: Look, subjects: Sequence[_Subject]
    ) -> Iterator[tuple[str, list[dict[str, RelevanceMap]]]]:
        """Heatmaps of all photos and their true classes, one rule or attribution after the other."""
        true, ids = [subject.true for subject in subjects], [subject.record.id for subject in subjects]
        if not any(true):
            return
        for rule in self.config.rules:
            found = look.explain(true, image_ids=ids, **rule_options(rule))
            yield (
                rule,
                [
                    dict(zip(names, map(model_map, group), strict=True))
                    for names, group in zip(true, found, strict=True)
                ],
            )
        for name, attribution in self.attributions.items():
            yield name, [subject.user_maps(name, attribution) for subject in subjects]

    def column(self, class_name: str) -> int:
        """The class's column of the classifier's scores."""
        return self.classifier.classes.index(class_name)

    def threshold(self, class_name: str) -> float:
        """The class's decision threshold."""
        return float(self.classifier.thresholds[self.column(class_name)])


@dataclass(frozen=True, eq=False)
class _Plan:
    """Region traces whose scores will make one row."""

    key: _Key
    traces: list[RegionTrace]


@dataclass(frozen=True, kw_only=True)
class _Key:
    """What one row is about."""

    method: str
    operator: str
    class_name: str
    rule: str
    order: str


@dataclass(eq=False)
class _Subject:
    """One photo of a look under measurement; what is found comes together here."""

    task: MeasurePhotos
    look: Look
    position: int
    record: Record
    traces: list[TraceRow] = field(default_factory=list)
    places: list[PlaceRow] = field(default_factory=list)
    plans: list[_Plan] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config = self.task.config
        self.start = finite_scores(self.look.picture_scores[self.position])
        self.picture = self.look.pictures[self.position]
        shown = [name for name in self.task.classes if self.record.label(name) == POSITIVE]
        self.scores = {name: float(self.start[self.task.column(name)]) for name in shown}
        self.true = [name for name in shown if self.scores[name] > self.task.threshold(name)]

    def result(self) -> PhotoRecord:
        positives = {
            name: Positive(score=score, true_positive=name in self.true)
            for name, score in self.scores.items()
        }
        return PhotoRecord(
            image=self.record.id,
            positives=positives,
            traces=tuple(self.traces),
            places=tuple(self.places),
        )

    def user_maps(self, name: str, attribution: Attribution) -> dict[str, RelevanceMap]:
        return {
            class_name: user_map(
                self.look, self.position, class_name, self.record.id, name=name, attribution=attribution
            )
            for class_name in self.true
        }

    def _generators(self, class_name: str, purpose: str, count: int) -> tuple[np.random.Generator, ...]:
        """One stream for each repetition; the same for all rules, so that they meet the same chance."""
        seed = self.config.random_state
        return tuple(
            generator_for(seed, self.record.id, class_name, repetition, purpose)
            for repetition in range(count)
        )

    def replace_descriptors(self) -> None:
        """Algorithm 1 for every true class."""
        if "descriptors" not in self.config.methods or not self.true:
            return
        trace, config = self.look.trace(photo=self.position), self.config.replacement
        relevance = {rule: trace.relevance(self.true, **rule_options(rule)) for rule in self.config.rules}
        for index, class_name in enumerate(self.true):
            ranked = {rule: values[index] for rule, values in relevance.items()}
            orders = self._descriptor_orders(class_name, ranked, trace.n_descriptors)
            draws = self._generators(class_name, "draws", config.repetitions)
            scores = replacement_scores(trace, orders, draws, config)
            for name, values in scores.items():
                order, rule = name.split(" ", 1)
                key = _Key(
                    method="descriptors", operator=MIXTURE, class_name=class_name, rule=rule, order=order
                )
                self._add(key, trace.scores, values)

    def _descriptor_orders(
        self, class_name: str, ranked: Mapping[str, NDArray[np.float64]], n_descriptors: int
    ) -> dict[str, tuple[NDArray[np.intp], ...]]:
        """Orders by ``"order rule"``: one for all repetitions, but a new random one for each."""
        found: dict[str, tuple[NDArray[np.intp], ...]] = {}
        for order in self.config.orders:
            if order == "random":
                shuffles = self._generators(class_name, "order", self.config.replacement.repetitions)
                found[f"{order} {CONTROL}"] = tuple(item.permutation(n_descriptors) for item in shuffles)
                continue
            for rule, values in ranked.items():
                ties = self._generators(class_name, "ties", 1)[0]
                found[f"{order} {rule}"] = (perturbation_order(values, order, ties),)
        return found

    def rank(self, rule: str, maps: Mapping[str, RelevanceMap]) -> None:
        """Localisation of the maps of one rule, and plans of the region traces that they order."""
        for class_name, found in maps.items():
            if "localisation" in self.config.methods:
                boxes = self.record.boxes_of(class_name)
                scored = localise(found.photo, boxes, tolerance=self.config.tolerance)
                self.places.append(PlaceRow(class_name=class_name, rule=rule, found=scored))
            if "regions" in self.config.methods:
                orders = [order for order in self.config.orders if order != "random"]
                self._plan(class_name, rule, orders, self._region_values(rule, found))

    def rank_at_random(self) -> None:
        """Plans of the region traces that no relevance orders."""
        if "regions" in self.config.methods and "random" in self.config.orders:
            for class_name in self.true:
                self._plan(class_name, CONTROL, ["random"], None)

    def _region_values(self, rule: str, found: RelevanceMap) -> NDArray[np.float64]:
        if found.view is None:
            raise ConfigError(
                f"attribution {rule!r} is a map of the photo; regions belong to the model's input view",
                allowed=f"arrays of shape {self.picture.shape[:2]} for method regions",
            )
        return region_relevance(found.view, self.config.regions.size)

    def _plan(
        self, class_name: str, rule: str, orders: Iterable[str], values: NDArray[np.float64] | None
    ) -> None:
        """Every operator and order of one map, or of the random order where there is none."""
        config = self.config.regions
        for operator in config.operators:
            for order in orders:
                repeated = order == "random" or operator in RANDOM_OPERATORS
                count = config.repetitions if repeated else 1
                key = _Key(method="regions", operator=operator, class_name=class_name, rule=rule, order=order)
                self.plans.append(_Plan(key, self._region_traces(key, values, count)))

    def _region_traces(self, key: _Key, values: NDArray[np.float64] | None, count: int) -> list[RegionTrace]:
        config = self.config.regions
        height, width = self.picture.shape[:2]
        n_regions = len(region_grid(height, width, config.size))
        steps = min(config.steps, n_regions // config.per_step)
        if steps < 1:
            raise PfungstError(
                f"{self.record.id}: a picture of {width} x {height} pixels has {n_regions} regions, "
                f"fewer than one step of {config.per_step}",
                hint="smaller regions or fewer of them in a step",
            )
        fills = self._generators(key.class_name, f"fill {key.operator}", count)
        orders = self._region_orders(key, values, n_regions, count)
        return [
            RegionTrace(
                picture=self.picture,
                order=ranked[: steps * config.per_step],
                size=config.size,
                operator=key.operator,
                generator=fill,
                per_step=config.per_step,
            )
            for fill, ranked in zip(fills, orders, strict=True)
        ]

    def _region_orders(
        self, key: _Key, values: NDArray[np.float64] | None, n_regions: int, count: int
    ) -> list[NDArray[np.intp]]:
        """One order for all repetitions of a map, a new random one for each without a map."""
        if values is None:
            shuffles = self._generators(key.class_name, "order", count)
            return [item.permutation(n_regions) for item in shuffles]
        ties = self._generators(key.class_name, "ties", 1)[0]
        return [perturbation_order(values, key.order, ties)] * count

    def take(self, scores: Sequence[NDArray[np.float64]]) -> None:
        """Rows of the region traces, whose scores come in the order in which they were planned."""
        along = iter(scores)
        for plan in self.plans:
            self._add(plan.key, self.start, np.stack([next(along) for _ in plan.traces]))

    def _add(self, key: _Key, start: NDArray[np.float64], scores: NDArray[np.float64]) -> None:
        """One row: repetitions ``(n, steps, n_classes)`` of one order, averaged."""
        column = self.task.column(key.class_name)
        wrong = np.argwhere(~np.isfinite(scores[:, :, column]))
        if wrong.size:
            raise PfungstError(
                f"{self.record.id}: f(x) is not a number after step {wrong[0][1] + 1}, method {key.method}, "
                f"operator {key.operator}, class {key.class_name!r}",
                hint="nothing may be left to describe: fewer steps, smaller regions or another operator",
            )
        traces = Traces(
            start=float(start[column]),
            scores=scores[:, :, column],
            threshold=self.task.threshold(key.class_name),
        )
        drop = traces.drop
        self.traces.append(
            TraceRow(
                method=key.method,
                operator=key.operator,
                class_name=key.class_name,
                rule=key.rule,
                order=cast(Order, key.order),
                steps=len(drop),
                repetitions=len(scores),
                a=mean_drop(drop),
                aopc=aopc(drop),
                v=traces.switched,
                drop=tuple(float(f"{value:.7g}") for value in drop),
                changed=tuple(round(float(value), 6) for value in traces.changed),
            )
        )
