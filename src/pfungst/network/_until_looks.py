"""Ways into a network that :class:`~pfungst.network.look.NetworkLook` replaces."""

# until every caller looks

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.explanation import Explanation


class UntilLooks:
    """One-line delegates to a look."""

    look: Any
    forward: Any
    classes: Any

    def explain_many(
        self, image: ImageArray, class_names: Sequence[str], *, image_id: str = "", **options: Any
    ) -> list[Explanation]:
        """Several classes of one photo."""
        look = self.look([image], relevance=True)
        return look.explain([class_names], image_ids=[image_id], **options)[0]  # type: ignore[no-any-return]

    def input_view(self, image: ImageArray) -> ImageArray:
        """The centre view."""
        return self.look([image]).pictures[0]  # type: ignore[no-any-return]

    def view_scores(self, views: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Scores of centre views."""
        return self.forward.scores(views)  # type: ignore[no-any-return]

    def view_to_image(
        self, relevance: NDArray[np.floating], image_shape: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Relevance of a centre view on its photo."""
        blank = np.broadcast_to(np.uint8(0), (*image_shape, 3))
        return self.look([blank]).on_photo(relevance)  # type: ignore[no-any-return]

    def inputs(self, views: NDArray[np.uint8]) -> Any:
        """Views as the module's input."""
        return self.forward.inputs(views)

    def class_index(self, class_name: str) -> int:
        """The column of a class."""
        return self.classes.index(class_name)  # type: ignore[no-any-return]
