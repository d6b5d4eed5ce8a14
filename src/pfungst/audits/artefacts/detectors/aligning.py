r"""The same mark in several photos, brought onto one another to a part of a pixel, and where they agree.

Each photo's edges are rounded on their own, and a mark may be drawn a little larger or smaller. A copy is
resampled so that its sharp structure h (the luminance less its Gaussian mean of 2 pixels) correlates best
with that of a reference, over shifts and sizes; the peak between shifts is that of a parabola.

Whether n aligned copies show one thing is told near each pixel from the energy of what they share,

    s = ((Σ h_i)² − Σ h_i²) / (n (n − 1)),     e = Σ h_i² / n,

against that of the ground's own texture t around the mark: copies of one mark, opaque or not, have no more
than e ≈ s + t; codes, dates and numbers, which differ from photo to photo, have e > 2 (s + t).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.editing import edited, removal_edits
from pfungst.contract.classifier import ImageArray
from pfungst.images.rectangles import Region

_SHARP, _NEAR = 2.0, 3.0
_SIZES = (0.92, 0.96, 1.0, 1.04, 1.08)
_LEAST_ALIKE = 0.3
_RING = 6
_SLACK = 4
_REFINED = 3
_LUMINANCE = np.array([0.299, 0.587, 0.114])
Pixels = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Copy:
    """A mark in one photo, at the size and place of the reference.

    Attributes
    ----------
    mark, ground : (height, width, 3) float32
        As it is, and filled in from around it.
    texture : float
        Energy of the sharp structure of what is around it.
    variance : float
        Of the luminance around it, less the smooth ground.
    alike : float
        Correlation with the reference's sharp structure.
    shift : (float, float)
        Rows and columns by which it lay off.
    size : float
        How many times as large as the reference it is.
    """

    mark: Pixels
    ground: Pixels
    texture: float
    variance: float
    alike: float
    shift: tuple[float, float]
    size: float


def copies_of(
    reference: tuple[ImageArray, Region], others: Sequence[tuple[ImageArray, Region]]
) -> list[Copy]:
    """The reference's copies in photos, the reference itself first.

    Parameters
    ----------
    reference : (photo, Region)
        The photo ``(height, width, 3) uint8`` and where the mark lies in it.
    others : sequence of (photo, Region)
        Where it lies roughly.
    """
    image, region = reference
    own = _own(image, region)
    return [_copy(image, region, own), *(_copy(photo, place, own) for photo, place in others)]


def agreement(copies: Sequence[Copy]) -> NDArray[np.bool_]:
    """Pixels near which the copies show one thing, ``(height, width)``; all of a single copy."""
    from scipy.ndimage import gaussian_filter

    structures = np.stack([sharp(copy.mark.astype(np.float64) @ _LUMINANCE) for copy in copies])
    n = len(structures)
    if n < 2:
        return np.ones(structures.shape[1:], dtype=bool)
    total = np.square(structures).sum(axis=0)
    shared = (np.square(structures.sum(axis=0)) - total) / (n * (n - 1))
    texture = float(np.mean([copy.texture for copy in copies]))
    here, common = (gaussian_filter(part, _NEAR, mode="nearest") for part in (total / n, shared))
    agree: NDArray[np.bool_] = here <= 2 * (np.maximum(common, 0) + texture)
    return agree


def _own(image: ImageArray, region: Region) -> NDArray[np.float64]:
    """The reference's sharp structure, made with what is around it as the photos' is."""
    window, rows, columns = _window(image, region, _SLACK + round(3 * _SHARP))
    top, left = region.top - rows, region.left - columns
    return sharp(window)[top : top + region.shape[0], left : left + region.shape[1]]


def _window(image: ImageArray, region: Region, slack: int) -> tuple[NDArray[np.float64], int, int]:
    """The luminance of a region and what is around it, and the row and column it begins at."""
    top, left = max(region.top - slack, 0), max(region.left - slack, 0)
    window = image[top : region.bottom + slack, left : region.right + slack]
    return window.astype(np.float64) @ _LUMINANCE, top, left


def _copy(image: ImageArray, region: Region, own: NDArray[np.float64]) -> Copy:
    """The piece of a photo that is most like the reference, near a region of it."""
    row, column, size, alike = _best(image, region, own)
    filled = edited(image, removal_edits(image, [region]))
    mark, ground = (_resampled(photo, row, column, size, own.shape) for photo in (image, filled))
    texture, variance = _around(image, region)
    return Copy(
        mark=mark,
        ground=ground,
        texture=texture,
        variance=variance,
        alike=alike,
        shift=(row - region.top, column - region.left),
        size=size,
    )


def _best(image: ImageArray, region: Region, own: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Row and column of its corner, its size, and how alike it is; the region itself where nothing is."""
    window, top, left = _window(image, region, _SLACK + round(0.08 * max(own.shape)))
    structure = _splines(sharp(window))
    starts = [
        np.array([*_peak(sharp(_zoomed(window, 1 / size)), own), size])
        for size in _sizes(region.shape, own.shape)
    ]
    best = sorted(starts, key=lambda place: -_alike_at(place, structure, own))[:_REFINED]
    refined = [_refined(place, structure, own) for place in best]
    alike, (row, column, size) = max(refined, key=lambda item: item[0])
    if alike < _LEAST_ALIKE:
        return float(region.top), float(region.left), 1.0, max(alike, 0.0)
    return top + row * size, left + column * size, size, alike


