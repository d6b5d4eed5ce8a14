"""A mark that the user suspects: a crop, tested as a suspect of every class without any search."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pfungst.audits.artefacts.detectors.patch_stamps import PatchStamp, Piece, Spot
from pfungst.audits.artefacts.detectors.patches import PatchSuspect
from pfungst.audits.artefacts.search.features import look, shrunk
from pfungst.audits.artefacts.search.matching import Patch, best_anywhere, cut
from pfungst.audits.artefacts.suspects import Carrier
from pfungst.audits.survey.surroundings import control_regions
from pfungst.contract.classifier import ImageArray
from pfungst.errors import ConfigError
from pfungst.evaluation.orders import generator_for
from pfungst.images.decode import decode
from pfungst.images.rectangles import Region, mask_of

if TYPE_CHECKING:
    from pfungst.audits.artefacts.stages import Search

LEAST = 6
"""Pixels of a mark's sides, at least."""
ALIKE = 0.4
"""Similarity from which on a photo carries a given mark."""
_STRAY = 6
_PLACES = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Mark:
    """A crop that is suspected, and where it belongs.

    Attributes
    ----------
    pixels : (height, width, 3) uint8
    opacity : (height, width) float32
        0 to 1; of a picture without transparency 1.
    at : (int, int) or None
        Column and row of its upper left corner; None: anywhere.
    size : (int, int) or None
        ``(height, width)`` of the photo that ``at`` counts in; None: the commonest of the photos.
    """

    pixels: ImageArray
    opacity: NDArray[np.float32]
    at: tuple[int, int] | None = None
    size: tuple[int, int] | None = None

    @classmethod
    def open(
        cls, file: str | Path, *, at: tuple[int, int] | None = None, like: str | Path | None = None
    ) -> Self:
        """Read a mark from a picture; transparent pixels of a PNG do not belong to it.

        Parameters
        ----------
        file : path
            The crop alone, in the photos' pixels.
        at : (int, int), optional
            Column and row of its upper left corner in photos of the commonest size; in others it keeps its
            distance from the nearest corner.
        like : path, optional
            A photo that has it, from which its place is taken. Without either it may lie anywhere.

        Raises
        ------
        ImageError
            If a file cannot be decoded.
        ConfigError
            If both places are given, the mark is tiny, or the photo does not have it.
        """
        if at is not None and like is not None:
            raise ConfigError("a place and an example of the mark", allowed="one of them (--at or --like)")
        pixels = decode(Path(file))
        if min(pixels.shape[:2]) < LEAST:
            raise ConfigError(
                f"{file} has {pixels.shape[1]} x {pixels.shape[0]} pixels",
                allowed=f"a mark of {LEAST} or more on each side",
            )
        mark = cls(pixels=pixels, opacity=_opacity(Path(file), pixels.shape[:2]), at=at)
        return mark if like is None else mark._placed_as_in(Path(like))

    def _placed_as_in(self, example: Path) -> Self:
        photo = decode(example)
        patch = self.patch((photo.shape[0], photo.shape[1]), 1.0)
        match = best_anywhere(patch, look(photo))
        if match.similarity < ALIKE:
            raise ConfigError(
                f"{example} does not show the mark (likeness {max(match.similarity, 0):.2f})",
                allowed=f"a photo that has it, likeness {ALIKE} or more",
                hint="a crop in the photo's own pixels, or --at x,y",
            )
        return type(self)(
            pixels=self.pixels,
            opacity=self.opacity,
            at=(match.left, match.top),
            size=(photo.shape[0], photo.shape[1]),
        )

    def patch(self, size: tuple[int, int], scale: float) -> Patch:
        """Its look at a working scale, placed in a photo of ``(height, width)``."""
        height, width = (max(round(length * scale), 4) for length in self.pixels.shape[:2])
        whole = cut(look(shrunk(self.pixels, height, width)), 0, 0, height, width)
        column, row = self.at or (0, 0)
        working = tuple(max(round(length * scale), 1) for length in size)
        return Patch(
            values=whole.values,
            mask=whole.mask,
            top=round(row * scale),
            left=round(column * scale),
            size=(working[0], working[1]),
        )

    @property
    def digest(self) -> str:
        """Tells this mark, and its place, from another."""
        stated = repr((self.pixels.shape, self.at, self.size)).encode()
        return hashlib.sha256(self.pixels.tobytes() + self.opacity.tobytes() + stated).hexdigest()


