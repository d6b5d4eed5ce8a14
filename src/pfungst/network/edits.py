"""Views of a photo whose pixels are edited piece by piece: only what an edit changes is made again.

A photo is resized along its rows, each row for itself, rounded to whole grey values, and then along its
columns, each column for itself. So the rows of an edit, and after them the columns that it reaches, can be
made again alone, and every pixel is what resizing the whole edited photo gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Chain, Edit
from pfungst.network.forward import Forward
from pfungst.network.views import FILTER_RADII, ViewPlan, resized


class Edited(Protocol):
    """Something that is edited, and the views of it."""

    def apply(self, edit: Edit) -> None:
        """Edit it."""

    def views(self) -> NDArray[np.uint8]:
        """Its views as it is now, ``(n, height, width, 3)``."""


class EditedPicture:
    """A view that is edited itself."""

    def __init__(self, picture: ImageArray) -> None:
        self._picture = picture.copy()

    def apply(self, edit: Edit) -> None:
        """Edit it."""
        edit.apply(self._picture)

    def views(self) -> NDArray[np.uint8]:
        """The picture."""
        return self._picture[None].copy()


class EditedPhoto:
    """A photo that is edited, seen by views of its canvas."""

    def __init__(self, image: ImageArray, plan: ViewPlan) -> None:
        self._photo, self._plan = image.copy(), plan
        self._height, self._width = plan.placement.resized
        self._narrow = self._resized(image, image.shape[0], self._width).copy()
        self._small = self._resized(self._narrow, self._height, self._width).copy()

    def copy(self) -> EditedPhoto:
        """One that is edited apart from this one."""
        other = object.__new__(EditedPhoto)
        other.__dict__.update(self.__dict__)
        other._photo, other._narrow, other._small = (
            array.copy() for array in (self._photo, self._narrow, self._small)
        )
        return other

    def apply(self, edit: Edit) -> None:
        """Edit the photo, and make its rows and then its columns again."""
        edit.apply(self._photo)
        rows = slice(edit.top, edit.top + edit.pixels.shape[0])
        part = self._photo[rows]
        self._narrow[rows] = self._resized(part, part.shape[0], self._width)
        columns = self._reached(edit.left, edit.pixels.shape[1])
        part = np.ascontiguousarray(self._narrow[:, columns])
        self._small[:, columns] = self._resized(part, self._height, part.shape[1])

    def _resized(self, image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
        return resized(image, height, width, self._plan.placement.interpolation)

    def _reached(self, start: int, count: int) -> slice:
        """The resized columns into which some of ``count`` columns of the photo are mixed, or one more."""
        step = self._photo.shape[1] / self._width
        support = FILTER_RADII[self._plan.placement.interpolation] * max(step, 1.0)
        first = math.floor((start - support) / step - 0.5)
        last = math.ceil((start + count + support) / step - 0.5)
        return slice(max(first, 0), min(last + 1, self._width))

    def views(self) -> NDArray[np.uint8]:
        """Its views as it is now."""
        return self._plan.cut(self._plan.placement.padded(self._small))


@dataclass
class Scored:
    """A place for the scores of one view, filled when its batch is."""

    row: NDArray[np.float64] | None = None


class ViewQueue:
    """Views of many photos, scored in full batches."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._waiting: list[tuple[NDArray[np.uint8], Scored]] = []

    def put(self, view: NDArray[np.uint8]) -> Scored:
        """Line a view up."""
        place = Scored()
        self._waiting.append((view, place))
        if len(self._waiting) == self._forward.view_batch:
            self.flush()
        return place

    def flush(self) -> None:
        """Score what waits."""
        if self._waiting:
            rows = self._forward.scores(np.stack([view for view, _ in self._waiting]))
            for (_, place), row in zip(self._waiting, rows, strict=True):
                place.row = row
            self._waiting = []


def lined_up(edited: Edited, chain: Chain, queue: ViewQueue) -> list[list[Scored | None]]:
    """Put the views of each step of a chain into the queue; for each step, where their scores will be.

    A view that a step leaves as it was keeps its place; None stands for that of the untouched photo.
    """
    before = edited.views()
    places: list[Scored | None] = [None] * len(before)
    steps = []
    for edits in chain:
        for edit in edits:
            edited.apply(edit)
        now = edited.views()
        places = [
            place if np.array_equal(old, new) else queue.put(new)
            for old, new, place in zip(before, now, places, strict=True)
        ]
        steps.append(places)
        before = now
    return steps
