"""From photos to scores and heatmaps: training, equivalence of the two kernels, storage, failures."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from pfungst.contract import Classifier
from pfungst.contract.ranking import equal_error_threshold
from pfungst.descriptors import SiftConfig
from pfungst.errors import ConfigError, DataError, ModelError
from pfungst.fisher import FisherClassifier, FisherTraining, hellinger_kernel, improved, train_fisher
from pfungst.fisher.gathering import opened_gathering, sample_descriptors
from pfungst.fisher.svm import gram_matrix, train_machines
from pfungst.images import DataSet, Record, decode
from pfungst.models import load

SMALL = FisherTraining(
    n_components=4,
    dims=12,
    descriptor=SiftConfig(step=5),
    n_sampled=3000,
    mixture_iterations=10,
    c_values=(1.0, 10.0),
)


def texture(kind, generator, height=60, width=72):
    """Stripes, blobs, or both side by side: what the classes are made of."""
    rows, columns = np.mgrid[:height, :width]
    angle = generator.uniform(0, 0.4)
    stripes = np.sin((columns * np.cos(angle) + rows * np.sin(angle)) * generator.uniform(0.7, 0.9))
    blobs = 6 * gaussian_filter(generator.normal(size=(height, width)), 3)
    halves = {"stripes": stripes, "blobs": blobs, "both": np.where(columns < width / 2, stripes, blobs)}
    noisy = 128 + 50 * halves[kind] + generator.normal(size=(height, width)) * 4
    return np.repeat(np.uint8(np.clip(noisy, 0, 255))[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("textures")
    generator = np.random.default_rng(0)
    records = []
    for position in range(36):
        kind = ("stripes", "blobs", "both")[position % 3]
        path = folder / f"{position:02d}.png"
        Image.fromarray(texture(kind, generator)).save(path)
        positive = frozenset(("stripes", "blobs") if kind == "both" else (kind,))
        records.append(Record(id=path.stem, path=path, positive=positive))
    whole = DataSet(name="textures", root=folder, classes=("stripes", "blobs"), records=tuple(records))
    return whole.with_random_splits({"train": 0.5, "val": 0.5})


@pytest.fixture(scope="module")
def trained(dataset):
    return train_fisher(dataset.split("train"), dataset.split("val"), SMALL)


def test_it_learns_and_keeps_the_contract(trained, dataset):
    classifier = trained.classifier
    assert isinstance(classifier, Classifier)
    assert classifier.classes == ("stripes", "blobs")
    assert set(trained.validation) == {1.0, 10.0}
    assert max(trained.validation.values()) > 0.9
    generator = np.random.default_rng(99)
    fresh = [texture(kind, generator) for kind in ("stripes", "blobs", "both", "stripes", "blobs")]
    scores = classifier.scores(iter(fresh))
    assert scores.shape == (5, 2)
    assert scores[[0, 3], 0].min() > scores[[1, 4], 0].max()
    np.testing.assert_array_equal(classifier.predict(fresh), scores > classifier.thresholds)
    np.testing.assert_allclose(classifier.scores(fresh[1:2])[0], scores[1], rtol=1e-12)


def test_thresholds_are_the_equal_error_rate_of_machines_that_never_saw_validation(trained, dataset):
    train, val = dataset.split("train"), dataset.split("val")
    pipeline = trained.classifier.pipeline
    seen = np.array([pipeline.vector(decode(record.path)) for record in train])
    unseen = np.array([pipeline.vector(decode(record.path)) for record in val])
    machines = train_machines(gram_matrix(seen), train.labels(), trained.c, train.classes)
    scores = machines.scores(unseen.astype(np.float64) @ seen.T)
    expected = [equal_error_threshold(val.labels()[:, c], scores[:, c]) for c in range(2)]
    np.testing.assert_allclose(trained.classifier.thresholds, expected, atol=1e-4)


def test_linear_machine_on_improved_vectors_is_the_hellinger_machine_on_raw_ones(trained, dataset):
    from sklearn.svm import SVC

    pipeline = trained.classifier.pipeline
    raw = np.array([pipeline.encode(pipeline.describe(decode(r.path))).raw for r in dataset.records])
    labels = dataset.labels()[:, 0]
    train, test = np.arange(0, 24), np.arange(24, 36)
    linear = SVC(C=5.0, kernel="linear", tol=1e-8).fit(improved(raw)[train], labels[train])
    hellinger = SVC(C=5.0, kernel=hellinger_kernel, tol=1e-8).fit(raw[train], labels[train])
    ours = train_machines(gram_matrix(improved(raw[train])), labels[train, None], 5.0, ("stripes",))
    expected = linear.decision_function(improved(raw)[test])
    np.testing.assert_allclose(hellinger.decision_function(raw[test]), expected, atol=1e-6)
    dual = ours.scores(hellinger_kernel(raw[test], raw[train]))[:, 0]
    np.testing.assert_allclose(dual, expected, atol=3e-3)  # default tolerance of the machine
    primal = improved(raw[test]) @ ours.primal(improved(raw[train])).T[:, 0] + ours.bias
    np.testing.assert_allclose(primal, dual, atol=1e-9)


def test_difficult_images_do_not_touch_their_class(dataset):
    generator = np.random.default_rng(0)
    vectors = improved(generator.normal(size=(12, 30)))
    labels = np.where(generator.random((12, 2)) < 0.5, 1, -1).astype(np.int8)
    labels[3] = (0, 1)
    changed = vectors.copy()
    changed[3] = improved(generator.normal(size=30))
    before = train_machines(gram_matrix(vectors), labels, 1.0, ("a", "b"))
    after = train_machines(gram_matrix(changed), labels, 1.0, ("a", "b"))
    assert before.dual_coefficients[0, 3] == 0
    np.testing.assert_array_equal(before.dual_coefficients[0], after.dual_coefficients[0])
    assert not np.array_equal(before.dual_coefficients[1], after.dual_coefficients[1])


@pytest.mark.parametrize("rule", ["naive", "epsilon", "epsilon=0.38*sqrt(L)", "epsilon=5,spread", "absolute"])
def test_explanations_account_for_the_score(trained, rule):
    image = texture("both", np.random.default_rng(5))
    classifier = trained.classifier
    scores = classifier.scores([image])[0]
    for column, explanation in enumerate(
        classifier.look([image]).explain([classifier.classes], rule=rule, image_ids=["x"], layers=True)[0]
    ):
        assert explanation.relevance.shape == image.shape[:2]
        assert explanation.score == pytest.approx(scores[column], rel=1e-5)
        ledger = explanation.ledger
        assert ledger.pixels == pytest.approx(explanation.relevance.sum(), rel=1e-9)
        assert abs(ledger.residual) < 1e-5 * abs(explanation.score)
        layers = explanation.layers
        assert layers["dimensions"].sum() == pytest.approx(explanation.score, rel=1e-9)
        assert layers["descriptors"].sum() == pytest.approx(ledger.pixels, rel=1e-6)
        if rule in ("naive", "absolute", "epsilon=5,spread"):
            assert ledger.pixels == pytest.approx(explanation.score, rel=1e-5)


@pytest.mark.parametrize("rule", ["naive", "epsilon=5", "epsilon=5,spread", "absolute"])
def test_a_separate_bias_stands_in_the_ledger(trained, rule):
    """Against float64 sums written out: Σ R_d = wᵀΦ(x), and b is told apart."""
    image, classifier = texture("both", np.random.default_rng(5)), trained.classifier
    phi = improved(classifier.pipeline.encode(classifier.pipeline.describe(image), dtype=np.float64).sums)
    look = classifier.look([image])
    explained = look.explain([classifier.classes], rule=f"{rule},separate", layers=True)[0]
    for column, explanation in enumerate(explained):
        weights, bias = classifier.weights[column].astype(np.float64), classifier.bias[column]
        np.testing.assert_allclose(explanation.layers["dimensions"], weights * phi, atol=1e-6)
        assert explanation.rule == f"{rule},separate"
        assert explanation.score == pytest.approx(weights @ phi + bias, abs=1e-5)
        assert explanation.ledger.taken["bias"] == bias
        assert abs(explanation.ledger.residual) < 1e-5
    usual = look.explain([classifier.classes], rule=rule)[0]
    assert all(item.ledger.taken["bias"] == 0 for item in usual)
    assert not np.allclose(usual[0].relevance, explained[0].relevance)
    other = look.trace().relevance(classifier.classes, rule=f"{rule},separate")
    np.testing.assert_allclose(other[0], explained[0].layers["descriptors"], atol=1e-5)


def test_heatmaps_find_the_half_that_shows_the_class(trained):
    image = texture("both", np.random.default_rng(6))
    look = trained.classifier.look([image])
    ((stripes, blobs),) = look.explain([("stripes", "blobs")], rule="epsilon", epsilon=5.0)
    left, right = slice(0, 30), slice(42, 72)
    assert stripes.relevance[:, left].sum() > stripes.relevance[:, right].sum()
    assert blobs.relevance[:, right].sum() > blobs.relevance[:, left].sum()


def test_save_and_load(trained, tmp_path):
    path = trained.classifier.save(tmp_path / "model")
    loaded = load(path)
    assert isinstance(loaded, FisherClassifier)
    image = texture("both", np.random.default_rng(7))
    np.testing.assert_array_equal(loaded.scores([image]), trained.classifier.scores([image]))
    np.testing.assert_array_equal(loaded.thresholds, trained.classifier.thresholds)
    assert loaded.training["c"] == trained.c
    assert loaded.pipeline.descriptor == SMALL.descriptor
    assert loaded.pipeline.mixture.history == trained.classifier.pipeline.mixture.history


def test_inconsistent_model_folder(trained, tmp_path):
    path = trained.classifier.save(tmp_path / "model")
    description = json.loads((path / "model.json").read_text())
    for change in (
        {"classes": ["stripes"]},
        {"descriptor": {"name": "sift", "unknown": 1}},
        {"descriptor": {"name": "sift", "bin_sizes": 4}},
        {"descriptor": ["sift"]},
        {"classes": None},
    ):
        broken = description | {"config": description["config"] | change}
        (path / "model.json").write_text(json.dumps(broken))
        with pytest.raises(ModelError, match="is not a consistent Fisher-vector model"):
            FisherClassifier.load(path)


def test_a_folder_from_before_there_were_several_descriptors(trained, tmp_path):
    path = trained.classifier.save(tmp_path / "model")
    description = json.loads((path / "model.json").read_text())
    settings = description["config"].pop("descriptor")
    assert settings.pop("name") == "sift"
    description["config"]["sift"] = settings
    (path / "model.json").write_text(json.dumps(description))
    assert FisherClassifier.load(path).pipeline.descriptor == SMALL.descriptor


def test_a_folder_with_a_descriptor_that_nobody_registered(trained, tmp_path):
    path = trained.classifier.save(tmp_path / "model")
    text = (path / "model.json").read_text()
    (path / "model.json").write_text(text.replace('"name": "sift"', '"name": "gist"'))
    with pytest.raises(
        ModelError, match=r"unknown descriptor 'gist'. Allowed: colour, sift.*importing the module"
    ):
        FisherClassifier.load(path)


def test_same_classifier_with_one_or_two_workers(trained, dataset):
    again = train_fisher(dataset.split("train"), dataset.split("val"), SMALL, workers=2)
    np.testing.assert_array_equal(again.classifier.weights, trained.classifier.weights)
    np.testing.assert_array_equal(again.classifier.thresholds, trained.classifier.thresholds)


def test_the_sample_depends_on_the_seed_and_is_bounded(dataset, tmp_path):
    def drawn(**changes):
        config = replace(SMALL, n_sampled=500, **changes)
        with opened_gathering(None, 1) as gathering:
            rows, failed = sample_descriptors(dataset, config, gathering=gathering)
            return np.array(rows), failed

    sample, failures = drawn()
    assert sample.shape == (500, 128)
    assert not failures
    again, _ = drawn()
    other, _ = drawn(random_state=1)
    np.testing.assert_array_equal(sample, again)
    assert not np.array_equal(sample, other)


def test_bad_photos_are_left_out_and_listed(dataset, tmp_path, trained):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    tiny = tmp_path / "tiny.png"
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(tiny)
    train = dataset.split("train")
    extra = tuple(Record(id=path.stem, path=path, positive=frozenset({"blobs"})) for path in (broken, tiny))
    with_bad = DataSet(name="bad", root=train.root, classes=train.classes, records=extra + train.records)
    result = train_fisher(with_bad, dataset.split("val"), SMALL)
    messages = [str(error) for error in result.failures]
    assert len(messages) == 2
    assert any("broken.png" in message for message in messages)
    assert any("tiny.png" in message and "1 x 1 pixels is too small" in message for message in messages)
    assert result.classifier.training["train"]["images"] == len(train)


def test_a_class_with_one_example_is_refused_before_any_work(dataset):
    train = dataset.split("train")
    one, *others = train.records
    rest = [replace(r, positive=r.positive - {"blobs"}) for r in others]
    one = replace(one, positive=frozenset({"blobs"}))
    few = DataSet(name="few", root=train.root, classes=train.classes, records=(one, *rest))
    with pytest.raises(
        DataError, match=r"class 'blobs' has 1 positive and \d+ negative.*--classes without it"
    ):
        train_fisher(few, dataset.split("val"), SMALL)


def test_other_refusals(trained, tmp_path):
    image = texture("both", np.random.default_rng(7))
    with pytest.raises(ConfigError, match=r"unknown class 'dots'.*stripes, blobs"):
        trained.classifier.explain(image, "dots")
    with pytest.raises(ConfigError, match="c_values"):
        FisherTraining(c_values=())
    with pytest.raises(ConfigError, match="classifier weights of shape"):
        FisherClassifier(trained.classifier.pipeline, ("a",), np.ones((2, 3)), np.ones(2))
    with pytest.raises(ModelError, match="no such model folder"):
        load(tmp_path / "nothing")


def test_a_validation_split_without_positives_gives_no_ap_and_thresholds_of_zero(dataset, tmp_path):
    val = dataset.split("val")
    empty = replace(val, records=tuple(replace(record, positive=frozenset()) for record in val))
    result = train_fisher(dataset.split("train"), empty, SMALL)
    assert result.validation == {1.0: None, 10.0: None}
    np.testing.assert_array_equal(result.classifier.thresholds, [0.0, 0.0])
    loaded = load(result.classifier.save(tmp_path / "model"))
    assert loaded.training["validation_map"] == {"1": None, "10": None}


def test_a_training_goes_on_where_it_was_interrupted(dataset, trained, tmp_path, monkeypatch):
    train, val = dataset.split("train"), dataset.split("val")
    stages = []

    def interrupting(stage, done, total, /):
        stages.append((stage, done))
        if (stage, done) == ("Fisher vectors", 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_fisher(train, val, SMALL, out=tmp_path / "work", progress=interrupting)
    stages.clear()
    again = train_fisher(train, val, SMALL, out=tmp_path / "work", progress=lambda *s: stages.append(s[:2]))
    assert [done for stage, done in stages if stage == "descriptor sample"] == [len(train)]
    assert min(done for stage, done in stages if stage == "Fisher vectors") >= 2
    np.testing.assert_array_equal(again.classifier.weights, trained.classifier.weights)
    with pytest.raises(ConfigError, match="random_state was"):
        train_fisher(train, val, replace(SMALL, random_state=9), out=tmp_path / "work")


def test_a_photo_may_be_in_both_splits(dataset):
    train = dataset.split("train")
    assert train_fisher(train, train, SMALL).c in SMALL.c_values
