"""One look at a batch of photos: what a model made of them, once, and what can be asked of it then.

The rooms above (evaluation, audit, report) ask a classifier through :func:`looking` and know nothing else of
it. A classifier that can share work between scores, heatmaps and edited photos offers ``look`` itself; one
with only the four members of :class:`~pfungst.contract.classifier.Classifier` is asked through an adapter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import Classifier, ImageArray
from pfungst.contract.explanation import Explanation
from pfungst.errors import ConfigError, PfungstError


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


Chain: TypeAlias = Iterable[Sequence[Edit]]
"""Steps of edits of one photo; each step starts from what the steps before it left. A single step is a
variant of the photo. It may be a generator: steps are taken one at a time."""


class Trace(Protocol):
    """One photo's local descriptors L, ready to be replaced by draws from the mixture λ (Algorithm 1)."""

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


class Look(Protocol):
    """What a model made of a batch of photos. Everything is computed when it is first asked for, and once."""

    @property
    def images(self) -> tuple[ImageArray, ...]:
        """The photos, in order."""

    @property
    def scores(self) -> NDArray[np.float64]:
        """f(x), ``(n_images, n_classes)``, as ``Classifier.scores`` gives it."""

    @property
    def pictures(self) -> tuple[ImageArray, ...]:
        """What the model sees of each photo, in the pixels of its own input, ``(height, width, 3)`` uint8.

        The photo itself, unless the model looks at a crop or at a reduced copy.
        """

    @property
    def picture_scores(self) -> NDArray[np.float64]:
        """f of :attr:`pictures`, ``(n_images, n_classes)``.

        Other than :attr:`scores` where those average several views of a photo.
        """

    def explain(
        self, class_names: Sequence[Sequence[str]], *, image_ids: Sequence[str] = (), **options: Any
    ) -> list[list[Explanation]]:
        """Explanations of each photo's classes.

        Parameters
        ----------
        class_names : sequence of sequences of str
            For each photo the classes to explain; may be empty.
        image_ids : sequence of str
            Names of the photos; default empty names.
        options
            The classifier's own, as for ``Classifier.explain``.
        """

    def after(
        self, chains: Sequence[Sequence[Chain]], *, in_picture: bool = False
    ) -> list[list[NDArray[np.float64]]]:
        """Scores of edited photos; only what changed is computed again, where the model can.

        Parameters
        ----------
        chains : sequence of sequences of Chain
            For each photo its chains; every chain starts from the untouched photo.
        in_picture : bool
            Edits are in the pixels of :attr:`pictures`, and so are the scores, instead of the photos'.

        Returns
        -------
        list of lists of (n_steps, n_classes) float64
            For each photo and chain f after each step. NaN where a photo cannot be scored after its edits,
            since nothing is left to describe.
        """

    def on_photo(self, relevance: NDArray[np.floating], *, photo: int = 0) -> NDArray[np.float64]:
        """Relevance of the pixels of ``pictures[photo]`` handed to the photo's pixels, sum conserved."""

    def trace(self, *, photo: int = 0) -> Trace:
        """The photo's descriptors for Algorithm 1; only of a classifier with ``has_descriptors``."""


@runtime_checkable
class Looking(Protocol):
    """A classifier as the rooms above see it; from :func:`looking`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the columns of scores."""

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Decision threshold of each class, ``(n_classes,)``."""

    @property
    def batch_size(self) -> int:
        """How many photos at a time it likes to look at."""

    @property
    def has_descriptors(self) -> bool:
        """Whether its looks have a :meth:`Look.trace`."""

    def look(self, images: Iterable[ImageArray], *, relevance: bool = False) -> Look:
        """Look at a batch of photos.

        Parameters
        ----------
        images : iterable of (height, width, 3) uint8
        relevance : bool
            Whether heatmaps will be asked for, so that a first pass may keep what they need.
        """


def looking(classifier: Classifier | Looking) -> Looking:
    """The classifier itself if it offers looks, else an adapter around its four members."""
    return classifier if isinstance(classifier, Looking) else PlainLooking(classifier)


@dataclass(frozen=True, eq=False)
class PlainLooking:
    """A classifier with the four members of the contract alone: each edited photo is scored as a whole."""

    classifier: Classifier

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return tuple(self.classifier.classes)

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Decision thresholds."""
        return np.asarray(self.classifier.thresholds, dtype=np.float64)

    @property
    def batch_size(self) -> int:
        """One: photos of different sizes do not share a batch."""
        return 1

    @property
    def has_descriptors(self) -> bool:
        """No."""
        return False

    def look(self, images: Iterable[ImageArray], *, relevance: bool = False) -> PlainLook:
        """Look at a batch of photos."""
        del relevance
        return PlainLook(self.classifier, tuple(images))


