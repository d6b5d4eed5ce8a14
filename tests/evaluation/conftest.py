"""Small classifiers and data sets, made from a seed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pfungst.descriptors import SiftConfig, dense_sift, fit_pca
from pfungst.fisher.classifier import FisherClassifier, FisherPipeline
from pfungst.images.dataset import DataSet, Record
from pfungst.images.rectangles import Box
from pfungst.mixture import MixtureConfig, fit_mixture

HEIGHT, WIDTH = 72, 84
SIFT = SiftConfig(step=4, bin_sizes=(4, 6))


def photo(seed):
    """Smooth random blobs: textured enough for descriptors."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 14, 3), dtype=np.uint8))
    grain = rng.integers(0, 40, (HEIGHT, WIDTH, 3))
    return np.clip(np.asarray(coarse.resize((WIDTH, HEIGHT))) * 0.8 + grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def fisher_model():
    """A Fisher-vector classifier of two classes with random weights."""
    values = [dense_sift(photo(seed), SIFT).values for seed in range(4)]
    pca = fit_pca(np.concatenate(values), 8)
    sample = np.concatenate([pca.transform(part) for part in values])
    mixture = fit_mixture(sample, MixtureConfig(n_components=6, init="random", max_iter=8))
    pipeline = FisherPipeline(descriptor=SIFT, pca=pca, mixture=mixture)
    weights = np.random.default_rng(8).normal(0, 0.5, (2, pipeline.n_dimensions))
    return FisherClassifier(pipeline, ("cat", "dog"), weights, np.zeros(2), thresholds=np.array([-9.0, -9.0]))


@pytest.fixture
def photos(tmp_path):
    """Six photos: four cats (one with a dog), one dog, one difficult cat; boxes on all but one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    shown = [{"cat"}, {"cat", "dog"}, {"dog"}, {"cat"}, set(), {"cat"}]
    records = []
    for index, names in enumerate(shown):
        path = folder / f"p{index}.png"
        Image.fromarray(photo(20 + index)).save(path)
        boxes = [Box(class_name=name, left=5, top=5, right=40, bottom=50) for name in sorted(names)]
        records.append(
            Record(
                id=f"p{index}",
                path=path,
                positive=frozenset(names),
                difficult=frozenset({"cat"}) if index == 4 else frozenset(),
                boxes=() if index == 3 else tuple(boxes),
            )
        )
    return DataSet(name="six", root=folder, classes=("dog", "cat", "owl"), records=tuple(records))
