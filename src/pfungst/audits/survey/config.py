"""What a survey keeps of every photo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pfungst.audits.survey.surroundings import ContextConfig
from pfungst.errors import ConfigError

PARTS = ("errors", "edits")
"""What a survey may have beside scores and the heatmaps of the classes shown; it can be added later."""
KEPT_PIXELS = 2**19
"""Pixels of the largest photo that is kept as it is for a search for artefacts."""


@dataclass(frozen=True, kw_only=True)
class SurveyConfig:
    """What is kept of every photo.

    Attributes
    ----------
    options : mapping
        How photos are explained (``rule=...``), as the classifier's ``explain`` takes it.
    map_side : int
        Longest side of a kept heatmap in cells; a smaller photo keeps its pixels.
    thumbnail_side : int
        Longest side of a thumbnail in pixels.
    errors : bool
        Also explain the false positive furthest above its threshold of each photo.
    context : ContextConfig
        How relevance is measured against the class's boxes, and whether the object is edited away.
    kept_pixels : int
        Keep the pixels of photos of at most so many, and larger ones reduced to as many, for stages that look
        at them again; 0 keeps none. No number depends on it.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    map_side: int = 128
    thumbnail_side: int = 240
    errors: bool = True
    context: ContextConfig = field(default_factory=ContextConfig)
    kept_pixels: int = 0

    def __post_init__(self) -> None:
        if min(self.map_side, self.thumbnail_side) < 8:
            raise ConfigError(
                f"map_side = {self.map_side}, thumbnail_side = {self.thumbnail_side}", allowed="8 or more"
            )
        if self.kept_pixels < 0:
            raise ConfigError(f"kept_pixels = {self.kept_pixels}", allowed="0 or more")

    @property
    def parts(self) -> tuple[str, ...]:
        """Of :data:`PARTS` those that are asked for."""
        asked = (self.errors, self.context.edits)
        return tuple(part for part, wanted in zip(PARTS, asked, strict=True) if wanted)

    @property
    def identity(self) -> dict[str, Any]:
        """What every number of a survey depends on, whatever its parts."""
        return {
            "options": dict(self.options),
            "map_side": self.map_side,
            "thumbnail_side": self.thumbnail_side,
            "margin": self.context.margin,
            "random_state": self.context.random_state,
            "edits": "objects of all classes",
        }
