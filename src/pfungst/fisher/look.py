"""One look at photos by a Fisher-vector classifier: each is described once, whatever is asked then."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import Classifier, ImageArray
from pfungst.contract.explanation import Explanation
from pfungst.contract.look import Chain, PlainLook
from pfungst.fisher.described import DescribedPhoto
from pfungst.fisher.edits import EditedPhoto
from pfungst.fisher.encoding import improved
from pfungst.fisher.explaining import explain_photo
from pfungst.fisher.machines import LinearMachines
from pfungst.fisher.pipeline import FisherPipeline
from pfungst.fisher.replacement import FisherTracer
from pfungst.fisher.rules import parse_rule


class FisherLook(PlainLook):
    """What a Fisher-vector classifier made of photos (a :class:`~pfungst.contract.look.Look`).

    Scores, heatmaps, edited photos and traces of a photo share its descriptors, and its sums where they are
    of the same precision.

    Parameters
    ----------
    classifier : Classifier
    images : tuple of (height, width, 3) uint8
    pipeline : FisherPipeline
    machines : LinearMachines
    """

    def __init__(
        self,
        classifier: Classifier,
        images: tuple[ImageArray, ...],
        *,
        pipeline: FisherPipeline,
        machines: LinearMachines,
    ) -> None:
        super().__init__(classifier, images)
        self._machines = machines
        self._photos = [DescribedPhoto(image, pipeline) for image in images]
        self._edited = [EditedPhoto(photo) for photo in self._photos]

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """f(x), ``(n_images, n_classes)``."""
        rows = [self._scores_of(photo.encoding().sums) for photo in self._photos]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self._machines.classes))

    def explain(
        self,
        class_names: Sequence[Sequence[str]],
        *,
        image_ids: Sequence[str] = (),
        layers: bool = False,
        **options: Any,
    ) -> list[list[Explanation]]:
        """Explanations of each photo's classes; options as for ``FisherClassifier.explain``."""
        rule = parse_rule(options.pop("rule", None) or "epsilon", **options)
        ids = image_ids or [""] * len(self.images)
        return [
            explain_photo(photo, self._machines, names, rule, image_id=image_id, layers=layers)
            for photo, names, image_id in zip(self._photos, class_names, ids, strict=True)
        ]

    def after(
        self, chains: Sequence[Sequence[Chain]], *, in_picture: bool = False
    ) -> list[list[NDArray[np.float64]]]:
        """Scores of edited photos; only descriptors that see an edit are taken again, unless most do."""
        del in_picture  # the picture is the photo
        return [
            [self._scores_along(photo, chain) for chain in group]
            for photo, group in zip(self._edited, chains, strict=True)
        ]

    def _scores_along(self, photo: EditedPhoto, chain: Chain) -> NDArray[np.float64]:
        rows = [self._scores_of(sums) for sums in photo.sums_along(chain)]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self._machines.classes))

    def _scores_of(self, sums: NDArray[np.float64] | None) -> NDArray[np.float64]:
        if sums is None:
            return np.full(len(self._machines.classes), np.nan)
        return self._machines.scores(improved(sums))

    def trace(self, *, photo: int = 0) -> FisherTracer:
        """The photo's descriptors, ready to be replaced by draws from the mixture (Algorithm 1)."""
        described = self._photos[photo]
        return FisherTracer(
            described.descriptors.values,
            described.pipeline.mixture,
            self._machines,
            encoding=described.encoding(np.float64),
        )
