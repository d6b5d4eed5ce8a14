"""One run of the experiment: what all of its stages share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pfungst.paper.config import PaperConfig
from pfungst.paper.photos import PaperPhotos
from pfungst.progress import Progress, named, silent
from pfungst.runs.executor import Workers


@dataclass(frozen=True, kw_only=True)
class Study:
    """Photos, settings and the folder of one run."""

    photos: PaperPhotos
    out: Path
    config: PaperConfig
    workers: Workers = 1
    progress: Progress = silent

    def told(self, name: str) -> Progress:
        """Progress under the name of a part of the experiment."""
        return named(self.progress, name)
