"""Relevance proposes: compact places off the object where much positive relevance lies."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pfungst.images.rectangles import Box, Region, mask_of

_LEAST_OUTSIDE = 0.05
_MARGIN = 4  # cells: an object's own relevance reaches so far beyond its box


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A square of dense positive relevance, in working pixels.

    ``density`` is its mean positive relevance over that of the whole photo off the class's boxes.
    """

    image: str
    top: int
    left: int
    side: int
    density: float

    def scaled(self, factor: float, height: int, width: int) -> Blob:
        """The blob in a photo of another scale and of ``height`` × ``width`` pixels."""
        side = min(round(self.side * factor), height, width)
        top, left = round(self.top * factor), round(self.left * factor)
        return replace(self, top=min(top, height - side), left=min(left, width - side), side=side)


def find_blobs(
    image: str,
    heatmap: NDArray[np.floating],
    boxes: tuple[Box, ...],
    size: tuple[int, int],
    scale: float,
    *,
    side: int,
    count: int,
) -> list[Blob]:
    """The densest squares of a photo's positive relevance outside the boxes, hardly overlapping.

    Parameters
    ----------
    image : str
    heatmap : (h, w)
        A reduced heatmap, each cell the sum of its pixels' relevance.
    boxes : tuple of Box
        Of the class, in the photo's pixels.
    size : (int, int)
        ``(height, width)`` of the photo.
    scale : float
        Working pixels in one of the photo's.
    side, count : int
        Side of a square in working pixels; how many.
    """
    positive = off_object(heatmap, boxes, size)
    height, width = (max(round(length * scale), 1) for length in size)
    if positive is None or min(height, width) < side:
        return []
    sums = _window_sums(positive, (height, width), side)
    mean = float(np.nanmean(positive)) * positive.size / (height * width)
    found: list[Blob] = []
    for _ in range(count):
        top, left = (int(v) for v in np.unravel_index(int(sums.argmax()), sums.shape))
        density = float(sums[top, left]) / side**2
        if density <= mean:
            break
        found.append(Blob(image=image, top=top, left=left, side=side, density=density / mean))
        reach = 3 * side // 4
        sums[max(top - reach, 0) : top + reach + 1, max(left - reach, 0) : left + reach + 1] = 0
    return found


def off_object(
    heatmap: NDArray[np.floating], boxes: tuple[Box, ...], size: tuple[int, int]
) -> NDArray[np.float64] | None:
    """Positive relevance with NaN in the boxes and close around them; None if hardly anything is left.

    A heatmap is blurred by the size of receptive fields: an object's own relevance reaches beyond its box.
    """
    rows, columns = heatmap.shape
    up, across = rows / size[0], columns / size[1]
    scaled = tuple(_widened(box, up, across) for box in boxes)
    inside = mask_of(scaled, rows, columns)
    positive: NDArray[np.float64] = np.maximum(heatmap, 0).astype(np.float64)
    positive[inside] = np.nan
    enough = np.mean(~inside) >= _LEAST_OUTSIDE and np.nansum(positive) > 0
    return positive if enough else None


def cells_of(region: Region, shape: tuple[int, ...], size: tuple[int, int]) -> NDArray[np.float64]:
    """The share of each cell of a heatmap of ``shape`` that lies in a rectangle of the photo."""
    covers = []
    for start, stop, cells, pixels in (
        (region.top, region.bottom, shape[0], size[0]),
        (region.left, region.right, shape[1], size[1]),
    ):
        edges = np.arange(cells + 1) * (pixels / cells)
        covered = np.minimum(edges[1:], stop) - np.maximum(edges[:-1], start)
        covers.append(np.clip(covered, 0, None) / (pixels / cells))
    return np.outer(covers[0], covers[1])


def _widened(box: Box, up: float, across: float) -> Box:
    """A box in cells, wider by the margin."""
    return Box(
        class_name=box.class_name,
        left=box.left * across - _MARGIN,
        top=box.top * up - _MARGIN,
        right=box.right * across + _MARGIN,
        bottom=box.bottom * up + _MARGIN,
    )


def _window_sums(positive: NDArray[np.float64], shape: tuple[int, int], side: int) -> NDArray[np.float64]:
    """Relevance in the square at each place of the working photo; cells in boxes count as nothing.

    The cumulative sums of the cells are interpolated, as if a cell's relevance were spread evenly over it.
    """
    sums = np.zeros((positive.shape[0] + 1, positive.shape[1] + 1))
    sums[1:, 1:] = np.nan_to_num(positive).cumsum(axis=0).cumsum(axis=1)
    for axis, length in enumerate(shape):
        sums = _interpolated(sums, length + 1, axis)
    windows: NDArray[np.float64] = (
        sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    )
    return windows


def _interpolated(values: NDArray[np.float64], length: int, axis: int) -> NDArray[np.float64]:
    """Linear interpolation along an axis to ``length`` equally spaced points."""
    points = np.linspace(0, values.shape[axis] - 1, length)
    below = np.minimum(points.astype(np.intp), values.shape[axis] - 2)
    weight = points - below
    moved = np.moveaxis(values, axis, 0)
    mixed = moved[below] * (1 - weight)[:, None] + moved[below + 1] * weight[:, None]
    return np.moveaxis(mixed, 0, axis)