class PlainLook:
    """The :class:`Look` of a :class:`PlainLooking`; also the base of looks that do better in parts."""

    def __init__(self, classifier: Classifier, images: tuple[ImageArray, ...]) -> None:
        self.images = images
        self._classifier = classifier

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """f(x), ``(n_images, n_classes)``."""
        return np.asarray(self._classifier.scores(self.images), dtype=np.float64)

    @property
    def pictures(self) -> tuple[ImageArray, ...]:
        """The photos themselves."""
        return self.images

    @property
    def picture_scores(self) -> NDArray[np.float64]:
        """:attr:`scores`."""
        return self.scores

    def explain(
        self, class_names: Sequence[Sequence[str]], *, image_ids: Sequence[str] = (), **options: Any
    ) -> list[list[Explanation]]:
        """Explanations, asked for class by class."""
        ids = image_ids or [""] * len(self.images)
        return [
            [self._classifier.explain(image, name, image_id=image_id, **options) for name in names]
            for image, names, image_id in zip(self.images, class_names, ids, strict=True)
        ]

    def after(
        self, chains: Sequence[Sequence[Chain]], *, in_picture: bool = False
    ) -> list[list[NDArray[np.float64]]]:
        """Scores of edited photos, each scored as a whole."""
        sources = self.pictures if in_picture else self.images
        return [
            [self._along(source, chain) for chain in group]
            for source, group in zip(sources, chains, strict=True)
        ]

    def _along(self, source: ImageArray, chain: Chain) -> NDArray[np.float64]:
        rows = [self._scored(image) for image in edited_photos(source, chain)]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self._classifier.classes))

    def _scored(self, image: ImageArray) -> NDArray[np.float64]:
        try:
            row: NDArray[np.float64] = np.asarray(self._classifier.scores([image]), dtype=np.float64)[0]
            return row
        except ConfigError:
            raise
        except PfungstError:
            return np.full(len(self._classifier.classes), np.nan)

    def on_photo(self, relevance: NDArray[np.floating], *, photo: int = 0) -> NDArray[np.float64]:
        """The same relevance: picture and photo are one.

        Raises
        ------
        ConfigError
            If the relevance has another shape than the photo.
        """
        shape = self.images[photo].shape[:2]
        if relevance.shape != shape:
            raise ConfigError(f"relevance of shape {relevance.shape}", allowed=f"the photo's {shape}")
        values: NDArray[np.float64] = np.asarray(relevance, dtype=np.float64)
        return values

    def trace(self, *, photo: int = 0) -> Trace:
        """There is none.

        Raises
        ------
        ConfigError
            Always.
        """
        raise without_descriptors()


def without_descriptors() -> ConfigError:
    """What a look without a trace raises."""
    return ConfigError(
        "replacing local descriptors in a model that has none",
        allowed="a model of local descriptors, such as a Fisher-vector model",
        hint="method regions",
    )


def edited_photos(image: ImageArray, chain: Chain) -> Iterator[ImageArray]:
    """A copy of the photo after each step; edits accumulate."""
    current = image.copy()
    for edits in chain:
        for edit in edits:
            edit.apply(current)
        yield current.copy()
