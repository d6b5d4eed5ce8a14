"""Verification by editing: fill a place from its surroundings, and score the photo before and after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import Classifier, ImageArray
from pfungst.contract.perturbation import Edit, EditScorer, edited_photos
from pfungst.evaluation.operators import Region, inpaint
from pfungst.images.boxes import Box


def pixel_region(box: Box, height: int, width: int) -> Region:
    """The smallest rectangle of whole pixels around a box, within the photo."""
    return Region(
        top=max(int(np.floor(box.top)), 0),
        left=max(int(np.floor(box.left)), 0),
        bottom=min(int(np.ceil(box.bottom)), height),
        right=min(int(np.ceil(box.right)), width),
    )


def removal_edits(image: ImageArray, regions: Sequence[Region]) -> tuple[Edit, ...]:
    """Edits that fill each rectangle, one after the other, from the pixels around it (harmonic fill)."""
    current = image.copy()
    fill = inpaint(image, 1, np.random.default_rng(0))
    edits = []
    for region in regions:
        edit = Edit(top=region.top, left=region.left, pixels=fill(current, region))
        edit.apply(current)
        edits.append(edit)
    return tuple(edits)


def scores_after(
    classifier: Classifier, image: ImageArray, variants: Sequence[Sequence[Edit]]
) -> NDArray[np.float64]:
    """Scores of the untouched photo and of each variant, ``(1 + len(variants), n_classes)``.

    Every variant starts from the untouched photo. A classifier that can score edits cheaply
    (:class:`~pfungst.contract.perturbation.EditScorer`) is handed the edits.
    """
    if isinstance(classifier, EditScorer):
        rows = [classifier.perturbed_scores(image, [edits]) for edits in variants]
        before = rows[0][:1] if rows else classifier.scores([image])
        return np.concatenate([before, *(row[1:] for row in rows)])
    photos = (list(edited_photos(image, [edits]))[-1] for edits in variants)
    return np.concatenate([classifier.scores([image]), *(classifier.scores([photo]) for photo in photos)])
