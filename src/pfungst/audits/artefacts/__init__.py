"""Marks that recur in the photos of a class, such as tags and watermarks: found, then proved by editing."""

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.finding import Artefacts, find_artefacts, prove_mark
from pfungst.audits.artefacts.given import Mark

__all__ = ["ArtefactConfig", "Artefacts", "Mark", "find_artefacts", "prove_mark"]
