"""One class's search as a task: photos in, suspects out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pfungst.audit.artefacts.borders import Frame, common_frame, find_frame
from pfungst.audit.artefacts.config import ArtefactConfig
from pfungst.audit.artefacts.features import look, shrunk
from pfungst.audit.artefacts.mining import Seen, mine
from pfungst.audit.artefacts.proposals import Blob
from pfungst.audit.artefacts.suspects import BorderSuspect, PatchSuspect, Suspect, plain
from pfungst.errors import PfungstError
from pfungst.images.dataset import Record
from pfungst.images.decode import decode
from pfungst.runs.recorded import Finished


@dataclass(frozen=True, kw_only=True)
class ClassPhotos:
    """The photos in which a class's artefacts are sought, each with its blobs of relevance."""

    class_name: str
    shown: tuple[tuple[Record, tuple[Blob, ...]], ...]
    others: tuple[tuple[Record, tuple[Blob, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class MineClass:
    """A picklable task: the suspects of one class."""

    config: ArtefactConfig
    scale: float

    def __call__(self, photos: ClassPhotos) -> Finished:
        """Search one class."""
        (shown, frames), (others, other_frames) = (
            self._seen(group) for group in (photos.shown, photos.others)
        )
        name = photos.class_name
        found: list[Suspect] = [
            PatchSuspect(
                class_name=name,
                index=index,
                kind=candidate.kind,
                patch=candidate.patch,
                level=candidate.level,
                scale=self.scale,
            )
            for index, candidate in enumerate(mine(shown, others, self.config))
        ]
        frame = common_frame(frames)
        if frame is not None and self._recurs(frame, frames, other_frames):
            found.append(BorderSuspect(class_name=name, index=len(found), frame=frame))
        suspects, arrays = [], {}
        for suspect in found:
            numbers, parts = plain(suspect)
            suspects.append(numbers)
            arrays.update(parts)
        return Finished(record={"image": name, "suspects": suspects}, arrays=arrays)

    def _recurs(self, frame: Frame, here: Sequence[Frame | None], elsewhere: Sequence[Frame | None]) -> bool:
        """Whether enough photos of the class have such a frame, and a larger share than the others."""
        count, others = (
            sum(item is not None and frame.like(item) for item in group) for group in (here, elsewhere)
        )
        return count >= self.config.min_photos and count * len(elsewhere) > others * len(here)

    def _seen(
        self, group: tuple[tuple[Record, tuple[Blob, ...]], ...]
    ) -> tuple[list[Seen], list[Frame | None]]:
        """Photos that cannot be read are left out here; the survey has listed them."""
        found, frames = [], []
        for record, blobs in group:
            try:
                image = decode(record.path)
            except PfungstError:
                continue
            found.append(Seen(id=record.id, look=look(shrunk(image, self.scale)), blobs=blobs))
            frames.append(find_frame(image))
        return found, frames
