"""What is sought and tested: a detector finds suspects, a suspect can be placed, taken out and put in.

Another kind of suspect needs a subclass of :class:`Suspect`, a :class:`Stamp` and a :class:`Detector`, and
:func:`pfungst.audits.artefacts.detectors.register_detector`; nothing else names them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.photos import ClassPhotos, SearchedPhoto
from pfungst.audits.editing import removal_edits
from pfungst.audits.survey.surroundings import control_regions
from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Edit
from pfungst.evaluation.orders import generator_for
from pfungst.images.rectangles import Region

TOUCHES = 0.1
"""Largest share of a suspect that may lie on the object in a photo where it is taken out."""
_PAD = 4
Edits = tuple[Edit, ...]
Edges = tuple[float, float, float, float]
"""``(left, top, right, bottom)`` in pixels of a photo."""
Arrays = Mapping[str, NDArray[Any]]


class Place(NamedTuple):
    """How much a photo looks like a suspect, and where; no region stands for the whole photo."""

    similarity: float
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """A suspect in a photo: the rectangles it covers, none if it is a property of the whole photo."""

    image: str
    similarity: float
    regions: tuple[Region, ...]

    @property
    def area(self) -> int:
        """Pixels covered."""
        return sum(region.shape[0] * region.shape[1] for region in self.regions)


class Carrier(NamedTuple):
    """A photo that carries a suspect.

    Attributes
    ----------
    found : Occurrence
    image : (height, width, 3) uint8
    on_object : (height, width) bool
        Pixels in boxes of the suspect's class.
    """

    found: Occurrence
    image: ImageArray
    on_object: NDArray[np.bool_]


class Stamp(Protocol):
    """A suspect ready to be put into photos that do not have it."""

    @property
    def image(self) -> str:
        """The photo that it is shown by."""

    @property
    def regions(self) -> tuple[Region, ...]:
        """What of that photo is shown; none for all of it."""

    def pasted(self, image: ImageArray, generator: np.random.Generator) -> tuple[Edits, Edits] | None:
        """Edits that put it into a photo, and those of the control (empty where there is none).

        None if it does not fit.
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class Suspect(ABC):
    """Something that recurs in the photos of a class; picklable.

    Attributes
    ----------
    class_name : str
    index : int
        Its rank within the class; whoever collects suspects sets it.
    kind : str
        What recurs, in a word.
    level : float
        Similarity above which a photo carries it.
    tried : int
        Candidates that were looked at to find it.
    remains : bool
        Whether photos that carry it still agree beside what is taken for it.
    hollow : bool
        Whether it is what lies outside of :meth:`box`.
    given : bool
        Whether it was brought by the user and is tested wherever it recurs.
    """

    class_name: str
    index: int = 0
    kind: str
    level: float = 0.5
    tried: int = 1
    remains: bool = False
    hollow: ClassVar[bool] = False
    given: ClassVar[bool] = False

    @property
    def id(self) -> str:
        """Unique within a model."""
        return f"{self.class_name}-{self.index + 1}"

    @abstractmethod
    def place(self, photo: SearchedPhoto) -> Place:
        """How much a photo looks like it, and where."""

    @abstractmethod
    def stamp(self, carriers: Sequence[Carrier], random_state: int) -> Stamp:
        """What is put into other photos, made of photos that carry it, the clearest first."""

    @abstractmethod
    def words(self) -> str:
        """Where it is, such as "lower left corner"."""

    @abstractmethod
    def record(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Plain numbers and arrays from which its detector makes it again."""

    def grown(self, carriers: Sequence[Carrier], largest: float) -> Self:
        """It as far as it reaches, by photos that carry it, the clearest first; at most that share of one."""
        del carriers, largest
        return self

    def whole(self, found: Occurrence, size: tuple[int, int]) -> Occurrence:
        """An occurrence as far as it reaches, in a photo of ``(height, width)``."""
        del size
        return found

    def is_removable(self, found: Occurrence, on_object: NDArray[np.bool_]) -> bool:
        """Whether its removal from a photo leaves the object whole."""
        covered = sum(int(r.crop(on_object).sum()) for r in found.regions)
        return covered <= TOUCHES * found.area

    def removal(self, image: ImageArray, found: Occurrence) -> Edits:
        """Edits that take it out of a photo: filled in from its surroundings."""
        return removal_edits(image, found.regions)

    def control(self, carrier: Carrier, random_state: int) -> Edits:
        """Edits as large as the removal that leave it and the object alone; empty where there is no room."""
        return removal_edits(carrier.image, self.control_places(carrier, random_state))

    def control_places(self, carrier: Carrier, random_state: int) -> tuple[Region, ...]:
        """Rectangles of the same shapes off the object and off the suspect; none where there is no room."""
        taken = carrier.on_object.copy()
        for region in carrier.found.regions:
            rows = slice(max(region.top - _PAD, 0), region.bottom + _PAD)
            taken[rows, max(region.left - _PAD, 0) : region.right + _PAD] = True
        generator = generator_for(random_state, carrier.found.image, self.id, "control")
        return control_regions(self.control_shapes(carrier.found), taken, generator)

    def control_shapes(self, found: Occurrence) -> Sequence[Region]:
        """Rectangles whose shapes the control takes."""
        return found.regions

    def box(self, found: Occurrence, size: tuple[int, int]) -> Edges | None:
        """The rectangle by which it is shown in a photo of ``(height, width)``; None for the whole photo."""
        del size
        if not found.regions:
            return None
        first = found.regions[0]
        return first.left, first.top, first.right, first.bottom


class Detector(Protocol):
    """Finds one kind of suspects; picklable."""

    @property
    def name(self) -> str:
        """By which it is registered."""

    def find(self, photos: ClassPhotos, config: ArtefactConfig) -> Sequence[Suspect]:
        """What recurs in the photos of a class more than in the others, the clearest first."""

    def restored(self, numbers: Mapping[str, Any], arrays: Arrays) -> Suspect:
        """The suspect whose :meth:`Suspect.record` this is; its index is set by the caller."""
