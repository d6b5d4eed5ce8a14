"""Where training examples come from: stored features for a last layer, stored canvases for a network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pfungst.network.preprocess import Preprocess
from pfungst.network.training.view_store import CENTER
from pfungst.network.views import center_offset


class Source(Protocol):
    """Examples of photos: each photo has ten views, as ``training_views`` orders them."""

    def inputs(self, rows: NDArray[np.intp], views: NDArray[np.intp]) -> Tensor:
        """The model's input of some views of some photos."""

    def center_inputs(self, rows: NDArray[np.intp]) -> Tensor:
        """The model's input of the centre view of some photos."""


class FeatureSource:
    """Features ``(n, 10, d)``, multiplied by ``scale`` when they are read."""

    def __init__(self, features: NDArray[np.float32], scale: float = 1.0) -> None:
        self.features, self.scale = features, np.float32(scale)

    def inputs(self, rows: NDArray[np.intp], views: NDArray[np.intp]) -> Tensor:
        """Features, ``(len(rows), d)``."""
        return torch.from_numpy(np.asarray(self.features[rows, views] * self.scale))

    def center_inputs(self, rows: NDArray[np.intp]) -> Tensor:
        """Features of the centre view."""
        return self.inputs(rows, np.full(len(rows), CENTER))


def unit_scale(features: NDArray[np.float32], rows: NDArray[np.intp], norm: float) -> float:
    """What the centre views' features are multiplied by to get the root mean square norm ``norm``."""
    squares = [float(np.square(features[row, CENTER], dtype=np.float64).sum()) for row in rows]
    mean = float(np.mean(squares))
    return norm / mean**0.5 if mean > 0 else 1.0


class CanvasSource:
    """Crops of canvases ``(n, length, length, 3)``: the ten views of ``training_views``, cut when needed."""

    def __init__(self, canvases: NDArray[np.uint8], preprocess: Preprocess) -> None:
        self.canvases, self.preprocess = canvases, preprocess
        height, width = preprocess.input_size
        bottom, right = canvases.shape[1] - height, canvases.shape[2] - width
        center = center_offset(canvases.shape[1:3], preprocess.input_size, preprocess.resize)
        self._offsets = ((0, 0), (0, right), (bottom, 0), (bottom, right), center)

    def inputs(self, rows: NDArray[np.intp], views: NDArray[np.intp]) -> Tensor:
        """Normalised crops, ``(len(rows), 3, height, width)``."""
        crops = [self._crop(row, view) for row, view in zip(rows, views, strict=True)]
        return torch.from_numpy(self.preprocess.values(np.stack(crops)))

    def _crop(self, row: np.intp, view: np.intp) -> NDArray[np.uint8]:
        top, left = self._offsets[view % len(self._offsets)]
        height, width = self.preprocess.input_size
        crop = self.canvases[row, top : top + height, left : left + width]
        return crop[:, ::-1] if view >= len(self._offsets) else crop

    def center_inputs(self, rows: NDArray[np.intp]) -> Tensor:
        """Normalised centre crops."""
        return self.inputs(rows, np.full(len(rows), CENTER))
