r"""Means over images with bootstrap intervals that treat the image as the unit of chance.

Several classes (and repetitions, averaged before) may come from one image and are not independent, so images
are drawn, not traces: with ``s_j`` the sum and ``n_j`` the number of values of image j, the estimate is
``Σ_j s_j / Σ_j n_j`` and a resample replaces the images by as many drawn with replacement. Any other smooth
function of sums over images, such as a ratio of two means, is treated in the same way.

References
----------
Efron 1987 (BCa interval); Davison and Hinkley 1997, chapter 5; Clopper and Pearson 1934.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError, unknown_name

_BLOCK = 500_000
"""Numbers in a block of resamples; bounds the memory."""
Method = Literal["bca", "percentile"]
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From sums over images ``(..., k)`` to the estimate ``(...)``."""


@dataclass(frozen=True, kw_only=True)
class BootstrapConfig:
    """How intervals are made.

    Attributes
    ----------
    level : float
        Confidence, 0.95 by default.
    n_resamples : int
        Bootstrap resamples.
    method : {"bca", "percentile"}
        Bias-corrected and accelerated, or plain percentiles of the resampled means.
    random_state : int
        Seed.
    """

    level: float = 0.95
    n_resamples: int = 2000
    method: Method = "bca"
    random_state: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ConfigError(f"confidence level {self.level}", allowed="above 0 and below 1")
        if self.n_resamples < 100:
            raise ConfigError(f"n_resamples = {self.n_resamples}", allowed="100 or more")
        if self.method not in get_args(Method):
            raise unknown_name("bootstrap method", str(self.method), get_args(Method))


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its interval and what it rests on.

    Attributes
    ----------
    mean, low, high : float
        ``low`` and ``high`` are NaN where there are fewer than two images.
    n_images : int
        Independent units.
    n_values : int
        Values behind them (an image may give one for each of its classes).
    """

    mean: float
    low: float
    high: float
    n_images: int
    n_values: int

    def __str__(self) -> str:
        """Such as ``1.40 [1.32, 1.47]``; of a single image, which has no interval, ``1.40``."""
        if np.isnan(self.low):
            return f"{self.mean:.2f}"
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveEstimate:
    """A mean curve with its pointwise band, each ``(n_points,)`` float64."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sums:
    """Per image: sums of values ``(n_images, n_points)`` and their number ``(n_images,)``."""

    values: NDArray[np.float64]
    counts: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        pooled: NDArray[np.float64] = self.values.sum(axis=0) / self.counts.sum()
        return pooled

    def leave_one_out(self) -> NDArray[np.float64]:
        """The mean without each image in turn, ``(n_images, n_points)``."""
        rest: NDArray[np.float64] = (self.values.sum(axis=0) - self.values) / (
            self.counts.sum() - self.counts
        )[:, None]
        return rest


def mean_over_images(
    images: Sequence[str],
    values: Sequence[float] | NDArray[np.float64],
    config: BootstrapConfig | None = None,
) -> Estimate:
    """Mean of values with a bootstrap interval over images.

    Parameters
    ----------
    images : sequence of str, length n
        The image each value comes from; repeated where an image gives several.
    values : (n,) float
        Repetitions averaged beforehand.
    config : BootstrapConfig, optional

    Raises
    ------
    ConfigError
        If the lengths differ or there are no values.

    Examples
    --------
    >>> estimate = mean_over_images(["a", "b", "c", "d"], [1.0, 2.0, 3.0, 4.0])
    >>> estimate.mean, estimate.low < 2.5 < estimate.high
    (2.5, True)
    """
    column = np.asarray(values, dtype=np.float64).reshape(-1, 1)
    sums = _sums(images, column)
    low, high = _interval(sums, config or BootstrapConfig())
    return Estimate(
        mean=float(sums.mean[0]), low=low[0], high=high[0], n_images=len(sums.counts), n_values=len(column)
    )


