"""Edits of a photo: a place filled in from its surroundings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Edit
from pfungst.errors import ConfigError
from pfungst.evaluation.operators import inpaint, laid_in
from pfungst.images.rectangles import Region

_UNUSED = np.random.default_rng(0)
"""The fill draws nothing."""


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
    fill = inpaint(image, 1, _UNUSED)
    if sources and [source.shape for source in sources] != [region.shape for region in regions]:
        raise ConfigError("sources of other shapes than the places to fill", allowed="the same shapes")
    edits = []
    for index, region in enumerate(regions):
        pixels = laid_in(current, region, sources[index].crop(image)) if sources else fill(current, region)
        edits.append(Edit(top=region.top, left=region.left, pixels=pixels))
        edits[-1].apply(current)
    return tuple(edits)


def edited(image: ImageArray, edits: Sequence[Edit]) -> ImageArray:
    """A copy of the photo with the edits applied."""
    copy = image.copy()
    for edit in edits:
        edit.apply(copy)
    return copy
