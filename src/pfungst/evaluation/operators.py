r"""What replaces a perturbed region: noise, the mean colour, a blurred copy, or a fill from around it.

An operator makes new pixels of a region from the current picture x^(i−1), as [13] has it
(``x^(i) = g(x^(i−1), o_i)``), and from the untouched picture x^(0). Pixels stay uint8: a perturbed picture is
one that could be stored and shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.errors import unknown_name
from pfungst.images.rectangles import Region

Fill = Callable[[ImageArray, Region], ImageArray]
"""From the current picture and a region to the region's new pixels."""


def noise(original: ImageArray, size: int, generator: np.random.Generator) -> Fill:
    """Uniform noise: every channel of every pixel drawn from 0–255 on its own."""
    del original, size

    def fill(_current: ImageArray, region: Region) -> ImageArray:
        return generator.integers(0, 256, (*region.shape, 3), dtype=np.uint8)

    return fill


def mean(original: ImageArray, size: int, generator: np.random.Generator) -> Fill:
    """The mean colour of the untouched picture."""
    del size, generator
    colour = np.rint(original.mean(axis=(0, 1))).astype(np.uint8)

    def fill(_current: ImageArray, region: Region) -> ImageArray:
        return np.broadcast_to(colour, (*region.shape, 3)).copy()

    return fill


def blur(original: ImageArray, size: int, generator: np.random.Generator) -> Fill:
    """The untouched picture blurred by a Gaussian whose σ is the side of a region."""
    from scipy.ndimage import gaussian_filter

    del generator
    smooth = gaussian_filter(original.astype(np.float32), (size, size, 0), mode="nearest")
    blurred = np.rint(smooth).astype(np.uint8)

    def fill(_current: ImageArray, region: Region) -> ImageArray:
        return region.crop(blurred)

    return fill


def inpaint(original: ImageArray, size: int, generator: np.random.Generator) -> Fill:
    """A harmonic fill: the smoothest surface that meets the pixels around the region in the current picture.

    It solves the discrete Laplace equation ``Σ_{q next to p} (u_q − u_p) = 0`` with the ring of pixels around
    the region fixed; sides at the border of the picture are free. Nothing of the region itself is used.
    """
    del size, generator
    overall = np.rint(original.mean(axis=(0, 1))).astype(np.uint8)

    def fill(current: ImageArray, region: Region) -> ImageArray:
        if not any(_open_sides(current, region)):  # the region is the whole picture
            return np.broadcast_to(overall, (*region.shape, 3)).copy()
        return laid_in(current, region, np.zeros((*region.shape, 3), dtype=np.uint8))

    return fill


def laid_in(current: ImageArray, region: Region, patch: ImageArray) -> ImageArray:
    """A patch made to meet the pixels around a region: the smoothest correction is added to it.

    With the patch continued by its own outermost pixels, the correction solves Laplace's equation and is, on
    the ring around the region, the picture less the patch (Pérez et al. 2003, membrane interpolation). A
    patch of one colour gives the harmonic fill.
    """
    sides = _open_sides(current, region)
    if not any(sides):
        return patch
    gap = _ring_sums(current, region, sides) - _edge_sums(patch, sides)
    corrected = patch + _harmonic(gap, sides)
    return np.clip(np.rint(corrected), 0, 255).astype(np.uint8)


OPERATORS: Mapping[str, Callable[[ImageArray, int, np.random.Generator], Fill]] = MappingProxyType(
    {"noise": noise, "mean": mean, "blur": blur, "inpaint": inpaint}
)
"""By name; each is called once per trace with the untouched picture, the region's side and a generator."""

RANDOM_OPERATORS = frozenset({"noise"})
"""Those that are repeated because they draw."""


def checked_operator(name: str) -> str:
    """The same name.

    Raises
    ------
    ConfigError
        If there is no such operator.
    """
    if name not in OPERATORS:
        raise unknown_name("operator", name, tuple(OPERATORS))
    return name


Sides = tuple[bool, bool, bool, bool]


def _open_sides(current: ImageArray, region: Region) -> Sides:
    """Whether there are pixels above, left of, below and right of the region."""
    height, width = current.shape[:2]
    return region.top > 0, region.left > 0, region.bottom < height, region.right < width


def _ring_sums(current: ImageArray, region: Region, sides: Sides) -> NDArray[np.float64]:
    """For each pixel of the region the sum of its neighbours outside of it, ``(height, width, 3)``."""
    above, left, below, right = sides
    rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
    sums = np.zeros((*region.shape, 3))
    if above:
        sums[0] += current[region.top - 1, columns]
    if left:
        sums[:, 0] += current[rows, region.left - 1]
    if below:
        sums[-1] += current[region.bottom, columns]
    if right:
        sums[:, -1] += current[rows, region.right]
    return sums


def _edge_sums(patch: ImageArray, sides: Sides) -> NDArray[np.float64]:
    """For each pixel of the patch the sum of its neighbours outside, were its outermost pixels repeated."""
    above, left, below, right = sides
    values, sums = patch.astype(np.float64), np.zeros(patch.shape)
    sums[0] += above * values[0]
    sums[:, 0] += left * values[:, 0]
    sums[-1] += below * values[-1]
    sums[:, -1] += right * values[:, -1]
    return sums


def _harmonic(ring_sums: NDArray[np.float64], sides: Sides) -> NDArray[np.float64]:
    """Solve ``A u + u B = ring_sums`` for each channel, A and B the second differences along both axes.

    In the eigenvectors of A and B the equation is a division: ``û = f̂ / (α_i + β_j)``.
    """
    above, left, below, right = sides
    values_a, vectors_a = _second_difference(ring_sums.shape[0], above, below)
    values_b, vectors_b = _second_difference(ring_sums.shape[1], left, right)
    planes = np.moveaxis(ring_sums, 2, 0)
    turned = vectors_a.T @ planes @ vectors_b / (values_a[:, None] + values_b)
    return np.moveaxis(vectors_a @ turned @ vectors_b.T, 0, 2)


@lru_cache(maxsize=64)
def _second_difference(
    length: int, before: bool, after: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues and eigenvectors of the chain ``−1 2 −1``; an end without a neighbour has 1 for 2."""
    degree = np.full(length, 2.0)
    degree[0] -= not before
    degree[-1] -= not after
    chain = np.diag(degree) - np.eye(length, k=1) - np.eye(length, k=-1)
    values, vectors = np.linalg.eigh(chain)
    return values, vectors
