"""A descriptor of a user's own, registered from outside: local binary patterns by scikit-image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from skimage.feature import local_binary_pattern

from pfungst.contract.look import Edit, edited_photos
from pfungst.descriptors import Descriptor, Descriptors, register_descriptor
from pfungst.errors import ConfigError
from pfungst.fisher import FisherClassifier, FisherTraining, train_fisher
from pfungst.images import DataSet, Record
from pfungst.models import load


@register_descriptor
@dataclass(frozen=True, kw_only=True)
class LocalBinaryPatterns(Descriptor):
    """Histograms of uniform patterns over squares (Ojala, Pietikäinen, Mäenpää 2002)."""

    name = "test-lbp"
    side: int = 12
    points: int = 8

    def __post_init__(self):
        if self.points < 4:
            raise ConfigError(f"points = {self.points}", allowed="4 or more")

    @property
    def size(self):
        return self.points + 2

    def describe(self, image):
        grey = np.uint8(np.rint(image @ [0.299, 0.587, 0.114]))
        codes = local_binary_pattern(grey, self.points, 1, "uniform").astype(int)
        places = [
            (top, left)
            for top in range(0, image.shape[0] - self.side + 1, self.side // 2)
            for left in range(0, image.shape[1] - self.side + 1, self.side // 2)
        ]
        squares = [codes[top : top + self.side, left : left + self.side] for top, left in places]
        counts = [np.bincount(square.ravel(), minlength=self.size) for square in squares]
        areas = [(left, top, left + self.side, top + self.side) for top, left in places]
        return Descriptors(
            values=np.sqrt(np.float32(counts) / self.side**2),
            areas=np.int32(areas),
            shape=image.shape[:2],
        )


def photo(kind, generator):
    """Fine noise, or noise of blocks of 3 x 3 pixels; in the left half, the right one is grey."""
    noise = generator.integers(0, 256, (48, 66, 1), dtype=np.uint8)
    if kind == "coarse":
        noise = noise[::3, ::3].repeat(3, axis=0).repeat(3, axis=1)
    noise[:, 33:] = 128 + generator.integers(0, 2, (48, 33, 1))
    return noise.repeat(3, axis=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    records = []
    for number in range(24):
        kind = ("fine", "coarse")[number % 2]
        path = folder / f"{number}.png"
        Image.fromarray(photo(kind, generator)).save(path)
        records.append(Record(id=path.stem, path=path, positive=frozenset({kind})))
    whole = DataSet(name="noise", root=folder, classes=("fine", "coarse"), records=tuple(records))
    return whole.with_random_splits({"train": 0.5, "val": 0.5})


@pytest.fixture(scope="module")
def model(data):
    config = FisherTraining(
        n_components=3, dims=6, descriptor=LocalBinaryPatterns(), n_sampled=400, c_values=(1.0,)
    )
    return train_fisher(data.split("train"), data.split("val"), config).classifier


def test_it_is_trained_and_explained_in_its_own_receptive_fields(model):
    image = photo("fine", np.random.default_rng(7))
    look = model.look([image])
    assert look.scores[0, 0] > look.scores[0, 1]
    for rule in ("naive", "epsilon=0.38*sqrt(L)", "absolute"):
        explanation = look.explain([["fine"]], rule=rule, layers=True)[0][0]
        assert abs(explanation.ledger.residual) < 1e-5
        areas, relevance = explanation.layers["areas"], explanation.layers["descriptors"]
        by_hand = np.zeros(image.shape[:2])
        for (left, top, right, bottom), amount in zip(areas, relevance, strict=True):
            by_hand[top:bottom, left:right] += amount / 144
        np.testing.assert_allclose(explanation.relevance, by_hand, atol=1e-12)
        left, right = explanation.relevance[:, :30].sum(), explanation.relevance[:, 36:].sum()
        assert left > right


def test_edits_and_replacement(model):
    image = photo("fine", np.random.default_rng(8))
    steps = [[Edit(top=5, left=4, pixels=np.zeros((20, 20, 3), np.uint8))]]
    look = model.look([image])
    np.testing.assert_allclose(
        look.after([[steps]])[0][0], model.scores(edited_photos(image, steps)), atol=1e-12
    )
    trace = look.trace()
    scores = trace.replace(np.arange(20), [trace.draw(2, 10, 0)])
    assert scores.shape == (1, 2, 2)


def test_it_is_stored_by_name_and_settings(model, tmp_path):
    loaded = load(model.save(tmp_path / "m"))
    assert isinstance(loaded, FisherClassifier)
    assert loaded.pipeline.descriptor == LocalBinaryPatterns()
    image = photo("coarse", np.random.default_rng(9))
    np.testing.assert_array_equal(loaded.scores([image]), model.scores([image]))


def test_it_goes_to_worker_processes(model, data):
    config = FisherTraining(
        n_components=3, dims=6, descriptor=LocalBinaryPatterns(), n_sampled=400, c_values=(1.0,)
    )
    same = train_fisher(data.split("train"), data.split("val"), config, workers=2).classifier
    np.testing.assert_array_equal(same.weights, model.weights)
