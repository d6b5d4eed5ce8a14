"""What a model relies on: context, strategies, artefacts; the verdict; two audits compared."""

from pfungst.audits.artefacts import ArtefactConfig, find_artefacts
from pfungst.audits.auditing import audit_models
from pfungst.audits.comparing import Comparison, compare_audits
from pfungst.audits.config import AuditConfig, Subject
from pfungst.audits.context.measuring import measure_context
from pfungst.audits.schema import Audit
from pfungst.audits.strategies.finding import find_strategies

__all__ = [
    "ArtefactConfig",
    "Audit",
    "AuditConfig",
    "Comparison",
    "Subject",
    "audit_models",
    "compare_audits",
    "find_artefacts",
    "find_strategies",
    "measure_context",
]
