"""A PyTorch network of your own: wrapped, trained for several labels a photo, explained without a change.

    python examples/own_network.py pfungst-demo own_network.png

The network adds two branches, as residual networks do; nothing about it is registered anywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from pfungst.images import decode, open_dataset
from pfungst.network import NetworkClassifier, NetworkTraining, Preprocess, train_network
from pfungst.report.figure import FigureStyle, make_figure


class MyNetwork(nn.Module):
    """Two convolutions in parallel, added; then pooling and a last layer."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 5, stride=2, padding=2)
        self.fine, self.coarse = nn.Conv2d(24, 48, 3, 2, 1), nn.Conv2d(24, 48, 7, 2, 3)
        self.deep = nn.Conv2d(48, 96, 3, 2, 1)
        self.last = nn.Linear(96, n_classes)

    def forward(self, photos: Tensor) -> Tensor:
        """Scores ``(n, n_classes)`` of photos ``(n, 3, 96, 96)``."""
        low = self.stem(photos).relu()
        middle = (self.fine(low) + self.coarse(low)).relu()
        return self.last(self.deep(middle).relu().amax(dim=(2, 3)))


def main(demo: Path, picture: Path, epochs: int = 12) -> None:
    """Train on the demo's flawed scenes, then explain three test photos."""
    torch.manual_seed(0)
    photos = open_dataset(demo / "scenes" / "flawed")
    view = Preprocess(input_size=(96, 96), resize_length=112, mean=(127.0,) * 3, std=(64.0,) * 3)
    start = NetworkClassifier(MyNetwork(len(photos.classes)), photos.classes, view)
    settings = NetworkTraining(freeze=False, epochs=epochs, learning_rate=0.003, refit=False)
    trained = train_network(start, photos.split("train"), photos.split("val"), settings, workers=2)
    print(f"validation mAP {trained.history[trained.best_epoch].mean_ap:.3f}")
    shown = [record for record in photos.split("test") if record.positive == {"coin"}][:3]
    figure = make_figure(
        {"epsilon": trained.classifier, "alpha 2, beta 1": trained.classifier},
        [(record.id, decode(record.path)) for record in shown],
        class_name="coin",
        options={"epsilon": {"rule": "epsilon"}, "alpha 2, beta 1": {"rule": "epsilon-alpha2-beta1"}},
        style=FigureStyle(side=200),
    )
    figure.save(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