def _opacity(file: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The transparency that a picture states."""
    with Image.open(file) as picture:
        if picture.mode not in {"RGBA", "LA", "PA"} or picture.size != (shape[1], shape[0]):
            return np.ones(shape, dtype=np.float32)
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
    return alpha.astype(np.float32) / np.float32(255)


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkSuspect(PatchSuspect):
    """A given mark as a suspect of a class: looked for, taken out where it is, put in itself.

    Attributes
    ----------
    mark : Mark
    other : (height, width, 3) uint8
        A piece of its shape from elsewhere, for the control; empty where there is none.
    usual : (int, int)
        ``(height, width)`` of the photos that its place counts in.
    """

    mark: Mark
    other: ImageArray
    usual: tuple[int, int]
    given: ClassVar[bool] = True

    def grown(self, carriers: Sequence[Carrier], largest: float) -> Self:
        """As it was given."""
        del carriers, largest
        return self

    def stamp(self, carriers: Sequence[Carrier], random_state: int) -> PatchStamp:
        """The mark itself, where carriers have it; where none has, at its place or at any."""
        alpha = self.mark.opacity
        height, width = alpha.shape
        piece = Piece(
            image="",
            region=Region(top=0, left=0, bottom=height, right=width),
            mark=self.mark.pixels * alpha[..., None],
            ground=np.zeros((height, width, 3), dtype=np.float32),
            control=self.other * alpha[..., None] if self.other.size else _nothing(),
            control_ground=np.zeros((height, width, 3), dtype=np.float32),
            alpha=alpha,
            cover=np.ones((height, width), dtype=np.float32),
        )
        spots = [
            Spot(region=item.found.regions[0], size=(item.image.shape[0], item.image.shape[1]))
            for item in carriers
        ]
        return PatchStamp(pieces=(piece,), spots=tuple(spots or self._spots(random_state)))

    def _spots(self, random_state: int) -> list[Spot]:
        height, width = self.mark.pixels.shape[:2]
        room = max(self.usual[0] - height, 0), max(self.usual[1] - width, 0)
        if self.mark.at is not None:
            corners = [(self.mark.at[1], self.mark.at[0])]
        else:
            generator = generator_for(random_state, self.id, "places")
            corners = [
                (int(generator.integers(room[0] + 1)), int(generator.integers(room[1] + 1)))
                for _ in range(_PLACES)
            ]
        return [
            Spot(region=Region(top=top, left=left, bottom=top + height, right=left + width), size=self.usual)
            for top, left in corners
        ]

    def record(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Nothing is looked for again: it is always given."""
        return {"mark": self.mark.digest}, {}


def _nothing() -> NDArray[np.float32]:
    return np.zeros((0, 0, 3), dtype=np.float32)


def suspect_of(mark: Mark, class_name: str, search: Search) -> MarkSuspect:
    """A mark as a suspect of a class.

    Raises
    ------
    ConfigError
        If it is larger than the photos.
    """
    sizes = [search.survey.size(record.id) for record in search.shown(class_name)]
    usual = mark.size or max(sorted(set(sizes)), key=sizes.count)
    height, width = mark.pixels.shape[:2]
    if height > usual[0] or width > usual[1]:
        raise ConfigError(
            f"the mark has {width} x {height} pixels, the photos of {class_name} {usual[1]} x {usual[0]}",
            allowed="a mark that fits into them",
        )
    return MarkSuspect(
        class_name=class_name,
        kind="look" if mark.at is None else "place",
        level=ALIKE,
        patch=mark.patch(usual, search.scale),
        scale=search.scale,
        stray=_STRAY,
        mark=mark,
        other=_control(mark, class_name, search),
        usual=usual,
    )


def _control(mark: Mark, class_name: str, search: Search) -> ImageArray:
    """A piece of the mark's shape, off the object in a photo of the class; empty where none has room."""
    height, width = mark.pixels.shape[:2]
    wanted = (Region(top=0, left=0, bottom=height, right=width),)
    for record in search.shown(class_name):
        size = search.survey.size(record.id)
        if height > size[0] or width > size[1]:
            continue
        generator = generator_for(search.config.random_state, record.id, class_name, "mark control")
        places = control_regions(wanted, mask_of(record.known_boxes_of(class_name), *size), generator)
        if places:
            return places[0].crop(search.kept.whole(record))
    return np.zeros((0, 0, 3), dtype=np.uint8)
