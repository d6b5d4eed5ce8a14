"""Fisher vectors of a photo under edits: only the descriptors that see an edit are taken and encoded again.

The plain sums ``Z_d = Σ_l Ψ_λ(l)_d`` move by the new minus the old contributions of those descriptors; the
number of descriptors may change, since one may gain or lose the contrast that it needs. The result is that of
encoding every edited photo as a whole, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Chain, Edit
from pfungst.descriptors.descriptor import Area, Places
from pfungst.errors import ConfigError, PfungstError
from pfungst.fisher.described import DescribedPhoto
from pfungst.fisher.encoding import sums_from_moments
from pfungst.fisher.pipeline import FisherPipeline
from pfungst.mixture.posterior import summed_moments


class EditedPhoto:
    """A described photo to which chains of edits are applied, each to the untouched photo.

    Parameters
    ----------
    photo : DescribedPhoto
        Its image and descriptors are left as they are.
    """

    def __init__(self, photo: DescribedPhoto) -> None:
        self._photo = photo

    def sums_along(self, chain: Chain) -> Iterator[NDArray[np.float64] | None]:
        """Z after each step of a chain, ``(V,)`` float64; None where nothing is left to describe.

        One chain at a time: the descriptors are put back as they were when the iteration ends.
        """
        current = self._photo.image.copy()
        state = self._state
        try:
            for edits in chain:
                for edit in edits:
                    edit.apply(current)
                if state is None:
                    yield _whole(current, self._photo.pipeline)
                else:
                    state.retake(current, map(_area, edits))
                    yield state.sums()
        finally:
            if state is not None:
                state.put_back()

    @cached_property
    def _state(self) -> _State | None:
        """The descriptors in their places; None where edited photos have to be described as wholes."""
        image = self._photo.image
        places = self._photo.pipeline.descriptor.places((image.shape[0], image.shape[1]))
        try:
            return None if places is None else _State(self._photo, places)
        except ConfigError:
            raise
        except PfungstError:  # nothing to describe before the edits; there may be after them
            return None


def _area(edit: Edit) -> Area:
    height, width = edit.pixels.shape[:2]
    return edit.top, edit.left, edit.top + height, edit.left + width


def _whole(image: ImageArray, pipeline: FisherPipeline) -> NDArray[np.float64] | None:
    try:
        return pipeline.encode(pipeline.describe(image)).sums
    except ConfigError:
        raise
    except PfungstError:
        return None


class _State:
    """The descriptors of the photo as it now is, at their places, and their summed moments."""

    def __init__(self, photo: DescribedPhoto, places: Places) -> None:
        self._photo, self._places, self._pipeline = photo, places, photo.pipeline
        self._matrix = self._pipeline.mixture.log_joint_matrix()
        self._moments = photo.encoding().moments.copy()
        self._kept = np.zeros(places.n_places, dtype=bool)
        self._touched = np.zeros(places.n_places, dtype=bool)
        self._values = np.zeros((places.n_places, self._pipeline.mixture.dimension), dtype=np.float32)
        self._restore(np.arange(places.n_places))

    def _restore(self, places: NDArray[np.intp]) -> None:
        """Put the untouched photo's descriptors at some places, ascending."""
        untouched = self._photo.descriptors
        assert untouched.places is not None
        self._kept[places] = False
        chosen = np.flatnonzero(np.isin(untouched.places, places, assume_unique=True))
        self._kept[untouched.places[chosen]] = True
        self._values[untouched.places[chosen]] = untouched.values[chosen]

    def retake(self, image: ImageArray, areas: Iterable[Area]) -> None:
        """Take the descriptors that see the areas again, from the photo as it now is.

        What they were is encoded as well, and taken off the moments; where they are most of the photo's, it
        costs less to encode all of them.
        """
        taken = [self._places.take(image, area) for area in merged(areas, self._places)]
        few = 2 * sum(len(part.places) for part in taken) < self._places.n_places
        for part in taken:
            if few:
                self._moments -= self._summed(self._values[part.places[self._kept[part.places]]])
            after = self._pipeline.pca.transform(part.values)
            self._values[part.places[part.kept]] = after
            self._kept[part.places] = part.kept
            self._touched[part.places] = True
            if few:
                self._moments += self._summed(after)
        if not few:
            self._moments[...] = self._summed(self._values[self._kept])

    def _summed(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        return summed_moments(values, self._matrix)[0]

    def sums(self) -> NDArray[np.float64] | None:
        """Z; None where there is no descriptor."""
        count = int(np.count_nonzero(self._kept))
        return sums_from_moments(self._moments, self._pipeline.mixture, count) if count else None

    def put_back(self) -> None:
        """Be the untouched photo again."""
        self._restore(np.flatnonzero(self._touched))
        self._touched[:] = False
        self._moments[...] = self._photo.encoding().moments


def merged(areas: Iterable[Area], places: Places) -> list[Area]:
    """Rectangles that cover the areas, joined where fewer places see the one than the two."""
    found: list[tuple[int, Area]] = []
    for area in areas:
        joined, seeing = area, places.count(area)
        while True:
            for index, (others, other) in enumerate(found):
                hull = _hull(joined, other)
                together = places.count(hull)
                if together <= seeing + others:
                    joined, seeing = hull, together
                    del found[index]
                    break
            else:
                break
        found.append((seeing, joined))
    return [area for _, area in found]


def _hull(one: Area, other: Area) -> Area:
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )
