r"""Where a photo looks like a patch: correlation of looks, by products in the Fourier domain.

For a patch T with mask M and the photo's look F at each place,

    s = Σ_M T F / (|T|_M max(|F|_M, |T|_M / 2))

which is 1 for the same pattern, about 0 for unrelated ones, and cannot be large where there is hardly any
pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.audit.artefacts.search.features import Look

_BATCH_PIXELS = 2**18
Place = tuple[int, int]
"""``(top, left)`` in working pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """A piece of look, with the place it was cut from.

    Attributes
    ----------
    values : (6, height, width) float32
        Zero where the mask is false.
    mask : (height, width) bool
        What belongs to it.
    top, left : int
        Its place, in working pixels of a photo of ``size``.
    size : (int, int)
        ``(height, width)`` of that photo.
    """

    values: Look
    mask: NDArray[np.bool_]
    top: int
    left: int
    size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)``."""
        return self.mask.shape[0], self.mask.shape[1]

    @cached_property
    def energy(self) -> float:
        """|T|²."""
        return float(np.square(self.values, dtype=np.float64).sum())

    def places(self, size: tuple[int, int]) -> list[Place]:
        """Where it would be in a photo of another size: first at the same distance from the nearest corner,
        then from the middle of one of the nearest sides, or of the photo.
        """
        anchors = [
            (share, 0.5)
            for share in (_nearest_end(self.top, self.shape[0], self.size[0]),
                          _nearest_end(self.left, self.shape[1], self.size[1]))
        ]  # fmt: skip
        growth = (size[0] - self.size[0], size[1] - self.size[1])
        rows = dict.fromkeys(round(self.top + share * growth[0]) for share in anchors[0])
        columns = dict.fromkeys(round(self.left + share * growth[1]) for share in anchors[1])
        return [(row, column) for row in rows for column in columns]


def _nearest_end(start: int, length: int, whole: int) -> float:
    return 0.0 if 2 * start + length <= whole else 1.0


def cut(look: Look, top: int, left: int, height: int, width: int) -> Patch:
    """A rectangular patch of a photo's look."""
    values = look[:, top : top + height, left : left + width].astype(np.float32)
    return Patch(values=values, mask=np.ones(values.shape[1:], bool), top=top, left=left, size=look.shape[1:])


@dataclass(frozen=True, slots=True)
class Match:
    """The best place of a patch in a photo; −1 where it does not fit."""

    similarity: float
    top: int
    left: int


NO_MATCH = Match(-1.0, 0, 0)


