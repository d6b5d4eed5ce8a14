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
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
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
_GROUP = 8  # descriptors whose bins are gathered by one product
_AXIS = np.array([0, 4, 0, 4, 2, 2, 6, 6])  # by the signs of the gradient and whether it is steep
_DIAGONAL = np.array([1, 3, 7, 5])
_ARCTANGENT = np.array(
    [
        1.2732387,
        -0.424368962,
        0.253967493,
        -0.177089837,
        0.122767434,
        -0.0711886731,
        0.0278360304,
        -0.00516223229,
    ],
    dtype=np.float32,
)
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
        """Orientation maps of the smoothed photo, turned: ``(width, height, 8)`` and a margin; by scale."""
        turned = np.ascontiguousarray(signal.T)
        for size in sizes:
            smooth = gaussian_filter(turned, size / self.magnification, mode="nearest")
            around = size - 1, 2 * size + self.step * _GROUP
            horizontal, vertical = map(np.asarray, np.gradient(smooth))
            yield (_orientation_maps(horizontal, vertical, around),)

    def take_tile(
        self, field: Field, rows: Indices, columns: Indices, size: int
    ) -> tuple[NDArray[np.bool_], FloatArray]:
        """Triangles along columns, then along rows, then normalisation of what has enough contrast."""
        kernel = _triangles(self.step, size, self.window)
        block = _window(field[0], columns, rows, size, self.step)
        across = _sampled(block, kernel, self.step)[: N_BINS * columns.size]
        length = block.shape[1] // N_ORIENTATIONS
        turned = across.reshape(-1, length, N_ORIENTATIONS).transpose(1, 0, 2).reshape(length, -1)
        bins = _sampled(turned, kernel, self.step)[: N_BINS * rows.size]
        squares = bins.reshape(rows.size, N_BINS, columns.size, N_BINS * N_ORIENTATIONS)
        values = squares.transpose(0, 2, 1, 3).reshape(-1, DESCRIPTOR_SIZE)
        mass = values @ np.ones(DESCRIPTOR_SIZE, np.float32) / span(size) ** 2
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


def _orientation_maps(horizontal: FloatArray, vertical: FloatArray, around: tuple[int, int]) -> FloatArray:
    """Gradient magnitude shared linearly between the two nearest of 8 orientations, ``(..., 8)``.

    Of these one is an axis (0, 2, 4, 6: right, down, left, up) and one a diagonal. With t the smaller over
    the larger of the two components, the diagonal's share is atan(t) / 45°. So many zeros as ``around`` says
    lie before and after along each axis.
    """
    flat, steep = np.abs(horizontal), np.abs(vertical)
    quadrant = (horizontal < 0).view(np.uint8) + 2 * (vertical < 0).view(np.uint8)
    octant = quadrant + 4 * (steep > flat).view(np.uint8)
    magnitude = np.sqrt(flat * flat + steep * steep)
    larger = np.maximum(flat, steep)
    larger += np.float32(_TINY)
    diagonal = _octant_share(np.minimum(flat, steep, out=flat) / larger)
    diagonal *= magnitude
    magnitude -= diagonal
    width, height = (length + sum(around) for length in magnitude.shape)
    maps = np.zeros((width, height, N_ORIENTATIONS), dtype=np.float32)
    first = np.arange(around[0], around[0] + magnitude.shape[0])[:, None] * height
    first = (first + np.arange(around[0], around[0] + magnitude.shape[1])) * N_ORIENTATIONS
    maps.ravel()[first + _AXIS.take(octant)] = magnitude
    maps.ravel()[first + _DIAGONAL.take(quadrant)] = diagonal
    return maps


def _octant_share(tangent: NDArray[Any]) -> NDArray[Any]:
    """atan(t) / 45° for t in [0, 1], by an odd polynomial; error 2e-7."""
    square = tangent * tangent
    share = np.full_like(tangent, _ARCTANGENT[-1])
    for coefficient in _ARCTANGENT[-2::-1]:
        share *= square
        share += coefficient
    share *= tangent
    return share


def _window(maps: FloatArray, columns: Indices, rows: Indices, size: int, step: int) -> FloatArray:
    """What these descriptors gather from, in whole groups, ``(width, height * 8)``; the maps are padded."""
    across, down = (
        slice(int(part[0]), int(part[0]) + (_groups(part.size) * _GROUP - 1) * step + _width(size))
        for part in (columns, rows)
    )
    block = maps[across, down]
    return block.reshape(len(block), -1)


def _groups(count: int) -> int:
    return -(-count // _GROUP)


def _width(size: int) -> int:
    """Pixels that one descriptor gathers from along an axis."""
    return (N_BINS - 1) * size + 2 * size - 1


def _sampled(block: FloatArray, kernel: FloatArray, step: int) -> FloatArray:
    """Bins of descriptors ``step`` apart along the first axis, ``(4 * n, ...)``: a group is one product."""
    windows = sliding_window_view(block, kernel.shape[1], axis=0)[:: step * _GROUP]
    bins: FloatArray = kernel @ windows.transpose(0, 2, 1)
    return bins.reshape(-1, block.shape[1])


@lru_cache(maxsize=64)
def _triangles(step: int, size: int, window: float) -> FloatArray:
    """Triangles around the 4 bin centres of the descriptors of a group, times the window.

    Row ``4 i + b`` gathers bin b of descriptor i: max(0, 1 − |p − c| / s) times the mean of the Gaussian
    window over the bin, c = i step + b s from the first one's first centre.
    """
    centres = size - 1 + step * np.arange(_GROUP)[:, None] + size * np.arange(N_BINS)
    pixels = np.arange(step * (_GROUP - 1) + _width(size))
    triangles = np.maximum(1.0 - np.abs(pixels - centres[..., None]) / size, 0.0)
    weighted = triangles * _bin_weights(size, window)[:, None]
    return weighted.reshape(_GROUP * N_BINS, -1).astype(np.float32)


def _bin_weights(size: int, window: float) -> NDArray[np.float64]:
    """Mean of the Gaussian window over each of the 4 bins' triangles along one axis."""
    within = np.arange(-size + 1, size)
    centres = size * (np.arange(N_BINS) - (N_BINS - 1) / 2)
    gaussian = np.exp(-0.5 * ((within[None, :] + centres[:, None]) / (size * window)) ** 2)
    weights: NDArray[np.float64] = gaussian.mean(axis=1)
    return weights


def _normalised(values: FloatArray) -> FloatArray:
    """L2, clip at 0.2, L2 again; in place."""
    values *= _reciprocal_length(values)
    np.minimum(values, np.float32(_CLIP), out=values)
    values *= _reciprocal_length(values)
    return values


def _reciprocal_length(values: FloatArray) -> FloatArray:
    length: FloatArray = np.sqrt(np.einsum("nd,nd->n", values, values))
    return np.reciprocal(length, out=length)[:, None]
