r"""Dense multi-scale SIFT with the geometry of every descriptor.

A descriptor is a 4 x 4 grid of spatial bins, each holding a histogram of gradient orientations in 8 bins:
128 numbers. For a bin of size s the photo is smoothed by σ = s / ``magnification``; every pixel's gradient
magnitude is shared between its two nearest orientations; a triangle of half-width s (height 1) gathers it
into spatial bins along rows and columns; each spatial bin is weighted by the mean of a Gaussian window over
it (flat window). The vector is then normalised to length 1, clipped at 0.2 and normalised again.

Source: METHOD section 4 (the set-up of the encoding-evaluation toolkit of Chatfield et al. 2011); Lowe 2004.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pfungst.errors import ConfigError, PfungstError

N_BINS, N_ORIENTATIONS = 4, 8
DESCRIPTOR_SIZE = N_BINS * N_BINS * N_ORIENTATIONS
_CLIP = 0.2
_MAX_PIXELS, _MAX_SCALES, _MAX_REAL = 100_000, 64, 1000.0
_TILE = 48  # descriptors along a side of a tile; its maps stay in the second-level cache
_TINY = 1e-12  # a patch of one colour has no direction to normalise, whatever the threshold
_LUMA = np.array([0.2989, 0.5870, 0.1140], dtype=np.float32)

FloatArray = NDArray[np.float32]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_PIXELS


def _check_real(magnification: object, window: object, threshold: object) -> None:
    """Numbers between limits beyond which smoothing takes in more than any photo."""
    for name, value in (("magnification", magnification), ("window", window), ("threshold", threshold)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _MAX_REAL:
            raise ConfigError(f"{name} = {value!r:.40}", allowed=f"a number of at most {_MAX_REAL:g}")
        if name != "threshold" and 0 < value < 1 / _MAX_REAL:
            raise ConfigError(f"{name} = {value}", allowed=f"at least {1 / _MAX_REAL:g}")


@dataclass(frozen=True, kw_only=True)
class SiftConfig:
    """How densely and at which scales descriptors are taken.

    Attributes
    ----------
    step : int
        Distance of neighbouring descriptors in pixels.
    bin_sizes : tuple of int
        Side of a spatial bin in pixels, one per scale; a descriptor covers a square of side ``4 * bin_size``.
    magnification : float
        The photo is smoothed by σ = bin size / magnification.
    window : float
        Standard deviation of the Gaussian window, in bins.
    contrast_threshold : float
        Descriptors whose gradient mass per pixel (of a photo in [0, 1]) is below it are dropped.
    max_height : int or None
        Taller photos are reduced to this height first; geometry still refers to the original pixels.
    """

    step: int = 3
    bin_sizes: tuple[int, ...] = (4, 6, 8, 10)
    magnification: float = 6.0
    window: float = 1.5
    contrast_threshold: float = 0.005
    max_height: int | None = None

    def __post_init__(self) -> None:
        if not _is_count(self.step):
            raise ConfigError(f"step = {self.step}", allowed="1 or more pixels")
        if not 1 <= len(self.bin_sizes) <= _MAX_SCALES or not all(map(_is_count, self.bin_sizes)):
            raise ConfigError(
                f"bin_sizes = {self.bin_sizes}",
                allowed=f"one to {_MAX_SCALES} sizes of at least 1 pixel",
            )
        if self.max_height is not None and not _is_count(self.max_height):
            raise ConfigError(f"max_height = {self.max_height}", allowed="None or 1 or more pixels")
        _check_real(self.magnification, self.window, self.contrast_threshold)
        if min(self.magnification, self.window) <= 0 or self.contrast_threshold < 0:
            raise ConfigError(
                f"magnification = {self.magnification}, window = {self.window}, "
                f"contrast_threshold = {self.contrast_threshold}",
                allowed="positive magnification and window, a threshold of at least 0",
            )

    @property
    def smallest_side(self) -> int:
        """The smallest photo side, in pixels, that holds at least one descriptor."""
        largest = max(self.bin_sizes)
        return min(_offset(size, largest) + _reach(size) for size in self.bin_sizes)


@dataclass(frozen=True, kw_only=True)
class Descriptors:
    """The local descriptors L of one photo and where they look.

    Attributes
    ----------
    values : (N, d) float32
        One descriptor a row, in no particular order.
    areas : (N, 4) int32
        ``left, top, right, bottom`` of each receptive field (the 4 x 4 bins), half-open, in pixels of the
        original photo and clipped to it.
    bin_sizes : (N,) float32
        Side of a spatial bin in pixels of the original photo (the scale).
    shape : (int, int)
        ``(height, width)`` of the original photo.
    """

    values: FloatArray
    areas: NDArray[np.int32]
    bin_sizes: FloatArray
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.values)

    def transformed(self, function: Callable[[FloatArray], FloatArray]) -> Descriptors:
        """The same places with other values, such as a PCA projection."""
        return Descriptors(
            values=function(self.values), areas=self.areas, bin_sizes=self.bin_sizes, shape=self.shape
        )


def dense_sift(image: NDArray[np.uint8], config: SiftConfig | None = None) -> Descriptors:
    """Dense multi-scale SIFT of one photo.

    Parameters
    ----------
    image : (height, width, 3) or (height, width) uint8
        RGB or grey.
    config : SiftConfig, optional
        Default: step 3, bin sizes 4, 6, 8, 10.

    Returns
    -------
    Descriptors
        Low-contrast ones dropped; 73,866 before dropping for a photo of 500 x 375.

    Raises
    ------
    PfungstError
        If the photo is too small for one descriptor, or has no contrast anywhere.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).integers(0, 256, (64, 48), dtype=np.uint8)
    >>> dense_sift(noise).values.shape[1]
    128
    """
    config = config or SiftConfig()
    shape = (image.shape[0], image.shape[1])
    grey = _grey(image)
    if config.max_height is not None and shape[0] > config.max_height:
        grey = _reduced(grey, config.max_height)
    if min(grey.shape) < config.smallest_side:
        raise PfungstError(
            f"a photo of {shape[1]} x {shape[0]} pixels is too small for one descriptor",
            allowed=f"at least {config.smallest_side} pixels on each side with bin sizes {config.bin_sizes}",
            hint="a larger photo or smaller bin sizes",
        )
    parts = [_one_scale(grey, size, config) for size in config.bin_sizes]
    values = np.concatenate([values for values, _ in parts])
    if not len(values):
        raise PfungstError(
            "no descriptor has enough contrast: the photo is (nearly) one colour",
            allowed=f"gradient mass per pixel of at least {config.contrast_threshold}",
            hint="a photo that shows something, or a lower contrast threshold",
        )
    first_centres = np.concatenate([centres for _, centres in parts])
    counts = [len(values) for values, _ in parts]
    sizes = np.repeat(np.array(config.bin_sizes, dtype=np.float32), counts)
    zoom = np.array([shape[1] / grey.shape[1], shape[0] / grey.shape[0]])
    return Descriptors(
        values=values,
        areas=_areas(first_centres, sizes, zoom, shape),
        bin_sizes=(sizes * zoom.mean()).astype(np.float32),
        shape=shape,
    )


def _grey(image: NDArray[np.uint8]) -> FloatArray:
    if image.ndim == 2:
        return image.astype(np.float32) / np.float32(255)
    return (image.astype(np.float32) @ _LUMA) / np.float32(255)


def _reduced(grey: FloatArray, height: int) -> FloatArray:
    from PIL import Image

    width = max(round(grey.shape[1] * height / grey.shape[0]), 1)
    resized = Image.fromarray(grey).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized, dtype=np.float32)


def _reach(size: int) -> int:
    """Pixels from the centre of the first spatial bin to that of the last, both counted."""
    return (N_BINS - 1) * size + 1


def _offset(size: int, largest: int) -> int:
    """Where the first bin centre of a scale lies, so that all scales share their descriptors' centres."""
    return int(1.5 * (largest - size))