class Matcher:
    """Patches made ready for whole photos; their transforms are kept for the last canvas."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        self.patches = tuple(patches)
        self._canvas: tuple[int, int] | None = None
        self._transforms: list[tuple[NDArray[Any], NDArray[Any]]] = []

    def best(self, photo: Look) -> list[Match]:
        """For each patch its best place in the photo."""
        return [_best(similar) for similar in self.similarities(photo)]

    def similarities(self, photo: Look) -> list[NDArray[np.float32]]:
        """For each patch s at every place where it lies within the photo; empty where it does not fit."""
        canvas = tuple(-(-length // 32) * 32 for length in photo.shape[1:])
        if canvas != self._canvas:
            self._canvas = (canvas[0], canvas[1])
            self._transforms = [_transforms(patch, self._canvas) for patch in self.patches]
        spectra = _spectra(photo[None], self._canvas)
        return [
            _similar(spectra, transforms, patch, photo.shape[1:], self._canvas)[0]
            for patch, transforms in zip(self.patches, self._transforms, strict=True)
        ]


class Surroundings:
    """Pieces of photos around given places, made ready for patches of one shape.

    Parameters
    ----------
    looks : sequence of (6, h, w)
        One for each photo.
    places : sequence of sequence of (top, left)
        For each photo where a patch may lie.
    shape : (int, int)
        Of the patches.
    reach : int
        Pixels by which a patch may stray from its place.
    """

    def __init__(
        self, looks: Sequence[Look], places: Sequence[Sequence[Place]], shape: tuple[int, int], reach: int
    ) -> None:
        self._shape = (shape[0] + 2 * reach, shape[1] + 2 * reach)
        self._count = len(looks)
        self._owners: list[tuple[int, Place]] = []
        pieces = []
        for index, (photo, wanted) in enumerate(zip(looks, places, strict=True)):
            for top, left in wanted:
                corner = (
                    _fitted(top - reach, self._shape[0], photo.shape[1]),
                    _fitted(left - reach, self._shape[1], photo.shape[2]),
                )
                if min(corner) >= 0:
                    pieces.append(cut_out(photo, corner, self._shape))
                    self._owners.append((index, corner))
        self._spectra = _spectra(np.stack(pieces), self._shape) if pieces else None

    def best(self, patch: Patch) -> list[Match]:
        """For each photo the best match near one of its places."""
        best = [NO_MATCH] * self._count
        if self._spectra is None:
            return best
        transforms = _transforms(patch, self._shape)
        similar = _similar(self._spectra, transforms, patch, self._shape, self._shape)
        for (index, corner), values in zip(self._owners, similar, strict=True):
            found = _best(values)
            if found.similarity > best[index].similarity:
                best[index] = Match(found.similarity, found.top + corner[0], found.left + corner[1])
        return best


def best_near(
    patch: Patch, looks: Sequence[Look], places: Sequence[Sequence[Place]], reach: int
) -> list[Match]:
    """For each photo the best match within ``reach`` pixels of one of the given places.

    Photos are taken in batches, fewer of them for a large patch, so that memory does not grow with their
    number.
    """
    pixels = (patch.shape[0] + 2 * reach) * (patch.shape[1] + 2 * reach)
    size = max(_BATCH_PIXELS // pixels, 1)
    found = []
    for start in range(0, len(looks), size):
        part = slice(start, start + size)
        found += Surroundings(looks[part], places[part], patch.shape, reach).best(patch)
    return found


def cut_out(photo: Look, corner: Place, shape: tuple[int, int]) -> Look:
    """The pixels of a rectangle."""
    return photo[:, corner[0] : corner[0] + shape[0], corner[1] : corner[1] + shape[1]]


def _fitted(start: int, length: int, whole: int) -> int:
    """The start moved so that the stretch lies within the whole; −1 if it cannot."""
    return min(max(start, 0), whole - length) if whole >= length else -1


def _spectra(stack: NDArray[np.float32], canvas: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Transforms of looks ``(n, 6, …)`` and of their energy ``(n, …)``."""
    from scipy import fft

    stack = np.asarray(stack, dtype=np.float32)
    return fft.rfft2(stack, canvas), fft.rfft2(np.square(stack).sum(axis=1), canvas)


def _transforms(patch: Patch, canvas: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    from scipy import fft

    rows, columns = (slice(min(side, limit)) for side, limit in zip(patch.shape, canvas, strict=True))
    values = np.conj(fft.rfft2(patch.values[:, rows, columns], canvas))
    return values, np.conj(fft.rfft2(patch.mask[rows, columns].astype(np.float32), canvas))


def _similar(
    spectra: tuple[NDArray[Any], NDArray[Any]],
    transforms: tuple[NDArray[Any], NDArray[Any]],
    patch: Patch,
    size: Sequence[int],
    canvas: tuple[int, int],
) -> NDArray[np.float32]:
    """s of a stack of photos, ``(n, rows, columns)``; places that wrap around the canvas are cut off."""
    from scipy import fft

    rows, columns = (whole - side + 1 for whole, side in zip(size, patch.shape, strict=True))
    if rows < 1 or columns < 1 or patch.energy <= 0:
        return np.zeros((len(spectra[0]), 0, 0), dtype=np.float32)
    summed = (spectra[0] * transforms[0]).sum(axis=1)
    products = fft.irfft2(summed, canvas)[:, :rows, :columns]
    energy = fft.irfft2(spectra[1] * transforms[1], canvas)[:, :rows, :columns]
    own = np.float32(patch.energy)
    similar: NDArray[np.float32] = (products / np.sqrt(own * np.maximum(energy, own / 4))).astype(np.float32)
    return similar


def _best(similar: NDArray[np.float32]) -> Match:
    if not similar.size:
        return NO_MATCH
    top, left = np.unravel_index(int(similar.argmax()), similar.shape)
    return Match(float(similar[top, left]), int(top), int(left))
