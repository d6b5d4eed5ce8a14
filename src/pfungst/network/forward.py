"""From views of photos to raw class scores: the module, what it expects, and what its output means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pfungst.errors import ConfigError
from pfungst.network.lrp import Recording
from pfungst.network.outputs import class_scores, score_tensor
from pfungst.network.preprocess import Preprocess

_PROCESSOR_BATCH = 4  # activations of more views leave the cache: EfficientNet-Lite0 31 ms a view, with 8 41
_ACCELERATOR_BATCH = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class Forward:
    """A network in use.

    Attributes
    ----------
    module : torch.nn.Module
        In evaluation mode.
    preprocess : Preprocess
        What it expects of its input.
    n_classes : int
        Columns of the scores.
    device : str
    dtype : torch.dtype
    left_out : tuple of str
        Functions at the module's end that squash its scores; they are left out.
    """

    module: nn.Module
    preprocess: Preprocess
    n_classes: int
    device: str
    dtype: torch.dtype
    left_out: tuple[str, ...] = ()

    @property
    def view_batch(self) -> int:
        """How many views go through the module at a time."""
        return _PROCESSOR_BATCH if self.device == "cpu" else _ACCELERATOR_BATCH

    def inputs(self, views: NDArray[np.uint8]) -> Tensor:
        """Views ``(n, height, width, 3)`` as the module's input, ``(n, channels, height, width)``, there."""
        values = torch.from_numpy(self.preprocess.values(views))
        return values.to(device=self.device, dtype=self.dtype)

    def scores(self, views: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Raw scores of views, ``(n, n_classes)``; so many at a time that memory stays bounded.

        Raises
        ------
        ConfigError
            If the network fails on such an input, or does not give one number a class.
        """
        parts = [
            self.columns(self._output(self.inputs(views[start : start + self.view_batch])))
            for start in range(0, len(views), self.view_batch)
        ]
        return np.concatenate(parts) if parts else np.empty((0, self.n_classes))

    def record(self, views: NDArray[np.uint8]) -> Recording:
        """One forward pass of views with all that relevance needs."""
        return Recording(self.module, self.inputs(views))

    def _output(self, inputs: Tensor) -> Any:
        """The module's output, raw; channels last, in which convolutions are faster, where the module can.

        One that reshapes by ``view`` runs in PyTorch's own layout.
        """
        if self.left_out:
            return Recording(self.module, inputs).outputs
        with torch.inference_mode():
            try:
                return self.module(inputs.contiguous(memory_format=torch.channels_last))
            except Exception:  # a module raises what it likes
                return self._in_default_layout(inputs)

    def _in_default_layout(self, inputs: Tensor) -> Any:
        try:
            return self.module(inputs)
        except Exception as error:
            reason = str(error).strip().split("\n", 1)[0][:200]
            raise ConfigError(
                f"the network fails on an input of shape {tuple(inputs.shape)} ({reason})",
                allowed="the input that its layers were made for",
                hint="the preprocessing it was trained with: input size, and channels RGB, BGR, gray or RGBA",
            ) from error

    def columns(self, output: Any) -> NDArray[np.float64]:
        """A module's output (:func:`score_tensor`) as one score a class, ``(n, n_classes)`` float64.

        Axes of one element are dropped. For two classes a single number may be given: the score of the
        second; the first has its negative.
        """
        found = score_tensor(output)
        if tuple(found.shape[1:]) not in self._output_shapes:
            raise ConfigError(
                f"the network's output is {tuple(found.shape)} for {self.n_classes} classes",
                allowed="a tensor (n, n_classes)",
                hint="nn.Flatten() at its end, or class names that match its outputs",
            )
        scores: NDArray[np.float64] = class_scores(found).double().cpu().numpy()
        return scores if scores.shape[1] == self.n_classes else np.concatenate([-scores, scores], axis=1)

    @property
    def _output_shapes(self) -> list[tuple[int, ...]]:
        """Without the batch: a number a class (in a map of 1 x 1 pixels as in Caffe), or one for two."""
        counts = [self.n_classes] + ([1] if self.n_classes == 2 else [])
        shapes: list[tuple[int, ...]] = [shape for count in counts for shape in ((count,), (count, 1, 1))]
        return [*shapes, ()] if 1 in counts else shapes

    def target(self, column: int, n_outputs: int) -> tuple[int, float]:
        """Which of the module's outputs a class's score is, and with which sign."""
        return (0, 2.0 * column - 1.0) if n_outputs < self.n_classes else (column, 1.0)


def squashing(forward: Forward) -> tuple[str, ...]:
    """What squashes the scores at the network's end, seen in one forward pass of a black photo.

    Nothing where that fails: the first photo says why.
    """
    black = np.zeros((1, *forward.preprocess.input_size, 3), dtype=np.uint8)
    try:
        return forward.record(black).left_out
    except ConfigError:
        return ()
