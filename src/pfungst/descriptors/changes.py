"""Dense SIFT of a photo that changes in places: only the descriptors that see a change are taken again.

A changed pixel reaches a descriptor through the smoothing (a Gaussian cut at 4σ), the gradient (one pixel)
and the descriptor's support (its bins and half a bin around them). Every descriptor whose support meets the
change, widened by the first two, is computed anew from a crop with the same margin, so the result is that of
:func:`~pfungst.descriptors.sift.dense_sift` on the whole changed photo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pfungst.descriptors import sift
from pfungst.descriptors.sift import DESCRIPTOR_SIZE, N_BINS, SiftConfig
from pfungst.errors import ConfigError

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class GridScale:
    """The grid of descriptors of one bin size.

    Attributes
    ----------
    size : int
        Side of a spatial bin in pixels.
    rows, columns : (n,) int
        Where the first bin's centre lies, in pixels.
    """

    size: int
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, int]:
        """Descriptors down and across."""
        return len(self.rows), len(self.columns)


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """Descriptors of a rectangle of one scale's grid.

    Attributes
    ----------
    scale : int
        Which scale.
    window : (slice, slice)
        Rows and columns of its grid.
    kept : (n_rows, n_columns) bool
        Which of them have enough contrast.
    values : (kept.sum(), 128) float32
        Those, row by row.
    """

    scale: int
    window: tuple[slice, slice]
    kept: NDArray[np.bool_]
    values: FloatArray


class DescriptorGrid:
    """All places where descriptors of a photo of one shape are taken.

    Parameters
    ----------
    shape : (int, int)
        ``(height, width)`` of the photo.
    config : SiftConfig
        Without ``max_height``: in a photo that is reduced first every pixel is a mixture.

    Raises
    ------
    ConfigError
        If the photo would be reduced.
    """

    def __init__(self, shape: tuple[int, int], config: SiftConfig) -> None:
        if config.max_height is not None and shape[0] > config.max_height:
            raise ConfigError(
                f"a photo of height {shape[0]} that is reduced to {config.max_height}",
                allowed="photos that are taken as they are",
            )
        self.shape = shape
        self.config = config
        self.scales = tuple(self._scale(size) for size in config.bin_sizes)

    def _scale(self, size: int) -> GridScale:
        start = sift._offset(size, max(self.config.bin_sizes))
        rows, columns = (
            np.arange(start, length - sift._reach(size) + 1, self.config.step) for length in self.shape
        )
        return GridScale(size=size, rows=rows, columns=columns)

    def take(
        self, image: NDArray[np.uint8], area: tuple[int, int, int, int] | None = None
    ) -> Iterator[Taken]:
        """Descriptors that see any pixel of ``area``.

        Parameters
        ----------
        image : (height, width, 3) uint8
        area : (top, left, bottom, right), optional
            Half-open; default the whole photo.

        Yields
        ------
        Taken
            One for each scale that has such descriptors.
        """
        top, left, bottom, right = area or (0, 0, *self.shape)
        for index, scale in enumerate(self.scales):
            margin = self._margin(scale.size)
            window = (
                _seeing(scale.rows, scale.size, top - margin, bottom + margin),
                _seeing(scale.columns, scale.size, left - margin, right + margin),
            )
            if window[0].start < window[0].stop and window[1].start < window[1].stop:
                kept, values = self._compute(image, scale, window)
                yield Taken(scale=index, window=window, kept=kept, values=values)

    def _margin(self, size: int) -> int:
        """How far a pixel's change spreads into the gradient: SciPy cuts the Gaussian at 4σ."""
        return int(4.0 * size / self.config.magnification + 0.5) + 1

    def _compute(
        self, image: NDArray[np.uint8], scale: GridScale, window: tuple[slice, slice]
    ) -> tuple[NDArray[np.bool_], FloatArray]:
        """Contrast mask of the window and the descriptors that pass, row by row."""
        margin = self._margin(scale.size) + 1
        places = [scale.rows[window[0]], scale.columns[window[1]]]
        crop = tuple(
            _crop(part, scale.size, margin, length) for part, length in zip(places, self.shape, strict=True)
        )
        grey = sift._grey(image[crop])
        smooth = gaussian_filter(grey, scale.size / self.config.magnification, mode="nearest")
        gradient = sift._polar_gradient(smooth)
        rows, columns = (part - cut.start for part, cut in zip(places, crop, strict=True))
        kept = np.zeros((rows.size, columns.size), dtype=bool)
        values = np.zeros((rows.size, columns.size, DESCRIPTOR_SIZE), dtype=np.float32)
        tile = sift._TILE
        for i in range(0, rows.size, tile):
            for j in range(0, columns.size, tile):
                found, centres = sift._one_tile(
                    gradient, rows[i : i + tile], columns[j : j + tile], scale.size, self.config
                )
                down = (centres[:, 1] - rows[0]) // self.config.step
                across = (centres[:, 0] - columns[0]) // self.config.step
                kept[down, across] = True
                values[down, across] = found
        return kept, values[kept]


def _seeing(first: NDArray[np.intp], size: int, start: int, stop: int) -> slice:
    """Which descriptors with first bin centres ``first`` have a support that meets ``[start, stop)``."""
    low = int(np.searchsorted(first, start - N_BINS * size + 1))
    return slice(low, max(int(np.searchsorted(first, stop + size - 1)), low))


def _crop(first: NDArray[np.intp], size: int, margin: int, length: int) -> slice:
    """The pixels from which these descriptors can be computed along one axis."""
    return slice(
        max(int(first[0]) - size + 1 - margin, 0), min(int(first[-1]) + N_BINS * size + margin, length)
    )
