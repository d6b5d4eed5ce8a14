"""What networks usually expect of a photo, under a name: for files that do not say it."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pfungst.errors import ConfigError
from pfungst.network.preprocess import Preprocess
from pfungst.network.sources.hugging_face_photos import PROCESSOR_FILE, photo_preprocess

_CHANNELS = {1: "gray", 3: "RGB", 4: "RGBA"}
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
PRESETS: dict[str, dict[str, Any]] = {
    "imagenet": {"scale": 1 / 255, **_IMAGENET},
    "half": {"scale": 1 / 255, "mean": 0.5, "std": 0.5},
    "unit": {"scale": 1 / 255},
    "raw": {},
    "caffe": {"channels": "BGR", "mean": (104.0, 117.0, 123.0)},
}
"""Values by the name of the preset: ImageNet's mean and deviation of 0–1 (torchvision, timm); −1 to 1;
0 to 1; grey values 0–255; those of Caffe's nets."""
_SHARE = 0.875
"""The crop's side as a share of the shorter side, as networks on ImageNet are evaluated."""


def preprocess_for(expected: str | Path, shape: tuple[int, ...], **changes: Any) -> Preprocess:
    """The preprocessing of a name or file for an input of ``(channels, height, width)``.

    Parameters
    ----------
    expected : str or path
        A name of :data:`PRESETS`, or the ``preprocessor_config.json`` that came with the network.
    shape : (int, int, int)
        Of the network's input.
    changes
        Fields of :class:`Preprocess` that differ; those that are None do not.

    Raises
    ------
    ConfigError
        If the name is unknown or the values do not fit the input.
    """
    channels, height, width = shape
    given = {name: value for name, value in changes.items() if value is not None}
    unknown = set(given) - {item.name for item in fields(Preprocess)}
    if unknown:
        raise ConfigError(f"unknown fields {sorted(unknown)} of a preprocessing")
    if str(expected) not in PRESETS:
        return replace(_from_file(Path(expected), shape), **given)
    values: dict[str, Any] = {
        "channels": _CHANNELS[channels],
        "resize": "shortest-torchvision",
        "resize_length": round(max(height, width) / _SHARE),
        **_of_channels(str(expected), channels),
        **given,
    }
    return Preprocess(input_size=(height, width), **values)


def _of_channels(name: str, channels: int) -> dict[str, Any]:
    values = PRESETS[name]
    different = [key for key in ("mean", "std") if isinstance(values.get(key), tuple)]
    if channels != 3 and (different or "channels" in values):
        raise ConfigError(
            f"the preset {name!r} is for three channels, the network has {channels}",
            allowed="half, unit or raw; or --mean and --std, one number a channel",
        )
    return values


def _from_file(file: Path, shape: tuple[int, ...]) -> Preprocess:
    if file.name != PROCESSOR_FILE or not file.is_file():
        raise ConfigError(
            f"--input {file}", allowed=f"{', '.join(PRESETS)}, or the {PROCESSOR_FILE} of the network"
        )
    found = photo_preprocess(file.parent, shape[0])
    if found.input_size != tuple(shape[1:]):
        raise ConfigError(
            f"{file} makes photos of {found.input_size[0]} x {found.input_size[1]}, the network takes "
            f"{shape[1]} x {shape[2]}"
        )
    return found