def share_over_images(
    images: Sequence[str],
    values: Sequence[float] | NDArray[np.float64],
    config: BootstrapConfig | None = None,
) -> Estimate:
    """Mean of shares in [0, 1] with an interval over images.

    Where every value is 0, or every value is 1, resampling shows no spread at all, though the share is known
    from a finite number of images only; the interval is then that of Clopper and Pearson for as many images.
    """
    config = config or BootstrapConfig()
    estimate = mean_over_images(images, values, config)
    tail = (1 - config.level) / 2
    reach = tail ** (1 / estimate.n_images)  # P(all n succeed) = tail at this share
    if estimate.mean <= 0:
        return replace(estimate, low=0.0, high=1 - reach)
    if estimate.mean >= 1:
        return replace(estimate, low=reach, high=1.0)
    return estimate


def statistic_over_images(
    images: Sequence[str],
    values: NDArray[np.float64],
    statistic: Statistic,
    config: BootstrapConfig | None = None,
) -> Estimate:
    """A smooth function of sums over images, with a bootstrap interval over images.

    Parameters
    ----------
    images : sequence of str, length n
        The image each row comes from.
    values : (n, k) float
        What is summed.
    statistic : callable
        From sums ``(..., k)`` to estimates ``(...)``; a resample without a finite one is left out.
    config : BootstrapConfig, optional

    Raises
    ------
    ConfigError
        If the lengths differ or there are no rows.

    Examples
    --------
    >>> pairs = np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 4.0]])
    >>> statistic_over_images(["a", "b", "c"], pairs, lambda sums: sums[..., 0] / sums[..., 1]).mean
    0.75
    """
    config = config or BootstrapConfig()
    sums = _sums(images, np.asarray(values, dtype=np.float64))
    total = sums.values.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = float(statistic(total))
        left_out = statistic(total - sums.values)
        resampled = statistic(_drawn_sums(sums.values, config))
    low, high = float("nan"), float("nan")
    finite = resampled[np.isfinite(resampled)]
    if len(sums.counts) >= 2 and np.isfinite(mean) and finite.size:
        kept = left_out[np.isfinite(left_out)]
        low, high = _limits(finite, mean, kept, (1 - config.level) / 2, config.method)
    return Estimate(mean=mean, low=low, high=high, n_images=len(sums.counts), n_values=len(values))


def ratio_over_images(
    images: Sequence[str],
    numerators: Sequence[float] | NDArray[np.float64],
    denominators: Sequence[float] | NDArray[np.float64],
    config: BootstrapConfig | None = None,
) -> Estimate:
    """The ratio of two means over images ``Σ_j a_j / Σ_j b_j``, both drawn together; see above."""
    pairs = np.stack([np.asarray(part, dtype=np.float64) for part in (numerators, denominators)], axis=1)
    return statistic_over_images(images, pairs, _quotient, config)


