"""The figure of a class's strategies: photos as points, and for each group its mean heatmap and photos."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from pfungst.audits.schema import Cluster, Strategies, picture_file
from pfungst.contract.plain import to_json
from pfungst.errors import ConfigError
from pfungst.files import safe_name
from pfungst.report.drawing import save_figure
from pfungst.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRATEGIES_FILE = "strategies.json"

_MOST_GROUPS = 8
_EXEMPLARS = 3


def strategies_figure(
    found: Strategies, *, folder: str | Path, title: str, thumbnail: Callable[[str], bytes]
) -> Figure:
    """Draw the groups of one class.

    Left: every photo where t-SNE puts it, coloured by group, over the eigenvalues that chose the number of
    groups. Right: a row for each group with its mean heatmap and its most typical photos.

    Parameters
    ----------
    found : Strategies
        With at least one cluster.
    folder : path
        Where the pictures that it names are.
    title : str
    thumbnail : callable
        From a photo's id to its JPEG, such as a survey's ``thumbnail``.

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window.

    Raises
    ------
    ConfigError
        If there is no cluster.
    """
    from matplotlib.figure import Figure

    if not found.clusters:
        raise ConfigError("no groups to draw", allowed="strategies with clusters")
    shown = found.clusters[:_MOST_GROUPS]
    figure = Figure(figsize=(11, max(5.2, 1.6 * len(shown) + 1.2)), layout="constrained")
    figure.suptitle(f"{title}\n{fill(found.note, 120)}", fontsize=10, x=0.01, ha="left")
    panels: Any = figure.subfigures(1, 2, width_ratios=[1, 1.15])
    left, right = panels
    above, below = left.subplots(2, 1, height_ratios=[2.2, 1])
    colours = group_colours(found.n_clusters)
    _draw_points(above, found, colours)
    _draw_eigenvalues(below, found)
    rows = right.subplots(len(shown), 1 + _EXEMPLARS, squeeze=False)
    for axes, cluster in zip(rows, shown, strict=True):
        _draw_group(axes, cluster, colours[cluster.index], folder, thumbnail)
    return figure


def save_strategies_figure(path: str | Path, found: Strategies, **options: Any) -> Path:
    """Write :func:`strategies_figure` (see there for the options) as PNG or SVG, by the name's ending."""
    return save_figure(path, strategies_figure(found, **options), dpi=130)


def save_strategies(
    folder: str | Path,
    found: Mapping[str, Strategies],
    *,
    title: str,
    thumbnail: Callable[[str], bytes],
) -> Path:
    """Write ``strategies.json`` and a figure of each class that has groups into the folder of their maps.

    Parameters
    ----------
    folder : path
        The folder that was given to :func:`~pfungst.audits.strategies.finding.find_strategies`.
    found : mapping
        By class.
    title : str
        What the heatmaps are of: model and photos.
    thumbnail : callable
        From a photo's id to its thumbnail, as a survey has it.

    Raises
    ------
    FileError
        If the disk is full or cannot be written to.
    """
    for position, (name, result) in enumerate(found.items(), 1):
        if result.clusters:
            save_strategies_figure(
                Path(folder) / f"strategies-{position:02d}-{safe_name(name)}.png",
                result,
                folder=Path(folder),
                title=f"{name}: {result.n_images} heatmaps of {title}",
                thumbnail=thumbnail,
            )
    return write_whole(Path(folder) / STRATEGIES_FILE, to_json({"classes": dict(found)}))


def group_colours(count: int) -> list[Any]:
    """A colour for each group."""
    from matplotlib import colormaps

    palette = colormaps["tab10"].colors if count <= 10 else colormaps["tab20"].colors  # type: ignore[attr-defined]
    return [palette[index % len(palette)] for index in range(count)]


def _draw_points(axes: Axes, found: Strategies, colours: Sequence[Any]) -> None:
    for cluster in found.clusters:
        places = np.array([(p.x, p.y) for p in found.points if p.cluster == cluster.index]).reshape(-1, 2)
        axes.scatter(
            places[:, 0], places[:, 1], s=16, color=colours[cluster.index], label=f"group {cluster.index + 1}"
        )
    axes.set_title("photos, alike where they are close", fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(fontsize=8, frameon=False)


def _draw_eigenvalues(axes: Axes, found: Strategies) -> None:
    values = np.array(found.eigenvalues)
    axes.plot(np.arange(1, len(values) + 1), values, "o-", color="#444444", markersize=4, linewidth=1)
    axes.axvline(found.n_clusters + 0.5, color="#999999", linestyle="--", linewidth=1)
    axes.set_title(
        f"eigenvalues; the largest gap, {found.gap:.2f}, comes after {found.n_clusters}", fontsize=9
    )
    axes.set_ylim(bottom=-0.02)
    axes.set_xticks(np.arange(1, len(values) + 1))


def _draw_group(
    axes: Sequence[Axes],
    cluster: Cluster,
    colour: Any,
    folder: str | Path,
    thumbnail: Callable[[str], bytes],
) -> None:
    from PIL import Image

    for axis in axes:
        axis.set_axis_off()
    words = f"group {cluster.index + 1}: {cluster.size} photos, {100 * cluster.share:.0f} %"
    if np.isfinite(cluster.share_outside):
        words += f"; {100 * cluster.share_outside:.0f} % of relevance off the object"
    axes[0].set_title(words, fontsize=8, loc="left", color=colour)
    if cluster.mean_map:
        with Image.open(picture_file(folder, cluster.mean_map)) as picture:
            axes[0].imshow(np.asarray(picture.convert("RGB")))
    for axis, image in zip(axes[1:], cluster.exemplars, strict=False):
        with Image.open(io.BytesIO(thumbnail(image))) as picture:
            axis.imshow(np.asarray(picture.convert("RGB")))
