"""Which patches of relevance recur: in place or in look, in a share of the class's photos and hardly elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pfungst.audit.artefacts.config import ArtefactConfig
from pfungst.audit.artefacts.features import Look
from pfungst.audit.artefacts.matching import Match, Matcher, Patch, Place, best_near, cut
from pfungst.audit.artefacts.proposals import Blob
from pfungst.audit.artefacts.shaping import shaped

REACH = 6
"""Working pixels by which a thing may stray from its place."""

_MARGIN, _QUANTILE = 0.1, 0.95
_TURNS = 2
Kind = Literal["place", "look"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """A photo that patches are searched in: its look and its blobs of relevance."""

    id: str
    look: Look
    blobs: Sequence[Blob]

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
    """

    patch: Patch
    kind: Kind
    level: float
    matches: dict[str, Match]
    evidence: float


def mine(shown: Sequence[Seen], others: Sequence[Seen], config: ArtefactConfig) -> list[Candidate]:
    """The patches that recur most, each brought to its shape, none of them twice; strongest first."""
    first = [
        _assessed(patch, kind, shown, others, config)
        for patch in _seeds(shown, config)
        for kind in ("place", "look")
    ]
    first = [found for found in first if len(found.matches) >= config.min_photos]
    kept: list[Candidate] = []
    for found in sorted(first, key=lambda item: -item.evidence):
        if len(kept) == config.max_suspects:
            break
        if any(_covered(found, other) for other in kept):
            continue
        grown = _grown(found, shown, others, config)
        if grown is not None and not any(_covered(grown, other) for other in kept):
            kept.append(grown)
    return kept


def _seeds(shown: Sequence[Seen], config: ArtefactConfig) -> list[Patch]:
    """Patches at the densest blobs, dealt out photo by photo: every photo's first, then every second …"""
    ranked = [(rank, photo, blob) for photo in shown for rank, blob in enumerate(photo.blobs)]
    ranked.sort(key=lambda item: (item[0], -item[2].density))
    patches = (_seed(photo, blob, config.window) for _, photo, blob in ranked[: config.max_patches])
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


def _assessed(
    patch: Patch, kind: Kind, shown: Sequence[Seen], others: Sequence[Seen], config: ArtefactConfig
) -> Candidate:
    """Where a patch recurs if it is sought at its place, or at the blobs of relevance."""
    reach = REACH if kind == "place" else config.window // 2
    here = _near(patch, kind, shown, reach)
    return _candidate(patch, kind, shown, here, _near(patch, kind, others, reach), config)


def _near(patch: Patch, kind: Kind, photos: Sequence[Seen], reach: int) -> list[Match]:
    places = [patch.places(photo.size) if kind == "place" else _corners(photo, patch) for photo in photos]
    return best_near(patch, [photo.look for photo in photos], places, reach)


def _corners(photo: Seen, patch: Patch) -> list[Place]:
    """The places at which a patch lies in the middle of a blob."""
    return [
        (blob.top + (blob.side - patch.shape[0]) // 2, blob.left + (blob.side - patch.shape[1]) // 2)
        for blob in photo.blobs
    ]


def _candidate(
    patch: Patch,
    kind: Kind,
    shown: Sequence[Seen],
    here: Sequence[Match],
    elsewhere: Sequence[Match],
    config: ArtefactConfig,
) -> Candidate:
    level = level_above([match.similarity for match in elsewhere], config.alike)
    matches = {
        photo.id: match for photo, match in zip(shown, here, strict=True) if match.similarity > level
    }
    # its own photo is no evidence
    evidence = sorted(match.similarity - level for match in matches.values())[:-1]
    return Candidate(patch=patch, kind=kind, level=level, matches=matches, evidence=float(sum(evidence)))


def level_above(similarities: Sequence[float], least: float) -> float:
    """A level clear of nearly all similarities of photos without the class, and not below ``least``."""
    if not similarities:
        return least + _MARGIN
    return max(least, float(np.quantile(similarities, _QUANTILE)) + _MARGIN)


def _grown(
    found: Candidate, shown: Sequence[Seen], others: Sequence[Seen], config: ArtefactConfig
) -> Candidate | None:
    """Shape, mean look, and the photos that carry it, in turns; None where nothing is left of it."""
    for _ in range(_TURNS):
        carriers = [photo for photo in shown if photo.id in found.matches]
        cut_out = shaped(
            [photo.look for photo in carriers], [found.matches[photo.id] for photo in carriers], found.patch
        )
        if cut_out is None:
            return None
        found = _sought(cut_out[0], found.kind, shown, others, config)
        if len(found.matches) < config.min_photos:
            return None
    return found


def _sought(
    patch: Patch, kind: Kind, shown: Sequence[Seen], others: Sequence[Seen], config: ArtefactConfig
) -> Candidate:
    """Where a shaped patch recurs: at its place, or anywhere in a photo."""
    if kind == "place":
        return _assessed(patch, kind, shown, others, config)
    matcher = Matcher([patch])
    here, elsewhere = ([matcher.best(photo.look)[0] for photo in photos] for photos in (shown, others))
    return _candidate(patch, kind, shown, here, elsewhere, config)


def _covered(found: Candidate, other: Candidate) -> bool:
    """Whether most photos of one carry the other at much the same spot."""
    both = found.matches.keys() & other.matches.keys()
    near = [image for image in both if _overlapping(found, other, image)]
    return 2 * len(near) >= min(len(found.matches), len(other.matches))


def _overlapping(found: Candidate, other: Candidate, image: str) -> bool:
    one, two = found.matches[image], other.matches[image]
    down = min(one.top + found.patch.shape[0], two.top + other.patch.shape[0]) - max(one.top, two.top)
    across = min(one.left + found.patch.shape[1], two.left + other.patch.shape[1]) - max(one.left, two.left)
    return down > 0 and across > 0
