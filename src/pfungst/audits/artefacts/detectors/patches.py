"""Patches of relevance as suspects: found where they recur in the photos of a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.detectors.growing import Margins, growth_of, widened
from pfungst.audits.artefacts.detectors.patch_stamps import PatchStamp, lifted
from pfungst.audits.artefacts.photos import ClassPhotos, SearchedPhoto
from pfungst.audits.artefacts.search.features import packed
from pfungst.audits.artefacts.search.matching import Match, Patch, best_anywhere, best_near
from pfungst.audits.artefacts.search.mining import Candidate, Seen, merged, mine
from pfungst.audits.artefacts.search.shaping import Grain
from pfungst.audits.artefacts.suspects import Arrays, Carrier, Occurrence, Place, Suspect
from pfungst.images.rectangles import Region

COARSER = 3.0
"""How much coarser the second scale is."""
RIM = 2
"""Pixels of the photo around a suspect that belong to it: blur and ringing."""
_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "", "right")


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchSuspect(Suspect):
    """A patch that recurs.

    Attributes
    ----------
    kind : {"place", "look"}
        At one place, or anywhere with one look.
    patch : Patch
    scale : float
        Working pixels in one of the photo's.
    stray : int
        Working pixels by which it may stray from its place.
    margins : (int, int, int, int)
        Pixels of the photo by which it is larger than the patch, above, left, below, right.
    """

    patch: Patch
    scale: float
    stray: int
    margins: Margins = (0, 0, 0, 0)

    def grown(self, carriers: Sequence[Carrier], largest: float) -> Self:
        """Its rectangle as far as the photos that carry it agree."""
        growth = growth_of([(carrier.image, carrier.found.regions[0]) for carrier in carriers], largest)
        return replace(self, margins=growth.margins, remains=growth.remains)

    def whole(self, found: Occurrence, size: tuple[int, int]) -> Occurrence:
        """With the margins by which it has grown."""
        return replace(found, regions=tuple(widened(item, self.margins, size) for item in found.regions))

    def place(self, photo: SearchedPhoto) -> Place:
        """Its best match in the photo, near its place if it has one."""
        there = photo.look(self.scale)
        if self.kind == "look":
            match = best_anywhere(self.patch, there)
        else:
            places = self.patch.places((there.shape[1], there.shape[2]))
            match = best_near(self.patch, [there], [places], self.stray)[0]
        return Place(match.similarity, (self._region(match, photo.size),))

    def _region(self, match: Match, size: Sequence[int]) -> Region:
        """The rectangle of a match with its rim, in pixels of the photo."""
        height, width = self.patch.shape
        edges = match.top, match.left, match.top + height, match.left + width
        top, left, bottom, right = (round(edge / self.scale) for edge in edges)
        return Region(
            top=max(top - RIM, 0),
            left=max(left - RIM, 0),
            bottom=min(bottom + RIM, size[0]),
            right=min(right + RIM, size[1]),
        )

    def stamp(self, carriers: Sequence[Carrier], random_state: int) -> PatchStamp:
        """Lifted off the photos that show it best, first of those that have room for a control."""
        controls = [self.control_places(carrier, random_state) for carrier in carriers]
        sources = [
            (carrier, control[0] if control else None)
            for carrier, control in zip(carriers, controls, strict=True)
        ]
        roomy = [source for source in sources if source[1] is not None]
        mask = self._mask(carriers[0].found.regions[0].shape)
        return lifted(mask, roomy or sources[:1], carriers)

    def _mask(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Its shape in a rectangle that it fills: the patch's, and all that it has grown by."""
        above, left, below, right = self.margins
        if not any(self.margins):
            return self.patch.mask
        inner = max(shape[0] - above - below, 1), max(shape[1] - left - right, 1)
        drawn = Image.fromarray(self.patch.mask).resize((inner[1], inner[0]))
        return np.pad(np.asarray(drawn), ((above, below), (left, right)), constant_values=True)

    def words(self) -> str:
        """Such as "lower left corner"."""
        if self.kind == "look":
            return "anywhere in the photo"
        patch = self.patch
        thirds = [
            int(np.clip(3 * (start + side / 2) / whole, 0, 2))
            for start, side, whole in zip((patch.top, patch.left), patch.shape, patch.size, strict=True)
        ]
        row, column = _ROWS[thirds[0]], _COLUMNS[thirds[1]]
        if row and column:
            return f"{row} {column} corner"
        return f"{row or column} side" if row or column else "middle of the photo"

    def record(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Its numbers, its template and its mask."""
        patch = self.patch
        numbers: dict[str, Any] = {"level": self.level, "scale": self.scale, "stray": self.stray}
        numbers["tried"] = self.tried
        numbers |= {"top": patch.top, "left": patch.left, "size": list(patch.size)}
        return numbers, {"values": patch.values, "mask": patch.mask}


class PatchDetector:
    """Finds patches of relevance that recur, at two scales."""

    name = "patch"

    def find(self, photos: ClassPhotos, config: ArtefactConfig) -> list[PatchSuspect]:
        """The patches that recur most clearly: sharp marks, and lines of changing letters."""
        return [
            PatchSuspect(
                class_name=photos.class_name,
                kind=candidate.kind,
                patch=candidate.patch,
                level=candidate.level,
                scale=candidate.scale,
                stray=candidate.grain.stray,
                tried=_tried(photos, config),
            )
            for candidate in _candidates(photos, config)
        ]

    def restored(self, numbers: Mapping[str, Any], arrays: Arrays) -> PatchSuspect:
        """From a record."""
        patch = Patch(
            values=arrays["values"],
            mask=arrays["mask"],
            top=numbers["top"],
            left=numbers["left"],
            size=tuple(numbers["size"]),
        )
        return PatchSuspect(
            class_name=numbers["class"],
            kind=numbers["kind"],
            patch=patch,
            level=numbers["level"],
            scale=numbers["scale"],
            stray=numbers["stray"],
            tried=numbers["tried"],
        )


def _tried(photos: ClassPhotos, config: ArtefactConfig) -> int:
    """Patches that are looked for, at two scales."""
    return 2 * min(config.max_patches, max(sum(len(photo.blobs) for photo in photos.shown), 1))


def _candidates(photos: ClassPhotos, config: ArtefactConfig) -> list[Candidate]:
    """Of two scales: sharp marks on the fine one, lines of changing letters on the coarse one."""
    scales = []
    for window, coarser in ((config.window, 1.0), (config.window // 2, COARSER)):
        scale = photos.scale / coarser
        shown, others = (
            [_seen(photo, photos.class_name, scale, coarser) for photo in group]
            for group in (photos.shown, photos.others)
        )
        scales.append(mine(shown, others, config, Grain(window), scale))
    return merged(scales[0], scales[1], config.max_suspects)


def _seen(photo: SearchedPhoto, class_name: str, scale: float, coarser: float) -> Seen:
    """A photo at one scale, so much coarser than that of its blobs."""
    pattern = packed(photo.look(scale))
    shape = pattern.shape[1:]
    return Seen(
        id=photo.record.id,
        look=pattern,
        blobs=[blob.scaled(1 / coarser, *shape) for blob in photo.blobs],
        on_object=sampled_mask(photo.on_object(class_name), shape, scale),
    )


def sampled_mask(mask: NDArray[np.bool_], shape: Sequence[int], scale: float) -> NDArray[np.bool_]:
    """A photo's mask at the middles of its working pixels."""
    rows, columns = (
        np.minimum(((np.arange(length) + 0.5) / scale).astype(int), limit - 1)
        for length, limit in zip(shape, mask.shape, strict=True)
    )
    sampled: NDArray[np.bool_] = mask[np.ix_(rows, columns)]
    return sampled
