"""Descriptors of squares on a regular grid at several scales, and those that see a changed place.

A descriptor covers 4 x 4 cells, its spatial bins, of one of ``bin_sizes`` pixels a side. All scales share
their descriptors' centres, ``step`` pixels apart. A kind says what it makes of a square, and how far a pixel
reaches into its descriptors; everything else is here. The whole photo and the squares that see a change are
described by the same lines, so the results agree.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.descriptors.descriptor import Area, Descriptor, Descriptors, FloatArray, Taken
from pfungst.errors import ConfigError, PfungstError

N_BINS = 4
TILE = 48
"""Descriptors along a side of a tile; its maps stay in the second-level cache."""

LONGEST_SIDE = 2000
"""The longest side, in pixels, at which photos are described unless a model states another."""

_MAX_PIXELS, _MAX_SCALES = 100_000, 64

Indices = NDArray[np.intp]
Field = tuple[NDArray[Any], ...]
"""What a kind computes of all pixels once for a scale."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scale:
    """The descriptors of one bin size.

    Attributes
    ----------
    size : int
        Side of a spatial bin in pixels.
    rows, columns : (n,) int
        Where the first bin's centre lies, in pixels.
    numbers : (n_rows, n_columns) int
        The places' numbers, tile by tile.
    """

    size: int
    rows: Indices
    columns: Indices
    numbers: Indices


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """All places of a photo.

    Attributes
    ----------
    shape : (int, int)
        ``(height, width)`` at which they are taken.
    scales : tuple of Scale
    areas : (n_places, 4) int32
        Receptive fields in pixels of the original photo.
    """

    shape: tuple[int, int]
    scales: tuple[Scale, ...]
    areas: NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class GridDescriptor(Descriptor):
    """Where and at which scales descriptors are taken; a kind adds what they are.

    Attributes
    ----------
    step : int
        Distance of neighbouring descriptors in pixels.
    bin_sizes : tuple of int
        Side of a spatial bin in pixels, one per scale; a descriptor covers a square of side ``4 * bin_size``.
    max_height : int or None
        Taller photos are reduced to this height first; geometry still refers to the original pixels.
    longest_side : int or None
        Photos with a longer side are reduced to it in the same way.
    """

    step: int = 3
    bin_sizes: tuple[int, ...] = (4, 6, 8, 10)
    max_height: int | None = None
    longest_side: int | None = LONGEST_SIDE

    def __post_init__(self) -> None:
        if not _is_count(self.step):
            raise ConfigError(f"step = {self.step}", allowed="1 or more pixels")
        if not 1 <= len(self.bin_sizes) <= _MAX_SCALES or not all(map(_is_count, self.bin_sizes)):
            raise ConfigError(
                f"bin_sizes = {self.bin_sizes}",
                allowed=f"one to {_MAX_SCALES} sizes of at least 1 pixel",
            )
        if self.max_height is not None and not _is_count(self.max_height):
            raise ConfigError(f"max_height = {self.max_height}", allowed="None or 1 or more pixels")
        if self.longest_side is not None and not _is_count(self.longest_side):
            raise ConfigError(f"longest_side = {self.longest_side}", allowed="None or 1 or more pixels")

    @abstractmethod
    def signal(self, image: NDArray[np.uint8]) -> FloatArray:
        """The numbers of each pixel that it works on, ``(height, width)`` or ``(height, width, c)``."""

    @abstractmethod
    def fields(self, signal: FloatArray, sizes: Sequence[int]) -> Iterator[Field]:
        """What it needs of all pixels for each bin size."""

    @abstractmethod
    def take_tile(
        self, field: Field, rows: Indices, columns: Indices, size: int
    ) -> tuple[NDArray[np.bool_], FloatArray]:
        """Descriptors with their first bins centred at the crossings of ``rows`` and ``columns``.

        Returns
        -------
        kept : (n_rows * n_columns,) bool
            Which of them there are, row by row.
        values : (kept.sum(), size) float32
        """

    @abstractmethod
    def reach(self, size: int) -> tuple[int, int]:
        """How far a descriptor looks before its first bin's centre, and up to where after it (half-open)."""

    @abstractmethod
    def nothing_found(self) -> PfungstError:
        """What to say of a photo that has no descriptor."""

    @property
    def smallest_side(self) -> int:
        """The smallest photo side, in pixels, that holds at least one descriptor."""
        largest = max(self.bin_sizes)
        return min(_offset(size, largest) + span(size) for size in self.bin_sizes)

    def describe(self, image: NDArray[np.uint8]) -> Descriptors:
        """The descriptors of a photo.

        Parameters
        ----------
        image : (height, width, 3) or (height, width) uint8
            RGB or grey.

        Raises
        ------
        PfungstError
            If the photo is too small for one descriptor, or has nothing to describe.
        """
        shape = (image.shape[0], image.shape[1])
        signal = self.signal(image)
        working = self.working_shape(shape)
        if working != shape:
            signal = _reduced(signal, *working)
        if min(signal.shape[:2]) < self.smallest_side:
            raise PfungstError(
                f"a photo of {shape[1]} x {shape[0]} pixels is too small for one descriptor",
                allowed=f"at least {self.smallest_side} pixels on each side with bin sizes {self.bin_sizes}",
                hint="a larger photo or smaller bin sizes",
            )
        grid = grid_of((signal.shape[0], signal.shape[1]), shape, self.step, self.bin_sizes)
        tiles = [
            self.take_tile(field, rows, columns, scale.size)
            for scale, field in zip(grid.scales, self.fields(signal, self.bin_sizes), strict=True)
            for rows, columns, _ in _tiles(scale, slice(None), slice(None))
        ]
        places = np.flatnonzero(np.concatenate([kept for kept, _ in tiles]))
        if not places.size:
            raise self.nothing_found()
        parts = [values for _, values in tiles]
        del tiles
        values = _joined(parts)
        return Descriptors(values=values, areas=grid.areas[places], shape=shape, places=places)

    def places(self, shape: tuple[int, int]) -> GridPlaces | None:
        """Where descriptors are taken; None for photos that are reduced first: every pixel is a mixture."""
        if self.working_shape(shape) != shape:
            return None
        return GridPlaces(self, grid_of(shape, shape, self.step, self.bin_sizes))

    def working_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """``(height, width)`` at which a photo of this shape is described."""
        height, width = shape
        most = height if self.max_height is None else min(height, self.max_height)
        if self.longest_side is not None and max(shape) > self.longest_side:
            most = min(most, max(round(height * self.longest_side / max(shape)), 1))
        return shape if most == height else (most, max(round(width * most / height), 1))


