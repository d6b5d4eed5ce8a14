"""Which patches of relevance recur: in place or in look, in a class's photos more than elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.search.features import Look
from pfungst.audits.artefacts.search.matching import (
    NO_MATCH,
    Match,
    Patch,
    Place,
    Surroundings,
    best_anywhere,
    best_near,
    cut,
)
from pfungst.audits.artefacts.search.proposals import Blob
from pfungst.audits.artefacts.search.shaping import Grain, shaped
from pfungst.images.rectangles import Rectangle

_MARGIN, _QUANTILE = 0.1, 0.95
_TURNS, _TRIES = 2, 4
_IN_PLACE, _CLEARLY = 0.8, 1.25
_OFF, _SOMETIMES = 0.1, 0.25
_AT_A_TIME = 8  # photos without the class; most patches need no more
Kind = Literal["place", "look"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """A photo that patches are searched in.

    Attributes
    ----------
    id : str
    look : Look
    blobs : sequence of Blob
        Squares of dense relevance.
    on_object : (height, width) bool
        Whether a working pixel lies in a box of the class.
    """

    id: str
    look: Look
    blobs: Sequence[Blob]
    on_object: NDArray[np.bool_]

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` in working pixels."""
        return self.look.shape[1], self.look.shape[2]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A patch that recurs.

    Attributes
    ----------
    patch : Patch
    kind : {"place", "look"}
    level : float
        The similarity above which a photo carries it: clear of what photos without the class reach.
    matches : dict of str to Match
        The photos of the class that do.
    evidence : float
        Σ (s − level) over them.
    grain : Grain
    scale : float
        Working pixels in one of the photos'.
    """

    patch: Patch
    kind: Kind
    level: float
    matches: dict[str, Match]
    evidence: float
    grain: Grain
    scale: float

    def box(self, image: str) -> Rectangle:
        """Where it lies in a photo that carries it, in the photo's pixels."""
        match, (height, width) = self.matches[image], self.patch.shape
        edges = match.left, match.top, match.left + width, match.top + height
        return Rectangle.of(edge / self.scale for edge in edges)

    def area(self, photos: Sequence[Seen]) -> float:
        """Mean share of a photo that it covers, over those that carry it."""
        carriers = [photo for photo in photos if photo.id in self.matches]
        return float(np.mean([self.patch.mask.size / photo.on_object.size for photo in carriers]))

    def on_object(self, photos: Sequence[Seen]) -> NDArray[np.float64]:
        """Share of its pattern, that is of |T|², in boxes of the class, in each photo that carries it."""
        pattern = np.square(self.patch.values, dtype=np.float64).sum(axis=0) / self.patch.energy
        shares = [(pattern * self._within(photo)).sum() for photo in photos if photo.id in self.matches]
        return np.array(shares, dtype=np.float64)

    def _within(self, photo: Seen) -> NDArray[np.bool_]:
        """Which of its pixels lie on the object in a photo that carries it."""
        match, (height, width) = self.matches[photo.id], self.patch.shape
        return photo.on_object[match.top : match.top + height, match.left : match.left + width]


def mine(
    shown: Sequence[Seen], others: Sequence[Seen], config: ArtefactConfig, grain: Grain, scale: float
) -> list[Candidate]:
    """The patches that recur most, each brought to its shape, none of them twice; strongest first.

    What turns out to be the object itself or a piece of ground is left out.

    Parameters
    ----------
    shown, others : sequence of Seen
        Photos of the class, and without it.
    config : ArtefactConfig
    grain : Grain
        Size of the patches.
    scale : float
        Working pixels in one of the photos'.
    """
    field = _Field(shown, others, config, grain, scale)
    seeds = _seeds(shown, config, grain.side)
    first = [*(field.at_its_place(patch) for patch in seeds), *(field.at_the_blobs(patch) for patch in seeds)]
    kept: list[Candidate] = []
    tried: list[Candidate] = []
    for found in sorted(filter(None, first), key=lambda item: -item.evidence):
        if len(kept) == config.max_suspects or len(tried) == _TRIES * config.max_suspects:
            break
        if any(_covered(found, other) for other in (*kept, *tried)):
            continue
        tried.append(found)
        grown = _grown(found, field)
        if grown is None or is_no_mark(grown, shown, config):
            continue
        if not any(_covered(grown, other) for other in kept):
            kept.append(grown)
    return kept


