r"""Strategies of a class: groups of photos whose heatmaps are alike (spectral relevance analysis).

The relevance maps of a class are brought to one grid, normalised, and clustered on the graph of their nearest
neighbours (:mod:`pfungst.audits.strategies.spectral`); the largest gap of the Laplacian's eigenvalues chooses
how many clusters there are. A group whose relevance lies in one corner is how a copyright tag shows.

Each map is divided by Σ |R| of what is kept of it, which is never negative and is zero only for a map without
relevance; such maps are left out and counted.

References
----------
Lapuschkin et al. 2019, Unmasking Clever Hans predictors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.schema import (
    PICTURES_FOLDER,
    Cluster,
    Strategies,
    StrategyPoint,
    picture_file,
)
from pfungst.audits.strategies.spectral import (
    Affinity,
    Spectrum,
    cluster_labels,
    default_neighbours,
    eigengap,
    neighbour_affinity,
    plane,
    smallest_eigenpairs,
)
from pfungst.audits.strategies.unimodality import blend_values
from pfungst.audits.survey import Seen, StoredSurvey
from pfungst.audits.survey.maps import cell_sums
from pfungst.errors import ConfigError, unknown_name
from pfungst.files import safe_name
from pfungst.images.dataset import POSITIVE
from pfungst.writing import write_with

Part = Literal["positive", "signed", "absolute"]
Norm = Literal["l1", "l2"]
Photos = Literal["true-positives", "shown"]
MEAN_MAP_SIDE = 240
"""Side of the picture of a cluster's mean map, in pixels."""


