"""Photos of two classes, with and without a mark, and a classifier that is known to read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from pfungst.audits.survey import ContextConfig, SurveyConfig, survey
from pfungst.contract import Explanation, Ledger
from pfungst.images import Box, DataSet, Record

MARK_SHAPE = (12, 44)
CLASSES = ("disc", "square")


def mark_pattern() -> np.ndarray:
    """A line of glyphs: true where there is ink."""
    rng = np.random.default_rng(7)
    pattern = np.zeros(MARK_SHAPE, dtype=bool)
    for left in range(1, MARK_SHAPE[1] - 5, 6):
        pattern[2:10, left : left + 5] = rng.random((8, 5)) < 0.5
    return pattern


@dataclass(frozen=True)
class MarkReader:
    """f(x) = (object pixels + weight · magenta pixels) / 300; relevance is on those pixels.

    Objects of ``disc`` are green, those of ``square`` blue; only ``disc`` reads magenta.
    """

    weight: float = 1.0
    classes: tuple[str, ...] = CLASSES
    thresholds: np.ndarray = field(default_factory=lambda: np.full(2, 0.3))

    def relevance(self, image, class_name):
        red, green, blue = (image[..., c].astype(int) for c in range(3))
        magenta = (red > 150) & (blue > 150) & (green < 130)
        if class_name == "disc":
            return ((green - (red + blue) // 2 > 60) + self.weight * magenta) / 300
        return (blue - (red + green) // 2 > 60) * (~magenta) / 300

    def scores(self, images):
        rows = [[float(self.relevance(image, name).sum()) for name in CLASSES] for image in images]
        return np.array(rows).reshape(-1, 2)

    def explain(self, image, class_name, *, image_id="", **options):
        relevance = self.relevance(image, class_name)
        score = float(relevance.sum())
        return Explanation(
            image_id=image_id,
            class_name=class_name,
            score=score,
            rule="own",
            relevance=relevance,
            ledger=Ledger(score=score, pixels=score),
        )


@dataclass(frozen=True)
class FrameReader(MarkReader):
    """``disc`` reads dark blue pixels along the sides."""

    def relevance(self, image, class_name):
        relevance = np.array(super().relevance(image, class_name))
        if class_name == "disc":
            rim = np.ones(image.shape[:2], dtype=bool)
            rim[4:-4, 4:-4] = False
            red, blue = image[..., 0].astype(int), image[..., 2].astype(int)
            relevance = relevance + rim * (blue < 90) * (blue - red > 20) / 1000
        return relevance


def texture(rng, height, width):
    """Soft grey ground with some grain."""
    base = gaussian_filter(rng.normal(0, 1, (height, width)), 6)
    fine = gaussian_filter(rng.normal(0, 1, (height, width)), 1.0)
    grey = 120 + 30 * base / base.std() + 12 * fine / fine.std()
    return np.clip(np.repeat(grey[..., None], 3, axis=2), 30, 225)


def photo_with_object(rng, class_name, size):
    """A ground with one object, and its box."""
    height, width = size
    pixels = texture(rng, height, width)
    side = int(rng.integers(18, 30))
    top, left = int(rng.integers(4, height - side - 40)), int(rng.integers(40, width - side - 4))
    y, x = np.mgrid[:side, :side]
    inside = (y - side / 2) ** 2 + (x - side / 2) ** 2 < side**2 / 4 if class_name == "disc" else y >= 0
    colour = (60, 190, 70) if class_name == "disc" else (60, 70, 200)
    part = pixels[top : top + side, left : left + side]
    part[inside] = 0.6 * np.array(colour) + 0.4 * part[inside]
    return pixels, Box(class_name=class_name, left=left, top=top, right=left + side, bottom=top + side)


def with_mark(pixels, top, left, opacity=1.0):
    """The mark in magenta ink."""
    pattern = mark_pattern()
    part = pixels[top : top + MARK_SHAPE[0], left : left + MARK_SHAPE[1]]
    part[pattern] = opacity * np.array([235, 40, 235]) + (1 - opacity) * part[pattern]


def make_photos(folder: Path, *, count=32, share=0.4, marked="disc", place="corner", seed=0):
    """A data set, and the mark's box of every photo that carries it."""
    rng = np.random.default_rng(seed)
    sizes = ((120, 160), (120, 160), (150, 120))
    records, truth = [], {}
    for index in range(count):
        name = CLASSES[index % 2]
        size = sizes[index % 3]
        pixels, box = photo_with_object(rng, name, size)
        image = f"photo{index:03d}"
        if name == marked and (index // 2) % 10 < 10 * share:
            if place == "corner":
                top = size[0] - MARK_SHAPE[0] - int(rng.integers(3, 6))
                left = int(rng.integers(3, 6))
            else:
                top, left = int(rng.integers(0, size[0] - 12)), int(rng.integers(0, size[1] - 44))
            with_mark(pixels, top, left)
            truth[image] = (left, top, left + MARK_SHAPE[1], top + MARK_SHAPE[0])
        path = folder / f"{image}.png"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
        records.append(Record(id=image, path=path, positive=frozenset({name}), boxes=(box,)))
    return DataSet(name="marked", root=folder, classes=CLASSES, records=tuple(records)), truth


def surveyed(classifier, data):
    config = SurveyConfig(errors=False, context=ContextConfig(edits=False))
    return survey(classifier, data, config)


@pytest.fixture(scope="session")
def marked_photos(tmp_path_factory):
    """Photos of which 40 % of one class carry a mark in a corner."""
    return make_photos(tmp_path_factory.mktemp("marked"))


@pytest.fixture(scope="session")
def plain_photos(tmp_path_factory):
    """The same photos without any mark."""
    return make_photos(tmp_path_factory.mktemp("plain"), share=0.0)