def _one_scale(grey: FloatArray, size: int, config: SiftConfig) -> tuple[FloatArray, NDArray[np.int32]]:
    """All descriptors ``(n, 128)`` of one bin size, and column and row of their first bin's centre."""
    start = _offset(size, max(config.bin_sizes))
    rows = np.arange(start, grey.shape[0] - _reach(size) + 1, config.step)
    columns = np.arange(start, grey.shape[1] - _reach(size) + 1, config.step)
    if not (rows.size and columns.size):
        return np.empty((0, DESCRIPTOR_SIZE), np.float32), np.empty((0, 2), np.int32)
    gradient = _polar_gradient(gaussian_filter(grey, size / config.magnification, mode="nearest"))
    tiles = [
        _one_tile(gradient, rows[i : i + _TILE], columns[j : j + _TILE], size, config)
        for i in range(0, rows.size, _TILE)
        for j in range(0, columns.size, _TILE)
    ]
    return np.concatenate([tile[0] for tile in tiles]), np.concatenate([tile[1] for tile in tiles])


def _one_tile(
    gradient: tuple[FloatArray, FloatArray],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    size: int,
    config: SiftConfig,
) -> tuple[FloatArray, NDArray[np.int32]]:
    """Descriptors at the crossings of ``rows`` and ``columns``: two matrix products, then normalisation."""
    window_rows = _support(rows, size, gradient[0].shape[0])
    window_columns = _support(columns, size, gradient[0].shape[1])
    magnitude, angle = (part[window_rows, window_columns] for part in gradient)
    maps = _orientation_maps(magnitude, angle)
    along_rows = _sampling_matrix(rows - window_rows.start, maps.shape[1], size, config.window)
    along_columns = _sampling_matrix(columns - window_columns.start, maps.shape[2], size, config.window)
    bins = along_rows @ maps @ along_columns.T
    grid = bins.reshape(N_ORIENTATIONS, N_BINS, rows.size, N_BINS, columns.size).transpose(2, 4, 1, 3, 0)
    values = grid.reshape(-1, DESCRIPTOR_SIZE)
    mass = values.sum(axis=1) / _reach(size) ** 2
    keep = mass >= max(config.contrast_threshold, _TINY)
    centres = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.int32)
    return _normalised(values[keep]), centres[keep]