@dataclass(frozen=True, kw_only=True)
class StrategiesConfig:
    """How strategies are looked for.

    Attributes
    ----------
    photos : {"true-positives", "shown"}
        Photos that show the class and are predicted so, or all that show it.
    side : int
        Cells along each side of the grid that is stretched over every photo.
    part : {"positive", "signed", "absolute"}
        What of the relevance is compared.
    norm : {"l1", "l2"}
        A map is divided by this norm of it.
    n_neighbours : int or None
        k of the graph; None takes max(5, ⌈2 ln n⌉).
    affinity : {"union", "mutual"}
        Two maps are joined where either, or each, is among the other's k nearest.
    max_clusters : int
        At most so many.
    min_photos : int
        Fewer maps are not divided.
    n_exemplars : int
        Photos named for each cluster.
    significance : float
        A cluster stands apart where its ``blend`` is at most this.
    max_points : int
        Photos laid out for the eye; of more a seeded sample.
    random_state : int
        Seed of k-means, t-SNE and samples.
    """

    photos: Photos = "true-positives"
    side: int = 24
    part: Part = "positive"
    norm: Norm = "l1"
    n_neighbours: int | None = None
    affinity: Affinity = "union"
    max_clusters: int = 8
    min_photos: int = 10
    n_exemplars: int = 8
    significance: float = 0.05
    max_points: int = 1000
    random_state: int = 0

    def __post_init__(self) -> None:
        for name, kind in (("photos", Photos), ("part", Part), ("norm", Norm), ("affinity", Affinity)):
            if getattr(self, name) not in get_args(kind):
                raise unknown_name(name, str(getattr(self, name)), get_args(kind))
        if not 2 <= self.side <= 128:
            raise ConfigError(f"side = {self.side}", allowed="2 to 128 cells")
        if self.n_neighbours is not None and self.n_neighbours < 1:
            raise ConfigError(f"n_neighbours = {self.n_neighbours}", allowed="1 or more")
        if not 2 <= self.max_clusters <= 50:
            raise ConfigError(f"max_clusters = {self.max_clusters}", allowed="2 to 50")
        if self.min_photos < 3 or min(self.n_exemplars, self.max_points) < 1:
            raise ConfigError(
                f"min_photos = {self.min_photos}, n_exemplars = {self.n_exemplars}, "
                f"max_points = {self.max_points}",
                allowed="3 or more, 1 or more, 1 or more",
            )
        if not 0 < self.significance < 1:
            raise ConfigError(f"significance = {self.significance}", allowed="above 0 and below 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class Grouping:
    """Maps divided into clusters.

    Attributes
    ----------
    spectrum : Spectrum
    labels : (n,) int
        Clusters by size, the largest 0.
    gap : float
        λ_(c+1) − λ_c at the number of clusters.
    blend : (n_clusters,) float
        p-value of each cluster; NaN where there is one cluster only.
    """

    spectrum: Spectrum
    labels: NDArray[np.intp]
    gap: float
    blend: NDArray[np.float64]

    @property
    def n_clusters(self) -> int:
        """How many there are."""
        return int(self.labels.max()) + 1


def find_strategies(
    survey: StoredSurvey,
    class_name: str,
    config: StrategiesConfig | None = None,
    *,
    out: str | Path | None = None,
    prefix: str = "",
) -> Strategies:
    """Group the heatmaps of one class.

    Parameters
    ----------
    survey : StoredSurvey
        Of :func:`pfungst.audits.survey.survey`, or read back from its folder.
    class_name : str
    config : StrategiesConfig, optional
    out : path, optional
        The audit's folder; the clusters' mean maps are written to its ``pictures/``. Without it there are
        none.
    prefix : str
        Put before the pictures' names, such as the model's name.

    Raises
    ------
    ConfigError
        If the survey has no such class.

    Examples
    --------
    >>> from pfungst.audits.survey import open_survey
    >>> found = find_strategies(open_survey("audit/survey-fisher"), "horse")  # doctest: +SKIP
    >>> [(cluster.share, cluster.exemplars[0]) for cluster in found.clusters]  # doctest: +SKIP
    """
    config = config or StrategiesConfig()
    if class_name not in survey.classes:
        raise unknown_name("class", class_name, survey.classes)
    seen = [
        item
        for item in survey.seen(class_name, label=POSITIVE)
        if item.true_positive or config.photos == "shown"
    ]
    maps, used = usable_maps(survey, seen, config)
    left_out = len(seen) - len(used)
    if len(used) < config.min_photos:
        return Strategies(n_images=len(used), note=_too_few(len(used), left_out, config))
    grouping = group_maps(maps, config)
    stem = f"{prefix}strategies-{survey.classes.index(class_name) + 1:02d}-{safe_name(class_name)}"
    return Strategies(
        n_images=len(used),
        n_clusters=grouping.n_clusters,
        eigenvalues=tuple(grouping.spectrum.values.tolist()),
        gap=grouping.gap,
        clusters=tuple(
            _cluster(index, grouping, maps, used, config, out, f"{PICTURES_FOLDER}/{stem}-{index + 1}.png")
            for index in range(grouping.n_clusters)
        ),
        points=_points(grouping, used, config),
        note=_note(grouping, left_out, len(used), config),
    )


def usable_maps(
    survey: StoredSurvey, seen: Sequence[Seen], config: StrategiesConfig
) -> tuple[NDArray[np.float64], list[Seen]]:
    """Normalised maps ``(n, side²)`` of the photos that have relevance to compare, and those photos."""
    maps = np.empty((len(seen), config.side**2))
    used: list[Seen] = []
    for item in seen:
        row = normalised_map(survey.heatmap(item.image, item.class_name), config)
        if row is not None:
            maps[len(used)] = row
            used.append(item)
    return maps[: len(used)], used


def normalised_map(relevance: NDArray[np.floating], config: StrategiesConfig) -> NDArray[np.float64] | None:
    """One heatmap as ``side²`` numbers whose L1 or L2 norm is 1; None where there is nothing to compare."""
    cells = cell_sums(relevance, config.side, config.side).ravel()
    if config.part == "positive":
        cells = np.maximum(cells, 0.0)
    elif config.part == "absolute":
        cells = np.abs(cells)
    peak = np.abs(cells).max()
    if not peak > 0:
        return None
    cells /= peak  # first, so that no tiny number is squared
    unit: NDArray[np.float64] = cells / np.linalg.norm(cells, ord=1 if config.norm == "l1" else 2)
    return unit


def group_maps(maps: NDArray[np.float64], config: StrategiesConfig) -> Grouping:
    """Spectral clustering of normalised maps ``(n, d)``, with a test whether the clusters stand apart."""
    n_neighbours = config.n_neighbours or default_neighbours(len(maps))
    affinity = neighbour_affinity(maps, n_neighbours, config.affinity)
    spectrum = smallest_eigenpairs(affinity, config.max_clusters + 1, random_state=config.random_state)
    n_clusters, gap = eigengap(spectrum.values, config.max_clusters)
    labels = cluster_labels(spectrum, n_clusters, random_state=config.random_state)
    alone = labels.max() == 0
    blend = np.full(1, np.nan) if alone else blend_values(maps, labels, random_state=config.random_state)
    return Grouping(spectrum=spectrum, labels=labels, gap=gap, blend=blend)


def _cluster(  # noqa: PLR0917 - private, one caller
    index: int,
    grouping: Grouping,
    maps: NDArray[np.float64],
    used: Sequence[Seen],
    config: StrategiesConfig,
    out: str | Path | None,
    name: str,
) -> Cluster:
    members = np.flatnonzero(grouping.labels == index)
    mean = maps[members].mean(axis=0)
    distances = np.linalg.norm(maps[members] - mean, axis=1)
    typical = members[np.argsort(np.round(distances, 12), kind="stable")[: config.n_exemplars]]
    if out is not None:
        _save_mean_map(picture_file(out, name), mean.reshape(config.side, config.side))
    return Cluster(
        index=index,
        size=len(members),
        share=len(members) / len(maps),
        mean_map=name if out is not None else "",
        exemplars=tuple(used[i].image for i in typical.tolist()),
        share_outside=_share_outside([used[i] for i in members.tolist()]),
        blend=float(grouping.blend[index]),
    )


def _share_outside(seen: Sequence[Seen]) -> float:
    """Mean share of positive relevance outside the class's boxes, over the photos that have both."""
    around = [item.surroundings for item in seen if item.surroundings is not None]
    shares = [s.outside.positive / s.whole.positive for s in around if s.whole.positive > 0]
    return float(np.mean(shares)) if shares else float("nan")


def _save_mean_map(file: Path, cells: NDArray[np.float64]) -> None:
    """The mean map in the heatmap's colours, its legend below it."""
    from PIL import Image

    from pfungst.contract.heatmap import colours, legend, scaled

    size = (MEAN_MAP_SIDE, MEAN_MAP_SIDE)
    drawn = Image.fromarray(colours(scaled(cells))).resize(size, Image.Resampling.NEAREST)
    scale = legend(MEAN_MAP_SIDE, float(np.abs(cells).max()))
    picture = Image.new("RGB", (MEAN_MAP_SIDE, MEAN_MAP_SIDE + scale.height), (255, 255, 255))
    picture.paste(drawn, (0, 0))
    picture.paste(scale, (0, MEAN_MAP_SIDE))
    write_with(file, lambda stream: picture.save(stream, format="PNG"))


def _points(grouping: Grouping, used: Sequence[Seen], config: StrategiesConfig) -> tuple[StrategyPoint, ...]:
    chosen = np.arange(len(used))
    if len(used) > config.max_points:
        generator = np.random.default_rng(config.random_state)
        chosen = np.sort(generator.choice(chosen, config.max_points, replace=False))
    places = plane(
        replace(grouping.spectrum, vectors=grouping.spectrum.vectors[chosen]),
        random_state=config.random_state,
    )
    return tuple(
        StrategyPoint(
            image=used[i].image, x=float(place[0]), y=float(place[1]), cluster=int(grouping.labels[i])
        )
        for i, place in zip(chosen.tolist(), places, strict=True)
    )


def _too_few(n_used: int, left_out: int, config: StrategiesConfig) -> str:
    return f"{n_used} heatmaps are too few to be divided ({config.min_photos} or more){_zero_maps(left_out)}."


def _note(grouping: Grouping, left_out: int, n_used: int, config: StrategiesConfig) -> str:
    apart = [i + 1 for i, value in enumerate(grouping.blend) if value <= config.significance]
    text = _verdict(grouping, apart) + _zero_maps(left_out)
    if n_used > config.max_points:
        text += f"; the scatter shows a sample of {config.max_points} of {n_used} photos"
    return text + "."


def _verdict(grouping: Grouping, apart: Sequence[int]) -> str:
    """Whether to believe the clusters, in words."""
    count = grouping.n_clusters
    if count == 1:
        return "One strategy: the heatmaps do not fall into groups"
    known = grouping.blend[np.isfinite(grouping.blend)]
    p = f"p = {known.max():.2g}" if known.size else "too few photos to tell"
    if len(apart) == count:
        return f"{count} groups, and they stand apart (each from its nearest neighbour, {p} or less)"
    if apart:
        names = ", ".join(map(str, apart))
        verb = "stands" if len(apart) == 1 else "stand"
        return f"{count} groups; {names} {verb} apart from the nearest neighbour, the others may be one"
    return (
        f"{count} groups without a clear valley between them ({p}): different strategies or one that varies, "
        f"look at the photos"
    )


def _zero_maps(left_out: int) -> str:
    if not left_out:
        return ""
    return f"; {left_out} heatmap{'s' if left_out > 1 else ''} without relevance to compare left out"
