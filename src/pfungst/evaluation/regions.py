"""Region perturbation: squares of the model's input, most relevant first, replaced one after the other.

Regions do not overlap and cover every pixel; those at the right and lower edge are smaller where the side
does not divide the picture. They are true pixels: all channels of a pixel change together, and relevance is
summed over them. Only the steps that are asked for are built and scored.

References
----------
Samek, Binder, Montavon, Lapuschkin, Müller 2016, eq. (9)–(12).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Edit, Look
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
        x^(0): what the model sees of the photo (:attr:`~pfungst.contract.look.Look.pictures`).
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


def region_scores(look: Look, traces: Sequence[Sequence[RegionTrace]]) -> list[list[NDArray[np.float64]]]:
    """Scores along each trace: f(x^(1)), f(x^(2)), …, for each photo and trace ``(n_steps, n_classes)``.

    The look gets the traces of all its photos together, as chains of edits of :attr:`Look.pictures`, so that
    it may fill its batches with them.

    Parameters
    ----------
    look : Look
    traces : sequence of sequences of RegionTrace
        For each photo of the look its traces.
    """
    return look.after([[trace.steps() for trace in group] for group in traces], in_picture=True)
