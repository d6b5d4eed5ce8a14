r"""What a model says of photos *without* a class once their own object is filled in: its level of chance.

An edited photo is to be held against edited photos. The object of another class may hold a class down (a
model that means "dog" by "no cat"), so photos as they are say too little of what is predicted where there is
nothing. With r and r₀ the shares of the class's photos predicted with and without their object, and φ₀ the
share of the other photos predicted after *their* object is filled in (an equal area in photos of which no
object is known),

    kept beyond chance = (r₀ − φ₀) / (r − φ₀).

A class that most of the other photos are taken for as soon as their object is gone, and not when an equal
area off it is, is a default: what the model says where it sees nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.survey import Survey
from pfungst.audits.survey.surroundings import CONTROL, OBJECT
from pfungst.evaluation.statistics import (
    BootstrapConfig,
    Estimate,
    mean_over_images,
    share_over_images,
    statistic_over_images,
)
from pfungst.images.dataset import NEGATIVE, POSITIVE

MOSTLY = 0.5
"""More than half: of what a model can tell about a class, or of the photos that are taken for it."""

MIN_IMAGES = 8
"""Photos below which nothing is said of a class."""


@dataclass(frozen=True, kw_only=True)
class Other:
    """A photo without the class: whether it is predicted, as shares of the photo's edits.

    Attributes
    ----------
    image : str
    predicted : float
        As it is, 0 or 1.
    without_object, without_control : float
        After the objects of each class that it shows (equal areas off them) are filled in; NaN where none is.
    by_class : dict of str to float
        ``without_object`` by the class whose objects are gone.
    """

    image: str
    predicted: float
    without_object: float
    without_control: float
    by_class: dict[str, float]

    @property
    def emptied(self) -> float:
        """Without its object; where none is known, without an equal area."""
        return self.without_object if np.isfinite(self.without_object) else self.without_control

    @property
    def turned(self) -> bool:
        """Taken for the class only without an object of its own."""
        return not self.predicted and self.without_object > 0


@dataclass(frozen=True, kw_only=True)
class Default:
    """Whether a class is what a model says where it sees nothing else.

    Attributes
    ----------
    predicted, without_object, without_control : Estimate or None
        Shares of the photos without the class that are taken for it: as they are, after their object is
        filled in, after an equal area off it is.
    by_class : dict of str to float
        ``without_object`` by the class whose objects are gone, most first.
    photos : tuple of str
        Photos that are taken for it only without an object of theirs.
    is_default : bool
    """

    predicted: Estimate | None = None
    without_object: Estimate | None = None
    without_control: Estimate | None = None
    by_class: dict[str, float]
    photos: tuple[str, ...] = ()
    is_default: bool = False


def other_photos(found: Survey, class_name: str) -> list[Other]:
    """The photos without a class that were edited."""
    column, limit = found.classes.index(class_name), found.thresholds[class_name]
    scores, labels = found.scores()[:, column], found.labels()[:, column]
    photos = [
        _other(
            image, float(score), {key: float(row[column]) for key, row in found.after(image).items()}, limit
        )
        for image, score, label in zip(found.ids, scores, labels, strict=True)
        if label == NEGATIVE
    ]
    return [photo for photo in photos if np.isfinite(photo.emptied)]


def _other(image: str, score: float, after: dict[tuple[str, str], float], limit: float) -> Other:
    scored = {key: float(value > limit) for key, value in after.items() if np.isfinite(value)}
    by_class = {name: taken for (name, part), taken in scored.items() if part == OBJECT}
    controls = [taken for (name, part), taken in scored.items() if part == CONTROL]
    return Other(
        image=image,
        predicted=float(score > limit),
        without_object=_mean(list(by_class.values())),
        without_control=_mean(controls),
        by_class=by_class,
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def beyond_chance(
    found: Survey, class_name: str, others: Sequence[Other], bootstrap: BootstrapConfig | None
) -> Estimate | None:
    """``(r₀ − φ₀) / (r − φ₀)``; None where r is not clearly above φ₀, or nothing of the kind was edited."""
    shown = [
        (seen.image, (1.0, seen.predicted, seen.surroundings.without_object > seen.threshold, 0.0, 0.0))
        for seen in found.seen(class_name, label=POSITIVE)
        if seen.surroundings and np.isfinite(seen.surroundings.without_object)
    ]
    if not shown or not others:
        return None
    rest = [(other.image, (0.0, 0.0, 0.0, 1.0, other.emptied)) for other in others]
    images, rows = zip(*shown, *rest, strict=True)
    values = np.array(rows, dtype=np.float64)
    told = statistic_over_images(images, values, _told, bootstrap)
    if not told.low > 0:
        return None
    return statistic_over_images(images, values, lambda sums: _told(sums, 2) / _told(sums), bootstrap)


def _told(sums: NDArray[np.float64], predicted: int = 1) -> NDArray[np.float64]:
    """Share of the class's photos predicted less that of the emptied others (Youden's index)."""
    index: NDArray[np.float64] = sums[..., predicted] / sums[..., 0] - sums[..., 4] / sums[..., 3]
    return index


def default_of(others: Sequence[Other], bootstrap: BootstrapConfig | None) -> Default:
    """Whether the class is a default, from the photos without it that have an object to fill in.

    It is if more than :data:`MOSTLY` of them are taken for it without their object (by the lower end of the
    interval), clearly more than without an equal area off it, photo by photo (than as they are, where there
    is no room for one).
    """
    emptied = [other for other in others if np.isfinite(other.without_object)]
    if not emptied:
        return Default(by_class={})
    images = [other.image for other in emptied]
    without = share_over_images(images, [other.without_object for other in emptied], bootstrap)
    rise = mean_over_images(
        images, [other.without_object - _held_against(other) for other in emptied], bootstrap
    )
    controlled = [other for other in emptied if np.isfinite(other.without_control)]
    names = sorted({name for other in emptied for name in other.by_class})
    shares = {name: _mean([o.by_class[name] for o in emptied if name in o.by_class]) for name in names}
    return Default(
        predicted=share_over_images(images, [other.predicted for other in emptied], bootstrap),
        without_object=without,
        without_control=share_over_images(
            [other.image for other in controlled], [other.without_control for other in controlled], bootstrap
        )
        if controlled
        else None,
        by_class=dict(sorted(shares.items(), key=lambda item: -item[1])),
        photos=tuple(other.image for other in emptied if other.turned),
        is_default=len(emptied) >= MIN_IMAGES and without.low > MOSTLY and rise.low > 0,
    )


def _held_against(other: Other) -> float:
    return other.without_control if np.isfinite(other.without_control) else other.predicted


def without_known_object(others: Sequence[Other]) -> int:
    """Photos in which an equal area was filled in, because the place of no object is known."""
    return sum(not np.isfinite(other.without_object) for other in others)