def is_no_mark(found: Candidate, shown: Sequence[Seen], config: ArtefactConfig) -> bool:
    """Whether it is ground, which covers much of a photo, or the object itself.

    A mark at a place of its own may lie on large objects in many photos, but then it lies off them in others.
    """
    shares = found.on_object(shown)
    stays = found.kind == "look" or float((shares < _OFF).mean()) < _SOMETIMES
    on_object = stays and float(shares.mean()) >= config.on_object
    return on_object or found.area(shown) > config.largest


def merged(fine: Sequence[Candidate], coarse: Sequence[Candidate], limit: int) -> list[Candidate]:
    """The strongest candidates of two scales.

    What both have seen is taken from the fine one, unless the coarse one sees it in clearly more photos.
    """
    kept = [
        item for item in fine if not any(_covered(item, other) and _in_more(other, item) for other in coarse)
    ]
    kept += [item for item in coarse if not any(_covered(item, other) for other in kept)]
    return sorted(kept, key=lambda item: -item.evidence)[:limit]


def _in_more(found: Candidate, other: Candidate) -> bool:
    return len(found.matches) >= _CLEARLY * len(other.matches)


def _seeds(shown: Sequence[Seen], config: ArtefactConfig, side: int) -> list[Patch]:
    """Patches at the densest blobs, dealt out photo by photo: every photo's first, then every second …"""
    ranked = [(rank, photo, blob) for photo in shown for rank, blob in enumerate(photo.blobs)]
    ranked.sort(key=lambda item: (item[0], -item[2].density))
    patches = (_seed(photo, blob, side) for _, photo, blob in ranked[: config.max_patches])
    return [patch for patch in patches if patch.energy > 0]


def _seed(photo: Seen, blob: Blob, side: int) -> Patch:
    """The square with the most pattern within the blob."""
    spare = max(blob.side - side, 0)
    corners = [
        (blob.top + down, blob.left + across)
        for down in range(0, spare + 1, 4)
        for across in range(0, spare + 1, 4)
    ]
    patches = [cut(photo.look, top, left, side, side) for top, left in corners]
    return max(patches, key=lambda patch: patch.energy)


