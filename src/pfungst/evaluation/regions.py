"""Region perturbation: squares of the model's input, most relevant first, replaced one after the other.

Regions do not overlap and cover every pixel; those at the right and lower edge are smaller where the side
does not divide the picture. They are true pixels: all channels of a pixel change together, and relevance is
summed over them. Only the steps that are asked for are built and scored, and the pictures of all
traces are packed into full batches.

References
----------
Samek, Binder, Montavon, Lapuschkin, Müller 2016, eq. (9)–(12).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import Classifier, ImageArray
from pfungst.contract.perturbation import Edit, EditScorer, ViewClassifier
from pfungst.errors import ConfigError
from pfungst.evaluation.operators import OPERATORS, checked_operator
from pfungst.images.rectangles import Region


def region_grid(height: int, width: int, size: int) -> tuple[Region, ...]:
    """Squares of side ``size`` from the upper left corner on, row by row, cut at the right and lower edge.

    Raises
    ------
    ConfigError
        If the side is not positive.
    """
    if size < 1:
        raise ConfigError(f"regions of {size} pixels", allowed="1 or more")
    return tuple(
        Region(top=top, left=left, bottom=min(top + size, height), right=min(left + size, width))
        for top in range(0, height, size)
        for left in range(0, width, size)
    )


def region_relevance(relevance: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    """Relevance summed over each region of :func:`region_grid`, in its order, ``(n_regions,)`` float64."""
    rows = np.add.reduceat(np.asarray(relevance, np.float64), np.arange(0, relevance.shape[0], size), axis=0)
    sums: NDArray[np.float64] = np.add.reduceat(rows, np.arange(0, relevance.shape[1], size), axis=1)
    return sums.ravel()


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionTrace:
    """One trace to be measured.

    Attributes
    ----------
    picture : (height, width, 3) uint8
        x^(0): the model's input view, or the photo.
    order : (n_steps * per_step,) int
        Indices into :func:`region_grid`, the first to be perturbed first.
    size : int
        Side of a region in pixels.
    operator : str
        A name of :data:`OPERATORS`.
    generator : numpy.random.Generator
        What the operator draws from.
    per_step : int
        Regions replaced between two measurements.
    """

    picture: ImageArray
    order: NDArray[np.intp]
    size: int
    operator: str
    generator: np.random.Generator
    per_step: int = 1

    def __post_init__(self) -> None:
        checked_operator(self.operator)
        if self.per_step < 1 or len(self.order) < self.per_step:
            raise ConfigError(
                f"{len(self.order)} regions in steps of {self.per_step}", allowed="at least one whole step"
            )

    @property
    def n_steps(self) -> int:
        """Points of measurement after x^(0)."""
        return len(self.order) // self.per_step

    def steps(self) -> Iterator[tuple[Edit, ...]]:
        """The edits of each step, made from the picture as the steps before left it."""
        grid = region_grid(self.picture.shape[0], self.picture.shape[1], self.size)
        fill = OPERATORS[self.operator](self.picture, self.size, self.generator)
        current = self.picture.copy()
        for step in range(self.n_steps):
            edits = []
            for index in self.order[step * self.per_step : (step + 1) * self.per_step]:
                region = grid[index]
                edits.append(Edit(top=region.top, left=region.left, pixels=fill(current, region)))
                edits[-1].apply(current)
            yield tuple(edits)

    def pictures(self) -> Iterator[ImageArray]:
        """x^(1), x^(2), …; one array, written anew at each step."""
        current = self.picture.copy()
        for edits in self.steps():
            for edit in edits:
                edit.apply(current)
            yield current


def region_scores(
    classifier: Classifier, traces: Sequence[RegionTrace], *, batch_size: int = 32
) -> list[NDArray[np.float64]]:
    """Scores along each trace, a list of ``(n_steps, n_classes)``: f(x^(1)), f(x^(2)), …

    A :class:`~pfungst.contract.perturbation.ViewClassifier` gets the views of all traces in batches of
    ``batch_size`` of which only the last may be smaller; an
    :class:`~pfungst.contract.perturbation.EditScorer` gets each chain of edits; any other classifier scores
    each perturbed photo as a whole.

    Parameters
    ----------
    classifier : Classifier
    traces : sequence of RegionTrace
        Their pictures are input views for a view classifier, photos for any other.
    batch_size : int
        Views scored at a time; bounds the memory.
    """
    if isinstance(classifier, ViewClassifier):
        return _split(_packed(classifier, traces, batch_size), traces)
    if isinstance(classifier, EditScorer):
        return [classifier.perturbed_scores(trace.picture, list(trace.steps()))[1:] for trace in traces]
    copies = (picture.copy() for trace in traces for picture in trace.pictures())
    return _split(np.asarray(classifier.scores(copies), dtype=np.float64), traces)


def _packed(
    classifier: ViewClassifier, traces: Sequence[RegionTrace], batch_size: int
) -> NDArray[np.float64]:
    """Scores of all traces' views one after the other; traces of different shapes do not share a batch."""
    if batch_size < 1:
        raise ConfigError(f"batch_size = {batch_size}", allowed="1 or more")
    scores: list[NDArray[np.float64]] = []
    buffer: NDArray[np.uint8] | None = None
    filled = 0
    for trace in traces:
        for picture in trace.pictures():
            if buffer is not None and (filled == batch_size or buffer.shape[1:] != picture.shape):
                scores.append(classifier.view_scores(buffer[:filled]))
                filled = 0
            if buffer is None or buffer.shape[1:] != picture.shape:
                buffer = np.empty((batch_size, *picture.shape), dtype=np.uint8)
            buffer[filled] = picture
            filled += 1
    if buffer is not None and filled:
        scores.append(classifier.view_scores(buffer[:filled]))
    return np.concatenate(scores).astype(np.float64)


def _split(scores: NDArray[np.float64], traces: Sequence[RegionTrace]) -> list[NDArray[np.float64]]:
    ends = np.cumsum([trace.n_steps for trace in traces])[:-1]
    return list(np.split(scores, ends))
