"""The calls by which other rooms asked before they looked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.explanation import Explanation
from pfungst.contract.look import Edit
from pfungst.fisher.look import FisherLook
from pfungst.fisher.replacement import FisherTracer


class FormerCalls:  # until every caller looks
    """Each is one look."""

    @abstractmethod
    def look(self, images: Iterable[ImageArray], *, relevance: bool = False) -> FisherLook:
        """Look at photos."""

    def explain_many(
        self, image: ImageArray, class_names: Sequence[str], *, image_id: str = "", **options: Any
    ) -> list[Explanation]:
        """Explain several classes of one photo."""
        return self.look([image]).explain([class_names], image_ids=[image_id], **options)[0]

    def perturbed_scores(self, image: ImageArray, steps: Sequence[Sequence[Edit]]) -> NDArray[np.float64]:
        """Scores of a photo and after each step of edits."""
        look = self.look([image])
        return np.concatenate([look.scores, look.after([[steps]])[0][0]])

    def descriptor_tracer(self, image: ImageArray) -> FisherTracer:
        """The photo's descriptors for Algorithm 1."""
        return self.look([image]).trace()
