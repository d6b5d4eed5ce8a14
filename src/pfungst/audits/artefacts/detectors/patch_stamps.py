r"""A patch lifted off one photo, to be pasted into another.

Over the photos that carry it, the values of an opaque mark do not vary, those of a transparent one vary as
the ground does. With the grounds g filled in from around the mark,

    α = 1 − sqrt(Var J / Var g),     J' = J + (1 − α)(g' − g)

turns the mark J on its ground g into the mark on another ground g'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.suspects import Carrier, Edits
from pfungst.audits.editing import removal_edits
from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Edit
from pfungst.images.rectangles import Region

_ENOUGH_PHOTOS = 6
_STEADY = 4.0
Spot = Callable[[tuple[int, int], Sequence[int], np.random.Generator], Region]
"""From a shape, a photo's size and a generator to where a thing of that shape belongs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchStamp:
    """A mark, the ground it was lifted off, and a control cut from elsewhere in the same photo.

    Attributes
    ----------
    spot : callable
        Where it is pasted.
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

    spot: Spot
    image: str
    region: Region
    mark: NDArray[np.float32]
    ground: NDArray[np.float32]
    control: NDArray[np.float32]
    control_ground: NDArray[np.float32]
    alpha: NDArray[np.float32]
    cover: NDArray[np.float32]

    @property
    def has_control(self) -> bool:
        """Whether there is a control."""
        return self.control.size > 0

    @property
    def regions(self) -> tuple[Region, ...]:
        """Where it was seen."""
        return (self.region,)

    def pasted(self, image: ImageArray, generator: np.random.Generator) -> tuple[Edits, Edits] | None:
        """Edits that paste the mark, and the control, at its place in a photo; None if it is too small."""
        size = image.shape[0], image.shape[1]
        if self.region.shape[0] > size[0] or self.region.shape[1] > size[1]:
            return None
        place = self.spot(self.region.shape, size, generator)
        below = place.crop(image).astype(np.float32)
        mark = self._upon(below, self.mark, self.ground)
        control = self._upon(below, self.control, self.control_ground) if self.has_control else None
        return (_edit(place, mark),), () if control is None else (_edit(place, control),)

    def _upon(
        self, below: NDArray[np.float32], mark: NDArray[np.float32], ground: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        upon = mark + (1 - self.alpha[..., None]) * (below - ground)
        pasted: NDArray[np.float32] = below + self.cover[..., None] * (upon - below)
        return pasted


def _edit(place: Region, pixels: NDArray[np.float32]) -> Edit:
    rounded = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return Edit(top=place.top, left=place.left, pixels=rounded)


def lifted(
    mask: NDArray[np.bool_],
    spot: Spot,
    source: Carrier,
    control: Region | None,
    carriers: Sequence[Carrier],
) -> PatchStamp:
    """The stamp of a patch from the photo that shows it best.

    Parameters
    ----------
    mask : (height, width) bool
        The patch's shape, at any scale.
    spot : callable
        Where it belongs in another photo.
    source : Carrier
    control : Region or None
        A rectangle of the same shape elsewhere in the photo.
    carriers : sequence of Carrier
        Photos that carry it, for its opacity.
    """
    region = source.found.regions[0]
    mark, ground = _lift(source.image, region)
    nothing = np.zeros((0, 0, 3), dtype=np.float32)
    other, other_ground = (nothing, nothing) if control is None else _lift(source.image, control)
    return PatchStamp(
        spot=spot,
        image=source.found.image,
        region=region,
        mark=mark,
        ground=ground,
        control=other,
        control_ground=other_ground,
        alpha=_opacity(carriers, region),
        cover=_cover(mask, region),
    )


def _lift(image: ImageArray, region: Region) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The pixels of a rectangle, and its surroundings filled in over it."""
    fill = removal_edits(image, [region])[0].pixels
    return region.crop(image).astype(np.float32), fill.astype(np.float32)


def _opacity(carriers: Sequence[Carrier], region: Region) -> NDArray[np.float32]:
    """α of each pixel; 1 where too few photos tell."""
    from scipy.ndimage import uniform_filter

    lifts = [
        _lift(carrier.image, carrier.found.regions[0])
        for carrier in carriers
        if carrier.found.regions[0].shape == region.shape
    ]
    if len(lifts) < _ENOUGH_PHOTOS:
        return np.ones(region.shape, dtype=np.float32)
    marks, grounds = (np.stack([pair[which].mean(axis=2) for pair in lifts]) for which in (0, 1))
    varied = uniform_filter(marks.var(axis=0), 3)
    expected = uniform_filter(grounds.var(axis=0), 3) + _STEADY
    alpha: NDArray[np.float32] = np.clip(1 - np.sqrt(varied / expected), 0, 1).astype(np.float32)
    return alpha


def _cover(mask: NDArray[np.bool_], region: Region) -> NDArray[np.float32]:
    """The patch's mask at the size of the region, its rim soft."""
    from PIL import Image
    from scipy.ndimage import binary_dilation, uniform_filter

    height, width = region.shape
    drawn = Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height))
    wide = binary_dilation(np.asarray(drawn) > 127, iterations=2)
    cover: NDArray[np.float32] = uniform_filter(wide.astype(np.float32), 3, mode="nearest")
    return cover
