"""Finished records as pages, figures and files for other programs."""

from pfungst.report.audit_page import write_report

__all__ = ["write_report"]
