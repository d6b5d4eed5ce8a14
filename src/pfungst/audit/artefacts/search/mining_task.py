"""One class's search as a task: photos in, suspects out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.audit.artefacts.config import ArtefactConfig
from pfungst.audit.artefacts.search.borders import Frame, common_frame, find_frame
from pfungst.audit.artefacts.search.features import look, shrunk
from pfungst.audit.artefacts.search.mining import Candidate, Seen, merged, mine
from pfungst.audit.artefacts.search.proposals import Blob
from pfungst.audit.artefacts.search.shaping import Grain
from pfungst.audit.artefacts.search.suspects import BorderSuspect, PatchSuspect, Suspect, plain
from pfungst.contract.classifier import ImageArray
from pfungst.errors import PfungstError
from pfungst.images.dataset import Record
from pfungst.images.decode import decode
from pfungst.images.rectangles import mask_of
from pfungst.runs.recorded import Finished

COARSER = 3.0
"""How much coarser the second scale is."""


@dataclass(frozen=True, kw_only=True)
class ClassPhotos:
    """The photos in which a class's artefacts are sought, each with its blobs of relevance."""

    class_name: str
    shown: tuple[tuple[Record, tuple[Blob, ...]], ...]
    others: tuple[tuple[Record, tuple[Blob, ...]], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Photo:
    """A photo at two scales, and its frame."""

    fine: Seen
    coarse: Seen
    frame: Frame | None


@dataclass(frozen=True, kw_only=True)
class MineClass:
    """A picklable task: the suspects of one class."""

    config: ArtefactConfig
    scale: float

    def __call__(self, photos: ClassPhotos) -> Finished:
        """Search one class."""
        name = photos.class_name
        shown, others = (self._photos(group, name) for group in (photos.shown, photos.others))
        found: list[Suspect] = [
            PatchSuspect(
                class_name=name,
                index=index,
                kind=candidate.kind,
                patch=candidate.patch,
                level=candidate.level,
                scale=candidate.scale,
                stray=candidate.grain.stray,
            )
            for index, candidate in enumerate(self._candidates(shown, others))
        ]
        frames, other_frames = ([photo.frame for photo in group] for group in (shown, others))
        frame = common_frame(frames)
        if frame is not None and self._recurs(frame, frames, other_frames):
            found.append(BorderSuspect(class_name=name, index=len(found), frame=frame))
        suspects, arrays = [], {}
        for suspect in found:
            numbers, parts = plain(suspect)
            suspects.append(numbers)
            arrays.update(parts)
        return Finished(record={"image": name, "suspects": suspects}, arrays=arrays)

    def _candidates(self, shown: Sequence[_Photo], others: Sequence[_Photo]) -> list[Candidate]:
        """Of two scales: sharp marks on the fine one, lines of changing letters on the coarse one."""
        fine, coarse = Grain(self.config.window), Grain(self.config.window // 2)
        return merged(
            mine([p.fine for p in shown], [p.fine for p in others], self.config, fine, self.scale),
            mine(
                [p.coarse for p in shown],
                [p.coarse for p in others],
                self.config,
                coarse,
                self.scale / COARSER,
            ),
            self.config.max_suspects,
        )

    def _recurs(self, frame: Frame, here: Sequence[Frame | None], elsewhere: Sequence[Frame | None]) -> bool:
        """Whether enough photos of the class have such a frame, and a larger share than the others."""
        count, others = (
            sum(item is not None and frame.like(item) for item in group) for group in (here, elsewhere)
        )
        return count >= self.config.min_photos and count * len(elsewhere) > others * len(here)

    def _photos(self, group: Sequence[tuple[Record, tuple[Blob, ...]]], name: str) -> list[_Photo]:
        """Photos that cannot be read are left out here; the survey has listed them."""
        found = []
        for record, blobs in group:
            try:
                image = decode(record.path)
            except PfungstError:
                continue
            inside = mask_of(record.boxes_of(name), *image.shape[:2])
            fine, coarse = (
                self._seen(record.id, blobs, image, inside, coarser) for coarser in (1.0, COARSER)
            )
            found.append(_Photo(fine=fine, coarse=coarse, frame=find_frame(image)))
        return found

    def _seen(
        self,
        image_id: str,
        blobs: Sequence[Blob],
        image: ImageArray,
        inside: NDArray[np.bool_],
        coarser: float,
    ) -> Seen:
        """A photo at one scale, so much coarser than that of the blobs."""
        scale = self.scale / coarser
        pattern = look(shrunk(image, scale)).astype(np.float16)
        shape = pattern.shape[1:]
        return Seen(
            id=image_id,
            look=pattern,
            blobs=[blob.scaled(1 / coarser, *shape) for blob in blobs],
            on_object=sampled_mask(inside, shape, scale),
        )


def sampled_mask(mask: NDArray[np.bool_], shape: Sequence[int], scale: float) -> NDArray[np.bool_]:
    """A photo's mask at the middles of its working pixels."""
    rows, columns = (
        np.minimum(((np.arange(length) + 0.5) / scale).astype(int), limit - 1)
        for length, limit in zip(shape, mask.shape, strict=True)
    )
    sampled: NDArray[np.bool_] = mask[np.ix_(rows, columns)]
    return sampled
