from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from pfungst.audits.schema import Strategies
from pfungst.audits.strategies.finding import (
    StrategiesConfig,
    find_strategies,
    group_maps,
    normalised_map,
)
from pfungst.audits.survey import Seen, survey
from pfungst.audits.survey.maps import cell_sums
from pfungst.contract.plain import from_plain, to_plain
from pfungst.errors import ConfigError


@dataclass
class Maps:
    """What find_strategies asks of a survey: heatmaps by photo, all true positives."""

    maps: dict
    classes: tuple = ("cat", "a/b <x>")
    scores: dict | None = None

    def seen(self, class_name, *, label):
        for image in self.maps:
            score = 1.0 if self.scores is None else self.scores[image]
            yield Seen(image=image, class_name=class_name, label=label, score=score, threshold=0.0,
                       rule="own", peak=1.0, ledger={})  # fmt: skip

    def heatmap(self, image, class_name):
        return self.maps[image]


def blob(height, width, row, column, spread=0.12):
    """Relevance around a place given in shares of the photo."""
    rows, columns = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    return np.exp(-((rows[:, None] - row) ** 2 + (columns[None, :] - column) ** 2) / (2 * spread**2))


def planted(count, share, seed=0):
    """An object in the middle; in a share of the photos a mark in the corner is looked at instead."""
    rng = np.random.default_rng(seed)
    maps, truth = {}, []
    for index in range(count):
        height, width = rng.integers(90, 128, 2)
        marked = index < share * count
        place = (0.92, 0.2) if marked else rng.normal(0.5, 0.01, 2)
        values = rng.gamma(3, 1) * blob(height, width, *place)
        values += 0.3 * values.max() * rng.normal(size=(height, width))
        maps[f"p{index:03d}"] = values.astype(np.float32)
        truth.append(marked)
    return Maps(maps), np.array(truth)


def test_a_mark_in_the_corner_is_a_strategy_of_its_own(tmp_path):
    found, truth = planted(60, 0.3)
    result = find_strategies(found, "cat", out=tmp_path, prefix="m-")
    assert result.n_clusters == 2
    labels = {point.image: point.cluster for point in result.points}
    assert adjusted_rand_score(truth, [labels[image] for image in found.maps]) >= 0.95
    assert [cluster.size for cluster in result.clusters] == [42, 18]
    assert result.clusters[1].share == pytest.approx(0.3)
    assert set(result.clusters[1].exemplars) <= {f"p{i:03d}" for i in range(18)}
    assert all(cluster.blend <= 0.05 for cluster in result.clusters)
    assert result.note.startswith("2 groups, and they stand apart")
    with Image.open(tmp_path / result.clusters[1].mean_map) as picture:
        pixels = np.asarray(picture.convert("RGB"))[:240].astype(int)
    redness = pixels[..., 0] - pixels[..., 1]
    row, column = np.unravel_index(redness.argmax(), redness.shape)
    assert row > 200
    assert column < 80
    assert to_plain(from_plain(Strategies, to_plain(result))) == to_plain(result)


def test_one_way_of_looking_is_one_strategy():
    found, _ = planted(60, 0)
    result = find_strategies(found, "cat")
    assert result.n_clusters == 1
    assert result.note == "One strategy: the heatmaps do not fall into groups."
    assert np.isnan(result.clusters[0].blend)
    assert result.clusters[0].mean_map == ""
    assert result.gap == pytest.approx(result.eigenvalues[1])


def test_a_continuum_is_not_sold_as_groups():
    rng = np.random.default_rng(5)
    maps = {f"p{i}": blob(60, 60, 0.5, rng.uniform(0.1, 0.9)) for i in range(150)}
    result = find_strategies(Maps(maps), "cat")
    assert "and they stand apart" not in result.note


