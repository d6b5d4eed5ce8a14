import dataclasses
import json

import numpy as np
import pytest

from pfungst.contract.explanation import Explanation, Ledger
from pfungst.contract.look import PlainLook
from pfungst.contract.plain import from_plain, to_plain
from pfungst.errors import ConfigError, Failure
from pfungst.evaluation.classes import common_classes
from pfungst.evaluation.config import QualityConfig, RegionConfig, default_methods, default_rules
from pfungst.evaluation.quality import measure_quality, sampled
from pfungst.evaluation.replacement import ReplacementConfig
from pfungst.evaluation.rows import Quality

REPLACEMENT = ReplacementConfig(n_replaced=60, batch_size=10, repetitions=2)
REGIONS = RegionConfig(size=12, steps=4, operators=("noise", "mean"), repetitions=2)
CONFIG = QualityConfig(
    methods=("descriptors", "regions", "localisation"),
    rules=("epsilon=5", "absolute"),
    replacement=REPLACEMENT,
    regions=REGIONS,
)


class Linear:
    """f(x) = Σ w · pixels / 255 − offset over the upper left quarter of a photo, explained exactly."""

    classes = ("cat", "dog")
    thresholds = np.array([0.0, np.nan])

    def __init__(self):
        self.weight = np.zeros((72, 84))
        self.weight[:36, :42] = np.random.default_rng(0).uniform(0.1, 2.0, (36, 42)) / 1000

    def scores(self, images):
        return np.array([[self._relevance(image).sum()] * 2 for image in images])

    def _relevance(self, image):
        return self.weight * (image.mean(axis=2) / 255)

    def explain(self, image, class_name, *, image_id=""):
        relevance = self._relevance(image)
        total = float(relevance.sum())
        return Explanation(
            image_id=image_id,
            class_name=class_name,
            score=total,
            rule="exact",
            relevance=relevance,
            ledger=Ledger(score=total, pixels=total),
        )


class Corner(PlainLook):
    """Sees the upper left 60 x 60 pixels of a photo."""

    @property
    def pictures(self):
        return tuple(image[:60, :60] for image in self.images)

    def on_photo(self, relevance, *, photo=0):
        full = np.zeros(self.images[photo].shape[:2])
        full[:60, :60] = relevance
        return full


class LinearView(Linear):
    """The same, which looks at a corner of the photo; two photos at a time."""

    batch_size, has_descriptors = 2, False

    def look(self, images, *, relevance=False):
        return Corner(self, tuple(images))

    def _relevance(self, image):
        return self.weight[: image.shape[0], : image.shape[1]] * (image.mean(axis=2) / 255)

    def explain(self, image, class_name, *, image_id=""):
        found = super().explain(image, class_name, image_id=image_id)
        return dataclasses.replace(found, layers={"input": found.relevance[None, :60, :60]})


def row_of(result, **wanted):
    rows = result.find(**wanted)
    assert len(rows) == 1, (wanted, len(rows))
    return rows[0]


def test_every_table_of_a_run(fisher_model, photos):
    result = measure_quality(fisher_model, photos, CONFIG)
    assert list(result.classes) == ["cat", "dog"]
    assert result.classes["cat"].positives == 4  # the difficult one is not counted
    assert result.classes["cat"].true_positives == 4
    assert not result.failures
    row = row_of(result, method="descriptors", class_name="all", rule="epsilon=5", order="morf")
    assert (row.n_true_positives, row.n_images, row.n_traces) == (6, 5, 12)
    assert (row.steps, row.operator, len(row.drop.mean)) == (6, "mixture", 6)
    assert row.a.mean == pytest.approx(np.mean(row.drop.mean), rel=1e-5)
    assert row.aopc.mean == pytest.approx(row.a.mean * 6 / 7)
    assert row.a.low < row.a.mean < row.a.high
    assert {(r.operator, r.order, r.rule) for r in result.find(method="regions")} == {
        (operator, order, rule)
        for operator in ("noise", "mean")
        for order, rule in [("random", "-")]
        + [(order, rule) for order in ("morf", "lerf") for rule in CONFIG.rules]
    }
    mean_row = row_of(
        result, method="regions", operator="mean", class_name="cat", rule="absolute", order="morf"
    )
    assert mean_row.repetitions == (1,)  # deterministic
    places = [row for row in result.localisation if row.class_name == "cat" and row.rule == "absolute"]
    assert (places[0].n_scored, places[0].n_empty_boxes) == (3, 1)
    json.dumps(to_plain(result))


