"""Where a network looks: canvases, crops and windows of a photo, and the way of relevance back to its pixels.

A photo of ``(h0, w0)`` pixels is resized to ``(h, w)`` by an antialiased filter (by default a triangle),
which is linear and separable, and padded by repeating its edge pixels. With ``A`` the ``(h, h0)`` matrix of
the filter along the rows, ``B`` the ``(w, w0)`` one along the columns and ``P``, ``Q`` the 0/1 matrices that
repeat and crop, the network sees::

    view = P A photo Bᵀ Qᵀ

Every row of ``P A`` and ``Q B`` holds weights that sum to 1: they say of which pixels of the photo one pixel
of the view was mixed. Relevance goes back by the same shares, ``R_photo = (P A)ᵀ R_view (Q B)``; where a
filter has weights below 0 (bicubic, Lanczos) by their magnitudes, divided by their sum, so that no share is
negative. What lies on padding belongs to no pixel of the photo: handed to the edge pixels that it repeats it
would draw lines along the photo's edges. Pixels cut off by the crop get nothing. So the sum is conserved
whatever the signs but for the padding: ``Σ R_photo = Σ R_view − Σ R_padding``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pfungst.errors import ConfigError
from pfungst.network.preprocess import Interpolation, Preprocess, ResizeRule

Views = Literal["center", "sliding"]
VIEWS: tuple[str, ...] = get_args(Views)
STRIDE = 20
"""Pixels between neighbouring windows of the sliding view."""
_MAX_CANVAS_SIDE = 16384
_ROUNDED_DOWN = frozenset(("shortest-torchvision", "shortest-transformers"))


@dataclass(frozen=True, kw_only=True)
class Placement:
    """How a photo lies on its canvas; all sizes are ``(height, width)`` in pixels.

    Attributes
    ----------
    photo : (int, int)
        The original.
    resized : (int, int)
        After resizing, before padding.
    padding : (int, int)
        Rows added above, columns added at the left.
    canvas : (int, int)
        The whole canvas.
    interpolation : str
        The filter, as :class:`Preprocess` names it.
    """

    photo: tuple[int, int]
    resized: tuple[int, int]
    padding: tuple[int, int]
    canvas: tuple[int, int]
    interpolation: Interpolation = "bilinear"

    @classmethod
    def plan(
        cls,
        height: int,
        width: int,
        rule: ResizeRule,
        length: int,
        interpolation: Interpolation = "bilinear",
    ) -> Placement:
        """Place a photo of ``height`` x ``width`` pixels by a resize rule of :class:`Preprocess`.

        Raises
        ------
        ConfigError
            If the photo is so elongated that its canvas would be absurdly long.
        """
        if rule == "warp":
            resized = (length, length)
        else:
            side = max(height, width) if rule == "longest+pad" else min(height, width)
            scaled = _scaled_down if rule in _ROUNDED_DOWN else _scaled
            resized = (scaled(height, length, side), scaled(width, length, side))
        if max(resized) > _MAX_CANVAS_SIDE:
            raise ConfigError(
                f"a photo of {height} x {width} pixels (height x width) is too elongated to make its shorter "
                f"side {length}",
                allowed=f"a longer side of at most {_MAX_CANVAS_SIDE} pixels then",
            )
        canvas = (length, length) if rule == "longest+pad" else resized
        top, left = ((whole - part) // 2 for whole, part in zip(canvas, resized, strict=True))
        return cls(
            photo=(height, width),
            resized=resized,
            padding=(top, left),
            canvas=canvas,
            interpolation=interpolation,
        )

    @property
    def is_padded(self) -> bool:
        """Whether the canvas is larger than the photo on it."""
        return self.canvas != self.resized

    def draw(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The canvas, ``(*canvas, 3)`` uint8: resized, padded evenly at both sides by the edge pixels."""
        return self.padded(resized(image, *self.resized, self.interpolation))

    def padded(self, small: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The canvas of a photo that is resized already."""
        widths = [
            (before, whole - part - before)
            for before, whole, part in zip(self.padding, self.canvas, self.resized, strict=True)
        ]
        return np.pad(small, [*widths, (0, 0)], mode="edge")

    def relevance_to_photo(
        self, relevance: NDArray[np.floating], offset: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Relevance of a crop's pixels handed to the photo's pixels; that of padding is left out.

        Parameters
        ----------
        relevance : (height, width) float
            Of the crop.
        offset : (int, int)
            Row and column of the canvas where the crop begins.

        Returns
        -------
        (h0, w0) float64
            ``(P A)ᵀ R (Q B)`` of the rows and columns that are no padding, in the photo's coordinates.
        """
        rows, columns = (self._mixture(axis, offset[axis], relevance.shape[axis]) for axis in (0, 1))
        spread: NDArray[np.float64] = rows.T @ np.asarray(relevance, dtype=np.float64) @ columns
        return spread

    def _mixture(self, axis: int, start: int, count: int) -> NDArray[np.float64]:
        """The shares of the photo's rows (columns) in each row (column) of a crop; none in padding."""
        source = np.arange(start, start + count) - self.padding[axis]
        inside = (source >= 0) & (source < self.resized[axis])
        mixture = np.zeros((count, self.photo[axis]))
        mixture[inside] = resize_matrix(self.photo[axis], self.resized[axis], self.interpolation)[
            source[inside]
        ]
        return mixture


def _scaled(size: int, length: int, side: int) -> int:
    """``size · length / side`` rounded half up, at least 1 pixel."""
    return max(1, (2 * size * length + side) // (2 * side))


def _scaled_down(size: int, length: int, side: int) -> int:
    """``size · length / side`` rounded down, in the arithmetic of torchvision and transformers."""
    return max(1, int(length * size / side))


def resized(
    image: NDArray[np.uint8], height: int, width: int, interpolation: Interpolation = "bilinear"
) -> NDArray[np.uint8]:
    """A photo in another size, by an antialiased filter of Pillow: along its rows first, then its columns.

    Each pass rounds to whole grey values, and which comes first is a choice that versions of Pillow make
    differently; so the two are asked for one by one.
    """
    kind = Image.Resampling[interpolation.upper()]
    photo = Image.fromarray(image)
    narrow = photo.resize((width, photo.height), kind)
    return np.asarray(narrow.resize((width, height), kind))


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _cubic(x: NDArray[np.float64], a: float = -0.5) -> NDArray[np.float64]:
    """Keys' cubic: ``(a + 2)|x|³ − (a + 3)|x|² + 1`` within 1, ``a(|x|³ − 5|x|² + 8|x| − 4)`` to 2."""
    x = np.abs(x)
    inner, outer = ((a + 2) * x - (a + 3)) * x * x + 1, (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, inner, np.where(x < 2, outer, 0.0))


def _lanczos(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def _box(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _hamming(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(x) < 1, np.sinc(x) * (0.54 + 0.46 * np.cos(np.pi * x)), 0.0)


_FILTERS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
    "lanczos": _lanczos,
    "box": _box,
    "hamming": _hamming,
}
FILTER_RADII: dict[Interpolation, float] = {
    "bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0, "box": 0.5, "hamming": 1.0, "nearest": 0.5,
}  # fmt: skip
"""How far each filter reaches, in pixels of the coarser side."""


@lru_cache(maxsize=8)
def resize_matrix(n_in: int, n_out: int, interpolation: Interpolation = "bilinear") -> NDArray[np.float64]:
    """Shares of the inputs in the outputs of a resize along one axis, ``(n_out, n_in)``; rows sum to 1.

    Output ``i`` is centred at ``c = (i + 1/2) s`` in input pixels, ``s = n_in / n_out``. Input ``j`` has the
    weight ``g((j + 1/2 − c) / max(s, 1))``, for the triangle ``g(x) = max(0, 1 − |x|)``; what is returned is
    its magnitude, divided by the row's sum: for filters without negative weights that of Pillow, which draws
    the canvas and rounds it to whole grey values. ``nearest`` copies the input at ``⌊c⌋``.
    """
    step = n_in / n_out
    centre = (np.arange(n_out)[:, None] + 0.5) * step
    if interpolation == "nearest":
        weights = (np.arange(n_in) == np.floor(centre)).astype(np.float64)
    else:
        weights = np.abs(_FILTERS[interpolation]((np.arange(n_in) + 0.5 - centre) / max(step, 1.0)))
    matrix: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    matrix.flags.writeable = False
    return matrix


def check_photo(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image itself, if it is a decoded photo of the contract.

    Raises
    ------
    ConfigError
        If it is not ``(height, width, 3)`` uint8 with at least one pixel.
    """
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ConfigError(
            f"an image of shape {array.shape} and type {array.dtype}", allowed="(height, width, 3) uint8, RGB"
        )
    return array


def place(height: int, width: int, preprocess: Preprocess) -> Placement:
    """How a photo of that size lies on its canvas."""
    return Placement.plan(
        height, width, preprocess.resize, preprocess.resize_length, preprocess.interpolation
    )


def center_offset(
    canvas: tuple[int, int], size: tuple[int, int], rule: ResizeRule = "shortest"
) -> tuple[int, int]:
    """Row and column at which the centre crop of ``size`` begins on a canvas of ``rule``."""
    top, left = canvas[0] - size[0], canvas[1] - size[1]
    if rule == "shortest-torchvision":
        return round(top / 2), round(left / 2)
    return top // 2, left // 2


@dataclass(frozen=True, kw_only=True)
class ViewPlan:
    """Where the views of one photo lie.

    Attributes
    ----------
    placement : Placement
        The photo on its canvas.
    offsets : tuple of (int, int)
        Row and column of the canvas where each view begins.
    size : (int, int)
        Of each view.
    """

    placement: Placement
    offsets: tuple[tuple[int, int], ...]
    size: tuple[int, int]

    @classmethod
    def center(cls, image: NDArray[np.uint8], preprocess: Preprocess) -> ViewPlan:
        """The view that heatmaps explain: the canvas by ``preprocess.resize``, one centre crop."""
        height, width = check_photo(image).shape[:2]
        placement = place(height, width, preprocess)
        offset = center_offset(placement.canvas, preprocess.input_size, preprocess.resize)
        return cls(placement=placement, offsets=(offset,), size=preprocess.input_size)

    @classmethod
    def sliding(cls, image: NDArray[np.uint8], preprocess: Preprocess) -> ViewPlan:
        """Windows of the input's size over the photo with its shortest side ``resize_length``.

        They begin every ``STRIDE`` pixels; the last row and column of them are moved in to lie flush with the
        border, so that every pixel is seen.
        """
        height, width = check_photo(image).shape[:2]
        placement = place(height, width, preprocess.with_resize("shortest"))
        size = preprocess.input_size
        rows, columns = (window_starts(placement.canvas[axis], size[axis]) for axis in (0, 1))
        return cls(
            placement=placement, offsets=tuple((top, left) for top in rows for left in columns), size=size
        )

    def cut(self, canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The views of a canvas, ``(n, *size, 3)`` uint8."""
        return np.stack([_crop(canvas, offset, self.size) for offset in self.offsets])

    def relevance_to_photo(self, relevance: NDArray[np.floating]) -> NDArray[np.float64]:
        """Relevance of the first view's pixels handed to the photo's pixels; that of padding is left out."""
        return self.placement.relevance_to_photo(relevance, self.offsets[0])


def center_view(
    image: NDArray[np.uint8], preprocess: Preprocess
) -> tuple[NDArray[np.uint8], Placement, tuple[int, int]]:
    """The view that heatmaps explain: the canvas by ``preprocess.resize``, one centre crop.

    Returns
    -------
    crop : (height, width, 3) uint8
    placement : Placement
    offset : (int, int)
        Where the crop begins on the canvas.
    """
    plan = ViewPlan.center(image, preprocess)
    (crop,) = plan.cut(plan.placement.draw(image))
    return crop, plan.placement, plan.offsets[0]


def training_views(image: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.uint8]:
    """The ten training images of a photo, ``(10, height, width, 3)`` uint8.

    Corner crops (top left, top right, bottom left, bottom right) and centre crop of the canvas, then the same
    five mirrored left to right (METHOD: 5 crops at the network's input size and their mirror images).
    """
    height, width = check_photo(image).shape[:2]
    placement = place(height, width, preprocess)
    canvas, size = placement.draw(image), preprocess.input_size
    bottom, right = placement.canvas[0] - size[0], placement.canvas[1] - size[1]
    center = center_offset(placement.canvas, size, preprocess.resize)
    offsets = [(0, 0), (0, right), (bottom, 0), (bottom, right), center]
    crops = np.stack([_crop(canvas, offset, size) for offset in offsets])
    return np.concatenate([crops, crops[:, :, ::-1]])


def sliding_views(image: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.uint8]:
    """The windows of :meth:`ViewPlan.sliding`, ``(n, height, width, 3)`` uint8."""
    plan = ViewPlan.sliding(image, preprocess)
    return plan.cut(plan.placement.draw(image))


def window_starts(length: int, size: int) -> tuple[int, ...]:
    """Starts of the windows of ``size`` along ``length`` pixels: 0, 20, 40, … and ``length − size``."""
    count = math.ceil((length - size) / STRIDE) + 1
    return tuple(min(index * STRIDE, length - size) for index in range(count))


def _crop(canvas: NDArray[np.uint8], offset: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    return canvas[offset[0] : offset[0] + size[0], offset[1] : offset[1] + size[1]]
