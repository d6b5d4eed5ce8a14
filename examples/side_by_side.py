"""Two kinds of classifier on the same photos: Fisher vectors beside a network.

python examples/side_by_side.py pfungst-demo side_by_side.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from pfungst.demo.study import RULES
from pfungst.images import decode, open_dataset
from pfungst.models import load
from pfungst.report.figure import FigureStyle, make_figure


def main(demo: Path, picture: Path, name: str = "rocket") -> None:
    """Explain three test photos of a class by both models and write the picture."""
    models = {kind: load(demo / "models" / f"{kind}-flawed") for kind in ("fisher", "network")}
    photos = open_dataset(demo / "scenes" / "flawed").split("test")
    shown = [record for record in photos if record.positive == {name}][:3]
    figure = make_figure(
        models,
        [(record.id, decode(record.path)) for record in shown],
        class_name=name,
        options={kind: {"rule": RULES[kind]} for kind in models},
        style=FigureStyle(side=200),
    )
    figure.save(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
