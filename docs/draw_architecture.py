"""Draw which room imports which: ``python docs/draw_architecture.py``.

Rooms stand in the order of the contract in ``pyproject.toml``; numbers are counted in the imports themselves,
so the picture says what the code says. Needs the ``dev`` extra (grimp comes with import-linter).
"""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import grimp
import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "figures" / "architecture.png"
PACKAGE = "pfungst"


def rooms() -> list[str]:
    """Rooms from the top down, as the contract of layers states them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    contract = next(item for item in contracts if item["type"] == "layers")
    return [name.strip().split(".", 1)[1] for line in contract["layers"] for name in line.split("|")]


def imports() -> Counter[tuple[str, str]]:
    """How many imports lead from a module of one room to a module of another, by (importer, imported)."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=False)
    pairs = (
        (_room(module), _room(other))
        for module in graph.modules
        for other in graph.find_modules_directly_imported_by(module)
    )
    return Counter(pair for pair in pairs if pair[0] != pair[1] and all(pair))


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def draw(path: Path = PICTURE) -> Path:
    """Write the picture: a row for each room that imports, a column for each that is imported."""
    names, edges = rooms(), imports()
    counts = np.array([[edges[row, column] for column in names] for row in names])
    figure, axes = plt.subplots(figsize=(7.2, 6.6), dpi=110)
    axes.imshow(np.sqrt(counts), cmap="Blues", vmin=0, vmax=1.4 * np.sqrt(counts.max()))
    for row, column in zip(*np.nonzero(counts), strict=True):
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8)
    _label(axes, names)
    figure.tight_layout(pad=0.6)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)
    return path


def _label(axes: Axes, names: list[str]) -> None:
    ticks = np.arange(len(names))
    axes.set_yticks(ticks, names, fontsize=9)
    axes.set_xticks(ticks, names, fontsize=9, rotation=60, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.set_ylabel("imports …")
    axes.set_title("… so many modules of", fontsize=10)
    axes.plot([-0.5, len(names) - 0.5], [-0.5, len(names) - 0.5], color="#999999", lw=0.8)
    axes.set_xticks(ticks - 0.5, minor=True)
    axes.set_yticks(ticks - 0.5, minor=True)
    axes.grid(which="minor", color="#eeeeee", lw=0.6)
    axes.tick_params(which="both", length=0)


if __name__ == "__main__":
    print(draw())
