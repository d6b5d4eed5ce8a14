"""Heatmaps on coarser grids, and thumbnails."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray


def reduced(relevance: NDArray[np.floating], side: int) -> NDArray[np.float32]:
    """Relevance summed over the cells of a coarser grid of the same shape, at most ``side`` cells long."""
    height, width = relevance.shape
    factor = min(side / max(height, width), 1.0)
    rows, columns = max(round(height * factor), 1), max(round(width * factor), 1)
    return cell_sums(relevance, rows, columns).astype(np.float32)


def cell_sums(relevance: NDArray[np.floating], rows: int, columns: int) -> NDArray[np.float64]:
    """Relevance summed over the cells of a grid that is stretched over the photo, ``(rows, columns)``.

    A pixel that two cells share is divided by area, so the sum is conserved:
    ``C = A_rows R A_colsᵀ`` with columns of A that sum to 1.
    """
    height, width = relevance.shape
    values = np.asarray(relevance, dtype=np.float64)
    cells: NDArray[np.float64] = _overlaps(rows, height) @ values @ _overlaps(columns, width).T
    return cells


@lru_cache(maxsize=32)
def _overlaps(cells: int, pixels: int) -> NDArray[np.float64]:
    """The share of each pixel that lies in each cell, ``(cells, pixels)``."""
    edges = np.arange(cells + 1) * (pixels / cells)
    start = np.arange(pixels)
    low = np.maximum(edges[:-1, None], start[None, :])
    high = np.minimum(edges[1:, None], start[None, :] + 1)
    shares: NDArray[np.float64] = np.maximum(high - low, 0.0)
    shares /= shares.sum(axis=0)
    return shares


def thumbnail(image: ImageArray, side: int) -> bytes:
    """A JPEG of the photo, its longest side at most ``side`` pixels."""
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=80)
    return buffer.getvalue()
