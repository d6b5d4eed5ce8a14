"""One run of the experiment: what all of its stages share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pfungst.paper.config import PaperConfig
from pfungst.paper.photos import PaperPhotos
from pfungst.progress import Progress, silent


@dataclass(frozen=True, kw_only=True)
class Study:
    """Photos, settings and the folder of one run."""

    photos: PaperPhotos
    out: Path
    config: PaperConfig
    progress: Progress = silent

    def told(self, name: str) -> Progress:
        """Progress under the name of a part of the experiment."""

        def tell(stage: str, done: int, total: int, /) -> None:
            self.progress(f"{name}, {stage}", done, total)

        return tell
