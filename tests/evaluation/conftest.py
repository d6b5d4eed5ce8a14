"""Small classifiers and data sets, made from a seed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pfungst.contract.look import Looking, PlainLook, PlainLooking, edited_photos
from pfungst.descriptors import SiftConfig, dense_sift, fit_pca
from pfungst.fisher.classifier import FisherClassifier, FisherPipeline
from pfungst.images.dataset import DataSet, Record
from pfungst.images.rectangles import Box
from pfungst.mixture import MixtureConfig, fit_mixture

HEIGHT, WIDTH = 72, 84
SIFT = SiftConfig(step=4, bin_sizes=(4, 6))


class Traced(PlainLook):
    """A look whose trace is the classifier's tracer."""

    def trace(self, *, photo=0):
        return self._classifier.descriptor_tracer(self.images[photo])


class Viewed(PlainLook):
    """A look at the view that a network is shown."""

    @property
    def pictures(self):
        return tuple(self._classifier.input_view(image) for image in self.images)

    @property
    def picture_scores(self):
        return self._classifier.view_scores(np.stack(self.pictures))

    def after(self, chains, *, in_picture=False):
        assert in_picture
        return [
            [self._classifier.view_scores(np.stack(list(edited_photos(picture, chain)))) for chain in group]
            for picture, group in zip(self.pictures, chains, strict=True)
        ]

    def on_photo(self, relevance, *, photo=0):
        return self._classifier.view_to_image(relevance, self.images[photo].shape[:2])


class LookedAt(PlainLooking):
    """A classifier with a look of the given kind; everything else is the classifier's own."""

    def __init__(self, classifier, kind):
        super().__init__(classifier)
        object.__setattr__(self, "kind", kind)

    @property
    def has_descriptors(self):
        return self.kind is Traced

    def look(self, images, *, relevance=False):
        return self.kind(self.classifier, tuple(images))

    def __getattr__(self, name):
        if name.startswith("__") or name in {"classifier", "kind"}:
            raise AttributeError(name)
        return getattr(self.classifier, name)


def with_looks(model):
    """The model if it offers looks itself, else with looks made of its parts."""
    if isinstance(model, Looking):
        return model
    return LookedAt(model, Traced if hasattr(model, "descriptor_tracer") else Viewed)


def photo(seed):
    """Smooth random blobs: textured enough for descriptors."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 14, 3), dtype=np.uint8))
    grain = rng.integers(0, 40, (HEIGHT, WIDTH, 3))
    return np.clip(np.asarray(coarse.resize((WIDTH, HEIGHT))) * 0.8 + grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def looked():
    return with_looks


@pytest.fixture(scope="session")
def fisher_model():
    """A Fisher-vector classifier of two classes with random weights."""
    values = [dense_sift(photo(seed), SIFT).values for seed in range(4)]
    pca = fit_pca(np.concatenate(values), 8)
    sample = np.concatenate([pca.transform(part) for part in values])
    mixture = fit_mixture(sample, MixtureConfig(n_components=6, init="random", max_iter=8))
    pipeline = FisherPipeline(descriptor=SIFT, pca=pca, mixture=mixture)
    weights = np.random.default_rng(8).normal(0, 0.5, (2, pipeline.n_dimensions))
    model = FisherClassifier(
        pipeline, ("cat", "dog"), weights, np.zeros(2), thresholds=np.array([-9.0, -9.0])
    )
    return with_looks(model)


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
