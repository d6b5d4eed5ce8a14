"""What networks answer with, reduced to scores: a tensor, a tuple, a dict, an answer with ``logits``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from pfungst.errors import ConfigError

_NAMES = ("logits", "scores", "out", "output", "outputs", "pred", "prediction", "predictions", "y")


def class_scores(output: Any) -> Tensor:
    """The scores in a network's answer, ``(n, n_outputs)``.

    The tensor of :func:`score_tensor`, its axes of one element dropped; ``(n,)`` is one output.

    Raises
    ------
    ConfigError
        If no scores are found, it is not clear which entry they are, or there is more than one number an
        output.
    """
    scores = score_tensor(output)
    if scores.dim() < 1 or math.prod(scores.shape[2:]) != 1:
        raise ConfigError(
            f"the network's output is {tuple(scores.shape)}", allowed="(n, n_outputs), one number an output"
        )
    return scores.reshape(scores.shape[0], -1)


def score_tensor(output: Any) -> Tensor:
    """The tensor with the scores in a network's answer, as it is.

    Of a dict, or an answer of transformers, the entry called ``logits`` or alike is taken, or the only one
    that is a batch of scores; of a tuple the first entry that is (auxiliary heads and hidden states follow
    the scores).

    Raises
    ------
    ConfigError
        If no scores are found, or it is not clear which entry they are.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        return _of_mapping(output)
    if isinstance(output, (tuple, list)) and output:
        return score_tensor(_first(output))
    raise ConfigError(
        f"the network's output is {type(output).__name__}",
        allowed="a tensor (n, n_classes), or a tuple or dict with one",
    )


def _of_mapping(output: Mapping[str, Any]) -> Tensor:
    named = [name for name in _NAMES if isinstance(output.get(name), Tensor)]
    fitting = named[:1] or [name for name, value in output.items() if _is_scores(value)]
    if len(fitting) != 1:
        raise ConfigError(
            f"the network's output is a dict with {', '.join(map(str, output))[:200]}",
            allowed="one of them called logits, or one alone of the shape (n, n_classes)",
            hint="a module around it that returns the scores",
        )
    return score_tensor(output[fitting[0]])


def _first(items: Iterable[Any]) -> Any:
    """The first entry that is a batch of scores, or a structure with one; else the first."""
    entries = list(items)
    return next((item for item in entries if _is_scores(item) or isinstance(item, Mapping)), entries[0])


def _is_scores(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() in {1, 2}


class ScoresOf(nn.Module):
    """A network whose answer is reduced to scores."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        """Scores of a batch."""
        return score_tensor(self.network(*inputs, **options))
