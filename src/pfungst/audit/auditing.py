"""A whole audit: one survey of each model, then everything that can be measured from it, as finished records.

Every stage keeps its records in a folder of the audit, so an interrupted audit goes on where it stopped.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pfungst import __version__
from pfungst.audit.context import context_row, localisation_row
from pfungst.audit.schema import Audit, ClassAudit, ModelAudit, Photo, PhotoBox, safe_name
from pfungst.audit.strategies import StrategiesConfig, find_strategies
from pfungst.audit.surroundings import ContextConfig
from pfungst.audit.survey import Survey, SurveyConfig, survey
from pfungst.audit.verdict import find_problems
from pfungst.contract.classifier import Classifier
from pfungst.contract.plain import to_plain
from pfungst.errors import ConfigError, unknown_name
from pfungst.evaluation.attributions import DEFAULT_RULE
from pfungst.evaluation.config import QualityConfig, RegionConfig, default_methods, default_rules
from pfungst.evaluation.precision import precision_over_images
from pfungst.evaluation.quality import has_boxes, measure_quality
from pfungst.evaluation.replacement import ReplacementConfig
from pfungst.evaluation.scoring import ScoredSet, class_results
from pfungst.evaluation.statistics import BootstrapConfig, Estimate
from pfungst.evaluation.summary import Quality
from pfungst.images.dataset import DataSet
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers

PARTS = ("quality", "context", "strategies", "artefacts")
"""What an audit examines beyond scores and heatmaps."""


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """What an audit does.

    Attributes
    ----------
    parts : tuple of str
        Of :data:`PARTS`.
    quality_images : int
        Photos on which heatmap quality is measured (a seeded sample).
    replacement : ReplacementConfig
        Algorithm 1, for classifiers of local descriptors.
    regions : RegionConfig
        Region perturbation, for all others.
    random_state : int
        Seed of every draw.
    """

    parts: tuple[str, ...] = PARTS
    quality_images: int = 40
    replacement: ReplacementConfig = field(default_factory=lambda: ReplacementConfig(repetitions=2))
    regions: RegionConfig = field(
        default_factory=lambda: RegionConfig(
            size=16, steps=25, per_step=2, operators=("mean",), repetitions=1
        )
    )
    random_state: int = 0

    def __post_init__(self) -> None:
        for name in self.parts:
            if name not in PARTS:
                raise unknown_name("part of an audit", name, PARTS)
        if self.quality_images < 1:
            raise ConfigError(f"quality_images = {self.quality_images}", allowed="1 or more")


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A classifier under audit.

    Attributes
    ----------
    name : str
        Title and part of file names; unique in the audit.
    classifier : Classifier
    kind : str
        In a word, such as ``fisher``.
    rule : str
        How it is explained; ``default`` leaves that to the classifier.
    identity : mapping
        What tells this model from another (checksums), compared when an audit is taken up again.
    """

    name: str
    classifier: Classifier
    kind: str = "classifier"
    rule: str = DEFAULT_RULE
    identity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, str]:
        """Options of ``explain``."""
        return {} if self.rule == DEFAULT_RULE else {"rule": self.rule}


def audit_models(
    subjects: Sequence[Subject],
    data: DataSet,
    out: str | Path,
    config: AuditConfig | None = None,
    *,
    split: str = "all",
    classes: Sequence[str] | None = None,
    title: str | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
) -> Audit:
    """Audit one or more classifiers on the same labelled photos.

    Parameters
    ----------
    subjects : sequence of Subject
    data : DataSet
        Photos that no subject has learned from, such as a test split.
    out : path
        The audit's folder: records of every stage, pictures, ``audit.json``.
    config : AuditConfig, optional
    split : str
        The name of these photos, for the record.
    classes : sequence of str, optional
        Default: all that a subject and the data have in common.
    title : str, optional
    workers, progress
        As everywhere; the numbers do not depend on the number of workers.

    Returns
    -------
    Audit
        Also written to ``out/audit.json``; photos that could not be used are listed in ``skipped``.

    Raises
    ------
    ConfigError
        If two subjects share a name, one has no class in common with the data, or ``out`` was begun with
        another configuration.
    """
    config = config or AuditConfig()
    _check_names(subjects)
    folder = Path(out)
    studies = [
        _Study(subject, data, folder, config, classes, workers, _named(progress, subject.name))
        for subject in subjects
    ]
    surveys = [study.survey() for study in studies]
    models = tuple(study.audited(found) for study, found in zip(studies, surveys, strict=True))
    audit = Audit(
        title=title or f"Audit of {', '.join(subject.name for subject in subjects)}",
        data=data.name,
        split=split,
        classes=tuple(dict.fromkeys(name for found in surveys for name in found.classes)),
        n_photos=len(data),
        photos=_photos(data, surveys),
        models=models,
        problems=find_problems(models),
        ran=_ran(config),
        not_run=_not_run(config, data),
        skipped=tuple(
            dict.fromkeys(f"{image}: {error}" for found in surveys for image, error in found.failures)
        ),
        settings=to_plain(config),
        versions=_versions(),
    )
    audit.save(folder)
    return audit


