r"""Where a photo looks like a patch: correlation of looks, by products in the Fourier domain.

For a patch T with mask M and the photo's look F at each place,

    s = Σ_M T F / (|T|_M max(|F|_M, |T|_M / 2))

which is 1 for the same pattern, about 0 for unrelated ones, and cannot be large where there is hardly any
pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.search.features import Look, unpacked

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

    @cached_property
    def is_whole(self) -> bool:
        """Whether all of its rectangle belongs to it."""
        return bool(self.mask.all())

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
    values = unpacked(look[:, top : top + height, left : left + width])
    return Patch(values=values, mask=np.ones(values.shape[1:], bool), top=top, left=left, size=look.shape[1:])


@dataclass(frozen=True, slots=True)
class Match:
    """The best place of a patch in a photo; −1 where it does not fit."""

    similarity: float
    top: int
    left: int


NO_MATCH = Match(-1.0, 0, 0)


def best_anywhere(patch: Patch, photo: Look) -> Match:
    """The best place of a patch in a photo."""
    return _best(similarities(patch, photo))


def similarities(patch: Patch, photo: Look) -> NDArray[np.float32]:
    """s at every place where the patch lies within the photo; empty where it does not fit."""
    height, width = (-(-length // 32) * 32 for length in photo.shape[1:])
    found: NDArray[np.float32] = _similar(_Stack(photo[None], (height, width)), patch)[0]
    return found


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
        self._stack = _Stack(np.stack(pieces), self._shape) if pieces else None

    def best(self, patch: Patch) -> list[Match]:
        """For each photo the best match near one of its places."""
        best = [NO_MATCH] * self._count
        if self._stack is None:
            return best
        similar = _similar(self._stack, patch)
        for (index, corner), found in zip(self._owners, _all_best(similar), strict=True):
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


class _Stack:
    """Looks of one size made ready for patches: their transforms, and energies within rectangles.

    Parameters
    ----------
    looks : (n, 6, height, width)
    canvas : (int, int)
        Of the transforms; as large as the looks or larger.
    """

    def __init__(self, looks: Look, canvas: tuple[int, int]) -> None:
        from scipy import fft

        values = unpacked(looks)
        self.size, self.canvas = values.shape[2:], canvas
        self.spectra = fft.rfft2(values, canvas)
        self._energy = np.square(values).sum(axis=1)
        self._within: dict[tuple[int, int], NDArray[np.float32]] = {}

    def __len__(self) -> int:
        return len(self._energy)

    @cached_property
    def energy_spectra(self) -> NDArray[Any]:
        """Transforms of Σ_channels F²."""
        from scipy import fft

        spectra: NDArray[Any] = fft.rfft2(self._energy, self.canvas)
        return spectra

    def size_within(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """|F| in a rectangle of that shape at each place where it lies within, ``(n, rows, columns)``."""
        if shape not in self._within:
            rows, columns = (_runs(whole, side) for whole, side in zip(self.size, shape, strict=True))
            self._within[shape] = np.sqrt(rows @ self._energy @ columns.T)
        return self._within[shape]


@lru_cache(maxsize=64)
def _runs(whole: int, side: int) -> NDArray[np.float32]:
    """Adds up every run of ``side`` numbers of ``whole``: ones along a band, ``(whole - side + 1, whole)``.

    A product with it takes a tenth of the time of sums from the start and their differences.
    """
    starts, places = np.arange(whole - side + 1)[:, None], np.arange(whole)
    return ((places >= starts) & (places < starts + side)).astype(np.float32)


Transforms = tuple[NDArray[Any], NDArray[Any] | None]
"""Of a patch's values, and of its mask unless that is its whole rectangle."""


@lru_cache(maxsize=4)
def _transforms(patch: Patch, canvas: tuple[int, int]) -> Transforms:
    """Kept for the patches at hand, which are looked for in one batch of photos after the other."""
    from scipy import fft

    rows, columns = (slice(min(side, limit)) for side, limit in zip(patch.shape, canvas, strict=True))
    values = np.conj(fft.rfft2(patch.values[:, rows, columns], canvas))
    if patch.is_whole:
        return values, None
    return values, np.conj(fft.rfft2(patch.mask[rows, columns].astype(np.float32), canvas))


def _similar(stack: _Stack, patch: Patch) -> NDArray[np.float32]:
    """s of a stack of photos, ``(n, rows, columns)``; places that wrap around the canvas are cut off."""
    rows, columns = (whole - side + 1 for whole, side in zip(stack.size, patch.shape, strict=True))
    if rows < 1 or columns < 1 or patch.energy <= 0:
        return np.zeros((len(stack), 0, 0), dtype=np.float32)
    values, mask = _transforms(patch, stack.canvas)
    spectrum = stack.spectra[:, 0] * values[0]
    for channel in range(1, len(values)):  # one after the other: all products at once leave the cache
        spectrum += stack.spectra[:, channel] * values[channel]
    products = _inverse(spectrum, rows, columns, stack.canvas)
    size = stack.size_within(patch.shape) if mask is None else _size_under(mask, stack, rows, columns)
    own = np.float32(np.sqrt(patch.energy))
    products /= own * np.maximum(size, own / 2)
    return products


def _size_under(mask: NDArray[Any], stack: _Stack, rows: int, columns: int) -> NDArray[np.float32]:
    """|F| under a mask, from the mask's transform."""
    energy = _inverse(stack.energy_spectra * mask, rows, columns, stack.canvas)
    return np.sqrt(np.maximum(energy, 0, out=energy), out=energy)


def _inverse(spectrum: NDArray[Any], rows: int, columns: int, canvas: tuple[int, int]) -> NDArray[np.float32]:
    """The first rows and columns of the inverse transform; the others are not worked out."""
    from scipy import fft

    half = fft.ifft(spectrum, axis=1, overwrite_x=True)[:, :rows]
    return np.asarray(fft.irfft(half, canvas[1], axis=2)[:, :, :columns], dtype=np.float32)


def _best(similar: NDArray[np.float32]) -> Match:
    return _all_best(similar[None])[0]


def _all_best(similar: NDArray[np.float32]) -> list[Match]:
    """The best place in each of a stack."""
    if not similar[0].size:
        return [NO_MATCH] * len(similar)
    flat = similar.reshape(len(similar), -1)
    places = flat.argmax(axis=1)
    values = flat[np.arange(len(flat)), places]
    tops, lefts = np.unravel_index(places, similar.shape[1:])
    rows = zip(values.tolist(), tops.tolist(), lefts.tolist(), strict=True)
    return [Match(value, top, left) for value, top, left in rows]
