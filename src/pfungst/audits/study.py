"""One model under audit: its survey, and each part that is measured from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pfungst.audits.artefacts.finding import Artefacts, find_artefacts
from pfungst.audits.config import AuditConfig, Subject
from pfungst.audits.context.measuring import context_row, localisation_row
from pfungst.audits.schema import ClassAudit, ModelAudit, survey_name
from pfungst.audits.strategies.finding import StrategiesConfig, find_strategies
from pfungst.audits.survey import KEPT_PIXELS, ContextConfig, Survey, SurveyConfig, survey
from pfungst.audits.survey.linking import link_survey
from pfungst.evaluation.attributions import DEFAULT_RULE
from pfungst.evaluation.chance import Chance, chance_of_precision
from pfungst.evaluation.config import QualityConfig, default_methods, default_rules
from pfungst.evaluation.precision import precision_over_images
from pfungst.evaluation.quality import has_boxes, measure_quality
from pfungst.evaluation.rows import CurveRow, Quality
from pfungst.evaluation.scoring import ClassResult, ScoredSet, class_results
from pfungst.evaluation.statistics import BootstrapConfig
from pfungst.files import safe_name
from pfungst.images.dataset import DataSet
from pfungst.progress import Progress
from pfungst.runs.executor import Workers


class Study:
    """The stages of one subject; each keeps its records in a folder of the audit."""

    def __init__(  # noqa: PLR0917 - private, one caller
        self,
        subject: Subject,
        data: DataSet,
        folder: Path,
        config: AuditConfig,
        classes: Sequence[str] | None,
        workers: Workers,
        progress: Progress,
        surveys: Path,
    ) -> None:
        self.subject, self.data, self.folder, self.config = subject, data, folder, config
        self.surveys = surveys
        self.classes, self.workers, self.progress = classes, workers, progress
        self.bootstrap = BootstrapConfig(random_state=config.random_state)

    @property
    def _survey_folder(self) -> str:
        return survey_name(self.subject.name)

    def survey(self) -> Survey:
        """Score and explain every photo; the audit's folder holds the survey or links to it."""
        parts, place = self.config.parts, self.surveys / self._survey_folder
        context = ContextConfig(edits="context" in parts, random_state=self.config.random_state)
        found = survey(
            self.subject.classifier,
            self.data,
            SurveyConfig(
                options=self.subject.options,
                context=context,
                kept_pixels=KEPT_PIXELS if "artefacts" in parts else 0,
            ),
            classes=self.classes,
            identity=self.subject.identity,
            out=place,
            workers=self.workers,
            progress=self.progress,
        )
        if self.surveys != self.folder:
            link_survey(place, self.folder / self._survey_folder)
        return found

    def audited(self, found: Survey) -> ModelAudit:
        """Everything that is measured from the survey."""
        rule = self._quality_rule(found)
        quality = self._quality(found, rule) if "quality" in self.config.parts else None
        rows = self._precision_rows(found)
        known = [row.ap.mean for row in rows.values() if row.ap is not None]
        artefacts = self._artefacts(found) if "artefacts" in self.config.parts else None
        parts = [
            self._quality_fields(quality, rule, name)
            | self._context_fields(found, name)
            | self._strategies_fields(found, name)
            | _artefact_fields(artefacts, name)
            for name in rows
        ]
        failures = (*found.failures, *(artefacts.failures if artefacts is not None else ()))
        return ModelAudit(
            name=self.subject.name,
            kind=self.subject.kind,
            rule=_rule_of(found, self.subject),
            identity=dict(self.subject.identity),
            survey=self._survey_folder,
            mean_ap=float(np.mean(known)) if known else float("nan"),
            classes=tuple(replace(row, **more) for row, more in zip(rows.values(), parts, strict=True)),
            quality=quality,
            quality_rule=rule,
            failures=tuple(dict.fromkeys(failures)),
        )

    def _artefacts(self, found: Survey) -> Artefacts:
        name = safe_name(self.subject.name)
        return find_artefacts(
            self.subject.classifier,
            found,
            replace(self.config.artefacts, random_state=self.config.random_state),
            identity=self.subject.identity,
            out=self.folder / f"artefacts-{name}",
            pictures=self.folder,
            prefix=name,
            workers=self.workers,
            progress=self.progress,
        )

    def _precision_rows(self, found: Survey) -> dict[str, ClassAudit]:
        """Counts and average precision of each class, from the survey's scores."""
        labels, scores = found.labels(), found.scores()
        results = class_results(
            ScoredSet(classes=found.classes, ids=found.ids, labels=labels, scores=scores),
            [found.thresholds[name] for name in found.classes],
        )
        return {
            name: ClassAudit(
                name=name,
                positives=result.positives,
                true_positives=result.true_positives,
                false_positives=result.false_positives,
                threshold=result.eer_threshold,
                ap=precision_over_images(labels[:, column], scores[:, column], self.bootstrap),
                ap_11pt=result.ap_11pt,
                negatives=result.negatives,
                chance=_chance(result, self.config.random_state),
            )
            for column, (name, result) in enumerate(results.items())
        }

    def _quality_fields(self, quality: Quality | None, rule: str, name: str) -> dict[str, Any]:
        row = _longest(quality, name, rule)
        return {} if row is None else {"quality_a": row.a, "quality_v": row.v}

    def _context_fields(self, found: Survey, name: str) -> dict[str, Any]:
        if not has_boxes(self.data):
            return {}
        fields: dict[str, Any] = {"localisation": localisation_row(found, name, self.bootstrap)}
        if "context" in self.config.parts:
            fields["context"] = context_row(found, name, self.bootstrap)
        return fields

    def _strategies_fields(self, found: Survey, name: str) -> dict[str, Any]:
        if "strategies" not in self.config.parts:
            return {}
        config = StrategiesConfig(random_state=self.config.random_state)
        prefix = f"{safe_name(self.subject.name)}-"
        return {"strategies": find_strategies(found, name, config, out=self.folder, prefix=prefix)}

    def _quality_rule(self, found: Survey) -> str:
        """The name under which the model's own rule stands in the tables of heatmap quality."""
        stated = _rule_of(found, self.subject)
        return stated if stated in default_rules(self.subject.classifier) else self.subject.rule

    def _quality(self, found: Survey, rule: str) -> Quality:
        classifier = self.subject.classifier
        rules = default_rules(classifier)
        config = QualityConfig(
            methods=default_methods(classifier, with_boxes=False),
            rules=rules if rule in rules else (rule, *(name for name in rules if name != DEFAULT_RULE)),
            replacement=self.config.replacement,
            regions=self.config.regions,
            random_state=self.config.random_state,
        )
        return measure_quality(
            classifier,
            self.data,
            config,
            classes=found.classes,
            max_images=self.config.quality_images,
            workers=self.workers,
            out=self.folder / f"quality-{safe_name(self.subject.name)}",
            identity=self.subject.identity,
            bootstrap=self.bootstrap,
            progress=self.progress,
        )


def _chance(result: ClassResult, random_state: int) -> Chance | None:
    if not result.positives:
        return None
    return chance_of_precision(result.ap, result.positives, result.negatives, random_state=random_state)


def _artefact_fields(found: Artefacts | None, name: str) -> dict[str, Any]:
    if found is None:
        return {}
    return {"artefacts": found.by_class.get(name, ()), "artefact_note": found.notes.get(name, "")}


def _rule_of(found: Survey, subject: Subject) -> str:
    """The rule as the explanations state it; as the subject names it where there is none."""
    first = next(found.seen(), None)
    return first.rule if first is not None else subject.rule


def _longest(quality: Quality | None, name: str, rule: str) -> CurveRow | None:
    """The class's traces by the model's own rule, most relevant first, with the most steps."""
    rows = [] if quality is None else quality.find(class_name=name, rule=rule, order="morf")
    return max(rows, key=lambda row: row.steps, default=None)
