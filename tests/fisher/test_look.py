"""One look at a photo: it is described once; edits, explanations and traces are those of the whole photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pfungst.contract.look import Edit, Looking, edited_photos, looking
from pfungst.descriptors import ColourConfig, Descriptor, Descriptors, SiftConfig, fit_pca
from pfungst.errors import ConfigError, PfungstError
from pfungst.fisher import FisherClassifier, FisherPipeline
from pfungst.fisher import edits as edits_module
from pfungst.fisher.replacement import FisherTracer
from pfungst.mixture import MixtureConfig, fit_mixture

SIFT = SiftConfig(step=3, bin_sizes=(4, 6), contrast_threshold=0.02)
COLOUR = ColourConfig(step=4, bin_sizes=(4, 5))  # components of one colour: float32 is good for 1e-4
HEIGHT, WIDTH = 83, 97


def photo(seed=0):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    picture[30:60, 20:60] = 128  # a flat place: no descriptors until an edit adds contrast
    return picture


def random_edits(steps=6, per_step=2, seed=1):
    rng = np.random.default_rng(seed)
    chain = []
    for _ in range(steps):
        places = [(rng.integers(0, HEIGHT - 9), rng.integers(0, WIDTH - 7)) for _ in range(per_step)]
        chain.append(
            [
                Edit(top=int(top), left=int(left), pixels=rng.integers(0, 256, (9, 7, 3), dtype=np.uint8))
                for top, left in places
            ]
        )
    corners = [(0, 0), (0, WIDTH - 7), (HEIGHT - 9, 0), (HEIGHT - 9, WIDTH - 7)]
    flat = np.full((9, 7, 3), 40, np.uint8)
    chain.append([Edit(top=top, left=left, pixels=flat) for top, left in corners])
    middle = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    chain.append([Edit(top=40, left=35, pixels=middle)])
    return chain


def half(seed=5):
    """An edit that most descriptors see."""
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, 60, 3), dtype=np.uint8)
    return [Edit(top=0, left=20, pixels=pixels)]


BLANK = [Edit(top=0, left=0, pixels=np.full((HEIGHT, WIDTH, 3), 77, np.uint8))]


def classifier(descriptor):
    values = np.concatenate([descriptor.describe(photo(seed)).values for seed in range(3)])
    pca = fit_pca(values, 10)
    mixture = fit_mixture(pca.transform(values), MixtureConfig(n_components=8, init="random", max_iter=6))
    pipeline = FisherPipeline(descriptor=descriptor, pca=pca, mixture=mixture)
    weights = np.random.default_rng(2).normal(0, 0.5, (2, pipeline.n_dimensions))
    return FisherClassifier(pipeline, ("cat", "dog"), weights, np.array([0.1, -0.3]))


@dataclass(frozen=True)
class WholePhoto(Descriptor):
    """A kind that can only describe whole photos."""

    name = "whole"

    @property
    def size(self):
        return SIFT.size

    def describe(self, image):
        found = SIFT.describe(image)
        return Descriptors(values=found.values, areas=found.areas, shape=found.shape)


@pytest.fixture(scope="module")
def model():
    return classifier(SIFT)


@pytest.fixture
def counted(model, monkeypatch):
    """How often photos were described as wholes, and areas of them taken again."""
    counts = {"whole": 0, "again": 0}
    kind = type(SIFT)
    describe, places = kind.describe, kind.places

    def counting(self, image):
        counts["whole"] += 1
        return describe(self, image)

    class Counting:
        def __init__(self, inner):
            self.inner, self.n_places, self.count = inner, inner.n_places, inner.count

        def take(self, image, area):
            counts["again"] += 1
            return self.inner.take(image, area)

    monkeypatch.setattr(kind, "describe", counting)
    monkeypatch.setattr(kind, "places", lambda self, shape: Counting(places(self, shape)))
    return counts


def test_it_offers_looks(model):
    assert isinstance(model, Looking)
    assert looking(model) is model
    assert (model.batch_size, model.has_descriptors) == (1, True)


def test_scores_heatmaps_and_traces_share_one_description(model, counted):
    image = photo()
    look = model.look([image], relevance=True)
    scores = look.scores
    for rule in ("epsilon", "epsilon=1,spread", "naive", "absolute"):
        for explanation in look.explain([["cat", "dog"]], image_ids=["x"], rule=rule)[0]:
            assert explanation.image_id == "x"
            column = model.classes.index(explanation.class_name)
            assert explanation.score == pytest.approx(scores[0, column], abs=1e-5)
    assert look.trace().scores == pytest.approx(scores[0], abs=1e-5)
    look.after([[random_edits(), random_edits(seed=2)]])
    assert counted["whole"] == 1
    assert look.scores is scores
    assert look.images[0] is image
    assert look.pictures[0] is image


def test_several_photos_in_one_look(model, counted):
    images = [photo(seed) for seed in range(3)]
    look = model.look(iter(images))
    found = look.explain([["dog"], [], ["cat", "dog"]], image_ids=["a", "b", "c"])
    assert [[item.class_name for item in items] for items in found] == [["dog"], [], ["cat", "dog"]]
    assert counted["whole"] == 2  # nothing was asked of the second
    assert look.scores == pytest.approx(model.scores(images))
    assert look.scores.shape == (3, 2)
    np.testing.assert_array_equal(look.trace(photo=1)._values, model.look(images[1:2]).trace()._values)
    assert isinstance(look.trace(photo=1), FisherTracer)
    chains = [[random_edits(1)], [], [[half()], random_edits(1)]]
    assert [len(rows) for rows in look.after(chains)] == [1, 0, 2]


@pytest.mark.parametrize("descriptor", [SIFT, COLOUR, WholePhoto()], ids=repr)
@pytest.mark.parametrize("per_step", [1, 3])
def test_scores_after_edits_are_those_of_the_edited_photos(descriptor, per_step):
    model = classifier(descriptor)
    steps = random_edits(per_step=per_step)
    steps.insert(3, half())  # in the midst of small ones
    steps.append(half(6))
    found = model.look([photo()]).after([[iter(steps)]])[0][0]
    whole = model.scores(edited_photos(photo(), steps))
    assert found.shape == (len(steps), 2)
    assert found == pytest.approx(whole, abs=1e-5 if descriptor is not COLOUR else 3e-4)
    assert np.abs(np.diff(whole, axis=0)).max() > 1e-3


def test_every_chain_starts_from_the_untouched_photo(model):
    look = model.look([photo()])
    alone = [look.after([[chain]])[0][0] for chain in (random_edits(2), random_edits(2, seed=7))]
    together = look.after([[random_edits(2), half_chain(), random_edits(2, seed=7), random_edits(2)]])[0]
    np.testing.assert_allclose(together[0], alone[0], atol=1e-7)
    np.testing.assert_allclose(together[2], alone[1], atol=1e-7)
    np.testing.assert_array_equal(together[3], together[0])
    assert look.scores == pytest.approx(model.scores([photo()]), abs=0)


def half_chain():
    return [random_edits(1)[0], half(), BLANK]


def test_large_edits_cost_one_encoding_and_small_ones_only_what_sees_them(model, monkeypatch):
    encoded = []
    summed = edits_module.summed_moments

    def counting(values, matrix):
        encoded.append(len(values))
        return summed(values, matrix)

    monkeypatch.setattr(edits_module, "summed_moments", counting)
    look = model.look([photo()])
    after = model.pipeline.describe(next(edited_photos(photo(), [half()])))
    look.after([[[half()]]])
    assert encoded == [len(after)]
    encoded.clear()
    small = Edit(top=70, left=70, pixels=np.zeros((1, 1, 3), np.uint8))
    look.after([[[[small]]]])
    assert len(encoded) == 2
    assert max(encoded) <= SIFT.places((HEIGHT, WIDTH)).count((70, 70, 71, 71)) < 0.3 * len(after)


def test_places_that_two_edits_of_a_step_share_are_taken_once(model):
    places = SIFT.places((HEIGHT, WIDTH))
    near = [(20, 20, 29, 29), (20, 29, 29, 38), (70, 80, 79, 90)]
    joined = edits_module.merged(near, places)
    assert joined == [(20, 20, 29, 38), (70, 80, 79, 90)]
    assert edits_module.merged([], places) == []
    rng = np.random.default_rng(0)
    many = [(top, left, top + 5, left + 5) for top, left in rng.integers(0, 78, (30, 2)).tolist()]
    joined = edits_module.merged(many, places)
    assert sum(map(places.count, joined)) <= sum(map(places.count, many))
    for top, left, bottom, right in many:
        assert any(a <= top and b <= left and c >= bottom and d >= right for a, b, c, d in joined)


def test_photos_and_chains_are_left_as_they_were(model):
    image = photo()
    look = model.look([image])
    look.after([[random_edits(), half_chain()]])
    assert (image == photo()).all()


def test_a_step_without_edits_changes_nothing(model):
    look = model.look([photo()])
    found = look.after([[[[], random_edits(1)[0], []]]])[0][0]
    assert found[0] == pytest.approx(look.scores[0], abs=1e-12)
    assert (found[1] == found[2]).all()
    assert look.after([[[]]])[0][0].shape == (0, 2)


def test_nan_where_edits_leave_nothing_to_describe(model):
    pixels = np.ascontiguousarray(photo()[:40])
    found = model.look([photo()]).after([[[BLANK, [Edit(top=20, left=0, pixels=pixels)]], [half()]]])[0]
    assert np.isnan(found[0][0]).all()
    blank = photo()
    blank[...] = 77
    blank[20:60] = pixels
    assert found[0][1] == pytest.approx(model.scores([blank])[0], abs=1e-5)
    assert np.isfinite(found[1]).all()


def test_a_photo_without_descriptors_may_have_some_after_edits(model):
    blank = np.full((HEIGHT, WIDTH, 3), 9, np.uint8)
    look = model.look([blank])
    found = look.after([[[half()], [random_edits(1)[0][:1], BLANK]]])[0]
    assert found[0] == pytest.approx(model.scores(edited_photos(blank, [half()])), abs=1e-6)
    assert np.isnan(found[1]).tolist() == [[False, False], [True, True]]
    for ask in (lambda: look.scores, lambda: look.explain([["cat"]]), look.trace):
        with pytest.raises(PfungstError, match="no descriptor has enough contrast"):
            ask()


def test_photos_that_are_reduced_first_are_scored_as_wholes(model):
    pipeline = FisherPipeline(
        descriptor=SiftConfig(step=3, bin_sizes=(4,), max_height=60),
        pca=model.pipeline.pca,
        mixture=model.pipeline.mixture,
    )
    other = FisherClassifier(pipeline, model.classes, model.weights, model.bias)
    steps = random_edits(steps=1)
    found = other.look([photo()]).after([[steps]])[0][0]
    assert found == pytest.approx(other.scores(edited_photos(photo(), steps)), abs=1e-12)


def test_a_chain_that_fails_leaves_the_look_usable(model):
    look = model.look([photo()])

    def failing():
        yield random_edits(1)[0]
        raise RuntimeError("no more")

    before = look.after([[random_edits(2)]])[0][0]
    with pytest.raises(RuntimeError, match="no more"):
        look.after([[failing()]])
    np.testing.assert_array_equal(look.after([[random_edits(2)]])[0][0], before)


def test_unknown_classes_and_options(model):
    look = model.look([photo()])
    with pytest.raises(ConfigError, match=r"unknown class 'owl'.*cat, dog"):
        look.explain([["owl"]])
    with pytest.raises(ConfigError, match="rule naive has no option epsilon"):
        look.explain([["cat"]], rule="naive", epsilon=3.0)
    with pytest.raises(ConfigError, match="unknown class 'owl'"):
        look.trace().relevance(["owl"])