def _quotient(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    quotient: NDArray[np.float64] = sums[..., 0] / sums[..., 1]
    return quotient


def curve_over_images(
    images: Sequence[str], curves: NDArray[np.float64], config: BootstrapConfig | None = None
) -> CurveEstimate:
    """Pointwise mean of ``(n, n_points)`` curves with percentile band over images."""
    config = config or BootstrapConfig()
    sums = _sums(images, np.asarray(curves, dtype=np.float64))
    tail = (1 - config.level) / 2
    if len(sums.counts) < 2:
        nothing = np.full(sums.mean.shape, np.nan)
        return CurveEstimate(mean=sums.mean, low=nothing, high=nothing.copy())
    low, high = np.quantile(_resampled(sums, config), [tail, 1 - tail], axis=0)
    return CurveEstimate(mean=sums.mean, low=low, high=high)


def _sums(images: Sequence[str], values: NDArray[np.float64]) -> _Sums:
    if len(images) != len(values) or not len(values):
        raise ConfigError(
            f"{len(values)} values of {len(images)} images", allowed="as many of both, not none"
        )
    names, index = np.unique(np.asarray(images, dtype=object).astype(str), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, index, values)
    return _Sums(values=sums, counts=np.bincount(index, minlength=len(names)).astype(np.float64))


def _resampled(sums: _Sums, config: BootstrapConfig) -> NDArray[np.float64]:
    """Means of resamples, ``(n_resamples, n_points)``: how often each image was drawn, times its sums."""
    drawn = _drawn_sums(np.column_stack([sums.values, sums.counts]), config)
    resampled: NDArray[np.float64] = drawn[:, :-1] / drawn[:, -1:]
    return resampled


def _drawn_sums(values: NDArray[np.float64], config: BootstrapConfig) -> NDArray[np.float64]:
    """Sums over the images of each resample of ``(n_images, k)`` values, ``(n_resamples, k)``."""
    return np.concatenate([block @ values for block in draw_blocks(len(values), config)])


def draw_blocks(n_images: int, config: BootstrapConfig) -> Iterator[NDArray[np.float64]]:
    """How often each image is in each resample: some resamples at a time, ``(…, n_images)`` float64.

    All of them together are ``(n_resamples, n_images)``, the same for the same seed.
    """
    drawn = _draws(n_images, config.n_resamples, config.random_state)
    rows = _rows(n_images)
    for start in range(0, len(drawn), rows):
        yield drawn[start : start + rows].astype(np.float64)


def _rows(n_images: int) -> int:
    """Resamples in a block."""
    return max(_BLOCK // n_images, 1)


@lru_cache(maxsize=2)
def _draws(n_images: int, n_resamples: int, random_state: int) -> NDArray[np.uint8]:
    """How often each image is in each resample, kept for the next statistic, a byte each.

    An image is drawn once on average; that one of more than 255 is drawn 256 times does not happen.
    """
    generator = np.random.default_rng(random_state)
    chances = np.full(n_images, 1 / n_images)
    drawn = np.empty((n_resamples, n_images), dtype=np.uint8)
    rows = _rows(n_images)
    for start in range(0, n_resamples, rows):
        part = drawn[start : start + rows]
        part[:] = generator.multinomial(n_images, chances, len(part))
    drawn.flags.writeable = False
    return drawn


def _interval(sums: _Sums, config: BootstrapConfig) -> tuple[list[float], list[float]]:
    points = sums.values.shape[1]
    if len(sums.counts) < 2:
        return [float("nan")] * points, [float("nan")] * points
    resampled = _resampled(sums, config)
    tail = (1 - config.level) / 2
    mean, left_out = sums.mean, sums.leave_one_out()
    limits = [
        _limits(column, mean[index], left_out[:, index], tail, config.method)
        for index, column in enumerate(resampled.T)
    ]
    return [low for low, _ in limits], [high for _, high in limits]


def _limits(
    resampled: NDArray[np.float64],
    estimate: float | np.float64,
    left_out: NDArray[np.float64],
    tail: float,
    method: Method,
) -> tuple[float, float]:
    """Lower and upper limit of one estimate; BCa falls back to percentiles where nothing varies."""
    tails = np.array([tail, 1 - tail])
    if method == "bca" and left_out.size and np.ptp(resampled) > 0:
        tails = _bca_tails(resampled, estimate, left_out, tails)
    low, high = np.quantile(resampled, tails)
    return float(low), float(high)


def _bca_tails(
    resampled: NDArray[np.float64],
    estimate: float | np.float64,
    left_out: NDArray[np.float64],
    tails: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The percentiles that correct resampled estimates for bias ``z0`` and skewness ``a`` (Efron 1987)."""
    from scipy.special import ndtr, ndtri

    below = np.mean(resampled < estimate) + 0.5 * np.mean(resampled == estimate)
    bias = ndtri(np.clip(below, 1 / len(resampled), 1 - 1 / len(resampled)))
    deviation = left_out.mean() - left_out
    spread = np.sum(deviation**2) ** 1.5
    skew = np.sum(deviation**3) / (6 * spread) if spread > 0 else 0.0
    shifted = bias + ndtri(tails)
    corrected: NDArray[np.float64] = ndtr(bias + shifted / (1 - skew * shifted))
    return corrected
