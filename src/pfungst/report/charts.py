"""Where marks of small charts go: bars with intervals, places on a photo, a scatter. Nothing is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from pfungst.audits.schema import Artefact, Photo, StrategyPoint
from pfungst.evaluation.statistics import Estimate
from pfungst.images.rectangles import Rectangle

PLACE_WIDTH, PLACE_HEIGHT = 160, 120
SCATTER_WIDTH, SCATTER_HEIGHT, _MARGIN = 420, 300, 18
_MOST_PLACES = 60


@dataclass(frozen=True, kw_only=True)
class Axis:
    """From ``low`` to ``high`` in 100 units."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Where a value goes, 0 to 100; beyond the ends at the ends."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar from zero to the mean with its interval, in units of the axis."""

    start: float
    width: float
    low: float | None
    high: float | None
    reference: float | None


def axis(estimates: Iterable[Estimate | None], *, include: float = 0.0) -> Axis:
    """An axis from zero (or below) that shows all means, and intervals up to half as long again."""
    found = [item for item in estimates if item is not None and isfinite(item.mean)]
    means = [item.mean for item in found] + [include, 0.0]
    top, bottom = max(means), min(means)
    reach = 1.5 * max(top, -bottom)
    top = max([top, *(item.high for item in found if item.high <= reach)])
    bottom = min([bottom, *(item.low for item in found if -reach <= item.low)])
    return Axis(low=bottom, high=top if top > bottom else bottom + 1.0)


def bar(estimate: Estimate | None, scale: Axis, reference: float | None = None) -> Bar | None:
    """The bar of an estimate; None if there is nothing to draw."""
    if estimate is None or not isfinite(estimate.mean):
        return None
    zero, end = scale.at(0.0), scale.at(estimate.mean)
    limits = isfinite(estimate.low) and isfinite(estimate.high)
    return Bar(
        start=min(zero, end),
        width=round(abs(end - zero), 2),
        low=scale.at(estimate.low) if limits else None,
        high=scale.at(estimate.high) if limits else None,
        reference=scale.at(reference) if reference is not None and isfinite(reference) else None,
    )


def places(artefact: Artefact, photos: Mapping[str, Photo]) -> list[Rectangle]:
    """Where on the photo an artefact occurs: its boxes, every photo stretched to one frame, in its units."""
    found = []
    for image, edges in artefact.boxes.items():
        photo = photos.get(image)
        if photo is None or not photo.width or not photo.height:
            continue
        found.append(Rectangle.of(edges).scaled(PLACE_WIDTH / photo.width, PLACE_HEIGHT / photo.height))
    return found[:_MOST_PLACES]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A point of a scatter."""

    image: str
    cluster: int
    x: float
    y: float


def scatter(points: Sequence[StrategyPoint]) -> list[Mark]:
    """Points fitted into the drawing, from left to right for the keyboard."""
    usable = [point for point in points if isfinite(point.x) and isfinite(point.y)]
    if not usable:
        return []
    columns = _fitted([point.x for point in usable], SCATTER_WIDTH)
    rows = _fitted([point.y for point in usable], SCATTER_HEIGHT)
    marks = [
        Mark(image=point.image, cluster=point.cluster, x=x, y=y)
        for point, x, y in zip(usable, columns, rows, strict=True)
    ]
    return sorted(marks, key=lambda mark: (mark.cluster, mark.x))


def _fitted(values: Sequence[float], length: int) -> list[float]:
    low, spread = min(values), max(values) - min(values)
    room = length - 2 * _MARGIN
    return [round(_MARGIN + room * ((value - low) / spread if spread > 0 else 0.5), 1) for value in values]
