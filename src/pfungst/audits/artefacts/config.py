"""How artefacts are searched, and what it takes to call one proved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pfungst.errors import ConfigError
from pfungst.evaluation.statistics import BootstrapConfig


@dataclass(frozen=True, kw_only=True)
class ArtefactConfig:
    """Settings of :func:`pfungst.audits.artefacts.find_artefacts`.

    Attributes
    ----------
    working_side : int
        Photos are compared at the scale at which the median longest side is so many pixels (never enlarged).
    window : int
        Side of the square patches that are searched for, in working pixels.
    blobs_per_photo : int
        Patches of dense relevance taken from a photo.
    max_patches : int
        Patches of a class that are looked for in other photos.
    max_photos : int
        Photos of the class, and as many of photos without it, in which patches are looked for, and on which a
        suspect is tested; a seeded sample where there are more.
    min_photos : int
        Photos that must carry a suspect.
    max_suspects : int
        Suspects of a class that are tested.
    alike : float
        Least correlation of looks at which two patches may count as the same thing.
    on_object : float
        Mean share of a suspect's pattern in the class's boxes from which on it is the object itself and no
        artefact, unless it keeps a place of its own that lies off the object in a quarter of its photos.
    largest : float
        Mean share of the photo from which on a suspect is no compact mark but a piece of ground, which is the
        business of context; frames excepted.
    least_effect : float
        Least mean effect of an artefact, in standard deviations of the class's scores over all photos: from
        0.2 on an effect counts as small rather than negligible (Cohen 1988).
    least_margin : float
        The same as a share of the class's margin, the median distance of its recognised photos from the
        threshold. The smaller of the two is the bar.
    least_flips : float
        An effect also counts, whatever its size, from this share of decisions turned beyond the control on.
    min_proof : int
        Photos on which an artefact must be proved, by removal and by insertion alike.
    insertions : int
        Photos without the class that a suspect is pasted into.
    pairs : int
        Before-and-after pictures of each edit.
    bootstrap : BootstrapConfig
        Intervals; their seed is ``random_state``.
    detectors : tuple of str or None
        Detectors that search (:mod:`pfungst.audits.artefacts.detectors`); None: all that are registered.
    random_state : int
        Seed of samples, control places and intervals.
    """

    working_side: int = 384
    window: int = 24
    blobs_per_photo: int = 6
    max_patches: int = 128
    max_photos: int = 64
    min_photos: int = 4
    max_suspects: int = 3
    alike: float = 0.35
    on_object: float = 0.5
    largest: float = 0.12
    least_effect: float = 0.2
    least_margin: float = 0.1
    least_flips: float = 0.05
    min_proof: int = 5
    insertions: int = 32
    pairs: int = 2
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
    detectors: tuple[str, ...] | None = None
    random_state: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "bootstrap", replace(self.bootstrap, random_state=self.random_state)
        )  # one seed
        if self.working_side < 4 * self.window or self.window < 8:
            raise ConfigError(
                f"working_side = {self.working_side}, window = {self.window}",
                allowed="a window of 8 or more, a working side of four windows or more",
            )
        counts = ("blobs_per_photo", "max_patches", "max_suspects", "insertions")
        for name in counts:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}", allowed="1 or more")
        if self.min_photos < 2 or self.max_photos < 2 * self.min_photos:
            raise ConfigError(
                f"min_photos = {self.min_photos}, max_photos = {self.max_photos}",
                allowed="min_photos of 2 or more, max_photos of twice as many or more",
            )
        least = min(self.least_effect, self.least_margin, self.least_flips)
        if not 0 < self.alike < 1 or least < 0 or self.pairs < 0:
            raise ConfigError(
                f"alike = {self.alike}, least_effect = {self.least_effect}, least_margin = "
                f"{self.least_margin}, least_flips = {self.least_flips}, pairs = {self.pairs}",
                allowed="alike between 0 and 1, the others 0 or more",
            )
