"""Calls that write into a tensor, as calls that make a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pfungst.network.lrp.operations import base_name


def overwrites(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a call of this name writes into its first argument."""
    operator = name in {"__add__", "__sub__", "__mul__", "__matmul__"}
    return bool(options.get("inplace")) or name == "__setitem__" or (base_name(name) != name and not operator)


def written_anew(func: Callable[..., Any], name: str, options: dict[str, Any]) -> Callable[..., Any] | None:
    """What gives, in new memory, what the call writes; None if there is no such function."""
    if options.pop("inplace", False):
        return func
    found: Callable[..., Any] | None = _OWN.get(name) or getattr(Tensor, base_name(name), None)
    return found or getattr(nn.functional, base_name(name), None)


def assigned(target: Tensor, index: Any, value: Any) -> Tensor:
    """``target`` with ``target[index] = value``."""
    result = target.clone()
    result[index] = value
    return result


def copied(target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """``source`` in the shape and type of ``target``, in new memory."""
    del non_blocking
    return source.expand(target.shape).to(target.dtype, copy=True)


def same_index(first: Any, second: Any) -> bool:
    """Whether two indices of plain numbers, slices and ellipses are the same."""
    return not any(isinstance(item, Tensor) for item in _items((first, second))) and repr(first) == repr(
        second
    )


def _items(index: Any) -> list[Any]:
    if isinstance(index, (tuple, list)):
        return [item for part in index for item in _items(part)]
    return [index]


_OWN: Mapping[str, Callable[..., Any]] = {
    "__setitem__": assigned,
    "copy_": copied,
    "zero_": torch.zeros_like,
}
