"""What the paper's experiment does, with the paper's settings as defaults."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pfungst.errors import ConfigError
from pfungst.evaluation.config import RegionConfig
from pfungst.evaluation.replacement import ReplacementConfig
from pfungst.fisher import FisherTraining

if TYPE_CHECKING:
    from pfungst.network import NetworkTraining

FISHER, NETWORK = "fisher", "network"
STAND_IN = "efficientnet-lite0"
"""What is retrained where no CaffeNet was given."""


@dataclass(frozen=True, kw_only=True)
class PaperConfig:
    """Settings of :func:`pfungst.paper.run_paper`; the defaults are the paper's.

    Attributes
    ----------
    caffenet : (path, path) or None
        ``deploy.prototxt`` and ``.caffemodel`` of the BVLC reference CaffeNet. Without it EfficientNet-Lite0
        with a frozen backbone takes its place, and every result says so.
    classes : tuple of str or None
        Default: all with photos in every split.
    limit : int or None
        A partial run: so many photos of each split, stratified by class.
    fisher : FisherTraining
        Its ``random_state`` is that of this configuration.
    network : NetworkTraining or None
        Default: every layer of CaffeNet as in the paper, the last layer of EfficientNet-Lite0.
    replacement : ReplacementConfig
        Figure 1: descriptors replaced by draws from the mixture.
    regions : RegionConfig
        Regions of the network's input.
    region_photos : int
        Photos of the sample on which regions are perturbed.
    random_state : int
        Seed of everything.
    """

    caffenet: tuple[str | Path, str | Path] | None = None
    classes: tuple[str, ...] | None = None
    limit: int | None = None
    fisher: FisherTraining = field(default_factory=FisherTraining)
    network: NetworkTraining | None = None
    replacement: ReplacementConfig = field(default_factory=ReplacementConfig)
    regions: RegionConfig = field(default_factory=RegionConfig)
    region_photos: int = 200
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit = {self.limit}", allowed="1 or more photos of each split, or no limit")
        if self.region_photos < 1:
            raise ConfigError(f"region_photos = {self.region_photos}", allowed="1 or more")
        if self.random_state < 0:
            raise ConfigError(f"seed {self.random_state}", allowed="0 or more")

    @property
    def network_name(self) -> str:
        """What the network is, in a word."""
        return "CaffeNet" if self.caffenet else "EfficientNet-Lite0"

    def fisher_training(self) -> FisherTraining:
        """Settings of the Fisher-vector model with this run's seed."""
        return replace(self.fisher, random_state=self.random_state)

    def network_training(self) -> NetworkTraining:
        """Settings of the network with this run's seed."""
        from pfungst.network import NetworkTraining

        chosen = self.network or NetworkTraining(freeze=self.caffenet is None)
        return replace(chosen, random_state=self.random_state)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        files = [str(file) for file in self.caffenet] if self.caffenet else None
        return {**asdict(self), "fisher": self.fisher.as_dict(), "caffenet": files}

    def notes(self) -> tuple[str, ...]:
        """What differs from the paper, in words."""
        found = []
        if self.caffenet is None:
            found.append(
                "No CaffeNet was given: EfficientNet-Lite0 with ImageNet weights takes its place, its last "
                "layer alone retrained. Its figures are not those of the paper's network."
            )
        if self.limit is not None:
            found.append(
                f"A partial run: {self.limit} photos of each split at the most. Its figures are no "
                "reproduction of the published ones."
            )
        return tuple(found)


def comparable(config: PaperConfig, data_name: str) -> bool:
    """Whether the published figures are of the same photos: VOC 2007, all of it."""
    return config.limit is None and data_name == "VOC2007"


def plain_training(training: Any) -> dict[str, Any]:
    """A training's settings as plain JSON."""
    return training.as_dict() if isinstance(training, FisherTraining) else asdict(training)
