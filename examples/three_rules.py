"""One photo, explained three ways: the paper's decompositions for Fisher vectors.

    python examples/three_rules.py pfungst-demo three_rules.png

``pfungst-demo`` is the folder that ``pfungst demo`` wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pfungst.images import decode, open_dataset
from pfungst.models import load
from pfungst.report.figure import FigureStyle, Tile, draw_tiles, heatmap_tile

RULES = {
    "naive": {"rule": "naive"},
    "epsilon (relative 0.38)": {"rule": "epsilon", "epsilon": 0.38, "relative": True},
    "absolute": {"rule": "absolute"},
}


def main(demo: Path, picture: Path) -> None:
    """Of a few coins and rockets, explain the best scored by every rule; write the picture."""
    model = load(demo / "models" / "fisher-flawed")
    photos = open_dataset(demo / "scenes" / "flawed").split("test")
    style = FigureStyle(side=200)
    rows = []
    for name in ("coin", "rocket"):
        shown = [record for record in photos if record.positive == {name}][:6]
        scores = model.scores(decode(record.path) for record in shown)[:, model.classes.index(name)]
        chosen = shown[int(scores.argmax())]
        image = decode(chosen.path)
        row = [Tile(picture=_small(image, style.side), caption=chosen.id)]
        for options in RULES.values():
            explanation = model.explain(image, name, image_id=chosen.id, **options)
            print(f"{chosen.id} {explanation.rule}: {explanation.ledger}")
            row.append(heatmap_tile(explanation, style.side))
        rows.append(row)
    draw_tiles(["photo", *RULES], rows, style).save(picture)


def _small(image, side):
    from numpy import asarray
    from PIL import Image

    photo = Image.fromarray(image)
    photo.thumbnail((side, side))
    return asarray(photo)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
