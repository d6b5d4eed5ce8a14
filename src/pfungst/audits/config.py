"""What an audit does, and whom it examines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.contract.classifier import Classifier
from pfungst.errors import ConfigError, unknown_name
from pfungst.evaluation.attributions import DEFAULT_RULE
from pfungst.evaluation.config import RegionConfig
from pfungst.evaluation.replacement import ReplacementConfig

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
    artefacts : ArtefactConfig
        The search for artefacts and its tests; its seed is that of the audit.
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
    artefacts: ArtefactConfig = field(default_factory=ArtefactConfig)
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
