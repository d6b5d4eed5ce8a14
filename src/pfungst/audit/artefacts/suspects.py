"""A suspect: what recurs, how it is found in a photo, and where it lies there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pfungst.audit.artefacts.features import Look, look, shrunk
from pfungst.audit.artefacts.matching import Match, Matcher, Patch, best_near
from pfungst.audit.artefacts.mining import REACH, Candidate
from pfungst.contract.classifier import ImageArray
from pfungst.evaluation.operators import Region
from pfungst.images.dataset import Record
from pfungst.images.decode import decode
from pfungst.runs.recorded import Finished

RIM = 2
"""Pixels of the photo around a suspect that belong to it: blur and ringing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Suspect:
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
    """

    class_name: str
    index: int
    kind: Literal["place", "look"]
    patch: Patch
    level: float
    scale: float

    @property
    def id(self) -> str:
        """Unique within a model."""
        return f"{self.class_name}-{self.index + 1}"

    def best(self, photo: Look) -> Match:
        """Where the photo looks most like it."""
        if self.kind == "look":
            return Matcher([self.patch]).best(photo)[0]
        return best_near(self.patch, [photo], [self.patch.places((photo.shape[1], photo.shape[2]))], REACH)[0]

    def region(self, match: Match, size: tuple[int, int]) -> Region:
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


def suspect_of(candidate: Candidate, class_name: str, index: int, scale: float) -> Suspect:
    """The suspect that a candidate makes."""
    return Suspect(
        class_name=class_name,
        index=index,
        kind=candidate.kind,
        patch=candidate.patch,
        level=candidate.level,
        scale=scale,
    )


def plain(suspect: Suspect) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Numbers and arrays of a suspect, for its record."""
    patch = suspect.patch
    numbers = {
        "class": suspect.class_name,
        "index": suspect.index,
        "kind": suspect.kind,
        "level": suspect.level,
        "scale": suspect.scale,
        "top": patch.top,
        "left": patch.left,
        "size": list(patch.size),
    }
    return numbers, {f"values{suspect.index}": patch.values, f"mask{suspect.index}": patch.mask}


def from_record(numbers: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Suspect:
    """The suspect that :func:`plain` took apart."""
    index = numbers["index"]
    patch = Patch(
        values=arrays[f"values{index}"],
        mask=arrays[f"mask{index}"],
        top=numbers["top"],
        left=numbers["left"],
        size=tuple(numbers["size"]),
    )
    return Suspect(
        class_name=numbers["class"],
        index=index,
        kind=numbers["kind"],
        patch=patch,
        level=numbers["level"],
        scale=numbers["scale"],
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
        image = decode(item.record.path)
        looks: dict[float, Look] = {}
        found = []
        for position in item.suspects:
            suspect = self.suspects[position]
            if suspect.scale not in looks:
                looks[suspect.scale] = look(shrunk(image, suspect.scale))
            match = suspect.best(looks[suspect.scale])
            region = suspect.region(match, (image.shape[0], image.shape[1]))
            found.append(
                {
                    "suspect": position,
                    "similarity": match.similarity,
                    "region": [region.top, region.left, region.bottom, region.right],
                }
            )
        return Finished(record={"image": item.record.id, "found": found})


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """A suspect in a photo."""

    image: str
    similarity: float
    region: Region


def occurrence(image: str, row: Mapping[str, Any]) -> Occurrence:
    """From a row of a record of :class:`FindSuspects`."""
    top, left, bottom, right = row["region"]
    return Occurrence(
        image=image,
        similarity=row["similarity"],
        region=Region(top=top, left=left, bottom=bottom, right=right),
    )


def spot(suspect: Suspect, region: Region, size: tuple[int, int], generator: np.random.Generator) -> Region:
    """Where a suspect of that shape belongs in a photo: at its place, or anywhere if it has none."""
    height, width = region.shape
    rows, columns = size[0] - height, size[1] - width
    if suspect.kind == "look":
        top, left = int(generator.integers(rows + 1)), int(generator.integers(columns + 1))
    else:
        working = round(size[0] * suspect.scale), round(size[1] * suspect.scale)
        row, column = suspect.patch.places(working)[0]
        top, left = round(row / suspect.scale) - RIM, round(column / suspect.scale) - RIM
    top, left = min(max(top, 0), rows), min(max(left, 0), columns)
    return Region(top=top, left=left, bottom=top + height, right=left + width)


def crop(image: ImageArray, region: Region) -> ImageArray:
    """The pixels of a rectangle."""
    return image[region.top : region.bottom, region.left : region.right]
