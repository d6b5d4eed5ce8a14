"""Frames as suspects: found where photos of a class have much the same one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.detectors.frames import Frame, common_frame, find_frame, pieces
from pfungst.audits.artefacts.detectors.growing import frame_depths
from pfungst.audits.artefacts.photos import ClassPhotos, SearchedPhoto
from pfungst.audits.artefacts.suspects import Arrays, Carrier, Edges, Edits, Occurrence, Place, Suspect
from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Edit
from pfungst.images.rectangles import Region

RIM = 2
"""Pixels of the photo inside a frame that belong to it: blur and ringing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BorderSuspect(Suspect):
    """A frame that recurs.

    Attributes
    ----------
    frame : Frame
    depths : tuple of float
        How deep it reaches above, left, below and right, as shares of a photo's longest side; empty while
        only its even outer lines are known.
    """

    frame: Frame
    kind: str = "border"
    depths: tuple[float, ...] = ()
    hollow: ClassVar[bool] = True

    def grown(self, carriers: Sequence[Carrier], largest: float) -> Self:
        """As deep as the photos that have it agree."""
        del largest
        frames = [(carrier.image, find_frame(carrier.image)) for carrier in carriers]
        known = [(image, frame.sides) for image, frame in frames if frame is not None]
        if not known:
            return self
        return replace(self, depths=frame_depths(*zip(*known, strict=True)))

    def whole(self, found: Occurrence, size: tuple[int, int]) -> Occurrence:
        """Its strips as deep as it reaches, in photos that have it."""
        sides = _sides(found, size)
        deep = tuple(
            max(side, round(depth * max(size)) + RIM) if side else 0
            for side, depth in zip(sides, self.depths or (0.0,) * 4, strict=True)
        )
        above, left, below, right = deep
        frame = replace(self.frame, sides=(above, left, below, right))
        return replace(found, regions=frame.strips(size))

    def place(self, photo: SearchedPhoto) -> Place:
        """1 and the frame's strips where the photo has such a frame."""
        frame = find_frame(photo.image())
        if frame is None or not frame.like(self.frame):
            return Place(0.0)
        return Place(1.0, frame.strips(photo.size, RIM))

    def is_removable(self, found: Occurrence, on_object: NDArray[np.bool_]) -> bool:
        """Always: a frame meets many objects."""
        del found, on_object
        return True

    def control_shapes(self, found: Occurrence) -> Sequence[Region]:
        """Its strips in short pieces, which find room beside an object."""
        return pieces(found.regions)

    def stamp(self, carriers: Sequence[Carrier], random_state: int) -> BorderStamp:
        """The strips of photos that have it."""
        del random_state
        return BorderStamp(
            sources=tuple(
                Strips(
                    image=carrier.found.image,
                    size=(carrier.image.shape[0], carrier.image.shape[1]),
                    regions=carrier.found.regions,
                    sides=_sides(carrier.found, carrier.image.shape[:2]),
                    pixels=tuple(strip.crop(carrier.image) for strip in carrier.found.regions),
                    within=_within(carrier),
                )
                for carrier in carriers
            )
        )

    def words(self) -> str:
        """Where it is."""
        return "along the sides"

    def box(self, found: Occurrence, size: tuple[int, int]) -> Edges | None:
        """What lies within the frame."""
        above, left, below, right = _sides(found, size)
        return left, above, size[1] - right, size[0] - below

    def record(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Its sides and its colour."""
        return {"sides": list(self.frame.sides), "colour": list(self.frame.colour)}, {}


def _sides(found: Occurrence, size: Sequence[int]) -> tuple[int, int, int, int]:
    """How deep the strips of an occurrence are above, left, below and right."""
    (height, width), strips = size, found.regions
    across = [strip for strip in strips if strip.right - strip.left == width]
    down = [strip for strip in strips if strip.right - strip.left < width]
    return (
        max((strip.bottom for strip in across if strip.top == 0), default=0),
        max((strip.right for strip in down if strip.left == 0), default=0),
        max((height - strip.top for strip in across if strip.bottom == height and strip.top > 0), default=0),
        max((width - strip.left for strip in down if strip.right == width and strip.left > 0), default=0),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Strips:
    """The strips of a frame in one photo: how deep they are, their pixels, those of like ones within it."""

    image: str
    size: tuple[int, int]
    regions: tuple[Region, ...]
    sides: tuple[int, int, int, int]
    pixels: tuple[ImageArray, ...]
    within: tuple[ImageArray, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class BorderStamp:
    """The frame of one of several photos, stretched along the sides of another.

    Its control are strips of the same shapes cut from within the frame of that photo.
    """

    sources: tuple[Strips, ...]

    @property
    def image(self) -> str:
        """The photo that it is shown by."""
        return self.sources[0].image

    @property
    def regions(self) -> tuple[Region, ...]:
        """What of that photo is shown."""
        return self.sources[0].regions

    def pasted(self, image: ImageArray, generator: np.random.Generator) -> tuple[Edits, Edits] | None:
        """Edits that draw the frame, and those of the control; None if the photo is too small."""
        size = image.shape[0], image.shape[1]
        source = self._like(size, generator)
        if min(size) <= 4 * max(source.sides):
            return None
        strips = Frame(sides=source.sides, colour=(0, 0, 0)).strips(size)
        return _drawn(strips, source.pixels), _drawn(strips, source.within)

    def _like(self, size: tuple[int, int], generator: np.random.Generator) -> Strips:
        """One of the photos whose shape is most like that of another."""
        ratios = [abs(np.log(item.size[0] * size[1] / (item.size[1] * size[0]))) for item in self.sources]
        best = [item for item, off in zip(self.sources, ratios, strict=True) if off <= min(ratios) + 0.05]
        return best[int(generator.integers(len(best)))]


def _drawn(strips: Sequence[Region], pieces: Sequence[ImageArray]) -> Edits:
    return tuple(
        Edit(top=strip.top, left=strip.left, pixels=_stretched(pixels, strip.shape))
        for strip, pixels in zip(strips, pieces, strict=True)
    )


def _within(carrier: Carrier) -> tuple[ImageArray, ...]:
    """Beside each strip of a frame, further in, one of the same shape."""
    width, found = carrier.image.shape[1], []
    for strip in carrier.found.regions:
        across = strip.right - strip.left == width
        deep = strip.shape[0] if across else strip.shape[1]
        inwards = deep if (strip.top if across else strip.left) == 0 else -deep
        down, aside = (inwards, 0) if across else (0, inwards)
        moved = Region(
            top=strip.top + down,
            left=strip.left + aside,
            bottom=strip.bottom + down,
            right=strip.right + aside,
        )
        found.append(moved.crop(carrier.image))
    return tuple(found)


def _stretched(pixels: ImageArray, shape: tuple[int, int]) -> ImageArray:
    if pixels.shape[:2] == shape:
        return pixels
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


class BorderDetector:
    """Finds the frame that most photos of a class have."""

    name = "border"

    def find(self, photos: ClassPhotos, config: ArtefactConfig) -> list[BorderSuspect]:
        """The commonest frame, if enough photos of the class have it, and a larger share than the others."""
        here = [find_frame(photo.image()) for photo in photos.shown]
        frame = common_frame(here)
        if frame is None:
            return []
        count = _like(frame, here)
        elsewhere = [find_frame(photo.image()) for photo in photos.others]
        recurs = count >= config.min_photos and count * len(elsewhere) > _like(frame, elsewhere) * len(here)
        return [BorderSuspect(class_name=photos.class_name, frame=frame)] if recurs else []

    def restored(self, numbers: Mapping[str, Any], arrays: Arrays) -> BorderSuspect:
        """From a record."""
        del arrays
        frame = Frame(sides=tuple(numbers["sides"]), colour=tuple(numbers["colour"]))
        return BorderSuspect(class_name=numbers["class"], frame=frame)


def _like(frame: Frame, others: Sequence[Frame | None]) -> int:
    return sum(other is not None and frame.like(other) for other in others)
