"""What a network expects of its input: geometry, channel order, and the affine map of pixel values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError, unknown_name

ChannelOrder = Literal["RGB", "BGR", "gray", "RGBA"]
ResizeRule = Literal["longest+pad", "shortest", "shortest-torchvision", "shortest-transformers", "warp"]
Interpolation = Literal["bilinear", "bicubic", "lanczos", "box", "hamming", "nearest"]
CHANNEL_ORDERS: tuple[str, ...] = get_args(ChannelOrder)
RESIZE_RULES: tuple[str, ...] = get_args(ResizeRule)
INTERPOLATIONS: tuple[str, ...] = get_args(Interpolation)
_N_CHANNELS = {"RGB": 3, "BGR": 3, "gray": 1, "RGBA": 4}
_MAX_SIDE = 8192
_LARGEST, _SMALLEST = 1e12, 1e-12


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """How a photo becomes a network's input.

    The photo is resized by ``resize`` to a canvas, the canvas is cropped to ``input_size``, and each
    channel's grey values ``v`` in 0–255 become::

        x_c = (scale · v_c − mean_c) / std_c

    Attributes
    ----------
    input_size : (int, int)
        ``(height, width)`` of the network's input.
    channels : {"RGB", "BGR", "gray", "RGBA"}
        Order of the input's channels, and of ``mean``, ``std`` and ``mean_image``. ``gray`` is one channel,
        ``0.299 R + 0.587 G + 0.114 B`` rounded to whole grey values; ``RGBA`` has a fourth of 255, since
        photos are opaque.
    scale : float
        Factor of the grey values: 1 keeps 0–255 (Caffe), 1/255 gives 0–1 (most PyTorch networks).
    mean, std : tuple of float, one a channel
        In units of the scaled values; one number, or equal ones, serve every channel.
    mean_image : (n_channels, height, width) float32 or None
        Subtracted in place of ``mean``; one larger than ``input_size`` by its central part.
    resize : {"longest+pad", "shortest", "shortest-torchvision", "shortest-transformers", "warp"}
        The canvas of the centre view. ``longest+pad``: longest side ``resize_length``, aspect kept, the
        shorter side padded to a square by repeating the nearest edge pixel. ``shortest``: shortest side
        ``resize_length``, aspect kept, nothing padded. ``shortest-torchvision`` and
        ``shortest-transformers``: the same to the pixel as these libraries do it (timm as torchvision). Both
        round the longer side down; half of an odd margin is rounded to the even number by the one and down
        by the other. ``warp``: a square, aspect lost.
    resize_length : int
        In pixels.
    interpolation : {"bilinear", "bicubic", "lanczos", "box", "hamming", "nearest"}
        Pillow's antialiased filter of that name.

    Raises
    ------
    ConfigError
        If a value cannot work, for example an input larger than the canvas.

    Examples
    --------
    >>> caffe = Preprocess(input_size=(227, 227), channels="BGR", mean=(104.0, 117.0, 123.0))
    >>> Preprocess.from_dict(caffe.as_dict()) == caffe
    True
    """

    input_size: tuple[int, int]
    channels: ChannelOrder = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    mean_image: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    resize: ResizeRule = "longest+pad"
    resize_length: int = 256
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        if self.channels not in CHANNEL_ORDERS:
            raise unknown_name("channel order", str(self.channels), CHANNEL_ORDERS)
        if self.resize not in RESIZE_RULES:
            raise unknown_name("resize rule", str(self.resize), RESIZE_RULES)
        if self.interpolation not in INTERPOLATIONS:
            raise unknown_name("interpolation", str(self.interpolation), INTERPOLATIONS)
        object.__setattr__(self, "input_size", _checked_size(self.input_size))
        for name in ("mean", "std"):
            object.__setattr__(self, name, _checked_channels(name, getattr(self, name), self.n_channels))
        if not _SMALLEST <= abs(self.scale) <= _LARGEST or not min(self.std) >= _SMALLEST:
            raise ConfigError(
                f"scale {self.scale} and std {self.std}",
                allowed=f"a finite scale other than 0, std above 0, both from {_SMALLEST:g} to {_LARGEST:g}",
            )
        self._check_canvas()
        self._check_mean_image()

    @property
    def n_channels(self) -> int:
        """Channels of the input: 1, 3 or 4."""
        return _N_CHANNELS[self.channels]

    def _check_canvas(self) -> None:
        length = self.resize_length
        if not isinstance(length, int) or not max(self.input_size) <= length <= _MAX_SIDE:
            raise ConfigError(
                f"an input of {self.input_size[0]} x {self.input_size[1]} pixels cannot be cropped from "
                f"a photo resized to {self.resize_length}",
                allowed=f"resize_length from {max(self.input_size)} to {_MAX_SIDE}",
            )

    def _check_mean_image(self) -> None:
        image = self.mean_image
        if image is None:
            return
        fits = image.ndim == 3 and image.shape[0] == self.n_channels
        if not fits or min(np.subtract(image.shape[1:], self.input_size)) < 0:
            raise ConfigError(
                f"a mean image of shape {image.shape} for an input of {self.input_size}",
                allowed=f"({self.n_channels}, height, width), at least the input's size",
            )
        if not np.isfinite(image).all():
            raise ConfigError("the mean image holds NaN or infinity", allowed="finite values")

    def offset(self) -> NDArray[np.float32]:
        """What is subtracted from the scaled grey values, ``(channels, 1, 1)`` or of the input's size."""
        if self.mean_image is None:
            return np.array(self.mean, dtype=np.float32).reshape(-1, 1, 1)
        top, left = (
            (size - wanted) // 2
            for size, wanted in zip(self.mean_image.shape[1:], self.input_size, strict=True)
        )
        height, width = self.input_size
        part = self.mean_image[:, top : top + height, left : left + width]
        return np.ascontiguousarray(part, dtype=np.float32)

    def values(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's input of some crops.

        Parameters
        ----------
        crops : (n, height, width, 3) uint8
            RGB, of ``input_size``.

        Returns
        -------
        (n, n_channels, height, width) float32
            ``(scale · v − mean) / std`` in the network's channel order.
        """
        ordered = _ORDERED[self.channels](crops)
        planes = np.ascontiguousarray(ordered.transpose(0, 3, 1, 2), dtype=np.float32)
        planes *= np.float32(self.scale)
        planes -= self.offset()
        planes /= np.array(self.std, dtype=np.float32).reshape(-1, 1, 1)
        return planes

    def value_range(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The input's smallest and largest possible values, black and white; of the shape of ``offset()``.

        The pixel layer's z^B rule needs both.
        """
        std = np.array(self.std, dtype=np.float32).reshape(-1, 1, 1)
        ends = sorted((0.0, 255.0 * self.scale))
        low, high = ((np.float32(end) - self.offset()) / std for end in ends)
        return low, high

    def with_resize(self, rule: ResizeRule) -> Preprocess:
        """The same values on another canvas."""
        return replace(self, resize=rule)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON without ``mean_image``, which is stored as an array beside it."""
        plain = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "mean_image"}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}

    @classmethod
    def from_dict(
        cls, content: Mapping[str, Any], mean_image: NDArray[np.float32] | None = None
    ) -> Preprocess:
        """The inverse of ``as_dict``.

        Raises
        ------
        ConfigError
            If a field is unknown, missing or of the wrong type.
        """
        known = {item.name for item in fields(cls)} - {"mean_image"}
        unknown = sorted(set(content) - known)
        if unknown or "input_size" not in content:
            raise ConfigError(
                f"a preprocessing description with unknown fields {unknown}"
                if unknown
                else "a preprocessing description without input_size",
                allowed=", ".join(sorted(known)),
            )
        try:
            return cls(**{**content, "mean_image": mean_image})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"a preprocessing description that cannot be read ({error})") from error


def _checked_size(size: Any) -> tuple[int, int]:
    """``(height, width)`` as two positive integers; one integer means a square."""
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or not all(isinstance(side, int) and 0 < side <= _MAX_SIDE for side in sides):
        raise ConfigError(f"input_size {size!r}", allowed=f"(height, width), each from 1 to {_MAX_SIDE}")
    return sides[0], sides[1]


def _checked_channels(name: str, values: Any, n_channels: int) -> tuple[float, ...]:
    """One number a channel; equal ones serve any number of channels."""
    given = tuple(float(value) for value in (values if isinstance(values, (tuple, list)) else (values,)))
    if len(set(given)) == 1:
        given = given[:1] * n_channels
    if len(given) != n_channels or not np.abs(given).max() <= _LARGEST:
        count = {1: "one", 3: "three", 4: "four"}[n_channels]
        raise ConfigError(
            f"{name} {values!r}", allowed=f"{count} finite numbers, one a channel, at most {_LARGEST:g}"
        )
    return given


def _gray(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey values in Pillow's fixed-point arithmetic, one channel."""
    shares = np.array([19595, 38470, 7471], dtype=np.uint32)
    grey: NDArray[np.uint8] = ((crops @ shares + 0x8000) >> 16).astype(np.uint8)[..., None]
    return grey


def _opaque(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([crops, np.full_like(crops[..., :1], 255)], axis=-1)


_ORDERED: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "RGB": lambda crops: crops,
    "BGR": lambda crops: crops[..., ::-1],
    "gray": _gray,
    "RGBA": _opaque,
}
"""What a network is given of RGB crops, by the order of its channels."""
