"""The one interface that evaluation, audit and report see of any classifier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.explanation import Explanation

ImageArray = NDArray[np.uint8]
"""A decoded photo: ``(height, width, 3)``, RGB, uint8, rows from the top."""


@runtime_checkable
class Classifier(Protocol):
    """A multi-label image classifier that can explain itself; ``f(x) > threshold`` predicts a class.

    Fisher-vector models and networks both are one; so is any object of a user's own with these members.
    It must be picklable if it is to be used with several workers.

    A classifier may say more, each in one place that reads it: ``look`` and ``batch_size``, what it made of a
    batch of photos (:mod:`pfungst.contract.look`); ``decision``, ``"highest"`` where one class is predicted
    and not any number (:mod:`pfungst.contract.deciding`); ``seen``, the photos it has learned from
    (:mod:`pfungst.contract.seen`); ``views``, which views of a photo its scores are of.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the columns of ``scores``."""

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Decision threshold of each class, ``(n_classes,)``; from validation at the equal error rate."""

    def scores(self, images: Iterable[ImageArray]) -> NDArray[np.float64]:
        """Real-valued scores f(x), ``(n_images, n_classes)``; images are taken one at a time."""

    def explain(
        self, image: ImageArray, class_name: str, *, image_id: str = "", **options: Any
    ) -> Explanation:
        """Relevance of every pixel of ``image`` for the score of ``class_name``.

        ``options`` are the classifier's own (``rule=...`` by custom).
        """
