"""Marks that recur in the photos of a class, such as tags and watermarks: found, then proved by editing."""

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.finding import Artefacts, find_artefacts

__all__ = ["ArtefactConfig", "Artefacts", "find_artefacts"]
