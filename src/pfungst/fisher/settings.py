"""How a Fisher-vector classifier is trained, as data."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from pfungst.descriptors import Descriptor, SiftConfig
from pfungst.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class FisherTraining:
    """How a Fisher-vector classifier is trained; the defaults are the paper's.

    Attributes
    ----------
    n_components : int
        K of the mixture.
    dims : int
        D after PCA.
    descriptor : Descriptor
        Local descriptors; default dense SIFT.
    n_sampled : int
        Descriptors sampled for PCA and mixture, in equal parts from the photos.
    max_sampled_images : int
        Photos they are sampled from, at the most (chosen by the seed).
    mixture_init : {"k-means", "random"}
        Where the fit of the mixture starts.
    mixture_iterations : int
        Iterations of expectation-maximisation at the most.
    c_values : tuple of float
        Values of the SVM's C to choose from.
    random_state : int
        Seed; the same seed gives the same classifier with any number of workers.
    """

    n_components: int = 256
    dims: int = 80
    descriptor: Descriptor = field(default_factory=SiftConfig)
    n_sampled: int = 1_000_000
    max_sampled_images: int = 1_000
    mixture_init: Literal["k-means", "random"] = "k-means"
    mixture_iterations: int = 40
    c_values: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.mixture_init not in ("k-means", "random"):
            raise ConfigError(f"mixture_init = {self.mixture_init!r}", allowed="'k-means' or 'random'")
        if not self.c_values or min(self.c_values) <= 0:
            raise ConfigError(f"c_values = {self.c_values}", allowed="one or more positive numbers")
        if min(self.n_sampled, self.max_sampled_images) < 1:
            raise ConfigError(
                f"n_sampled = {self.n_sampled}, max_sampled_images = {self.max_sampled_images}",
                allowed="1 or more of each",
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        settings = {item.name: getattr(self, item.name) for item in fields(self)}
        return settings | {"descriptor": self.descriptor.as_dict(), "c_values": list(self.c_values)}
