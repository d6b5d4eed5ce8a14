"""What a model relies on: context, strategies, artefacts; the verdict; two audits compared."""

from pfungst.audit.artefacts import ArtefactConfig, find_artefacts
from pfungst.audit.auditing import audit_models
from pfungst.audit.comparing import Comparison, compare_audits
from pfungst.audit.config import AuditConfig, Subject
from pfungst.audit.context.measuring import measure_context
from pfungst.audit.schema import Audit
from pfungst.audit.strategies.finding import find_strategies

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