def test_maps_of_any_size_become_one_grid_whose_norm_is_one():
    rng = np.random.default_rng(0)
    heat = rng.normal(size=(37, 91))
    cells = cell_sums(heat, 24, 24)
    assert cells.sum() == pytest.approx(heat.sum())
    positive = np.maximum(cells, 0).ravel()
    for part, kept in (
        ("positive", positive),
        ("signed", cells.ravel()),
        ("absolute", np.abs(cells).ravel()),
    ):
        one = normalised_map(heat, StrategiesConfig(part=part))
        np.testing.assert_allclose(one, kept / np.abs(kept).sum())
        two = normalised_map(heat, StrategiesConfig(part=part, norm="l2"))
        np.testing.assert_allclose(two, kept / np.sqrt((kept**2).sum()))
    small = normalised_map(np.full((5, 7), 2.0), StrategiesConfig())
    np.testing.assert_allclose(small, np.full(576, 1 / 576))
    balanced = np.array([[1.0, -1.0], [-1.0, 1.0]])  # sums to zero
    np.testing.assert_allclose(normalised_map(balanced, StrategiesConfig(side=2, part="signed")),
                               [0.25, -0.25, -0.25, 0.25])  # fmt: skip
    tiny = np.full((4, 4), 1e-300)
    assert np.isfinite(normalised_map(tiny, StrategiesConfig(norm="l2"))).all()
    assert normalised_map(-np.ones((4, 4)), StrategiesConfig()) is None


def test_zero_maps_false_negatives_and_small_classes():
    found, _ = planted(20, 0)
    found.maps["dark"] = np.zeros((30, 30))
    result = find_strategies(found, "cat")
    assert result.n_images == 20
    assert result.note.endswith("; 1 heatmap without relevance to compare left out.")
    found.scores = dict.fromkeys(found.maps, -1.0)
    none = find_strategies(found, "cat")
    assert (none.n_images, none.n_clusters, none.clusters, none.points) == (0, 0, (), ())
    assert none.note == "0 heatmaps are too few to be divided (10 or more)."
    assert find_strategies(found, "cat", StrategiesConfig(photos="shown")).n_images == 20


def test_many_photos_are_shown_by_a_sample():
    found, _ = planted(60, 0.5)
    config = StrategiesConfig(max_points=20)
    result = find_strategies(found, "cat", config)
    assert len(result.points) == 20
    assert sum(cluster.size for cluster in result.clusters) == 60
    assert result.note.endswith("; the scatter shows a sample of 20 of 60 photos.")
    assert to_plain(result) == to_plain(find_strategies(found, "cat", config))


def test_names_in_file_names_and_wrong_settings(tmp_path):
    found, _ = planted(20, 0)
    result = find_strategies(found, "a/b <x>", out=tmp_path)
    assert result.clusters[0].mean_map == "pictures/strategies-02-a_b__x_-1.png"
    with pytest.raises(ConfigError, match=r"unknown class 'dog'.*cat, a/b <x>"):
        find_strategies(found, "dog")
    for wrong, text in (
        ({"part": "negative"}, "unknown part 'negative'. Allowed: positive, signed, absolute"),
        ({"side": 1}, "side = 1. Allowed: 2 to 128 cells"),
        ({"n_neighbours": 0}, "n_neighbours = 0"),
        ({"max_clusters": 1}, "max_clusters = 1. Allowed: 2 to 50"),
        ({"min_photos": 2}, "min_photos = 2"),
        ({"significance": 0.0}, "significance = 0.0"),
    ):
        with pytest.raises(ConfigError) as caught:
            StrategiesConfig(**wrong)
        assert text in str(caught.value)


def test_from_a_survey_with_boxes(classifier, photos):
    found = survey(classifier, photos)
    result = find_strategies(found, "red", StrategiesConfig(min_photos=3, photos="shown"))
    assert result.n_images == 4
    shares = [
        s.surroundings.outside.positive / s.surroundings.whole.positive for s in found.seen("red", label=1)
    ]
    assert result.clusters[0].share_outside == pytest.approx(np.mean(shares))


def test_thousands_of_maps_are_grouped():
    rng = np.random.default_rng(0)
    maps = np.abs(rng.normal(size=(700, 60))) * 0.2
    maps[:250, 3] += 3
    maps[250:, 9] += 3
    grouping = group_maps(maps / maps.sum(axis=1, keepdims=True), StrategiesConfig())
    assert grouping.n_clusters == 2
    assert (grouping.labels == np.repeat([1, 0], [250, 450])).all()
    assert (grouping.blend <= 0.01).all()
