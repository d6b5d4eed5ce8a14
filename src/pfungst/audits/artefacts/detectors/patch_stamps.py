r"""A patch lifted off the photos that carry it, to be pasted into others.

Over the photos that carry it, the values of an opaque mark do not vary, those of a transparent one vary as
the ground does. With J the aligned copies, g their grounds filled in from around the mark, and τ² the
variance of what is around it,

    α = 1 − sqrt(Var J / (Var g + τ²)),     J' = J + (1 − α)(g' − g)

turns the mark J on its ground g into the mark on another ground g'. That holds only where the copies agree
(:mod:`pfungst.audits.artefacts.detectors.aligning`); elsewhere their variance is that of marks that differ,
and the mark is pasted as it is. Where the copies differ in most of what they show (dates, codes), several
carriers' own marks are pasted, one into each photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.detectors.aligning import Copy, agreement, copies_of
from pfungst.audits.artefacts.suspects import Carrier, Edits
from pfungst.audits.editing import removal_edits
from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Edit
from pfungst.images.rectangles import Region

_ENOUGH_PHOTOS = 6
_STEADY = 4.0
_DIFFERING = 0.3
_MOST_PIECES = 6
_LUMINANCE = np.array([0.299, 0.587, 0.114])
Pixels = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """A carrier's own mark, the ground it was lifted off, and a control cut from elsewhere in its photo.

    Attributes
    ----------
    image : str
        The photo it comes from.
    region : Region
        Where it lies there.
    mark, ground : (height, width, 3) float32
    control, control_ground : (height, width, 3) float32
        The same of the control place; empty where there was no room for one.
    alpha, cover : (height, width) float32
        Opacity; and what belongs to the mark at all.
    """

    image: str
    region: Region
    mark: Pixels
    ground: Pixels
    control: Pixels
    control_ground: Pixels
    alpha: Pixels
    cover: Pixels

    def edits(self, image: ImageArray, place: Region) -> tuple[Edits, Edits]:
        """The mark at a place in a photo, and the control there (empty where there is none)."""
        below = place.crop(image).astype(np.float32)
        mark = _edit(place, self._upon(below, self.mark, self.ground))
        if not self.control.size:
            return (mark,), ()
        return (mark,), (_edit(place, self._upon(below, self.control, self.control_ground)),)

    def _upon(self, below: Pixels, mark: Pixels, ground: Pixels) -> Pixels:
        upon = mark + (1 - self.alpha[..., None]) * (below - ground)
        pasted: Pixels = below + self.cover[..., None] * (upon - below)
        return pasted


@dataclass(frozen=True, kw_only=True, eq=False)
class Spot:
    """Where a carrier has the mark: how far from the nearest edges, or at which share of the room between.

    Attributes
    ----------
    region : Region
    size : (int, int)
        ``(height, width)`` of that photo.
    """

    region: Region
    size: tuple[int, int]

    def place(self, shape: tuple[int, int], size: tuple[int, int]) -> Region:
        """The like place for something of a shape in another photo."""
        top = _like(self.region.top, self.region.shape[0], self.size[0], shape[0], size[0])
        left = _like(self.region.left, self.region.shape[1], self.size[1], shape[1], size[1])
        return Region(top=top, left=left, bottom=top + shape[0], right=left + shape[1])


def _like(start: int, length: int, whole: int, wanted: int, room: int) -> int:
    """In the outer thirds as far from that edge; between them at the same share of the room."""
    centre, rest = start + length / 2, whole - (start + length)
    if 3 * centre < whole:
        found = float(start)
    elif 3 * centre > 2 * whole:
        found = float(room - rest - wanted)
    else:
        found = centre / whole * room - wanted / 2
    return min(max(round(found), 0), room - wanted)


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchStamp:
    """Pieces, one of which is pasted into each photo, at a place where some carrier has its own."""

    pieces: tuple[Piece, ...]
    spots: tuple[Spot, ...]

    @property
    def image(self) -> str:
        """The photo that it is shown by."""
        return self.pieces[0].image

    @property
    def regions(self) -> tuple[Region, ...]:
        """Where it was seen."""
        return (self.pieces[0].region,)

    def pasted(self, image: ImageArray, generator: np.random.Generator) -> tuple[Edits, Edits] | None:
        """Edits that paste the mark, and the control, at its place in a photo; None if it is too small."""
        size = image.shape[0], image.shape[1]
        piece = self.pieces[int(generator.integers(len(self.pieces)))]
        shape = piece.mark.shape[0], piece.mark.shape[1]
        if shape[0] > size[0] or shape[1] > size[1]:
            return None
        spot = self.spots[int(generator.integers(len(self.spots)))]
        return piece.edits(image, spot.place(shape, size))


def _edit(place: Region, pixels: Pixels) -> Edit:
    rounded = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return Edit(top=place.top, left=place.left, pixels=rounded)


def lifted(
    mask: NDArray[np.bool_], sources: Sequence[tuple[Carrier, Region | None]], carriers: Sequence[Carrier]
) -> PatchStamp:
    """The stamp of a patch.

    Parameters
    ----------
    mask : (height, width) bool
        The patch's shape, at any scale.
    sources : sequence of (Carrier, Region or None)
        Photos that it may be lifted off, the one that shows it best first, each with a rectangle of the same
        shape elsewhere in it for the control.
    carriers : sequence of Carrier
        Photos that carry it, for its opacity and its places.
    """
    first = sources[0][0]
    copies = copies_of(_seen(first), [_seen(other) for other in carriers if other is not first])
    agree = agreement(copies)
    cover = _cover(mask, first.found.regions[0])
    if _share_differing(copies, agree, cover) > _DIFFERING:
        pieces = tuple(_piece(mask, *source, None) for source in sources[:_MOST_PIECES])
    else:
        pieces = (_piece(mask, *sources[0], np.where(agree, _opacity(copies), 1.0).astype(np.float32)),)
    spots = tuple(
        Spot(region=carrier.found.regions[0], size=(carrier.image.shape[0], carrier.image.shape[1]))
        for carrier in carriers
    )
    return PatchStamp(pieces=pieces, spots=spots)


def _seen(carrier: Carrier) -> tuple[ImageArray, Region]:
    return carrier.image, carrier.found.regions[0]


def _share_differing(copies: Sequence[Copy], agree: NDArray[np.bool_], cover: Pixels) -> float:
    """Of the sharp structure under the mark's shape, the part that lies where the copies disagree."""
    marks = np.stack([copy.mark @ _LUMINANCE for copy in copies])
    energy = marks.var(axis=0) * cover
    total = float(energy.sum())
    return float((energy * ~agree).sum()) / total if total > 0 else 0.0


