"""A suspect: what recurs, how it is found in a photo, and where it lies there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pfungst.audit.artefacts.search.borders import Frame, find_frame
from pfungst.audit.artefacts.search.features import Look, look, shrunk
from pfungst.audit.artefacts.search.matching import Match, Matcher, Patch, best_near
from pfungst.contract.classifier import ImageArray
from pfungst.images.dataset import Record
from pfungst.images.decode import decode
from pfungst.images.rectangles import Region
from pfungst.runs.recorded import Finished

RIM = 2
"""Pixels of the photo around a suspect that belong to it: blur and ringing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchSuspect:
    """A patch that recurs in the photos of a class.

    Attributes
    ----------
    class_name : str
    index : int
        Its rank within the class.
    kind : {"place", "look"}
    patch : Patch
    level : float
        Similarity above which a photo carries it.
    scale : float
        Working pixels in one of the photo's.
    stray : int
        Working pixels by which it may stray from its place.
    """

    class_name: str
    index: int
    kind: Literal["place", "look", "border"]
    patch: Patch
    level: float
    scale: float
    stray: int

    @property
    def id(self) -> str:
        """Unique within a model."""
        return f"{self.class_name}-{self.index + 1}"

    def found(self, photo: PhotoLook) -> tuple[float, tuple[Region, ...]]:
        """How much the photo looks like it, and where."""
        there = photo.at(self.scale)
        if self.kind == "look":
            match = Matcher([self.patch]).best(there)[0]
        else:
            places = self.patch.places((there.shape[1], there.shape[2]))
            match = best_near(self.patch, [there], [places], self.stray)[0]
        return match.similarity, (self._region(match, photo.image.shape),)

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

    def spot(self, shape: tuple[int, int], size: Sequence[int], generator: np.random.Generator) -> Region:
        """Where it belongs in a photo that has none: at its place, or anywhere if it has no place."""
        height, width = shape
        rows, columns = size[0] - height, size[1] - width
        if self.kind == "look":
            top, left = int(generator.integers(rows + 1)), int(generator.integers(columns + 1))
        else:
            working = round(size[0] * self.scale), round(size[1] * self.scale)
            row, column = self.patch.places(working)[0]
            top, left = round(row / self.scale) - RIM, round(column / self.scale) - RIM
        top, left = min(max(top, 0), rows), min(max(left, 0), columns)
        return Region(top=top, left=left, bottom=top + height, right=left + width)


@dataclass(frozen=True, kw_only=True, eq=False)
class BorderSuspect:
    """A frame that recurs in the photos of a class; attributes as for :class:`PatchSuspect`."""

    class_name: str
    index: int
    frame: Frame
    kind: Literal["place", "look", "border"] = "border"
    level: float = 0.5

    @property
    def id(self) -> str:
        """Unique within a model."""
        return f"{self.class_name}-{self.index + 1}"

    def found(self, photo: PhotoLook) -> tuple[float, tuple[Region, ...]]:
        """1 and the frame's strips where the photo has such a frame."""
        frame = find_frame(photo.image)
        if frame is None or not frame.like(self.frame):
            return 0.0, ()
        return 1.0, frame.strips(photo.image.shape[:2], RIM)


Suspect = PatchSuspect | BorderSuspect


class PhotoLook:
    """A photo, and its look at the scales asked for."""

    def __init__(self, image: ImageArray) -> None:
        self.image = image
        self._looks: dict[float, Look] = {}

    def at(self, scale: float) -> Look:
        """The look at a working scale."""
        if scale not in self._looks:
            self._looks[scale] = look(shrunk(self.image, scale))
        return self._looks[scale]


def plain(suspect: Suspect) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Numbers and arrays of a suspect, for its record."""
    numbers: dict[str, Any] = {"class": suspect.class_name, "index": suspect.index, "kind": suspect.kind}
    if isinstance(suspect, BorderSuspect):
        frame = suspect.frame
        return {**numbers, "sides": list(frame.sides), "colour": list(frame.colour)}, {}
    patch = suspect.patch
    numbers |= {"level": suspect.level, "scale": suspect.scale, "stray": suspect.stray}
    numbers |= {"top": patch.top, "left": patch.left, "size": list(patch.size)}
    return numbers, {f"values{suspect.index}": patch.values, f"mask{suspect.index}": patch.mask}


def from_record(numbers: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Suspect:
    """The suspect that :func:`plain` took apart."""
    name, index = numbers["class"], numbers["index"]
    if numbers["kind"] == "border":
        frame = Frame(sides=tuple(numbers["sides"]), colour=tuple(numbers["colour"]))
        return BorderSuspect(class_name=name, index=index, frame=frame)
    patch = Patch(
        values=arrays[f"values{index}"],
        mask=arrays[f"mask{index}"],
        top=numbers["top"],
        left=numbers["left"],
        size=tuple(numbers["size"]),
    )
    return PatchSuspect(
        class_name=name,
        index=index,
        kind=numbers["kind"],
        patch=patch,
        level=numbers["level"],
        scale=numbers["scale"],
        stray=numbers["stray"],
    )


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """A photo and the suspects, by position, that are looked for in it."""

    record: Record
    suspects: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class FindSuspects:
    """A picklable task: which suspects a photo carries, and where."""

    suspects: Sequence[Suspect]

    def __call__(self, item: Lookup) -> Finished:
        """Look for the suspects in one photo."""
        photo = PhotoLook(decode(item.record.path))
        found = []
        for position in item.suspects:
            similarity, regions = self.suspects[position].found(photo)
            rows = [[region.top, region.left, region.bottom, region.right] for region in regions]
            found.append({"suspect": position, "similarity": similarity, "regions": rows})
        return Finished(record={"image": item.record.id, "found": found})


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """A suspect in a photo: the rectangles it covers."""

    image: str
    similarity: float
    regions: tuple[Region, ...]

    @property
    def area(self) -> int:
        """Pixels covered."""
        return sum(region.shape[0] * region.shape[1] for region in self.regions)


def occurrence(image: str, row: Mapping[str, Any]) -> Occurrence:
    """From a row of a record of :class:`FindSuspects`."""
    regions = tuple(
        Region(top=top, left=left, bottom=bottom, right=right) for top, left, bottom, right in row["regions"]
    )
    return Occurrence(image=image, similarity=row["similarity"], regions=regions)