def _support(first: NDArray[np.intp], size: int, length: int) -> slice:
    """The pixels that descriptors with first bin centres ``first`` gather from, along one axis."""
    return slice(max(int(first[0]) - size + 1, 0), min(int(first[-1]) + N_BINS * size, length))


def _polar_gradient(smooth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Gradient magnitude, and its direction in units of an orientation bin, in [0, 8)."""
    vertical, horizontal = np.gradient(smooth)
    angle = np.arctan2(vertical, horizontal)
    angle *= np.float32(N_ORIENTATIONS / (2 * np.pi))
    angle[angle < 0] += np.float32(N_ORIENTATIONS)
    return np.hypot(horizontal, vertical), angle


def _orientation_maps(magnitude: FloatArray, angle: FloatArray) -> FloatArray:
    """Magnitude shared linearly between the two nearest of 8 orientations: ``(8, height, width)``."""
    lower = angle.astype(np.intp)
    upper_share = magnitude * (angle - lower)
    maps = np.zeros((N_ORIENTATIONS, magnitude.size), dtype=np.float32)
    pixel = np.arange(magnitude.size)
    maps[lower.ravel() % N_ORIENTATIONS, pixel] = (magnitude - upper_share).ravel()
    maps[(lower.ravel() + 1) % N_ORIENTATIONS, pixel] = upper_share.ravel()
    return maps.reshape(N_ORIENTATIONS, *magnitude.shape)


def _sampling_matrix(first: NDArray[np.intp], length: int, size: int, window: float) -> FloatArray:
    """Triangles around the 4 bin centres of every descriptor, times the window: ``(4 * len(first), length)``.

    Row ``b * len(first) + i`` gathers bin b of descriptor i: max(0, 1 − |p − c| / s) times the mean of the
    Gaussian window over the bin, c = first[i] + b s.
    """
    centres = first[None, :] + size * np.arange(N_BINS)[:, None]
    distance = np.abs(np.arange(length) - centres[..., None]) / size
    triangles = np.maximum(1.0 - distance, 0.0) * _bin_weights(size, window)[:, None, None]
    return triangles.reshape(-1, length).astype(np.float32)


def _bin_weights(size: int, window: float) -> NDArray[np.float64]:
    """Mean of the Gaussian window over each of the 4 bins' triangles along one axis."""
    within = np.arange(-size + 1, size)
    centres = size * (np.arange(N_BINS) - (N_BINS - 1) / 2)
    gaussian = np.exp(-0.5 * ((within[None, :] + centres[:, None]) / (size * window)) ** 2)
    weights: NDArray[np.float64] = gaussian.mean(axis=1)
    return weights


def _normalised(values: FloatArray) -> FloatArray:
    """L2, clip at 0.2, L2 again."""
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    np.minimum(values, np.float32(_CLIP), out=values)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values


def _areas(
    first_centres: NDArray[np.int32], sizes: FloatArray, zoom: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.int32]:
    """Receptive fields in pixels of the original photo, clipped, at least one pixel each."""
    corner = first_centres - (sizes[:, None] // 2)
    limits = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(corner * zoom), 0, limits - 1)
    high = np.clip(np.ceil((corner + N_BINS * sizes[:, None]) * zoom), low + 1, limits)
    return np.concatenate([low, high], axis=1).astype(np.int32)
