"""One heatmap against its class's boxes: relevance on the object, off it, and in a control region off it.

A survey measures every photo once (:mod:`pfungst.audits.survey`);
:mod:`pfungst.audits.context.measuring` makes class tables of these records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.editing import removal_edits
from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Edit
from pfungst.errors import ConfigError
from pfungst.evaluation.localisation import Localisation, localise
from pfungst.evaluation.orders import generator_for
from pfungst.images.rectangles import Box, Region, mask_of

CONTROL_OVERLAP = 0.1
"""Largest share of a control rectangle that may lie on the object or on another control rectangle."""

OBJECT, CONTROL = "object", "control"
NOTHING = ""
"""In place of a class: the photo has no object whose place is known, an area of usual size is filled in."""
EditedScores = Mapping[tuple[str, str], NDArray[np.float64]]
"""f(x) of all classes ``(n_classes,)`` after :data:`OBJECT` or :data:`CONTROL` was filled in, by the class
whose object it is and which."""


@dataclass(frozen=True, kw_only=True)
class ContextConfig:
    """How the surroundings of objects are measured.

    Attributes
    ----------
    edits : bool
        Also score each photo with its object filled in from its surroundings, and with an equal area off it.
    margin : float
        Width of the rim around a box that is filled in with it, as a share of the box's mean side (the root
        of its area): edges and shadows just outside a box would give the object away.
    random_state : int
        Seed of the control regions.
    """

    edits: bool = True
    margin: float = 0.0
    random_state: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.margin <= 1:
            raise ConfigError(f"margin = {self.margin}", allowed="0 to 1")


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """What lies in a part of a photo.

    Attributes
    ----------
    pixels : int
        Number of pixels.
    positive, signed : float
        Sum of R⁺ and of R over them.
    """

    pixels: int
    positive: float
    signed: float


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """One heatmap of one photo against the boxes of its class.

    Attributes
    ----------
    inside, outside : Amounts
        In the union of the class's boxes (difficult ones among them), and in the rest of the photo.
    control : Amounts or None
        In rectangles of the boxes' shapes off the object; None where there is no room.
    localisation : Localisation
    without_object, without_control : float
        f(x) after the object (an equal area off it) was filled in; NaN where that was not done.
    """

    inside: Amounts
    outside: Amounts
    localisation: Localisation
    control: Amounts | None = None
    without_object: float = float("nan")
    without_control: float = float("nan")

    @property
    def whole(self) -> Amounts:
        """What lies in the photo."""
        inside, outside = self.inside, self.outside
        return Amounts(
            pixels=inside.pixels + outside.pixels,
            positive=inside.positive + outside.positive,
            signed=inside.signed + outside.signed,
        )

    @property
    def usable(self) -> bool:
        """Whether there are pixels on and off the object, and any positive relevance."""
        return self.inside.pixels > 0 and self.outside.pixels > 0 and self.whole.positive > 0

    @property
    def ratio(self) -> float:
        """μ of positive relevance in one photo; infinite where none lies on the object."""
        inside, outside = self.density(self.inside), self.density(self.outside)
        return outside / inside if inside > 0 else float("inf")

    def density(self, part: Amounts, *, signed: bool = False) -> float:
        """R⁺ per pixel in a part over R⁺ per pixel in the photo; signed: R per pixel over |R| per pixel."""
        whole = self.whole
        if signed:
            magnitude = 2 * whole.positive - whole.signed  # Σ|R| = 2 Σ R⁺ − Σ R
            return part.signed / part.pixels / (magnitude / whole.pixels)
        return part.positive / part.pixels / (whole.positive / whole.pixels)


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """Where the object of a class is in a photo, and the control region off it.

    Attributes
    ----------
    inside : (height, width) bool
        The union of the class's boxes.
    object : tuple of Region
        The boxes with their rims, in whole pixels.
    control : tuple of Region
        As many rectangles of the same shapes off the object; empty where there is no room.
    source : tuple of Region
        As many again, off the object and the control region, whose pixels fill both; empty likewise.
    """

    inside: NDArray[np.bool_]
    object: tuple[Region, ...]
    control: tuple[Region, ...]
    source: tuple[Region, ...]


def planned_edits(image: ImageArray, places: Mapping[str, Places]) -> dict[tuple[str, str], tuple[Edit, ...]]:
    """What is to be scored for each class: its ``"object"`` filled in, and its ``"control"`` region.

    Both are filled with pixels from the same place off the object. Where there is none, there is no control,
    and the object is filled by what room there is: the control region's pixels, or a smooth surface. An
    object that covers the whole photo leaves nothing to fill it in from.
    """
    edits = {}
    for name, place in places.items():
        if place.object and not place.inside.all():
            edits[name, OBJECT] = removal_edits(image, place.object, place.source or place.control)
        if place.source:
            edits[name, CONTROL] = removal_edits(image, place.control, place.source)
    return edits


def find_places(
    boxes: Sequence[Box], height: int, width: int, config: ContextConfig, *, image_id: str = ""
) -> Places | None:
    """Object and control region of one class in one photo; None where the boxes hold no pixel.

    The control region depends on the seed, the photo's id and the class alone.
    """
    inside = mask_of(tuple(boxes), height, width)
    if not inside.any():
        return None
    regions = tuple(_widened(box, config.margin, height, width).pixels(height, width) for box in boxes)
    regions = tuple(
        sorted((item for item in regions if min(item.shape) > 0), key=lambda item: -np.prod(item.shape))
    )
    generator = generator_for(config.random_state, image_id, boxes[0].class_name, "control")
    control = control_regions(regions, inside, generator)
    taken = inside | mask_of(control, height, width)
    source = control_regions(regions, taken, generator) if control else ()
    return Places(inside=inside, object=regions, control=control, source=source)


def usual_place(
    shape: tuple[int, int], height: int, width: int, config: ContextConfig, *, image_id: str = ""
) -> Places | None:
    """Of a photo without a known object: a rectangle of a usual shape as the control, and what fills it.

    At most half as high and as wide as the photo; None where that leaves nothing.
    """
    rows, columns = min(shape[0], height // 2), min(shape[1], width // 2)
    if not rows or not columns:
        return None
    generator = generator_for(config.random_state, image_id, NOTHING, "control")
    inside = np.zeros((height, width), dtype=bool)
    wanted = (Region(top=0, left=0, bottom=rows, right=columns),)
    control = control_regions(wanted, inside, generator)
    source = control_regions(wanted, mask_of(control, height, width), generator)
    return Places(inside=inside, object=(), control=control, source=source)


def _widened(box: Box, margin: float, height: int, width: int) -> Box:
    rim = margin * box.area**0.5
    wide = box.widened(rim)
    return wide.clipped(height, width) or box


def control_regions(
    regions: Sequence[Region], inside: NDArray[np.bool_], generator: np.random.Generator
) -> tuple[Region, ...]:
    """Rectangles of the same shapes off the object and off each other, placed one after the other.

    Each goes to a random place among those with the smallest overlap; so the largest should come first.

    Parameters
    ----------
    regions : sequence of Region
        Whose shapes are taken.
    inside : (height, width) bool
        What to stay off.
    generator : numpy.random.Generator

    Returns
    -------
    tuple of Region
        As many; none if one of them has no place with an overlap of at most :data:`CONTROL_OVERLAP`.
    """
    taken, placed = inside.copy(), []
    for region in regions:
        place = _least_covered(taken, region.shape, generator)
        if place is None:
            return ()
        taken[place.top : place.bottom, place.left : place.right] = True
        placed.append(place)
    return tuple(placed)


def _least_covered(
    taken: NDArray[np.bool_], shape: tuple[int, int], generator: np.random.Generator
) -> Region | None:
    height, width = shape
    sums = np.pad(np.cumsum(np.cumsum(taken, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0)))
    covered = (
        sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    )
    if covered.min() > CONTROL_OVERLAP * height * width:
        return None
    choices = np.argwhere(covered == covered.min())
    top, left = (int(value) for value in choices[generator.integers(len(choices))])
    return Region(top=top, left=left, bottom=top + height, right=left + width)


def measured_surroundings(
    relevance: NDArray[np.floating],
    boxes: Sequence[Box],
    places: Places,
    after: Mapping[str, float],
) -> Surroundings:
    """Sums of relevance on and off the object, the heatmap's localisation scores, f(x) after the edits.

    Pixels of the control region that lie on the object are left out of it. ``after`` is named as
    :class:`Surroundings` names it (:func:`own_scores`).
    """
    control = mask_of(places.control, *places.inside.shape) & ~places.inside
    return Surroundings(
        inside=_amounts(relevance, places.inside),
        outside=_amounts(relevance, ~places.inside),
        control=_amounts(relevance, control) if places.control else None,
        localisation=localise(relevance, tuple(boxes)),
        **after,
    )


def own_scores(name: str, column: int, after: EditedScores) -> dict[str, float]:
    """A class's own scores after the edits as :class:`Surroundings` names them; NaN where there was none."""
    return {
        f"without_{part}": float(after[name, part][column]) if (name, part) in after else float("nan")
        for part in (OBJECT, CONTROL)
    }


def _amounts(relevance: NDArray[np.floating], mask: NDArray[np.bool_]) -> Amounts:
    values = np.asarray(relevance, dtype=np.float64)[mask]
    return Amounts(
        pixels=int(mask.sum()), positive=float(np.maximum(values, 0).sum()), signed=float(values.sum())
    )
