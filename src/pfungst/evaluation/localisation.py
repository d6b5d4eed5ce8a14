r"""Does a heatmap point at the object? Measured against the class's boxes, on the positive relevance R⁺.

- **Pointing game** (Zhang et al. 2016): a hit where the most relevant pixel lies in a box of the class or
  within ``tolerance`` pixels of one. Several pixels with the same largest relevance count as the share of
  them that hit.
- **Relevance mass accuracy** (Arras et al. 2022): Σ R⁺ inside the boxes / Σ R⁺.
- **Relevance rank accuracy** (Arras et al. 2022): of the k most relevant pixels, k the number of pixels in
  the boxes, the share inside. Pixels without positive relevance never count as found; ties at the last rank
  count by the share of them inside.

Beside each stands its chance level: what a map of random numbers reaches, which is the share of the photo
that the boxes cover (for the pointing game the boxes widened by the tolerance). A map without any positive
relevance found nothing: it scores 0 in all three and is counted. A class without a box (or whose boxes hold
no pixel) has no truth to be scored against: it is left out and counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError
from pfungst.images.rectangles import Box, mask_of

TOLERANCE = 15.0
"""Pixels by which the pointing game may miss a box, as Zhang et al. 2016 have it."""


@dataclass(frozen=True, kw_only=True)
class Localisation:
    """How well one heatmap finds its class's boxes; all in [0, 1].

    Attributes
    ----------
    pointing, mass, rank : float
        NaN where the boxes are empty.
    area : float
        Share of the photo inside the boxes: chance level of ``mass`` and ``rank``.
    near_area : float
        Share within the tolerance of a box: chance level of ``pointing``.
    empty_box, zero_map : bool
        The boxes hold no pixel; the map holds no positive relevance.
    """

    pointing: float
    mass: float
    rank: float
    area: float
    near_area: float
    empty_box: bool
    zero_map: bool


MEASURES = ("pointing", "mass", "rank", "area", "near_area")
"""Fields of :class:`Localisation` that are averaged over photos."""


def localise(
    relevance: NDArray[np.floating], boxes: tuple[Box, ...], *, tolerance: float = TOLERANCE
) -> Localisation:
    """Score one heatmap against the boxes of its class.

    Parameters
    ----------
    relevance : (height, width) float
        In the photo's pixels.
    boxes : tuple of Box
        The class's boxes; where they overlap, a pixel counts once.
    tolerance : float
        Pixels, for the pointing game.

    Raises
    ------
    ConfigError
        If the tolerance is negative.

    Examples
    --------
    >>> heat = np.zeros((8, 8)); heat[2, 3] = 1.0
    >>> localise(heat, (Box(class_name="cat", left=2, top=2, right=4, bottom=4),), tolerance=0).mass
    1.0
    """
    if tolerance < 0:
        raise ConfigError(f"tolerance = {tolerance}", allowed="0 or more pixels")
    height, width = relevance.shape
    inside, near = mask_of(boxes, height, width), _near(boxes, height, width, tolerance)
    positive = np.maximum(np.asarray(relevance, dtype=np.float64), 0.0)
    empty, zero = not inside.any(), not positive.any()
    return Localisation(
        pointing=float("nan") if empty else 0.0 if zero else float(near[positive == positive.max()].mean()),
        mass=float("nan") if empty else 0.0 if zero else float(positive[inside].sum() / positive.sum()),
        rank=float("nan") if empty else _rank_accuracy(positive.ravel(), inside.ravel()),
        area=float(inside.mean()),
        near_area=float(near.mean()),
        empty_box=empty,
        zero_map=zero,
    )


def _near(boxes: tuple[Box, ...], height: int, width: int, tolerance: float) -> NDArray[np.bool_]:
    """Pixels whose centre is at most ``tolerance`` from a box."""
    near = np.zeros((height, width), dtype=bool)
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    for box in boxes:
        below = np.maximum(np.maximum(box.top - rows, rows - box.bottom), 0.0)
        beside = np.maximum(np.maximum(box.left - columns, columns - box.right), 0.0)
        near |= below[:, None] ** 2 + beside[None, :] ** 2 <= tolerance**2
    return near


def _rank_accuracy(positive: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """Share of the top k pixels inside, k = pixels inside; ties at the last rank by their share inside."""
    wanted = int(inside.sum())
    last = np.partition(positive, -wanted)[-wanted]
    above = positive > last
    found = float(np.sum(above & inside))
    if last > 0:
        tied = positive == last
        found += (wanted - int(above.sum())) * float(inside[tied].mean())
    return found / wanted
