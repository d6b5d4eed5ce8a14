"""What of a photo a model sees: an edit elsewhere says nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.suspects import Edits
from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Look, Looking

ENOUGH = 0.5
"""Share of an edit that must lie within the view for the photo to take part."""


def view_of(look: Look) -> NDArray[np.bool_]:
    """What of the first photo the model sees, ``(height, width)``.

    What its picture is made of; all of the photo where scores look at more than the picture.
    """
    if sees_more(look):
        return np.ones(look.images[0].shape[:2], dtype=bool)
    return _of_picture(look)


def sees_more(look: Look) -> bool:
    """Whether scores look at more of the first photo than its picture, as means over windows do."""
    return not np.array_equal(look.scores[0], look.picture_scores[0])


def _of_picture(look: Look) -> NDArray[np.bool_]:
    photo, picture = look.images[0], look.pictures[0]
    if picture.shape == photo.shape:
        return np.ones(photo.shape[:2], dtype=bool)
    return np.asarray(look.on_photo(np.ones(picture.shape[:2]))) > 0


class Views:
    """The same of photos by their size alone, each size looked at once and none scored.

    Parameters
    ----------
    classifier : Looking
    example : (height, width, 3) uint8
        A photo that can be scored, to tell whether scores look at more than a picture.
    """

    def __init__(self, classifier: Looking, example: ImageArray) -> None:
        self._classifier = classifier
        self._whole = sees_more(classifier.look([example]))
        self._known: dict[tuple[int, int], NDArray[np.bool_]] = {}

    def of(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """The view of photos of ``(height, width)``."""
        if self._whole:
            return np.ones(size, dtype=bool)
        if size not in self._known:
            look = self._classifier.look([np.zeros((*size, 3), dtype=np.uint8)])
            self._known[size] = _of_picture(look)
        return self._known[size]


def seen_share(edits: Edits, view: NDArray[np.bool_]) -> float:
    """Share of the edited pixels that lie in a view; 0 of nothing."""
    touched = np.zeros(view.shape, dtype=bool)
    for edit in edits:
        height, width = edit.pixels.shape[:2]
        touched[edit.top : edit.top + height, edit.left : edit.left + width] = True
    return float(view[touched].mean()) if touched.any() else 0.0
