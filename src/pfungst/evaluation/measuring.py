"""Everything that is measured on one photo: its true positives, their traces, their localisation.

The result is one small record of plain numbers. It depends on the seed, the photo, the classifier and the
configuration alone, not on what else is measured, in which order or in how many processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import Classifier, ImageArray
from pfungst.contract.perturbation import DescriptorTracer, ViewClassifier
from pfungst.errors import ConfigError, PfungstError
from pfungst.evaluation.attributions import Attribution, RelevanceMap, model_maps, rule_options, user_map
from pfungst.evaluation.config import QualityConfig
from pfungst.evaluation.curves import Traces, aopc, mean_drop
from pfungst.evaluation.localisation import localise
from pfungst.evaluation.operators import RANDOM_OPERATORS
from pfungst.evaluation.orders import generator_for, perturbation_order
from pfungst.evaluation.regions import RegionTrace, region_grid, region_relevance, region_scores
from pfungst.evaluation.replacement import replacement_scores
from pfungst.images.dataset import POSITIVE, Record
from pfungst.images.decode import decode
from pfungst.runs.recorded import Finished

CONTROL = "-"
"""Stands for the rule of traces that no relevance has ordered."""
MIXTURE = "mixture"
"""The operator of Algorithm 1: draws from the model's own mixture."""

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasureImage:
    """A picklable task: one labelled photo in, one record out.

    Attributes
    ----------
    classifier : Classifier
    config : QualityConfig
    classes : tuple of str
        Classes whose true positives are measured.
    attributions : mapping of str to callable
        A user's heatmaps by name, ranked beside the model's rules.
    """

    classifier: Classifier
    config: QualityConfig
    classes: tuple[str, ...]
    attributions: Mapping[str, Attribution]

    def __call__(self, record: Record) -> Finished:
        """Measure one photo.

        Returns
        -------
        Finished
            Its record: ``image``; ``positives``: by class f(x) and whether it is a true positive (f(x) above
            the decision threshold); ``rows``: one per class, method, operator, rule and order.
        """
        wanted = [name for name in self.classes if record.label(name) == POSITIVE]
        if not wanted:
            return Finished(record={"image": record.id, "positives": {}, "rows": []})
        photo = _Photo(self, record, decode(record.path))
        scores = {name: float(photo.start[self.column(name)]) for name in wanted}
        true = [name for name in wanted if scores[name] > self.threshold(name)]
        positives = {name: {"score": scores[name], "true_positive": name in true} for name in wanted}
        rows = list(photo.rows(true)) if true else []
        return Finished(record={"image": record.id, "positives": positives, "rows": rows})

    def column(self, class_name: str) -> int:
        """The class's column of the classifier's scores."""
        return self.classifier.classes.index(class_name)

    def threshold(self, class_name: str) -> float:
        """The class's decision threshold."""
        return float(self.classifier.thresholds[self.column(class_name)])


class _Photo:
    """One decoded photo under measurement."""

    def __init__(self, task: MeasureImage, record: Record, image: ImageArray) -> None:
        self.task, self.record, self.image = task, record, image
        self.config, self.classifier = task.config, task.classifier
        self.tracer: DescriptorTracer | None = None
        self.picture = image
        if isinstance(self.classifier, ViewClassifier):
            self.picture = self.classifier.input_view(image)
            self.start = self.classifier.view_scores(self.picture[None])[0]
        elif "descriptors" in self.config.methods:
            self.tracer = self.classifier.descriptor_tracer(image)  # type: ignore[attr-defined]
            self.start = self.tracer.scores
        else:
            self.start = self.classifier.scores([image])[0]

    def rows(self, class_names: Sequence[str]) -> Iterator[Row]:
        if self.tracer is not None:
            yield from self._descriptor_rows(self.tracer, class_names)
        if not {"regions", "localisation"} & set(self.config.methods):
            return
        for rule, maps in self._maps(class_names):
            for class_name, found in zip(class_names, maps, strict=True):
                if "localisation" in self.config.methods:
                    yield self._localisation_row(class_name, rule, found)
                if "regions" in self.config.methods:
                    yield from self._region_rows(class_name, rule, found)
        if "regions" in self.config.methods and "random" in self.config.orders:
            for class_name in class_names:
                yield from self._region_rows(class_name, CONTROL, None)

    def _maps(self, class_names: Sequence[str]) -> Iterator[tuple[str, list[RelevanceMap]]]:
        """Heatmaps of all true classes, one rule or attribution after the other."""
        identity = self.record.id
        for rule in self.config.rules:
            yield rule, model_maps(self.classifier, self.image, class_names, identity, rule)
        for name, attribution in self.task.attributions.items():
            maps = [
                user_map(
                    self.classifier, self.image, class_name, identity, name=name, attribution=attribution
                )
                for class_name in class_names
            ]
            yield name, maps

    def _generators(self, class_name: str, purpose: str, count: int) -> tuple[np.random.Generator, ...]:
        """One stream for each repetition; the same for all rules, so that they meet the same chance."""
        seed = self.config.random_state
        return tuple(
            generator_for(seed, self.record.id, class_name, repetition, purpose)
            for repetition in range(count)
        )

    def _descriptor_rows(self, tracer: DescriptorTracer, class_names: Sequence[str]) -> Iterator[Row]:
        config = self.config.replacement
        relevance = {rule: tracer.relevance(class_names, **rule_options(rule)) for rule in self.config.rules}
        for index, class_name in enumerate(class_names):
            ranked = {rule: values[index] for rule, values in relevance.items()}
            orders = self._descriptor_orders(class_name, ranked, tracer.n_descriptors)
            draws = self._generators(class_name, "draws", config.repetitions)
            scores = replacement_scores(tracer, orders, draws, config)
            for key, values in scores.items():
                order, rule = key.split(" ", 1)
                yield self._row(("descriptors", MIXTURE, class_name, rule, order), values)

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

    def _region_rows(self, class_name: str, rule: str, found: RelevanceMap | None) -> Iterator[Row]:
        """Rows of one map, or of the random order where there is none: every operator and order."""
        config = self.config.regions
        orders = ("random",) if found is None else tuple(o for o in self.config.orders if o != "random")
        if found is not None and found.view is None:
            raise ConfigError(
                f"attribution {rule!r} is a map of the photo; regions belong to the model's input view",
                allowed=f"arrays of shape {self.picture.shape[:2]} for method regions",
            )
        traces: dict[tuple[str, str], list[RegionTrace]] = {}
        for operator in config.operators:
            for order in orders:
                repeated = order == "random" or operator in RANDOM_OPERATORS
                count = config.repetitions if repeated else 1
                traces[operator, order] = self._region_traces(class_name, found, operator, order, count)
        everything = [trace for group in traces.values() for trace in group]
        scores = iter(region_scores(self.classifier, everything, batch_size=config.batch_size))
        for (operator, order), group in traces.items():
            values = np.stack([next(scores) for _ in group])
            yield self._row(("regions", operator, class_name, rule, order), values)

    def _region_traces(
        self, class_name: str, found: RelevanceMap | None, operator: str, order: str, count: int
    ) -> list[RegionTrace]:
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
        fills = self._generators(class_name, f"fill {operator}", count)
        orders = self._region_orders(class_name, found, order, count)
        return [
            RegionTrace(
                picture=self.picture,
                order=ranked[: steps * config.per_step],
                size=config.size,
                operator=operator,
                generator=fill,
                per_step=config.per_step,
            )
            for fill, ranked in zip(fills, orders, strict=True)
        ]

    def _region_orders(
        self, class_name: str, found: RelevanceMap | None, order: str, count: int
    ) -> list[NDArray[np.intp]]:
        """One order for all repetitions of a map, a new random one for each without a map."""
        if found is None:
            height, width = self.picture.shape[:2]
            n_regions = len(region_grid(height, width, self.config.regions.size))
            return [item.permutation(n_regions) for item in self._generators(class_name, "order", count)]
        values = region_relevance(_view(found), self.config.regions.size)
        return [perturbation_order(values, order, self._generators(class_name, "ties", 1)[0])] * count

    def _row(self, key: tuple[str, str, str, str, str], scores: NDArray[np.float64]) -> Row:
        """Repetitions ``(n, steps, n_classes)`` of one order, averaged; ``key`` says what was measured."""
        method, operator, class_name, rule, order = key
        column = self.task.column(class_name)
        traces = Traces(
            start=float(self.start[column]),
            scores=scores[:, :, column],
            threshold=self.task.threshold(class_name),
        )
        drop = traces.drop
        return {
            "method": method,
            "operator": operator,
            "class": class_name,
            "rule": rule,
            "order": order,
            "steps": len(drop),
            "repetitions": len(scores),
            "A": mean_drop(drop),
            "AOPC": aopc(drop),
            "V": traces.switched,
            "drop": [float(f"{value:.7g}") for value in drop],
            "changed": [round(float(value), 6) for value in traces.changed],
        }

    def _localisation_row(self, class_name: str, rule: str, found: RelevanceMap) -> Row:
        boxes = self.record.boxes_of(class_name)
        scored = localise(found.photo, boxes, tolerance=self.config.tolerance)
        return {"method": "localisation", "class": class_name, "rule": rule, **scored.as_dict()}


def _view(found: RelevanceMap) -> NDArray[np.float64]:
    assert found.view is not None
    return found.view