def _sizes(shape: tuple[int, int], wanted: tuple[int, ...]) -> list[float]:
    """Sizes that are tried: near that of the region, and near 1."""
    ratio = float(np.sqrt(shape[0] * shape[1] / (wanted[0] * wanted[1])))
    near = ratio if 0.5 < ratio < 2 else 1.0
    return sorted({*_SIZES, *(near * size for size in _SIZES)})


def _refined(
    start: NDArray[np.float64], splines: NDArray[np.float64], own: NDArray[np.float64]
) -> tuple[float, tuple[float, float, float]]:
    """The likest row, column (in the size's pixels) and size near a start, and how alike it is there."""
    from scipy.optimize import minimize

    def unlike(place: NDArray[np.float64]) -> float:
        return -_alike_at(place, splines, own)

    simplex = start + np.vstack([np.zeros(3), np.diag([0.5, 0.5, 0.02])])
    found = minimize(
        unlike, start, method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxfev": 80, "xatol": 0.01, "fatol": 1e-4},
    )  # fmt: skip
    row, column, size = (float(part) for part in found.x)
    return -float(found.fun), (row, column, size)


def _alike_at(place: NDArray[np.float64], splines: NDArray[np.float64], own: NDArray[np.float64]) -> float:
    row, column, size = place
    rows, columns = _grid(row, column, size, own.shape)
    return _alike(_between_pixels(splines, rows, columns), own)


def _grid(
    row: float, column: float, size: float, shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of pixels that are ``size`` wide, from a corner on that is counted in such pixels."""
    rows, columns = (
        (start + np.arange(length, dtype=np.float64) + 0.5) * size - 0.5
        for start, length in zip((row, column), shape, strict=True)
    )
    return rows, columns


def _zoomed(plane: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    if factor == 1:
        return plane
    shape = tuple(max(round(length * factor), 1) for length in plane.shape)
    return _between_pixels(_splines(plane), *_grid(0.0, 0.0, 1 / factor, shape))


def _splines(plane: NDArray[Any]) -> NDArray[np.float64]:
    from scipy.ndimage import spline_filter

    coefficients: NDArray[np.float64] = spline_filter(
        plane.astype(np.float64), order=3, output=np.float64, mode="nearest"
    )
    return coefficients


def _between_pixels(
    splines: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A plane between its pixels, by cubic splines."""
    from scipy.ndimage import map_coordinates

    places = np.meshgrid(rows, columns, indexing="ij")
    sampled: NDArray[np.float64] = map_coordinates(
        splines, places, output=np.float64, order=3, mode="nearest", prefilter=False
    )
    return sampled


def sharp(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """A plane's sharp structure: less its Gaussian mean."""
    from scipy.ndimage import gaussian_filter

    structure: NDArray[np.float64] = plane - gaussian_filter(plane, _SHARP, mode="nearest")
    return structure


def _peak(window: NDArray[np.float64], own: NDArray[np.float64]) -> tuple[float, float]:
    """Row and column of the largest correlation, to a part of a pixel; 0 where it does not fit."""
    from scipy.signal import fftconvolve

    if window.shape[0] < own.shape[0] or window.shape[1] < own.shape[1]:
        return 0.0, 0.0
    product = fftconvolve(window, own[::-1, ::-1], mode="valid")
    energy = fftconvolve(np.square(window), np.ones(own.shape), mode="valid")
    correlation = product / np.sqrt(np.maximum(energy, 1e-9))
    row, column = (int(part) for part in np.unravel_index(correlation.argmax(), correlation.shape))
    return row + _between(correlation[:, column], row), column + _between(correlation[row], column)


def _alike(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Correlation of two structures, 0 where one is nothing."""
    scale = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    return float((one * other).sum()) / scale if scale > 0 else 0.0


def _between(values: NDArray[np.float64], top: int) -> float:
    """Where the parabola through a peak and its neighbours is highest, −½ to ½ off the peak."""
    if not 0 < top < len(values) - 1:
        return 0.0
    before, here, after = values[top - 1 : top + 2]
    bend = before - 2 * here + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def _resampled(image: ImageArray, row: float, column: float, size: float, shape: tuple[int, ...]) -> Pixels:
    """``shape`` pixels of a photo from a corner on, each ``size`` of its pixels wide."""
    rows, columns = _grid(row / size, column / size, size, shape)
    top, left = (max(int(axis[0]) - _SLACK, 0) for axis in (rows, columns))
    window = image[top : int(rows[-1]) + _SLACK, left : int(columns[-1]) + _SLACK]
    planes = [_between_pixels(_splines(window[..., c]), rows - top, columns - left) for c in range(3)]
    return np.stack(planes, axis=-1).astype(np.float32)


def _around(image: ImageArray, region: Region) -> tuple[float, float]:
    """Of a ring around a region: energy of its sharp structure, and variance of its luminance."""
    window, above, aside = _window(image, region, _RING)
    ring = np.ones(window.shape, dtype=bool)
    top, left = region.top - above, region.left - aside
    ring[max(top - 1, 0) : top + region.shape[0] + 1, max(left - 1, 0) : left + region.shape[1] + 1] = False
    if not ring.any():
        return 0.0, 0.0
    return float(np.square(sharp(window)[ring]).mean()), float(window[ring].var())