class GridPlaces:
    """The places of one shape of photos, for one kind of descriptor."""

    def __init__(self, descriptor: GridDescriptor, grid: Grid) -> None:
        self._descriptor, self._grid = descriptor, grid

    @property
    def n_places(self) -> int:
        """How many."""
        return len(self._grid.areas)

    def count(self, area: Area) -> int:
        """How many of them see any pixel of ``area``."""
        return sum(scale.numbers[window].size for scale, window in self._seeing(area))

    def take(self, image: NDArray[np.uint8], area: Area) -> Taken:
        """Descriptors that see any pixel of ``area``, computed from a crop with all that they look at."""
        places, kept, values = [], [], []
        for scale, window in self._seeing(area):
            down, across = (self._crop(scale, axis, part) for axis, part in enumerate(window))
            signal = self._descriptor.signal(image[down, across])
            field = next(iter(self._descriptor.fields(signal, [scale.size])))
            for rows, columns, numbers in _tiles(scale, *window):
                found = self._descriptor.take_tile(
                    field, rows - down.start, columns - across.start, scale.size
                )
                places.append(numbers.ravel())
                kept.append(found[0])
                values.append(found[1])
        if not places:
            empty = np.empty(0, np.intp)
            return Taken(
                places=empty,
                kept=empty.astype(bool),
                values=np.empty((0, self._descriptor.size), np.float32),
            )
        return Taken(places=np.concatenate(places), kept=np.concatenate(kept), values=np.concatenate(values))

    def _seeing(self, area: Area) -> Iterator[tuple[Scale, tuple[slice, slice]]]:
        """Each scale with the rows and columns of its grid that see the area, where there are any."""
        top, left, bottom, right = area
        for scale in self._grid.scales if top < bottom and left < right else ():
            before, after = self._descriptor.reach(scale.size)
            down = _between(scale.rows, top - after, bottom + before)
            across = _between(scale.columns, left - after, right + before)
            if down.start < down.stop and across.start < across.stop:
                yield scale, (down, across)

    def _crop(self, scale: Scale, axis: int, part: slice) -> slice:
        """The pixels from which these descriptors can be computed along one axis."""
        first = (scale.rows, scale.columns)[axis][part]
        before, after = self._descriptor.reach(scale.size)
        return slice(max(int(first[0]) - before, 0), min(int(first[-1]) + after, self._grid.shape[axis]))


