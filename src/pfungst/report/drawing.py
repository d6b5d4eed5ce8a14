"""Figures into files, each in one move."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pfungst.writing import write_with

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(path: str | Path, figure: Figure, *, dpi: int = 150) -> Path:
    """Write a Matplotlib figure in the format that the name's ending says (PNG, SVG, PDF).

    Raises
    ------
    FileError
        If the disk is full or cannot be written to.
    """
    ending = Path(path).suffix.lstrip(".") or "png"
    return write_with(path, lambda stream: figure.savefig(stream, dpi=dpi, format=ending))
