r"""Properties of whole photos as suspects: a cast, a blur, JPEG blocks that part of a class's photos have.

A photo carries a property if its number lies beyond what the other photos have: above their 99 % quantile, or
below their 1 % quantile, by a further quarter of the spread between their 10 % and 90 % quantiles. A property
is a suspect if so many photos of the class do that chance is at most 0.05, all properties, both ways counted.
It is taken out and put in by an edit that moves that number alone, to the others' median or to that of the
carriers; the control is a smooth pattern of light and dark that changes the photo by as much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.detectors.properties import PROPERTIES, Property
from pfungst.audits.artefacts.photos import ClassPhotos, SearchedPhoto
from pfungst.audits.artefacts.recurrence import chance_of_recurrence, recurs
from pfungst.audits.artefacts.suspects import Arrays, Carrier, Edits, Occurrence, Place, Suspect
from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Edit
from pfungst.evaluation.orders import generator_for
from pfungst.images.rectangles import Region

_TAIL, _APART = 0.01, 0.25
_FEWEST_OTHERS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class WholeSuspect(Suspect):
    """A property of whole photos.

    Attributes
    ----------
    name : str
        Of :data:`~pfungst.audits.artefacts.detectors.properties.PROPERTIES`.
    sign : int
        +1 where carriers have more of it, −1 where they have less.
    bound, spread : float
        From where on a photo carries it, and the spread of the others.
    here, elsewhere : float
        Median of the carriers, and of the others.
    """

    kind: str = "photo"
    name: str
    sign: int
    bound: float
    spread: float
    here: float
    elsewhere: float

    @property
    def _property(self) -> Property:
        return PROPERTIES[self.name]

    def place(self, photo: SearchedPhoto) -> Place:
        """Above one half where the photo lies beyond the bound."""
        off = self.sign * (self._property.value(photo.image()) - self.bound) / self.spread
        return Place(0.5 + float(np.tanh(off)) / 2)

    def removal(self, image: ImageArray, found: Occurrence) -> Edits:
        """The number moved to what the other photos have."""
        del found
        return _whole_edit(self._property.moved(image, self.elsewhere))

    def control(self, carrier: Carrier, random_state: int) -> Edits:
        """As large a change that leaves the property alone."""
        edited = self.removal(carrier.image, carrier.found)[0].pixels
        generator = generator_for(random_state, carrier.found.image, self.id, "control")
        return _whole_edit(as_much_changed(carrier.image, edited, generator))

    def stamp(self, carriers: Sequence[Carrier], random_state: int) -> WholeStamp:
        """The edit that gives it to a photo."""
        del random_state
        return WholeStamp(image=carriers[0].found.image, name=self.name, target=self.here)

    def words(self) -> str:
        """Such as "JPEG blocks of the whole photo"."""
        return f"{self._property.words[0 if self.sign > 0 else 1]} of the whole photo"

    def record(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Its numbers."""
        return {
            "name": self.name, "sign": self.sign, "bound": self.bound, "spread": self.spread,
            "here": self.here, "elsewhere": self.elsewhere, "tried": self.tried,
        }, {}  # fmt: skip


@dataclass(frozen=True)
class WholeStamp:
    """A property to be given to photos."""

    image: str
    name: str
    target: float
    regions: tuple[Region, ...] = ()

    def pasted(self, image: ImageArray, generator: np.random.Generator) -> tuple[Edits, Edits] | None:
        """The edit, and a control that changes the photo as much."""
        edited = PROPERTIES[self.name].moved(image, self.target)
        return _whole_edit(edited), _whole_edit(as_much_changed(image, edited, generator))


def _whole_edit(pixels: ImageArray) -> Edits:
    return (Edit(top=0, left=0, pixels=np.ascontiguousarray(pixels)),)


def as_much_changed(image: ImageArray, edited: ImageArray, generator: np.random.Generator) -> ImageArray:
    """The photo under smooth light and shade whose root mean square change is that of an edit."""
    from scipy.ndimage import gaussian_filter

    size = np.sqrt(np.square(edited.astype(np.float64) - image).mean())
    wave = gaussian_filter(generator.normal(size=image.shape[:2]), max(image.shape[:2]) / 12, mode="wrap")
    wave -= wave.mean()
    wave *= size / max(float(wave.std()), 1e-12)
    return np.clip(np.rint(image + wave[..., None]), 0, 255).astype(np.uint8)


class WholeDetector:
    """Finds properties that part of a class's photos have and the others have not."""

    name = "whole"

    def find(self, photos: ClassPhotos, config: ArtefactConfig) -> list[WholeSuspect]:
        """Those that chance explains least, the least first; one for each property at most."""
        if len(photos.others) < _FEWEST_OTHERS:
            return []
        here, elsewhere = (
            np.array([[item.value(image) for item in PROPERTIES.values()] for image in _images(group)])
            for group in (photos.shown, photos.others)
        )
        found: list[tuple[float, WholeSuspect]] = []
        for column, name in enumerate(PROPERTIES):
            ways = [_suspect(photos.class_name, name, sign, here[:, column], elsewhere[:, column], config)
                    for sign in (1, -1)]  # fmt: skip
            found += sorted((way for way in ways if way is not None), key=lambda way: way[0])[:1]
        return [suspect for _, suspect in sorted(found, key=lambda item: item[0])][: config.max_suspects]

    def restored(self, numbers: Mapping[str, Any], arrays: Arrays) -> WholeSuspect:
        """From a record."""
        del arrays
        own = {key: numbers[key] for key in ("name", "sign", "bound", "spread", "here", "elsewhere", "tried")}
        return WholeSuspect(class_name=numbers["class"], **own)


def _images(photos: Sequence[SearchedPhoto]) -> list[ImageArray]:
    return [photo.image() for photo in photos]


def _suspect(  # noqa: PLR0917 - private, one caller
    class_name: str,
    name: str,
    sign: int,
    here: NDArray[np.float64],
    elsewhere: NDArray[np.float64],
    config: ArtefactConfig,
) -> tuple[float, WholeSuspect] | None:
    """How probable by chance, and the suspect; None where too few carry it or chance does."""
    low, high = np.quantile(elsewhere, [0.1, 0.9])
    spread = max(float(high - low), 1e-6)
    bound = sign * float(np.quantile(sign * elsewhere, 1 - _TAIL)) + sign * _APART * spread
    carriers = here[sign * here > sign * bound]
    beyond = int((sign * elsewhere > sign * bound).sum())
    tried = 2 * len(PROPERTIES)
    chance = chance_of_recurrence(len(carriers), len(here), beyond, len(elsewhere), tried)
    if len(carriers) < config.min_photos or not recurs(len(carriers), chance):
        return None
    return chance, WholeSuspect(
        class_name=class_name,
        name=name,
        sign=sign,
        bound=bound,
        spread=spread,
        here=float(np.median(carriers)),
        elsewhere=float(np.median(elsewhere)),
        tried=tried,
    )
