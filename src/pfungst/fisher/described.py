"""One photo that is described once, whatever is asked of it then."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pfungst.contract.classifier import ImageArray
from pfungst.descriptors import Descriptors
from pfungst.fisher.encoding import Encoding
from pfungst.fisher.pipeline import FisherPipeline


class DescribedPhoto:
    """A photo's descriptors after PCA and their sums, each computed when it is first asked for.

    Parameters
    ----------
    image : (height, width, 3) uint8
    pipeline : FisherPipeline
    """

    def __init__(self, image: ImageArray, pipeline: FisherPipeline) -> None:
        self.image, self.pipeline = image, pipeline
        self._encodings: dict[type, Encoding] = {}

    @cached_property
    def descriptors(self) -> Descriptors:
        """The descriptors L.

        Raises
        ------
        PfungstError
            If the photo has none.
        """
        return self.pipeline.describe(self.image)

    def encoding(self, dtype: type[np.float32] | type[np.float64] = np.float32) -> Encoding:
        """Sums of the Fisher mapping, with products of ``dtype``."""
        if dtype not in self._encodings:
            self._encodings[dtype] = self.pipeline.encode(self.descriptors, dtype=dtype)
        return self._encodings[dtype]
