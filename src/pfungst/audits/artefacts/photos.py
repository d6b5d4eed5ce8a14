"""Photos as detectors are shown them: pixels on demand, appearance at a working scale, dense relevance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.search.features import Look, look, shrunk
from pfungst.audits.artefacts.search.proposals import Blob
from pfungst.audits.survey.kept import KeptPhotos
from pfungst.contract.classifier import ImageArray
from pfungst.images.dataset import Record
from pfungst.images.rectangles import mask_of


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchedPhoto:
    """A photo; nothing of it is in memory but what is asked for.

    Attributes
    ----------
    record : Record
    size : (int, int)
        ``(height, width)``.
    kept : KeptPhotos
    blobs : sequence of Blob
        Squares of dense positive relevance off the objects, in pixels of the search's scale.
    """

    record: Record
    size: tuple[int, int]
    kept: KeptPhotos
    blobs: Sequence[Blob] = ()

    def image(self) -> ImageArray:
        """Its pixels, read-only."""
        return self.kept.whole(self.record)

    def look(self, scale: float) -> Look:
        """Its appearance with ``scale`` working pixels in one of its own."""
        height, width = (max(round(length * min(scale, 1.0)), 1) for length in self.size)
        return look(shrunk(self.kept.at_least(self.record, scale).image, height, width))

    def on_object(self, class_name: str) -> NDArray[np.bool_]:
        """Pixels in boxes of a class, ``(height, width)``."""
        return mask_of(self.record.boxes_of(class_name), *self.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class RememberedPhoto(SearchedPhoto):
    """A photo that several suspects are looked for in: nothing is made twice."""

    _image: list[ImageArray] = field(default_factory=list)
    _looks: dict[float, Look] = field(default_factory=dict)

    def image(self) -> ImageArray:
        """Its pixels, read-only."""
        if not self._image:
            self._image.append(super().image())
        return self._image[0]

    def look(self, scale: float) -> Look:
        """Its appearance with ``scale`` working pixels in one of its own."""
        if scale not in self._looks:
            self._looks[scale] = super().look(scale)
        return self._looks[scale]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassPhotos:
    """The photos in which the suspects of a class are sought.

    Attributes
    ----------
    class_name : str
    shown, others : sequence of SearchedPhoto
        Photos of the class, and without it.
    scale : float
        Working pixels in one of the photos' at which photos are compared.
    """

    class_name: str
    shown: Sequence[SearchedPhoto]
    others: Sequence[SearchedPhoto]
    scale: float
