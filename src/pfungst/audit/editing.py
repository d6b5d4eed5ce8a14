"""Verification by editing: fill a place from its surroundings, and score the photo before and after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import Classifier, ImageArray
from pfungst.contract.perturbation import Edit, EditScorer
from pfungst.errors import ConfigError, PfungstError
from pfungst.evaluation.operators import inpaint, laid_in
from pfungst.images.rectangles import Box, Region

CHAINED_SHARE = 0.1
"""Share of the photo up to which edits are scored as a chain: what sees them reaches well beyond them."""


def pixel_region(box: Box, height: int, width: int) -> Region:
    """The smallest rectangle of whole pixels around a box, within the photo."""
    return Region(
        top=max(int(np.floor(box.top)), 0),
        left=max(int(np.floor(box.left)), 0),
        bottom=min(int(np.ceil(box.bottom)), height),
        right=min(int(np.ceil(box.right)), width),
    )


def removal_edits(
    image: ImageArray, regions: Sequence[Region], sources: Sequence[Region] = ()
) -> tuple[Edit, ...]:
    """Edits that fill each rectangle, one after the other, from what is around it.

    Parameters
    ----------
    image : (height, width, 3) uint8
    regions : sequence of Region
        What is filled in.
    sources : sequence of Region, optional
        As many rectangles of the same shapes, whose pixels are laid in
        (:func:`~pfungst.evaluation.operators.laid_in`); without them the fill is harmonic, a smooth surface.

    Raises
    ------
    ConfigError
        If the shapes differ.
    """
    current = image.copy()
    fill = inpaint(image, 1, np.random.default_rng(0))
    if sources and [source.shape for source in sources] != [region.shape for region in regions]:
        raise ConfigError("sources of other shapes than the places to fill", allowed="the same shapes")
    edits = []
    for index, region in enumerate(regions):
        pixels = laid_in(current, region, sources[index].crop(image)) if sources else fill(current, region)
        edits.append(Edit(top=region.top, left=region.left, pixels=pixels))
        edits[-1].apply(current)
    return tuple(edits)


def scores_after(
    classifier: Classifier, image: ImageArray, variants: Sequence[Sequence[Edit]]
) -> NDArray[np.float64]:
    """Scores of the untouched photo and of each variant, ``(1 + len(variants), n_classes)``.

    Every variant starts from the untouched photo. A classifier that can score edits cheaply
    (:class:`~pfungst.contract.perturbation.EditScorer`) is handed the small ones as one chain, in which each
    step also takes the last one back; a large one costs less as a whole photo. A variant that cannot be
    scored (nothing is left to describe when an object that fills its photo is filled in) has scores of NaN.
    """
    small = [index for index, edits in enumerate(variants) if _covered(edits, image) <= CHAINED_SHARE]
    chain = _chain_scores(classifier, image, [variants[index] for index in small]) if small else None
    if chain is None:
        before, found = classifier.scores([image]), {}
    else:
        before, found = chain[:1], dict(zip(small, chain[1:, None], strict=True))
    for index, edits in enumerate(variants):
        if index not in found:
            found[index] = _scores_or_nan(classifier, edited(image, edits))
    return np.concatenate([before, *(found[index] for index in range(len(variants)))])


def _chain_scores(
    classifier: Classifier, image: ImageArray, variants: Sequence[Sequence[Edit]]
) -> NDArray[np.float64] | None:
    """Scores of a photo and of small edits; None where they are not to be had in a chain."""
    if not isinstance(classifier, EditScorer):
        return None
    try:
        return classifier.perturbed_scores(image, _chain(image, variants))
    except PfungstError:  # the photo or a single edit is at fault: scored one by one, it is told which
        return None


def _scores_or_nan(classifier: Classifier, image: ImageArray) -> NDArray[np.float64]:
    try:
        return classifier.scores([image])
    except PfungstError:
        return np.full((1, len(classifier.classes)), np.nan)


def edited(image: ImageArray, edits: Sequence[Edit]) -> ImageArray:
    """A copy of the photo with the edits applied."""
    copy = image.copy()
    for edit in edits:
        edit.apply(copy)
    return copy


def _covered(edits: Sequence[Edit], image: ImageArray) -> float:
    """Share of the photo that the edits cover, overlaps counted twice."""
    return sum(edit.pixels.size for edit in edits) / image.size


def _chain(image: ImageArray, variants: Sequence[Sequence[Edit]]) -> list[list[Edit]]:
    """Steps that turn each variant into the next: first the old places as they were, then the new edits."""
    steps: list[list[Edit]] = []
    last: Sequence[Edit] = ()
    for edits in variants:
        steps.append([*(_undone(image, edit) for edit in last), *edits])
        last = edits
    return steps


def _undone(image: ImageArray, edit: Edit) -> Edit:
    height, width = edit.pixels.shape[:2]
    pixels = image[edit.top : edit.top + height, edit.left : edit.left + width]
    return Edit(top=edit.top, left=edit.left, pixels=pixels)
