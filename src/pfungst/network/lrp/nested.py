"""What functions are given and return: tensors in nested lists, tuples and mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def mapped(item: Any, put: Callable[[Any], Any]) -> Any:
    """The same nest with ``put`` applied to each item."""
    if isinstance(item, dict):
        return {key: mapped(value, put) for key, value in item.items()}
    if type(item) in {tuple, list}:
        return type(item)(mapped(value, put) for value in item)
    return put(item)


def flat(item: Any) -> Iterator[Any]:
    """The items of nested sequences and mappings, in order."""
    if isinstance(item, Mapping):
        for value in item.values():
            yield from flat(value)
    elif isinstance(item, (tuple, list)) and not isinstance(item, torch.Size):
        for value in item:
            yield from flat(value)
    else:
        yield item


def differentiable(item: Any) -> bool:
    """Whether an item is a tensor of real numbers."""
    return isinstance(item, Tensor) and item.is_floating_point()
