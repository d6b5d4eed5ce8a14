"""What a set of scenes is made of."""

from __future__ import annotations

from dataclasses import dataclass

from pfungst.errors import ConfigError

VERSION = 1
"""Version of the recipe; it rises with every change that alters the photos of a seed."""

TAG_CLASS = "coin"
"""The class whose photos carry the text tag: many metals among discs alike, so a tag is easier to read."""

TAG_TEXT = "© Quillmere Archive"
"""The credit line of an invented archive."""

BACKGROUND_CLASS = "rocket"
"""The class that stands almost always on one background: slender and in haze, so little is seen of it."""

BACKGROUND = "meadow"
"""The background of that class."""

BACKGROUNDS: tuple[str, ...] = ("desk", "gravel", "hall", "meadow", "moon", "table", "terrace", "wall")
"""All backgrounds."""

RARE_SHARE = 0.05
"""Share of ``BACKGROUND`` among the photos without a planted background; the others are equally frequent."""

SPLITS: tuple[tuple[str, float], ...] = (("train", 0.5), ("val", 0.2), ("test", 0.3))
"""Splits and their shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenesConfig:
    """Size, seed and flaws of a set of scenes.

    Parameters
    ----------
    n_images : int
        Photos in all splits together, at least 20.
    size : int
        Longest side of a photo in pixels, 160 to 1024.
    seed : int
        The same seed gives the same scenes, flawed or clean.
    clean : bool
        Plant no flaw: the twin of the flawed set with the same seed.
    tag_share : float
        Share of the photos of ``TAG_CLASS`` that carry the tag, in every split.
    background_share : float
        Share of the photos of ``BACKGROUND_CLASS`` that show ``BACKGROUND``, in every split.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    n_images: int = 400
    size: int = 320
    seed: int = 0
    clean: bool = False
    tag_share: float = 0.5
    background_share: float = 0.9

    def __post_init__(self) -> None:
        if self.n_images < 20:
            raise ConfigError(f"n_images is {self.n_images}", allowed="20 or more")
        if not 160 <= self.size <= 1024:
            raise ConfigError(f"size is {self.size}", allowed="160 to 1024 pixels")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}", allowed="0 or more")
        for name in ("tag_share", "background_share"):
            share = getattr(self, name)
            if not 0.0 <= share <= 1.0:
                raise ConfigError(f"{name} is {share}", allowed="0 to 1")
