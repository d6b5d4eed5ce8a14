"""The search's work: the suspects of a class, and which photos carry them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.photos import ClassPhotos, RememberedPhoto, SearchedPhoto
from pfungst.audits.artefacts.search.proposals import Blob
from pfungst.audits.artefacts.suspects import Arrays, Detector, Occurrence, Suspect
from pfungst.audits.survey.kept import KeptPhotos
from pfungst.errors import PfungstError
from pfungst.images.dataset import Record
from pfungst.images.rectangles import Region
from pfungst.runs.recorded import Finished


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photo on its way to a worker: ``size`` is ``(height, width)``, ``blobs`` as a search has them."""

    record: Record
    size: tuple[int, int]
    blobs: tuple[Blob, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClassSearch:
    """A class on its way to a worker: the photos in which its suspects are sought."""

    class_name: str
    shown: tuple[Photo, ...]
    others: tuple[Photo, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class FindSuspects:
    """A picklable task: the suspects of one class, by all detectors."""

    detectors: Sequence[Detector]
    config: ArtefactConfig
    kept: KeptPhotos
    scale: float

    def __call__(self, search: ClassSearch) -> Finished:
        """Search one class."""
        photos = ClassPhotos(
            class_name=search.class_name,
            shown=self._readable(search.shown),
            others=self._readable(search.others),
            scale=self.scale,
        )
        rows: list[dict[str, Any]] = []
        arrays: dict[str, NDArray[Any]] = {}
        for detector in self.detectors:
            for suspect in detector.find(photos, self.config):
                numbers, parts = suspect.record()
                arrays |= {f"{len(rows)}.{name}": array for name, array in parts.items()}
                stated = {"detector": detector.name, "class": search.class_name, "kind": suspect.kind}
                rows.append({**numbers, **stated})
        return Finished(record={"image": search.class_name, "suspects": rows}, arrays=arrays)

    def _readable(self, photos: Sequence[Photo]) -> list[SearchedPhoto]:
        """Those of which there still is a file; what was missing before, the survey has listed."""
        found = []
        for photo in photos:
            with contextlib.suppress(PfungstError):
                self.kept.at_least(photo.record, self.scale)
                found.append(
                    SearchedPhoto(record=photo.record, size=photo.size, kept=self.kept, blobs=photo.blobs)
                )
        return found


def restored_suspects(
    record: Mapping[str, Any], arrays: Arrays, detectors: Sequence[Detector]
) -> list[Suspect]:
    """The suspects of one class from what :class:`FindSuspects` noted."""
    by_name = {detector.name: detector for detector in detectors}
    found = []
    for index, numbers in enumerate(record["suspects"]):
        start = f"{index}."
        own = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
        found.append(replace(by_name[numbers["detector"]].restored(numbers, own), index=index))
    return found


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A photo and the suspects, by position, that are looked for in it."""

    photo: Photo
    suspects: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PlaceSuspects:
    """A picklable task: which suspects a photo carries, and where."""

    suspects: Sequence[Suspect]
    kept: KeptPhotos

    def __call__(self, item: Wanted) -> Finished:
        """Look for the suspects in one photo."""
        record = item.photo.record
        photo = RememberedPhoto(record=record, size=item.photo.size, kept=self.kept)
        found = []
        for position in item.suspects:
            similarity, regions = self.suspects[position].place(photo)
            rows = [[region.top, region.left, region.bottom, region.right] for region in regions]
            found.append({"suspect": position, "similarity": similarity, "regions": rows})
        return Finished(record={"image": record.id, "found": found})


def occurrence(image: str, row: Mapping[str, Any]) -> Occurrence:
    """From a row of a record of :class:`PlaceSuspects`."""
    regions = tuple(
        Region(top=top, left=left, bottom=bottom, right=right) for top, left, bottom, right in row["regions"]
    )
    return Occurrence(image=image, similarity=row["similarity"], regions=regions)
