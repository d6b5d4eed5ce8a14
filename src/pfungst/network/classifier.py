"""Any PyTorch network as a classifier of the contract: scores, explanations, a folder on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pfungst.network.preprocess import Preprocess

if TYPE_CHECKING:
    import torch


class NetworkClassifier:
    """A network with its classes and preprocessing (signature under construction)."""

    def __init__(
        self,
        module: torch.nn.Module,
        classes: Sequence[str],
        preprocess: Preprocess,
        *,
        architecture: Mapping[str, Any] | None = None,
        thresholds: NDArray[np.float64] | Sequence[float] | None = None,
        views: str = "center",
        device: str = "cpu",
        dtype: torch.dtype | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None: ...

    def save(self, path: str | Path) -> Path:
        """Write a model folder of kind ``network``."""
        raise NotImplementedError
