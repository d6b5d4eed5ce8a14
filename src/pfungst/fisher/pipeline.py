"""Photo → descriptors after PCA → Fisher vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.descriptors import PCA, Descriptor, Descriptors, described
from pfungst.errors import ConfigError
from pfungst.fisher.encoding import Encoding, encode, improved
from pfungst.mixture import GaussianMixture

PIPELINE_ARRAYS = (
    "pca_mean",
    "pca_components",
    "pca_explained_variance",
    "mixture_weights",
    "mixture_means",
    "mixture_variances",
)


@dataclass(frozen=True, kw_only=True)
class FisherPipeline:
    """Photo → descriptors after PCA → Fisher vector.

    Attributes
    ----------
    descriptor : Descriptor
        Such as :class:`~pfungst.descriptors.SiftConfig`.
    pca : PCA
    mixture : GaussianMixture
    """

    descriptor: Descriptor
    pca: PCA
    mixture: GaussianMixture

    def __post_init__(self) -> None:
        size = self.descriptor.size
        if self.pca.n_inputs != size or self.pca.n_components != self.mixture.dimension:
            raise ConfigError(
                f"a PCA from {self.pca.n_inputs} to {self.pca.n_components} dimensions before a mixture of "
                f"{self.mixture.dimension}",
                allowed=f"from {size} to the mixture's dimension",
            )

    @property
    def n_dimensions(self) -> int:
        """V = (1 + 2D)K."""
        return (1 + 2 * self.mixture.dimension) * self.mixture.n_components

    def describe(self, image: ImageArray) -> Descriptors:
        """Local descriptors projected by PCA, with geometry."""
        return described(self.descriptor, image).transformed(self.pca.transform)

    def encode(
        self, descriptors: Descriptors, *, dtype: type[np.float32] | type[np.float64] = np.float32
    ) -> Encoding:
        """Sums of the Fisher mapping over the descriptors."""
        return encode(descriptors.values, self.mixture, dtype=dtype)

    def vector(self, image: ImageArray) -> NDArray[np.float32]:
        """Improved Fisher vector Φ(x) of a photo, ``(V,)`` float32."""
        return improved(self.encode(self.describe(image)).sums).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything fitted, by name."""
        pca, mixture = self.pca, self.mixture
        values = (
            pca.mean,
            pca.components,
            pca.explained_variance,
            mixture.weights,
            mixture.means,
            mixture.variances,
        )
        return dict(zip(PIPELINE_ARRAYS, values, strict=True))
