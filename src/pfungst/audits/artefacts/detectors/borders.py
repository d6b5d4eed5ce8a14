"""Frames as suspects: found where photos of a class have much the same one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.detectors.frames import Frame, common_frame, find_frame, pieces
from pfungst.audits.artefacts.photos import ClassPhotos, SearchedPhoto
from pfungst.audits.artefacts.suspects import Arrays, Carrier, Edges, Edits, Occurrence, Place, Suspect
from pfungst.audits.editing import removal_edits
from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Edit
from pfungst.images.rectangles import Region

RIM = 2
"""Pixels of the photo inside a frame that belong to it: blur and ringing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BorderSuspect(Suspect):
    """A frame that recurs."""

    frame: Frame
    kind: str = "border"
    hollow: ClassVar[bool] = True

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
        """The frame, drawn anew."""
        del random_state
        first = carriers[0].found
        return BorderStamp(frame=self.frame, image=first.image, regions=first.regions)

    def words(self) -> str:
        """Where it is."""
        return "along the sides"

    def box(self, found: Occurrence, size: tuple[int, int]) -> Edges | None:
        """What lies within the frame."""
        (height, width), strips = size, found.regions
        above = max((s.bottom for s in strips if s.top == 0 and s.right - s.left == width), default=0)
        below = min(
            (s.top for s in strips if s.bottom == height and s.right - s.left == width), default=height
        )
        left = max((s.right for s in strips if s.left == 0 and s.right < width), default=0)
        right = min((s.left for s in strips if s.right == width and s.left > 0), default=width)
        return left, above, right, below

    def record(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Its sides and its colour."""
        return {"sides": list(self.frame.sides), "colour": list(self.frame.colour)}, {}


@dataclass(frozen=True, kw_only=True, eq=False)
class BorderStamp:
    """A frame of one colour, to be drawn on any photo; its control is the same strips filled in from inside.

    ``image`` and ``regions`` tell where it was seen.
    """

    frame: Frame
    image: str
    regions: tuple[Region, ...]

    def pasted(self, image: ImageArray, generator: np.random.Generator) -> tuple[Edits, Edits] | None:
        """Edits that draw the frame, and those of the control; None if the photo is too small."""
        del generator
        if min(image.shape[:2]) <= 4 * max(self.frame.sides):
            return None
        strips = self.frame.strips(image.shape[:2])
        colour = np.rint(self.frame.colour).astype(np.uint8)
        drawn = tuple(
            Edit(top=strip.top, left=strip.left, pixels=np.broadcast_to(colour, (*strip.shape, 3)).copy())
            for strip in strips
        )
        return drawn, removal_edits(image, strips)


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