class _Study:
    """One subject's stages."""

    def __init__(  # noqa: PLR0917 - private, one caller
        self,
        subject: Subject,
        data: DataSet,
        folder: Path,
        config: AuditConfig,
        classes: Sequence[str] | None,
        workers: Workers,
        progress: Progress,
    ) -> None:
        self.subject, self.data, self.folder, self.config = subject, data, folder, config
        self.classes, self.workers, self.progress = classes, workers, progress
        self.bootstrap = BootstrapConfig(random_state=config.random_state)

    @property
    def survey_folder(self) -> str:
        return f"survey-{safe_name(self.subject.name)}"

    def survey(self) -> Survey:
        return survey(
            self.subject.classifier,
            self.data,
            SurveyConfig(
                options=self.subject.options,
                context=ContextConfig(
                    edits="context" in self.config.parts, random_state=self.config.random_state
                ),
            ),
            classes=self.classes,
            identity=self.subject.identity,
            out=self.folder / self.survey_folder,
            workers=self.workers,
            progress=self.progress,
        )

    def audited(self, found: Survey) -> ModelAudit:
        rule = self.quality_rule(found)
        quality = self.quality(found, rule) if "quality" in self.config.parts else None
        rows = self.precision_rows(found)
        known = [row.ap.mean for row in rows.values() if row.ap is not None]
        parts = [
            self.quality_fields(quality, rule, name)
            | self.context_fields(found, name)
            | self.strategies_fields(found, name)
            for name in rows
        ]
        return ModelAudit(
            name=self.subject.name,
            kind=self.subject.kind,
            rule=_rule_of(found, self.subject),
            identity=dict(self.subject.identity),
            survey=self.survey_folder,
            mean_ap=float(np.mean(known)) if known else float("nan"),
            classes=tuple(replace(row, **more) for row, more in zip(rows.values(), parts, strict=True)),
            quality=to_plain(quality.as_dict()) if quality is not None else None,
            quality_rule=rule,
            failed=tuple(f"{image}: {error}" for image, error in found.failures),
        )

    def precision_rows(self, found: Survey) -> dict[str, ClassAudit]:
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
            )
            for column, (name, result) in enumerate(results.items())
        }

    def quality_fields(self, quality: Quality | None, rule: str, name: str) -> dict[str, Any]:
        a, v = (_of_class(quality, name, rule, measure) for measure in ("A", "V"))
        return {"quality_a": a, "quality_v": v}

    def context_fields(self, found: Survey, name: str) -> dict[str, Any]:
        if not has_boxes(self.data):
            return {}
        fields: dict[str, Any] = {"localisation": localisation_row(found, name, self.bootstrap)}
        if "context" in self.config.parts:
            fields["context"] = context_row(found, name, self.bootstrap)
        return fields

    def strategies_fields(self, found: Survey, name: str) -> dict[str, Any]:
        if "strategies" not in self.config.parts:
            return {}
        config = StrategiesConfig(random_state=self.config.random_state)
        prefix = f"{safe_name(self.subject.name)}-"
        return {"strategies": find_strategies(found, name, config, out=self.folder, prefix=prefix)}

    def quality_rule(self, found: Survey) -> str:
        """The name under which the model's own rule stands in the tables of heatmap quality."""
        stated = _rule_of(found, self.subject)
        return stated if stated in default_rules(self.subject.classifier) else self.subject.rule

    def quality(self, found: Survey, rule: str) -> Quality:
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


def _check_names(subjects: Sequence[Subject]) -> None:
    names = [safe_name(subject.name) for subject in subjects]
    if not names or len(set(names)) != len(names):
        raise ConfigError(
            f"models named {', '.join(subject.name for subject in subjects) or '(none)'}",
            allowed="at least one, each with a name of its own",
        )


def _named(progress: Progress, name: str) -> Progress:
    def told(stage: str, done: int, total: int, /) -> None:
        progress(f"{name}: {stage}", done, total)

    return told


def _rule_of(found: Survey, subject: Subject) -> str:
    """The rule as the explanations state it; as the subject names it where there is none."""
    first = next(found.seen(), None)
    return first.rule if first is not None else subject.rule


def _of_class(quality: Quality | None, name: str, rule: str, measure: str) -> Estimate | None:
    """A or V of the class for the model's own rule, most relevant first, over the longest traces."""
    rows = quality.find(**{"class": name, "rule": rule, "order": "morf"}) if quality is not None else []
    if not rows:
        return None
    return Estimate(**max(rows, key=lambda row: row["steps"])[measure])


def _photos(data: DataSet, surveys: Sequence[Survey]) -> tuple[Photo, ...]:
    sizes: dict[str, tuple[int, int]] = {}
    for found in surveys:
        sizes.update({image: found.size(image) for image in found.ids})
    return tuple(
        Photo(
            id=record.id,
            height=sizes[record.id][0],
            width=sizes[record.id][1],
            positive=tuple(sorted(record.positive)),
            difficult=tuple(sorted(record.difficult)),
            boxes=tuple(
                PhotoBox(
                    class_name=box.class_name,
                    left=float(box.left),
                    top=float(box.top),
                    right=float(box.right),
                    bottom=float(box.bottom),
                    difficult=box.difficult,
                )
                for box in record.boxes
            ),
        )
        for record in data
        if record.id in sizes
    )


_IN_WORDS = {
    "quality": "whether the heatmaps are right, on a sample of {quality_images} photos",
    "context": "how much each class lives off its surroundings",
    "strategies": "groups of heatmaps that are alike",
    "artefacts": "marks that recur in the photos of a class, tested by removal and insertion",
}


def _ran(config: AuditConfig) -> tuple[str, ...]:
    values = {"quality_images": config.quality_images}
    parts = [_IN_WORDS[name].format(**values) for name in PARTS if name in config.parts]
    return ("scores and a heatmap of every class shown or wrongly predicted", *parts)


def _not_run(config: AuditConfig, data: DataSet) -> tuple[str, ...]:
    left = [
        f"{_IN_WORDS[name].format(quality_images=0).split(',', maxsplit=1)[0]}: not asked for"
        for name in PARTS
        if name not in config.parts
    ]
    if not has_boxes(data):
        left.append("localisation and context: the photos have no boxes")
    return tuple(left)


def _versions() -> dict[str, str]:
    names = ("numpy", "scipy", "scikit-learn", "pillow", "torch")
    return {
        "pfungst": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
    }
