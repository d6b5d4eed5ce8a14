"""Context, strategies and the artefact hunt on the test photos, both models in one audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pfungst.audits import AuditConfig, Subject, audit_models
from pfungst.audits.schema import Audit, ModelAudit
from pfungst.contract.plain import to_plain
from pfungst.contract.storage import model_identity
from pfungst.evaluation.attributions import DEFAULT_RULE
from pfungst.paper.config import FISHER, NETWORK
from pfungst.paper.measuring import on_test
from pfungst.paper.stages import run_stage
from pfungst.paper.study import Study
from pfungst.paper.training import model_folder, trained_model
from pfungst.report.audit_page import REPORT_FILE, write_report

AUDIT = "audit"
REPORT = f"{AUDIT}/{REPORT_FILE}"
"""The report of both models, beside the page."""
HUNTED = "horse"
"""The class whose photographer's tag the paper found."""


def audit_both(study: Study) -> tuple[dict[str, Any], Audit]:
    """Audit both models on the test photos, or find them audited; the stage's record and the audit."""
    folder = study.out / AUDIT
    config = AuditConfig(random_state=study.config.random_state)

    def work() -> Mapping[str, Any]:
        audit = audit_models(
            _subjects(study),
            study.photos.test,
            folder,
            config,
            split="test",
            title=f"Analyzing Classifiers on {study.photos.name}",
            workers=study.workers,
            progress=study.told(AUDIT),
        )
        write_report(folder)
        return {"problems": len(audit.problems), "failures": [str(failure) for failure in audit.failures]}

    configuration = {**on_test(study), "audit": asdict(config)}
    record = run_stage(folder, configuration, work, workers=study.workers)
    return record, Audit.load(folder)


def _subjects(study: Study) -> list[Subject]:
    """Both models with the paper's rules: ε = 100, and its composite for the network that it used."""
    names = {FISHER: "Fisher vectors", NETWORK: study.config.network_name}
    rules = {FISHER: DEFAULT_RULE, NETWORK: "cvpr2016" if study.config.caffenet else DEFAULT_RULE}
    return [_subject(study, model, name, rules[model]) for model, name in names.items()]


def _subject(study: Study, model: str, name: str, rule: str) -> Subject:
    classifier = trained_model(study, model)
    identity = model_identity(model_folder(study, model), classifier)
    return Subject(name=name, classifier=classifier, kind=model, rule=rule, identity=identity)


def context_rows(audit: Audit) -> list[dict[str, Any]]:
    """μ of positive relevance, outside over inside the boxes, for each class and model."""
    return [
        {"class": name, **{model.kind: _context(model, name) for model in audit.models}}
        for name in audit.classes
    ]


def _context(model: ModelAudit, class_name: str) -> dict[str, Any] | None:
    found = model.by_name(class_name)
    if found is None or found.context is None or found.context.ratio is None:
        return None
    row: dict[str, Any] = to_plain(found.context.ratio)
    return row | {"dependent": found.context.dependent}


def hunted_class(audit: Audit) -> str | None:
    """The class of the paper's artefact, if it is among the audited ones."""
    return HUNTED if HUNTED in audit.classes else None


def artefact_rows(audit: Audit, class_name: str) -> list[dict[str, Any]]:
    """Suspects of one class in each model, most suspicious first, with what their tests said."""
    return [
        {
            "model": model.name,
            "where": item.where,
            "share": item.share,
            "verdict": item.verdict,
            "sentence": item.sentence,
        }
        for model in audit.models
        if (found := model.by_name(class_name)) is not None
        for item in found.artefacts
    ]
