r"""What the photos that carry a suspect have in common, pixel by pixel: its shape and its look.

With the looks F_i of m photos laid upon each other at the suspect's place, and means over a small window B,

    ρ(p) = B * (|Σ_i F_i|² − Σ_i |F_i|²) / ((m − 1) B * Σ_i |F_i|²)

is the mean correlation of two photos at pixel p: 1 where all show the same pattern, 0 in expectation where
they have nothing in common. (Dekel et al. 2017 find watermarks by the same agreement of gradients.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.search.features import CHANNELS, Look, unpacked
from pfungst.audits.artefacts.search.matching import Match, Patch

_COMMON, _LEAST_PATTERN = 0.3, 0.1


@dataclass(frozen=True, slots=True)
class Grain:
    """Lengths that go with the side of the square patches that were sought, in working pixels.

    Attributes
    ----------
    side : int
        Of these patches.
    """

    side: int

    @property
    def stray(self) -> int:
        """By which a thing may stray from its place."""
        return self.side // 4

    @property
    def mean(self) -> int:
        """Side of the window of ρ, odd."""
        return 7 * self.side // 24 | 1

    @property
    def gap(self) -> int:
        """Gaps in a shape up to so many pixels are closed; odd."""
        return 3 * self.side // 8 | 1

    @property
    def margin(self) -> int:
        """How far a shape is followed beyond its patch."""
        return 20 * self.side // 3

    @property
    def least_area(self) -> int:
        """Pixels that a shape must have within its patch."""
        return self.side**2 // 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlay:
    """Sums over photos laid upon each other, on a canvas ``margin`` pixels wider than the patch.

    Attributes
    ----------
    total : (6, height, width)
        Σ_i F_i.
    energy : (height, width)
        Σ_i |F_i|².
    counts : (height, width)
        Photos that reach there.
    grain : Grain
    """

    total: NDArray[np.float32]
    energy: NDArray[np.float32]
    counts: NDArray[np.int32]
    grain: Grain

    def agreement(self) -> NDArray[np.float32]:
        """ρ, zero where fewer than half the photos reach or there is hardly any pattern."""
        from scipy.ndimage import uniform_filter

        most = int(self.counts.max(initial=0))
        pairs = uniform_filter(np.square(self.total).sum(axis=0) - self.energy, self.grain.mean)
        energy = uniform_filter(self.energy, self.grain.mean)
        usable = (self.counts >= max(2, (most + 1) // 2)) & (energy > _LEAST_PATTERN * self.counts)
        rho: NDArray[np.float32] = np.zeros_like(energy)
        np.divide(pairs, (self.counts - 1) * energy, out=rho, where=usable)
        return rho


def overlay(looks: Sequence[Look], matches: Sequence[Match], shape: tuple[int, int], grain: Grain) -> Overlay:
    """Lay photos upon each other such that their matches coincide."""
    margin = grain.margin
    height, width = shape[0] + 2 * margin, shape[1] + 2 * margin
    total = np.zeros((CHANNELS, height, width), dtype=np.float32)
    energy, counts = np.zeros((height, width), dtype=np.float32), np.zeros((height, width), dtype=np.int32)
    for photo, match in zip(looks, matches, strict=True):
        there, here = _overlap(photo.shape[1:], (match.top - margin, match.left - margin), (height, width))
        piece = unpacked(photo[:, there[0], there[1]])
        total[:, here[0], here[1]] += piece
        energy[here] += np.square(piece).sum(axis=0)
        counts[here] += 1
    return Overlay(total=total, energy=energy, counts=counts, grain=grain)


def _overlap(
    size: Sequence[int], corner: tuple[int, int], shape: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a canvas at ``corner`` that lies in a photo: in the photo's and in the canvas's pixels."""
    photo, canvas = [], []
    for whole, start, length in zip(size, corner, shape, strict=True):
        first, last = max(start, 0), max(min(start + length, whole), start, 0)
        photo.append(slice(first, last))
        canvas.append(slice(first - start, last - start))
    return (photo[0], photo[1]), (canvas[0], canvas[1])


def shaped(looks: Sequence[Look], matches: Sequence[Match], patch: Patch, grain: Grain) -> Patch | None:
    """The patch cut to what the photos have in common around it, with its mean look.

    None if they have nothing in common.
    """
    laid = overlay(looks, matches, patch.shape, grain)
    margin = grain.margin
    seed = slice(margin, margin + patch.shape[0]), slice(margin, margin + patch.shape[1])
    mask = _common(laid.agreement(), seed, grain)
    if mask is None:
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    kept = mask[box]
    mean: Look = (laid.total[:, box[0], box[1]] / np.maximum(laid.counts[box], 1)).astype(np.float32)
    return Patch(
        values=np.where(kept, mean, np.float32(0)),
        mask=kept,
        top=patch.top + int(rows[0]) - margin,
        left=patch.left + int(columns[0]) - margin,
        size=patch.size,
    )


def _common(rho: NDArray[np.float32], seed: tuple[slice, slice], grain: Grain) -> NDArray[np.bool_] | None:
    """The connected area of agreement that covers most of the seed, small gaps closed."""
    from scipy.ndimage import label, maximum_filter, minimum_filter

    common = (rho >= _COMMON).astype(np.uint8)
    closed = minimum_filter(maximum_filter(common, grain.gap, mode="constant"), grain.gap, mode="constant")
    parts, count = label(closed)
    sizes = np.bincount(parts[seed].ravel(), minlength=count + 1)
    sizes[0] = 0
    if sizes.max() < grain.least_area:
        return None
    mask: NDArray[np.bool_] = parts == int(sizes.argmax())
    return mask