def span(size: int) -> int:
    """Pixels from the centre of the first spatial bin to that of the last, both counted."""
    return (N_BINS - 1) * size + 1


@lru_cache(maxsize=8)
def grid_of(shape: tuple[int, int], original: tuple[int, int], step: int, bin_sizes: tuple[int, ...]) -> Grid:
    """The grid of photos that are described at ``shape`` and were ``original`` before."""
    scales: list[Scale] = []
    filled = 0
    for size in bin_sizes:
        start = _offset(size, max(bin_sizes))
        rows, columns = (np.arange(start, length - span(size) + 1, step) for length in shape)
        numbers = _numbered(rows.size, columns.size) + filled
        filled += numbers.size
        scales.append(Scale(size=size, rows=rows, columns=columns, numbers=numbers))
    zoom = np.array([original[1] / shape[1], original[0] / shape[0]])
    areas = np.concatenate([_areas(scale, zoom, original) for scale in scales])
    return Grid(shape=shape, scales=tuple(scales), areas=areas)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_PIXELS


def _offset(size: int, largest: int) -> int:
    """Where the first bin centre of a scale lies, so that all scales share their descriptors' centres."""
    return int(1.5 * (largest - size))


def _blocks(part: slice, length: int) -> Iterator[slice]:
    start, stop, _ = part.indices(length)
    for first in range(start, stop, TILE):
        yield slice(first, min(first + TILE, stop))


def _joined(parts: list[FloatArray]) -> FloatArray:
    """All parts one after the other; each is let go once it is copied, so that memory holds them once."""
    whole = np.empty((sum(map(len, parts)), parts[0].shape[1]), dtype=np.float32)
    end = len(whole)
    while parts:
        part = parts.pop()
        whole[end - len(part) : end] = part
        end -= len(part)
    return whole


def _tiles(scale: Scale, down: slice, across: slice) -> Iterator[tuple[Indices, Indices, Indices]]:
    """Rows, columns and numbers of each tile of a window of the scale's grid."""
    for rows in _blocks(down, scale.rows.size):
        for columns in _blocks(across, scale.columns.size):
            yield scale.rows[rows], scale.columns[columns], scale.numbers[rows, columns]


def _numbered(n_rows: int, n_columns: int) -> Indices:
    """Numbers of places, ``(n_rows, n_columns)``: tile by tile, row by row in each."""
    numbers = np.empty((n_rows, n_columns), dtype=np.intp)
    filled = 0
    for rows in _blocks(slice(None), n_rows):
        for columns in _blocks(slice(None), n_columns):
            tile = numbers[rows, columns]
            tile[...] = np.arange(filled, filled + tile.size).reshape(tile.shape)
            filled += tile.size
    return numbers


def _areas(scale: Scale, zoom: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Receptive fields in pixels of the original photo, clipped, at least one pixel each; by number."""
    if not scale.numbers.size:
        return np.empty((0, 4), np.int32)
    centres = np.empty((scale.numbers.size, 2), dtype=np.int32)
    order = scale.numbers - scale.numbers[0, 0]
    centres[order] = np.stack(np.meshgrid(scale.columns, scale.rows), axis=-1)
    corner = centres - scale.size // 2
    limits = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(corner * zoom), 0, limits - 1)
    high = np.clip(np.ceil((corner + N_BINS * scale.size) * zoom), low + 1, limits)
    return np.concatenate([low, high], axis=1).astype(np.int32)


def _between(first: Indices, start: int, stop: int) -> slice:
    """Which of the ascending ``first`` lie after ``start`` and before ``stop``."""
    low = int(np.searchsorted(first, start + 1))
    return slice(low, max(int(np.searchsorted(first, stop)), low))


def _reduced(signal: FloatArray, height: int, width: int) -> FloatArray:
    from PIL import Image

    layers = signal.reshape(*signal.shape[:2], -1)
    resized = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(layers[..., index])).resize(
                (width, height), Image.Resampling.LANCZOS
            ),
            dtype=np.float32,
        )
        for index in range(layers.shape[2])
    ]
    return np.stack(resized, axis=-1).reshape(height, width, *signal.shape[2:])
