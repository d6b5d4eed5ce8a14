"""What a classifier may offer beyond the contract, so that heatmaps can be measured well on it.

All of it is optional. A classifier with none of it is perturbed as a whole photo and scored again; one with
local descriptors is measured by replacing them; one with an input of its own geometry (a network's crop) is
perturbed in true pixels of that input; one that can score a chain of small edits cheaply is handed the chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.explanation import Explanation

INPUT_LAYER = "input"
"""The layer of an :class:`Explanation` with the relevance of the model's own input."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Edit:
    """New pixels for a rectangle of a photo.

    Attributes
    ----------
    top, left : int
        Row and column of the rectangle's first pixel.
    pixels : (height, width, 3) uint8
        What replaces it.
    """

    top: int
    left: int
    pixels: ImageArray

    def apply(self, image: ImageArray) -> None:
        """Write the pixels into ``image``, in place."""
        height, width = self.pixels.shape[:2]
        image[self.top : self.top + height, self.left : self.left + width] = self.pixels


class DescriptorTracer(Protocol):
    """One photo's local descriptors L, ready to be replaced by draws from the model's mixture λ."""

    @property
    def n_descriptors(self) -> int:
        """|L|."""

    @property
    def scores(self) -> NDArray[np.float64]:
        """f(x) of the untouched photo, ``(n_classes,)``."""

    def relevance(self, class_names: Sequence[str], **options: Any) -> NDArray[np.float64]:
        """R^(2), ``(len(class_names), |L|)``; ``options`` as for ``explain``."""

    def draw(self, n_batches: int, batch_size: int, random_state: int | np.random.Generator) -> Any:
        """Draw ``n_batches`` batches of descriptors l ~ λ, prepared for :meth:`replace`.

        The result is opaque, and the same draws may serve several orders.
        """

    def replace(self, order: NDArray[np.intp], draws: Sequence[Any]) -> NDArray[np.float64]:
        """f(x^(i)) after each batch of replacements in the given order.

        Parameters
        ----------
        order : (n_batches * batch_size,) int
            Indices of descriptors, the first to be replaced first.
        draws : sequence
            One result of :meth:`draw` per repetition.

        Returns
        -------
        (len(draws), n_batches, n_classes) float64
        """


@runtime_checkable
class DescriptorClassifier(Protocol):
    """A classifier of local descriptors with a generative mixture, such as a Fisher-vector model."""

    def descriptor_tracer(self, image: ImageArray) -> DescriptorTracer:
        """Extract and encode the photo's descriptors for the replacement algorithm."""


@runtime_checkable
class ViewClassifier(Protocol):
    """A classifier whose input is one view of the photo with a size of its own, such as a network's crop.

    Its explanations carry the relevance of that view as layer ``"input"``, ``(channels, height, width)``.
    """

    def input_view(self, image: ImageArray) -> ImageArray:
        """What the model sees of the photo, ``(height, width, 3)`` RGB uint8, before values are scaled."""

    def view_scores(self, views: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Scores of a batch of such views, ``(n, height, width, 3)`` to ``(n, n_classes)``."""

    def view_to_image(
        self, relevance: NDArray[np.floating], image_shape: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Relevance of the view's pixels handed to the pixels of a photo of that shape, sum conserved."""


@runtime_checkable
class EditScorer(Protocol):
    """A classifier that can score a chain of small edits of one photo for less than whole photos cost."""

    def perturbed_scores(self, image: ImageArray, steps: Sequence[Sequence[Edit]]) -> NDArray[np.float64]:
        """Scores of the photo and after each step, ``(len(steps) + 1, n_classes)``; edits accumulate."""


def edited_photos(image: ImageArray, steps: Sequence[Sequence[Edit]]) -> Iterator[ImageArray]:
    """The photo itself, then a copy after each step; edits accumulate."""
    current = image.copy()
    yield current.copy()
    for edits in steps:
        for edit in edits:
            edit.apply(current)
        yield current.copy()


def view_relevance(explanation: Explanation) -> NDArray[np.float64]:
    """Relevance in the pixels of the model's input: the layer ``"input"``, summed over its channels.

    Without that layer it is the pixel relevance of the photo.
    """
    layer = explanation.layers.get(INPUT_LAYER)
    if layer is None:
        return explanation.relevance
    summed: NDArray[np.float64] = np.asarray(layer, dtype=np.float64)
    return summed.sum(axis=0) if summed.ndim == 3 else summed