def _piece(mask: NDArray[np.bool_], source: Carrier, control: Region | None, alpha: Pixels | None) -> Piece:
    region = source.found.regions[0]
    mark, ground = _lift(source.image, region)
    nothing = np.zeros((0, 0, 3), dtype=np.float32)
    other, other_ground = (nothing, nothing) if control is None else _lift(source.image, control)
    return Piece(
        image=source.found.image,
        region=region,
        mark=mark,
        ground=ground,
        control=other,
        control_ground=other_ground,
        alpha=np.ones(region.shape, dtype=np.float32) if alpha is None else alpha,
        cover=_cover(mask, region),
    )


def _lift(image: ImageArray, region: Region) -> tuple[Pixels, Pixels]:
    """The pixels of a rectangle, and its surroundings filled in over it."""
    fill = removal_edits(image, [region])[0].pixels
    return region.crop(image).astype(np.float32), fill.astype(np.float32)


def _opacity(copies: Sequence[Copy]) -> Pixels:
    """α of each pixel; 1 where too few photos tell."""
    from scipy.ndimage import uniform_filter

    if len(copies) < _ENOUGH_PHOTOS:
        return np.ones(copies[0].mark.shape[:2], dtype=np.float32)
    marks, grounds = (
        np.stack([getattr(copy, which) @ _LUMINANCE for copy in copies]) for which in ("mark", "ground")
    )
    texture = float(np.mean([copy.variance for copy in copies]))
    varied = np.maximum(uniform_filter(marks.var(axis=0), 3), 0)
    expected = uniform_filter(grounds.var(axis=0), 3) + texture + _STEADY
    alpha: Pixels = np.clip(1 - np.sqrt(varied / expected), 0, 1).astype(np.float32)
    return alpha


def _cover(mask: NDArray[np.bool_], region: Region) -> Pixels:
    """The patch's mask at the size of the region, its rim soft."""
    from PIL import Image
    from scipy.ndimage import binary_dilation, uniform_filter

    height, width = region.shape
    drawn = Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height))
    wide = binary_dilation(np.asarray(drawn) > 127, iterations=2)
    cover: Pixels = uniform_filter(wide.astype(np.float32), 3, mode="nearest")
    return cover
