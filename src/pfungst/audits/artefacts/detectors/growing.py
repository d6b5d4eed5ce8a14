r"""How far a mark reaches: rectangles and frames grown until their carriers no longer agree.

A search finds what is sharpest of a mark. With the n carriers laid upon one another, a side moves outwards
while the next lines show the same in them: while of the energy of the luminance's gradients g a good part is
shared,

    Σ_p s ≥ 0.3 Σ_p e,   s = (|Σ_i g_i|² − Σ_i |g_i|²) / (n (n − 1)),   e = Σ_i |g_i|² / n,

or the luminance hardly varies from carrier to carrier, mean ``Var_i Y ≤ 0.03`` of the variance of all their
pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.detectors.aligning import copies_of
from pfungst.contract.classifier import ImageArray
from pfungst.images.rectangles import Region

Margins = tuple[int, int, int, int]
"""Pixels above, to the left, below, to the right."""
FEWEST = 5
"""Carriers below which nothing is grown: fewer agree by chance."""
_SHARED, _STEADY = 0.3, 0.03
_SMOOTH, _STEP = 0.8, 2
_SAME_SIZE = 0.03
_FLOOR = 4.0
_LUMINANCE = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Growth:
    """By how much a rectangle grows, and whether what it shows goes on beyond that."""

    margins: Margins = (0, 0, 0, 0)
    remains: bool = False


def growth_of(carriers: Sequence[tuple[ImageArray, Region]], largest: float) -> Growth:
    """How far the mark in a rectangle reaches beyond it.

    Parameters
    ----------
    carriers : sequence of (photo, Region)
        The one that shows it best first.
    largest : float
        Share of the first photo that it may cover in the end.
    """
    if len(carriers) < FEWEST:
        return Growth()
    image, region = carriers[0]
    spread = float(np.concatenate([(photo @ _LUMINANCE).ravel()[::7] for photo, _ in carriers]).var())
    limits = image.shape[0], image.shape[1]
    most = largest * limits[0] * limits[1]
    return _grown(_agreement(_stack(carriers)), spread, region, limits, most)


def _stack(carriers: Sequence[tuple[ImageArray, Region]]) -> NDArray[np.float64]:
    """Luminance of the carriers as the first one lies, NaN beyond their edges, ``(n, height, width)``."""
    image, region = carriers[0]
    height, width = image.shape[:2]
    rows = [(image @ _LUMINANCE).astype(np.float64)]
    for (photo, place), copy in zip(carriers[1:], copies_of(carriers[0], carriers[1:])[1:], strict=True):
        if abs(copy.size - 1) > _SAME_SIZE:
            continue
        down = round(place.top + copy.shift[0]) - region.top
        across = round(place.left + copy.shift[1]) - region.left
        laid = np.full((height, width), np.nan)
        plane = photo @ _LUMINANCE
        top, left = max(-down, 0), max(-across, 0)
        bottom, right = min(height, photo.shape[0] - down), min(width, photo.shape[1] - across)
        if bottom > top and right > left:
            laid[top:bottom, left:right] = plane[top + down : bottom + down, left + across : right + across]
            rows.append(laid)
    return np.stack(rows)


class _Agreement(NamedTuple):
    """Of each pixel: shared and whole energy of gradients, variance, and whether enough carriers tell."""

    shared: NDArray[np.float64]
    energy: NDArray[np.float64]
    variance: NDArray[np.float64]
    known: NDArray[np.bool_]

    def goes_on(self, strip: tuple[slice, slice], spread: float) -> bool:
        """Whether lines show the same in the carriers."""
        known = self.known[strip]
        if not known.any():
            return False
        shared, energy, variance = (part[strip][known].mean() for part in self[:3])
        return bool(variance <= _STEADY * spread or shared >= _SHARED * max(energy, _FLOOR))


def _agreement(stack: NDArray[np.float64]) -> _Agreement:
    from scipy.ndimage import gaussian_filter

    there: NDArray[np.bool_] = np.isfinite(stack)
    count = there.sum(axis=0)
    filled = np.where(there, stack, 0.0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)
    total, across = np.zeros(mean.shape), np.zeros((2, *mean.shape))
    for plane, here in zip(stack, there, strict=True):
        smooth = gaussian_filter(np.where(here, plane, mean), _SMOOTH, mode="nearest")
        for axis in (0, 1):
            gradient = np.gradient(smooth, axis=axis) * here
            total += np.square(gradient)
            across[axis] += gradient
    return _Agreement(
        shared=(np.square(across).sum(axis=0) - total) / np.maximum(count * (count - 1), 1),
        energy=total / np.maximum(count, 1),
        variance=(there * np.square(filled - mean)).sum(axis=0) / np.maximum(count, 1),
        known=count >= max(FEWEST, len(stack) // 2),
    )


def _grown(
    agreement: _Agreement, spread: float, region: Region, limits: tuple[int, int], most: float
) -> Growth:
    edges = [region.top, region.left, region.bottom, region.right]
    moving, remains = {0, 1, 2, 3}, False
    while moving:
        for side in sorted(moving):
            strip = _beyond(edges, side, limits)
            if strip is None or not agreement.goes_on(strip, spread):
                moving.discard(side)
                continue
            wider = list(edges)
            wider[side] += _STEP if side >= 2 else -_STEP
            wider[side] = min(max(wider[side], 0), limits[side % 2])
            if (wider[2] - wider[0]) * (wider[3] - wider[1]) > most:
                moving.discard(side)
                remains = True
                continue
            edges = wider
    margins = (
        region.top - edges[0],
        region.left - edges[1],
        edges[2] - region.bottom,
        edges[3] - region.right,
    )
    return Growth(margins, remains)


def _beyond(edges: Sequence[int], side: int, limits: tuple[int, int]) -> tuple[slice, slice] | None:
    """The next lines on a side; None at the photo's edge."""
    top, left, bottom, right = edges
    across, down = slice(left, right), slice(top, bottom)
    height, width = limits
    strips = (
        (slice(max(top - _STEP, 0), top), across) if top > 0 else None,
        (down, slice(max(left - _STEP, 0), left)) if left > 0 else None,
        (slice(bottom, bottom + _STEP), across) if bottom < height else None,
        (down, slice(right, right + _STEP)) if right < width else None,
    )
    return strips[side]


