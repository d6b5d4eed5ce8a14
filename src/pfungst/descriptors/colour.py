r"""Local colour statistics: mean and standard deviation of each channel in a 4 x 4 grid of cells.

With 3 channels that is 96 numbers a descriptor. Beside SIFT it is the second descriptor of the literature on
Fisher vectors, since it sees what SIFT by design does not: colour and brightness themselves.

Source: Clinchant, Csurka, Perronnin, Renders 2007; Perronnin, Sánchez, Mensink, ECCV 2010; Sánchez,
Perronnin, Mensink, Verbeek, IJCV 2013.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pfungst.descriptors.descriptor import FloatArray, register_descriptor
from pfungst.descriptors.grid import N_BINS, Field, GridDescriptor, Indices
from pfungst.errors import PfungstError

N_CHANNELS = 3
_WHITE = 255.0


@register_descriptor
@dataclass(frozen=True, kw_only=True)
class ColourConfig(GridDescriptor):
    """Local colour statistics: how densely and at which scales descriptors are taken.

    A descriptor's numbers come cell by cell (rows of cells from the top), in each the means of R, G and B and
    then their standard deviations, of values in [0, 1]. Cells at the border are cut by it.

    Attributes
    ----------
    step : int
        Distance of neighbouring descriptors in pixels.
    bin_sizes : tuple of int
        Side of a cell in pixels, one per scale; a descriptor covers a square of side ``4 * bin_size``.
    max_height : int or None
        Taller photos are reduced to this height first; geometry still refers to the original pixels.
    """

    name: ClassVar[str] = "colour"
    step: int = 4
    bin_sizes: tuple[int, ...] = (4, 6, 8, 12, 16)

    @property
    def size(self) -> int:
        """96."""
        return N_BINS * N_BINS * 2 * N_CHANNELS

    def signal(self, image: NDArray[np.uint8]) -> FloatArray:
        """Red, green and blue from 0 to 255: sums of whole numbers are exact."""
        values = image.astype(np.float32)
        return np.repeat(values[..., None], N_CHANNELS, axis=2) if image.ndim == 2 else values

    def fields(self, signal: FloatArray, sizes: Sequence[int]) -> Iterator[Field]:
        """Sums of values and of squares over all rectangles from the photo's corner; for all scales."""
        moments = np.concatenate([signal, np.square(signal)], axis=2, dtype=np.float64)
        table = np.zeros((signal.shape[0] + 1, signal.shape[1] + 1, 2 * N_CHANNELS))
        np.cumsum(np.cumsum(moments, axis=0), axis=1, out=table[1:, 1:])
        for _ in sizes:
            yield (table,)

    def take_tile(
        self, field: Field, rows: Indices, columns: Indices, size: int
    ) -> tuple[NDArray[np.bool_], FloatArray]:
        """Sums over cells from the table's corners; every descriptor is kept."""
        (table,) = field
        down, across = _edges(rows, size, table.shape[0] - 1), _edges(columns, size, table.shape[1] - 1)
        corners = table[down.ravel()[:, None], across.ravel()]
        corners = corners.reshape(*down.shape, *across.shape, 2 * N_CHANNELS)
        sums = np.diff(np.diff(corners, axis=0), axis=2)
        pixels = np.diff(down, axis=0)[:, :, None, None, None] * np.diff(across, axis=0)[:, :, None]
        moments = sums / pixels
        mean, square = moments[..., :N_CHANNELS], moments[..., N_CHANNELS:]
        deviation = np.sqrt(np.maximum(square - np.square(mean), 0.0))
        cells = np.concatenate([mean, deviation], axis=-1) / _WHITE
        values = cells.transpose(1, 3, 0, 2, 4).reshape(-1, self.size).astype(np.float32)
        return np.ones(len(values), dtype=bool), values

    def reach(self, size: int) -> tuple[int, int]:
        """The cells alone."""
        return size // 2, N_BINS * size - size // 2

    def nothing_found(self) -> PfungstError:
        """A photo of any content has colours, so this is not met."""
        return PfungstError("a photo without pixels", hint="a larger photo")


def _edges(first: Indices, size: int, length: int) -> Indices:
    """Where the cells of each descriptor begin and end along one axis, ``(5, n)``, within the photo."""
    edges: Indices = np.clip(first - size // 2 + size * np.arange(N_BINS + 1)[:, None], 0, length)
    return edges
