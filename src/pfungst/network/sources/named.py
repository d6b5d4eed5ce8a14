"""What sources of networks known by name share: the spec's parts, weights or a seed, the head's width."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pfungst.errors import ConfigError, ModelError
from pfungst.network.sources.registry import Request
from pfungst.network.state_files import read_state_dict

MAX_OUTPUTS = 100_000


def checked_integer(settings: Mapping[str, Any], name: str, largest: int = MAX_OUTPUTS) -> int:
    """A whole number of a description, from 1 to ``largest``."""
    value = settings.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise ConfigError(
            f"a description with {name} {str(value)[:40]}", allowed=f"an integer from 1 to {largest}"
        )
    return value


def name_of(spec: str, prefix: str) -> str:
    """What follows the prefix; empty for another spec."""
    return spec.removeprefix(f"{prefix}:") if spec.startswith(f"{prefix}:") else ""


def weights_of(request: Request, hint: str) -> dict[str, Tensor] | None:
    """The state dict of a request; None where random weights are asked for.

    Raises
    ------
    ConfigError
        If neither weights nor a seed is given.
    """
    if request.weights is not None:
        return read_state_dict(request.weights)
    if request.random_state is None:
        raise ConfigError(
            f"{request.spec} is an architecture without weights",
            allowed="--weights FILE (.safetensors, or a state dict in .pth)",
            hint=hint,
        )
    return None


def seeded(build: Any, random_state: int | None) -> nn.Module:
    """A module with random weights of a seed, the global generator untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state or 0)
        module: nn.Module = build()
    return module


def width_of(state: Mapping[str, Tensor], name: str, axis: int, source: str | Path) -> int:
    """The size of a weight along an axis: outputs of a head, channels of a first layer."""
    if name not in state or state[name].dim() <= axis:
        raise ModelError(
            source,
            f"its weights lack {name!r}, which the architecture has",
            allowed="the weights of the named architecture, its classifier among them",
            hint=f"it begins with {', '.join(list(state)[:3])}",
        )
    return int(state[name].shape[axis])