def test_one_trace_equals_a_run_by_hand(fisher_model, photos):
    """Descriptors of one photo and class replaced and scored anew, with the run's own random streams."""
    from pfungst.evaluation.orders import generator_for, perturbation_order
    from pfungst.fisher.encoding import encode, improved
    from pfungst.images.decode import decode

    data = dataclasses.replace(photos, records=photos.records[2:3])
    result = measure_quality(fisher_model, data, CONFIG)
    values = fisher_model.pipeline.describe(decode(data.records[0].path)).values
    trace = fisher_model.look([decode(data.records[0].path)]).trace()
    relevance = trace.relevance(["dog"], rule="absolute")
    order = perturbation_order(relevance[0], "morf", generator_for(0, "p2", "dog", 0, "ties"))

    def score(descriptors):
        sums = encode(descriptors, fisher_model.pipeline.mixture, dtype=np.float64).sums
        return fisher_model.machines.scores(improved(sums))[1]

    drops = []
    for repetition in range(2):
        drawn = fisher_model.pipeline.mixture.sample(60, generator_for(0, "p2", "dog", repetition, "draws"))
        for step in range(1, 7):
            changed = values.copy()
            changed[order[: 10 * step]] = drawn[: 10 * step]
            drops.append(score(values) - score(changed))
    expected = np.reshape(drops, (2, 6)).mean(axis=0)
    row = row_of(result, method="descriptors", class_name="dog", rule="absolute", order="morf")
    assert row.drop.mean == pytest.approx(expected, abs=1e-5)


def test_same_numbers_with_two_workers_and_after_a_resume(fisher_model, photos, tmp_path):
    alone = measure_quality(fisher_model, photos, CONFIG)
    together = measure_quality(fisher_model, photos, CONFIG, workers=2)
    assert json.dumps(to_plain(together)) == json.dumps(to_plain(alone))
    out = tmp_path / "run"
    complete = measure_quality(fisher_model, photos, CONFIG, out=out)
    assert json.dumps(to_plain(complete)) == json.dumps(to_plain(alone))
    records = out / "records.jsonl"
    lines = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(b"".join(lines[:3]) + lines[3][:40])  # interrupted within the third record
    seen = []
    resumed = measure_quality(
        fisher_model, photos, CONFIG, out=out, progress=lambda stage, done, total: seen.append((done, total))
    )
    assert json.dumps(to_plain(resumed)) == json.dumps(to_plain(alone))
    assert seen[0] == (2, 5)
    assert seen[-1] == (5, 5)
    assert sorted(records.read_bytes().splitlines()) == sorted(line.strip() for line in lines)


def test_a_changed_configuration_is_refused(fisher_model, photos, tmp_path):
    data = dataclasses.replace(photos, records=photos.records[:1])
    small = dataclasses.replace(CONFIG, methods=("localisation",))
    measure_quality(fisher_model, data, small, out=tmp_path / "run")
    changed = dataclasses.replace(small, random_state=1)
    with pytest.raises(ConfigError, match=r"config\.random_state was 0, is now 1"):
        measure_quality(fisher_model, data, changed, out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"model\.sha was null, is now"):
        measure_quality(fisher_model, data, small, out=tmp_path / "run", identity={"sha": "x"})


def test_exact_relevance_beats_the_random_order(photos):
    """f is the sum of its relevance: replacing what counts lowers it more than anything else does."""
    config = QualityConfig(
        methods=("regions", "localisation"),
        rules=("default",),
        regions=RegionConfig(size=12, steps=5, operators=("mean",), repetitions=40),
    )
    for classifier in (Linear(), LinearView()):
        result = measure_quality(classifier, photos, config, classes=["cat"])
        a = {row.order: row.a.mean for row in result.find(class_name="all")}
        assert a["morf"] > max(a["random"], a["lerf"])
        gap = result.between[0].a_over_random
        assert gap.low > 0
        assert gap.mean == pytest.approx(a["morf"] - a["random"])
        assert result.between[0].abpc.mean == pytest.approx((a["morf"] - a["lerf"]) * 5 / 6)
        assert result.localisation[0].mass.mean > result.localisation[0].area.mean


def test_unequal_steps_are_not_averaged(photos):
    config = QualityConfig(
        methods=("regions",), rules=("default",), regions=RegionConfig(size=12, steps=30, operators=("mean",))
    )
    from PIL import Image

    record = photos.records[0]
    Image.fromarray(np.full((72, 60, 3), 90, np.uint8)).save(record.path)  # fewer regions than 30? 6 x 5

    class Cropped(Linear):
        def _relevance(self, image):
            return self.weight[: image.shape[0], : image.shape[1]] * (image.mean(axis=2) / 255)

    wide = dataclasses.replace(config, regions=dataclasses.replace(config.regions, steps=35))
    result = measure_quality(Cropped(), photos, wide, classes=["cat"])
    rows = result.find(class_name="cat", order="morf")
    assert sorted((row.steps, row.n_true_positives) for row in rows) == [(30, 1), (35, 3)]
    assert [len(row.drop.mean) for row in rows] == [row.steps for row in rows]


def test_classes_without_true_positives_are_listed(photos):
    class Never(Linear):
        thresholds = np.array([99.0, np.nan])

    config = QualityConfig(methods=("regions",), rules=("default",), regions=REGIONS)
    result = measure_quality(Never(), photos, config)
    assert result.classes["cat"].note == "no true positives: nothing was measured"
    assert "no decision threshold" in result.classes["dog"].note
    assert result.curves == ()
    only_cats = dataclasses.replace(photos, records=photos.records[:1])
    assert measure_quality(Never(), only_cats, config).classes["dog"].note == "no photo shows this class"


