"""A small photo set and a classifier that is easy to foretell."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pfungst.contract import Explanation, Ledger
from pfungst.images import Box, DataSet, Record


@dataclass(frozen=True)
class ColourClassifier:
    """f(x) of a class is the mean of one colour channel over the photo, as a share of 255, minus 1/4."""

    classes: tuple[str, ...] = ("red", "green", "blue")
    thresholds: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def scores(self, images):
        return np.array([image.reshape(-1, 3).mean(axis=0) / 255 - 0.25 for image in images]).reshape(-1, 3)

    def explain(self, image, class_name, *, image_id="", **options):
        channel = self.classes.index(class_name)
        relevance = (image[..., channel] / 255 - 0.25) / image[..., channel].size
        score = float(relevance.sum())
        return Explanation(
            image_id=image_id,
            class_name=class_name,
            score=score,
            rule=str(options.get("rule", "own")),
            relevance=relevance,
            ledger=Ledger(score=score, pixels=score),
        )


@pytest.fixture
def classifier():
    return ColourClassifier()


def colour_photos(folder: Path, count: int = 12, *, seed: int = 0) -> DataSet:
    """Dark noise with one bright square of the class's colour, its box around it."""
    rng = np.random.default_rng(seed)
    names = ("red", "green", "blue")
    records = []
    for index in range(count):
        height, width = int(rng.integers(40, 60)), int(rng.integers(60, 90))
        pixels = rng.integers(0, 40, (height, width, 3), dtype=np.uint8)
        side = 30
        top, left = int(rng.integers(0, height - side)), int(rng.integers(0, width - side))
        channel = index % 3
        pixels[top : top + side, left : left + side, channel] = 250
        path = folder / f"photo{index:03d}.png"
        Image.fromarray(pixels).save(path)
        box = Box(class_name=names[channel], left=left, top=top, right=left + side, bottom=top + side)
        records.append(Record(id=path.stem, path=path, positive=frozenset({names[channel]}), boxes=(box,)))
    return DataSet(name="colours", root=folder, classes=names, records=tuple(records))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    return colour_photos(folder)


@pytest.fixture
def many_photos(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    return colour_photos(folder, 45)