def widened(region: Region, margins: Margins, size: Sequence[int]) -> Region:
    """A rectangle by its margins, within a photo ``(height, width)``."""
    above, left, below, right = margins
    return Region(
        top=max(region.top - above, 0),
        left=max(region.left - left, 0),
        bottom=min(region.bottom + below, size[0]),
        right=min(region.right + right, size[1]),
    )


# frames


def frame_depths(
    images: Sequence[ImageArray], depths: Sequence[tuple[int, int, int, int]]
) -> tuple[float, ...]:
    """How deep a frame reaches on each side, as a share of a photo's longest side.

    From the depth of its even outer lines on, a line belongs to the frame while its mean colour and its
    spread along the line are much the same in four fifths of the photos, as those of a pattern are,
    perforations for example; the photos' own lines are not.

    Parameters
    ----------
    images : sequence of (height, width, 3) uint8
    depths : sequence of (above, left, below, right)
        Even outer lines of each photo, 0 where a side has none.
    """
    found = []
    for side in range(4):
        known = [depth[side] / max(photo.shape[:2]) for photo, depth in zip(images, depths, strict=True)]
        base = float(np.median(known))
        found.append(_deeper(images, side, base) if base > 0 and len(images) >= FEWEST else base)
    return tuple(found)


_LINES, _DEEPEST = 400, 0.15
_ROUNDED = 2.0
"""Pixels by which rounding may put the same line off in two photos."""
_SAME_MEAN, _SAME_SPREAD, _MOST = 8.0, 10.0, 0.8


def _deeper(images: Sequence[ImageArray], side: int, base: float) -> float:
    steps = np.arange(1, int(_DEEPEST * _LINES)) / _LINES
    profiles = np.stack([_profile(image, side, steps) for image in images])  # (photos, lines, 4)
    middle = np.median(profiles, axis=0)
    off = np.quantile(np.abs(profiles - middle), _MOST, axis=0)
    same = (off[:, :3].max(axis=1) <= _SAME_MEAN) & (off[:, 3] <= _SAME_SPREAD)
    gap = int(np.ceil(_ROUNDED * _LINES / np.median([max(image.shape[:2]) for image in images])))
    end = int(np.searchsorted(steps, base))
    for place in range(end, len(steps)):
        if place - end > gap:
            break
        if same[place]:
            end = place + 1
    return max(base, float(steps[end - 1])) if end else base


def _profile(image: ImageArray, side: int, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean colour and spread of luminance of lines at depths, ``(n, 4)``."""
    turned = image.swapaxes(0, 1) if side % 2 else image
    lines = (turned[::-1] if side >= 2 else turned)[:, :].astype(np.float64)
    places = np.minimum((steps * max(image.shape[:2])).astype(int), len(lines) - 1)
    chosen = lines[places]
    return np.column_stack([chosen.mean(axis=1), (chosen @ _LUMINANCE).std(axis=1)])