class _Field:
    """The photos of a search, and the ways to look for a patch in them.

    Each way finds None where too few photos of the class carry the patch.
    """

    def __init__(
        self,
        shown: Sequence[Seen],
        others: Sequence[Seen],
        config: ArtefactConfig,
        grain: Grain,
        scale: float,
    ) -> None:
        self.shown, self.others, self.config = shown, others, config
        self.grain, self.scale = grain, scale
        self._shown_blobs = self._at_blobs(shown)
        self._other_blobs = [self._at_blobs(photos) for photos in _parts(others)]

    def _at_blobs(self, photos: Sequence[Seen]) -> Surroundings:
        side = self.grain.side
        return Surroundings(
            [photo.look for photo in photos],
            [_corners(photo, side) for photo in photos],
            (side, side),
            side // 2,
        )

    def at_its_place(self, patch: Patch) -> Candidate | None:
        """Where a patch recurs if it keeps its distance from a corner, a side or the middle."""
        elsewhere = (self._near_places(patch, photos) for photos in _parts(self.others))
        return self._candidate(patch, "place", self._near_places(patch, self.shown), elsewhere)

    def _near_places(self, patch: Patch, photos: Sequence[Seen]) -> list[Match]:
        places = [patch.places(photo.size) for photo in photos]
        return best_near(patch, [photo.look for photo in photos], places, self.grain.stray)

    def at_the_blobs(self, patch: Patch) -> Candidate | None:
        """Where a square patch recurs among the blobs of relevance."""
        elsewhere = (blobs.best(patch) for blobs in self._other_blobs)
        return self._candidate(patch, "look", self._shown_blobs.best(patch), elsewhere)

    def anywhere(self, patch: Patch) -> Candidate | None:
        """Where a patch recurs in the whole of the photos."""

        def best(photos: Sequence[Seen]) -> list[Match]:
            return [best_anywhere(patch, photo.look) for photo in photos]

        return self._candidate(patch, "look", best(self.shown), (best(part) for part in _parts(self.others)))

    def _candidate(
        self, patch: Patch, kind: Kind, here: Sequence[Match], elsewhere: Iterable[Sequence[Match]]
    ) -> Candidate | None:
        level = self._level(here, elsewhere)
        if level is None:
            return None
        matches = {
            photo.id: match for photo, match in zip(self.shown, here, strict=True) if match.similarity > level
        }
        # its own photo is no evidence
        evidence = sorted(match.similarity - level for match in matches.values())[:-1]
        return Candidate(
            patch=patch,
            kind=kind,
            level=level,
            matches=matches,
            evidence=float(sum(evidence)),
            grain=self.grain,
            scale=self.scale,
        )

    def _level(self, here: Sequence[Match], elsewhere: Iterable[Sequence[Match]]) -> float | None:
        """The level that the photos without the class set; None as soon as too few of the class lie above it.

        It is never below ``alike``. Photos not yet looked at count as the least alike that there are: with
        them the level can but rise.
        """
        if not self._enough(here, self.config.alike):
            return None
        similarities: list[float] = []
        for matches in elsewhere:
            similarities += [match.similarity for match in matches]
            unseen = [NO_MATCH.similarity] * (len(self.others) - len(similarities))
            if not self._enough(here, level_above(similarities + unseen, self.config.alike)):
                return None
        level = level_above(similarities, self.config.alike)
        return level if self._enough(here, level) else None

    def _enough(self, here: Sequence[Match], level: float) -> bool:
        return sum(match.similarity > level for match in here) >= self.config.min_photos


def _parts(photos: Sequence[Seen]) -> list[Sequence[Seen]]:
    return [photos[start : start + _AT_A_TIME] for start in range(0, len(photos), _AT_A_TIME)]


def _corners(photo: Seen, side: int) -> list[Place]:
    """The places at which a square patch lies in the middle of a blob."""
    return [(blob.top + (blob.side - side) // 2, blob.left + (blob.side - side) // 2) for blob in photo.blobs]


def level_above(similarities: Sequence[float], least: float) -> float:
    """A level clear of nearly all similarities of photos without the class, and not below ``least``."""
    if not similarities:
        return least + _MARGIN
    return max(least, float(np.quantile(similarities, _QUANTILE)) + _MARGIN)


def _grown(found: Candidate, field: _Field) -> Candidate | None:
    """Shape, mean look, and the photos that carry it, in turns; None where nothing is left of it."""
    for _ in range(_TURNS):
        carriers = [photo for photo in field.shown if photo.id in found.matches]
        matches = [found.matches[photo.id] for photo in carriers]
        patch = shaped([photo.look for photo in carriers], matches, found.patch, field.grain)
        if patch is None:
            return None
        again = field.at_its_place(patch) if found.kind == "place" else field.anywhere(patch)
        if again is None:
            return None
        found = again
    if found.kind == "look" and _in_place(found, field.shown):
        return field.at_its_place(found.patch)
    return found


def _in_place(found: Candidate, shown: Sequence[Seen]) -> bool:
    """Whether nearly all photos carry it at the same place."""
    sizes = {photo.id: photo.size for photo in shown}
    near = sum(
        any(
            max(abs(match.top - top), abs(match.left - left)) <= found.grain.stray
            for top, left in found.patch.places(sizes[image])
        )
        for image, match in found.matches.items()
    )
    return near >= _IN_PLACE * len(found.matches)


def _covered(found: Candidate, other: Candidate) -> bool:
    """Whether most photos of one carry the other at much the same spot."""
    both = found.matches.keys() & other.matches.keys()
    near = [image for image in both if found.box(image).common(other.box(image)) > 0]
    return 2 * len(near) >= min(len(found.matches), len(other.matches))
