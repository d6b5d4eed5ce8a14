import numpy as np
import pytest

from pfungst.contract.perturbation import Edit, edited_photos
from pfungst.descriptors import SiftConfig, dense_sift, fit_pca
from pfungst.descriptors.changes import DescriptorGrid
from pfungst.errors import ConfigError, PfungstError
from pfungst.fisher.classifier import FisherClassifier, FisherPipeline
from pfungst.mixture import MixtureConfig, fit_mixture

SIFT = SiftConfig(step=3, bin_sizes=(4, 6), contrast_threshold=0.02)
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


@pytest.fixture(scope="module")
def model():
    values = np.concatenate([dense_sift(photo(seed), SIFT).values for seed in range(3)])
    pca = fit_pca(values, 10)
    mixture = fit_mixture(pca.transform(values), MixtureConfig(n_components=8, init="random", max_iter=6))
    pipeline = FisherPipeline(sift=SIFT, pca=pca, mixture=mixture)
    weights = np.random.default_rng(2).normal(0, 0.5, (2, pipeline.n_dimensions))
    return FisherClassifier(pipeline, ("cat", "dog"), weights, np.array([0.1, -0.3]))


@pytest.mark.parametrize("per_step", [1, 3])
def test_scores_are_those_of_the_edited_photos(model, per_step):
    steps = random_edits(per_step=per_step)
    found = model.perturbed_scores(photo(), steps)
    whole = model.scores(edited_photos(photo(), steps))
    assert found.shape == (len(steps) + 1, 2)
    assert found == pytest.approx(whole, abs=1e-5)
    assert np.abs(np.diff(whole, axis=0)).max() > 1e-3


def test_descriptors_are_those_of_the_whole_photo():
    grid = DescriptorGrid((HEIGHT, WIDTH), SIFT)
    image = photo()
    state = {taken.scale: (taken.kept.copy(), taken.values) for taken in grid.take(image)}
    assert sum(len(values) for _, values in state.values()) == len(dense_sift(image, SIFT))
    ours = np.concatenate([values for _, values in state.values()])
    theirs = dense_sift(image, SIFT).values
    assert np.sort(ours @ np.arange(128.0)) == pytest.approx(np.sort(theirs @ np.arange(128.0)), rel=1e-4)


def test_no_descriptor_that_sees_the_edit_is_missed():
    """Every descriptor outside the windows taken again is bit for bit what it was."""
    grid = DescriptorGrid((HEIGHT, WIDTH), SIFT)
    before, after = photo(), photo()
    area = (20, 50, 29, 57)
    after[20:29, 50:57] = 255 - after[20:29, 50:57]
    again = {taken.scale: taken.window for taken in grid.take(after, area)}
    for old, new in zip(grid.take(before), grid.take(after), strict=True):
        outside = np.ones(old.kept.shape, bool)
        outside[again[old.scale]] = False
        assert (old.kept == new.kept)[outside].all()
        full = [np.zeros((*old.kept.shape, 128), np.float32) for _ in range(2)]
        full[0][old.kept], full[1][new.kept] = old.values, new.values
        assert (full[0] == full[1])[outside].all()
        assert outside.mean() > 0.3  # and it is not simply everything


def test_the_photo_is_left_as_it_was(model):
    image = photo()
    before = image.copy()
    model.perturbed_scores(image, random_edits())
    assert (image == before).all()


def test_photos_that_are_reduced_first_are_scored_as_wholes(model):
    reduced = FisherPipeline(
        sift=SiftConfig(step=3, bin_sizes=(4,), max_height=60),
        pca=model.pipeline.pca,
        mixture=model.pipeline.mixture,
    )
    other = FisherClassifier(reduced, model.classes, model.weights, model.bias)
    steps = random_edits(steps=1)
    assert other.perturbed_scores(photo(), steps) == pytest.approx(
        other.scores(edited_photos(photo(), steps))
    )
    with pytest.raises(ConfigError, match="height 83 that is reduced to 60"):
        DescriptorGrid((HEIGHT, WIDTH), reduced.sift)


def test_edits_that_leave_nothing_to_see(model):
    blank = Edit(top=0, left=0, pixels=np.full((HEIGHT, WIDTH, 3), 77, np.uint8))
    with pytest.raises(PfungstError, match="no descriptor of the photo has enough contrast"):
        model.perturbed_scores(photo(), [[blank]])