def test_a_broken_photo_is_listed_and_the_run_goes_on(photos, tmp_path):
    photos.records[0].path.write_bytes(b"no photo")
    config = QualityConfig(methods=("localisation",), rules=("default",))
    result = measure_quality(Linear(), photos, config, classes=["cat"], out=tmp_path / "run")
    assert [failure.item for failure in result.failures] == ["p0"]
    assert "p0.png" in result.failures[0].reason
    assert result.classes["cat"].positives == 3


def test_a_users_attributions_are_ranked_beside_the_rules(photos):
    config = QualityConfig(methods=("regions", "localisation"), rules=("default",), regions=REGIONS)
    wrong = measure_quality(
        Linear(),
        photos,
        config,
        classes=["cat"],
        attributions={"upside down": lambda image, _class, _id: -Linear()._relevance(image)},
    )
    key = {"class_name": "cat", "operator": "mean"}
    assert (
        row_of(wrong, **key, rule="upside down", order="morf").a
        == row_of(wrong, **key, rule="default", order="lerf").a
    )
    zero = [row for row in wrong.localisation if row.rule == "upside down" and row.class_name == "cat"]
    assert zero[0].n_zero_maps == 3
    assert zero[0].mass.mean == 0.0


def test_a_map_of_the_photo_cannot_rank_regions_of_the_view(photos):
    config = QualityConfig(methods=("regions",), rules=(), regions=REGIONS)
    with pytest.raises(ConfigError, match=r"'mine' is a map of the photo.*\(60, 60\)"):
        measure_quality(
            LinearView(), photos, config, attributions={"mine": lambda image, *_: np.ones(image.shape[:2])}
        )


def test_what_cannot_be_measured_is_refused(fisher_model, photos):
    with pytest.raises(ConfigError, match="without local descriptors"):
        measure_quality(Linear(), photos, QualityConfig(rules=("default",)))
    with pytest.raises(ConfigError, match="rank no descriptors"):
        measure_quality(fisher_model, photos, QualityConfig(), attributions={"a": lambda *_: np.ones(1)})
    with pytest.raises(ConfigError, match="no rule and no attribution"):
        measure_quality(Linear(), photos, QualityConfig(methods=("regions",), rules=()))
    with pytest.raises(ConfigError, match="unknown rule 'best'"):
        measure_quality(fisher_model, photos, QualityConfig(rules=("best",)))
    with pytest.raises(ConfigError, match="class 'owl' is not known to both"):
        common_classes(fisher_model, photos, ["owl"])
    with pytest.raises(ConfigError, match="max_images = 0"):
        sampled(photos, ["cat"], 0, 0)
    with pytest.raises(ConfigError, match="unknown method 'pixels'"):
        QualityConfig(methods=("pixels",))
    with pytest.raises(ConfigError, match="rules naive, naive with a repetition"):
        QualityConfig(rules=("naive", "naive"))
    with pytest.raises(ConfigError, match="regions of 0 pixels"):
        RegionConfig(size=0)


def test_samples_of_photos_are_seeded(photos):
    first = sampled(photos, ["cat"], 2, 0)
    assert first == sampled(photos, ["cat"], 2, 0)
    assert len({sampled(photos, ["cat"], 2, seed) for seed in range(12)}) > 1
    assert [record.id for record in sampled(photos, ["dog"], None, 0)] == ["p1", "p2"]


def test_defaults_fit_the_classifier(fisher_model):
    assert default_methods(fisher_model, with_boxes=True) == ("descriptors", "localisation")
    assert default_methods(Linear(), with_boxes=False) == ("regions",)
    assert default_rules(fisher_model)[3] == "epsilon=100"
    assert default_rules(Linear()) == ("default",)


def test_a_trace_without_a_number_is_the_photos_failure(photos):
    """Nothing is left to describe after some step: the photo is named, the others are measured."""

    class Blind(Linear):
        def scores(self, images):
            found = super().scores(images)
            edited = [not any(np.array_equal(image, whole) for whole in wholes) for image in images]
            found[np.array(edited) & (np.array([image[-1, -1, 0] for image in images]) == corner)] = np.nan
            return found

    from pfungst.images.decode import decode

    wholes = [decode(record.path) for record in photos]
    corner = wholes[0][-1, -1, 0]
    config = QualityConfig(methods=("regions",), rules=("default",), regions=REGIONS)
    result = measure_quality(Blind(), photos, config, classes=["cat"])
    assert "p0" in [failure.item for failure in result.failures]
    assert "p0: f(x) is not a number after step 1, method regions" in result.failures[0].reason
    assert result.curves


def test_what_was_written_is_read_again(fisher_model, photos):
    result = measure_quality(fisher_model, photos, CONFIG)
    plain = json.loads(json.dumps(to_plain(result)))
    assert to_plain(from_plain(Quality, plain)) == plain
    former = {**plain, "failed": [{"image": "p9", "reason": "gone"}]}
    del former["failures"]
    assert from_plain(Quality, former).failures == (Failure("p9", "gone"),)
    plain["curves"][0]["drop"]["low"].pop()
    with pytest.raises(ValueError, match=r"curves\[0\] is not possible: traces of 6 steps with 6, 5, 6, 6"):
        from_plain(Quality, plain)
