"""One class's search as a task: photos in, suspects out."""

from __future__ import annotations

from dataclasses import dataclass

from pfungst.audit.artefacts.config import ArtefactConfig
from pfungst.audit.artefacts.features import look, shrunk
from pfungst.audit.artefacts.mining import Seen, mine
from pfungst.audit.artefacts.proposals import Blob
from pfungst.audit.artefacts.suspects import plain, suspect_of
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
        shown, others = (self._seen(group) for group in (photos.shown, photos.others))
        suspects, arrays = [], {}
        for index, candidate in enumerate(mine(shown, others, self.config)):
            numbers, parts = plain(suspect_of(candidate, photos.class_name, index, self.scale))
            suspects.append(numbers)
            arrays.update(parts)
        return Finished(record={"image": photos.class_name, "suspects": suspects}, arrays=arrays)

    def _seen(self, group: tuple[tuple[Record, tuple[Blob, ...]], ...]) -> list[Seen]:
        """Photos that cannot be read are left out here; the survey has listed them."""
        found = []
        for record, blobs in group:
            try:
                image = decode(record.path)
            except PfungstError:
                continue
            found.append(Seen(id=record.id, look=look(shrunk(image, self.scale)), blobs=blobs))
        return found
