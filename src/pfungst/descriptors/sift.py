r"""Dense multi-scale SIFT.

A descriptor is a 4 x 4 grid of spatial bins, each holding a histogram of gradient orientations in 8 bins:
128 numbers. For a bin of size s the photo is smoothed by σ = s / ``magnification``; every pixel's gradient
magnitude is shared between its two nearest orientations; a triangle of half-width s (height 1) gathers it
into spatial bins along rows and columns; each spatial bin is weighted by the mean of a Gaussian window over
it (flat window). The vector is then normalised to length 1, clipped at 0.2 and normalised again.

Source: METHOD section 4 (the set-up of the encoding-evaluation toolkit of Chatfield et al. 2011); Lowe 2004.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pfungst.descriptors.descriptor import Descriptors, FloatArray, register_descriptor
from pfungst.descriptors.grid import N_BINS, Field, GridDescriptor, Indices, span
from pfungst.errors import ConfigError, PfungstError

N_ORIENTATIONS = 8
DESCRIPTOR_SIZE = N_BINS * N_BINS * N_ORIENTATIONS
_CLIP = 0.2
_MAX_REAL = 1000.0
_TINY = 1e-12  # a patch of one colour has no direction to normalise, whatever the threshold
_LUMA = np.array([0.2989, 0.5870, 0.1140], dtype=np.float32)


@register_descriptor
@dataclass(frozen=True, kw_only=True)
class SiftConfig(GridDescriptor):
    """Dense SIFT: how densely, at which scales, and of how much contrast descriptors are taken.

    Attributes
    ----------
    step : int
        Distance of neighbouring descriptors in pixels.
    bin_sizes : tuple of int
        Side of a spatial bin in pixels, one per scale; a descriptor covers a square of side ``4 * bin_size``.
    max_height : int or None
        Taller photos are reduced to this height first; geometry still refers to the original pixels.
    magnification : float
        The photo is smoothed by σ = bin size / magnification.
    window : float
        Standard deviation of the Gaussian window, in bins.
    contrast_threshold : float
        Descriptors whose gradient mass per pixel (of a photo in [0, 1]) is below it are dropped.
    """

    name: ClassVar[str] = "sift"
    magnification: float = 6.0
    window: float = 1.5
    contrast_threshold: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_real(self.magnification, self.window, self.contrast_threshold)
        if min(self.magnification, self.window) <= 0 or self.contrast_threshold < 0:
            raise ConfigError(
                f"magnification = {self.magnification}, window = {self.window}, "
                f"contrast_threshold = {self.contrast_threshold}",
                allowed="positive magnification and window, a threshold of at least 0",
            )

    @property
    def size(self) -> int:
        """128."""
        return DESCRIPTOR_SIZE

    def signal(self, image: NDArray[np.uint8]) -> FloatArray:
        """Grey in [0, 1]."""
        if image.ndim == 2:
            return image.astype(np.float32) / np.float32(255)
        return (image.astype(np.float32) @ _LUMA) / np.float32(255)

    def fields(self, signal: FloatArray, sizes: Sequence[int]) -> Iterator[Field]:
        """Magnitude and direction of the smoothed photo's gradient, for each scale."""
        for size in sizes:
            yield _polar_gradient(gaussian_filter(signal, size / self.magnification, mode="nearest"))

    def take_tile(
        self, field: Field, rows: Indices, columns: Indices, size: int
    ) -> tuple[NDArray[np.bool_], FloatArray]:
        """Two matrix products, then normalisation of what has enough contrast."""
        window_rows = _support(rows, size, field[0].shape[0])
        window_columns = _support(columns, size, field[0].shape[1])
        magnitude, angle = (part[window_rows, window_columns] for part in field)
        maps = _orientation_maps(magnitude, angle)
        along_rows = _sampling_matrix(rows - window_rows.start, maps.shape[1], size, self.window)
        along_columns = _sampling_matrix(columns - window_columns.start, maps.shape[2], size, self.window)
        bins = along_rows @ maps @ along_columns.T
        grid = bins.reshape(N_ORIENTATIONS, N_BINS, rows.size, N_BINS, columns.size).transpose(2, 4, 1, 3, 0)
        values = grid.reshape(-1, DESCRIPTOR_SIZE)
        mass = values.sum(axis=1) / span(size) ** 2
        keep = mass >= max(self.contrast_threshold, _TINY)
        return keep, _normalised(values[keep])

    def reach(self, size: int) -> tuple[int, int]:
        """Bins and half a bin around them, the gradient's neighbour, and the Gaussian, cut at 4σ."""
        margin = int(4.0 * size / self.magnification + 0.5) + 1
        return size - 1 + margin, N_BINS * size + margin

    def nothing_found(self) -> PfungstError:
        """The photo is of one colour."""
        return PfungstError(
            "no descriptor has enough contrast: the photo is (nearly) one colour",
            allowed=f"gradient mass per pixel of at least {self.contrast_threshold}",
            hint="a photo that shows something, or a lower contrast threshold",
        )


def dense_sift(image: NDArray[np.uint8], config: SiftConfig | None = None) -> Descriptors:
    """Dense multi-scale SIFT of one photo; the same as ``config.describe(image)``.

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
    return (config or SiftConfig()).describe(image)


def _check_real(magnification: object, window: object, threshold: object) -> None:
    """Numbers between limits beyond which smoothing takes in more than any photo."""
    for name, value in (("magnification", magnification), ("window", window), ("threshold", threshold)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _MAX_REAL:
            raise ConfigError(f"{name} = {value!r:.40}", allowed=f"a number of at most {_MAX_REAL:g}")
        if name != "threshold" and 0 < value < 1 / _MAX_REAL:
            raise ConfigError(f"{name} = {value}", allowed=f"at least {1 / _MAX_REAL:g}")


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
