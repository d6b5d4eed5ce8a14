import numpy as np
import pytest

from pfungst.contract.look import PlainLook
from pfungst.errors import ConfigError
from pfungst.evaluation.operators import OPERATORS
from pfungst.evaluation.regions import RegionTrace, region_grid, region_relevance, region_scores


def picture(seed=0, shape=(20, 26, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class Whole:
    """Scores photos by two linear functions."""

    classes = ("a", "b")
    thresholds = np.zeros(2)

    def __init__(self, shape=(20, 26, 3)):
        self.weights = np.random.default_rng(7).normal(size=(2, *shape))

    def scores(self, images):
        return np.array([[np.sum(weight * image) for weight in self.weights] for image in images])


def trace(operator="mean", *, image=None, per_step=1, steps=7, size=6, seed=3):
    image = picture() if image is None else image
    count = len(region_grid(*image.shape[:2], size))
    order = np.random.default_rng(seed).permutation(count)[: steps * per_step]
    return RegionTrace(
        picture=image,
        order=order,
        size=size,
        operator=operator,
        generator=np.random.default_rng(11),
        per_step=per_step,
    )


def twin(classifier, item):
    """Every step's picture made from the start, and scored on its own."""
    grid = region_grid(*item.picture.shape[:2], item.size)
    fill = OPERATORS[item.operator](item.picture, item.size, np.random.default_rng(11))
    current, rows = item.picture.copy(), []
    for position, index in enumerate(item.order, start=1):
        region = grid[index]
        region.crop(current)[...] = fill(current, region)
        if position % item.per_step == 0:
            rows.append(classifier.scores([current])[0])
    return np.array(rows)


def test_grid_covers_every_pixel_once():
    count = np.zeros((20, 26), int)
    for region in region_grid(20, 26, 6):
        region.crop(count)[...] += 1
    assert (count == 1).all()
    assert len(region_grid(20, 26, 6)) == 4 * 5
    with pytest.raises(ConfigError, match="regions of 0 pixels"):
        region_grid(20, 26, 0)


def test_relevance_is_summed_over_the_regions():
    relevance = np.random.default_rng(0).normal(size=(20, 26))
    sums = region_relevance(relevance, 6)
    expected = [region.crop(relevance).sum() for region in region_grid(20, 26, 6)]
    assert sums == pytest.approx(expected)
    assert sums.sum() == pytest.approx(relevance.sum())


@pytest.mark.parametrize("operator", sorted(OPERATORS))
@pytest.mark.parametrize("per_step", [1, 2])
def test_scores_along_a_trace(operator, per_step):
    look = PlainLook(Whole(), (picture(),))
    found = region_scores(look, [[trace(operator, per_step=per_step)]])
    assert found[0][0] == pytest.approx(twin(Whole(), trace(operator, per_step=per_step)))


def test_the_traces_of_all_photos_are_asked_for_together():
    asked = []

    class Counted(PlainLook):
        def after(self, chains, *, in_picture=False):
            asked.append(([len(group) for group in chains], in_picture))
            return super().after(chains, in_picture=in_picture)

    photos = (picture(), picture(9))
    traces = [
        [trace(steps=7), trace("inpaint", steps=5, seed=4)],
        [trace(steps=1, image=picture(9), seed=5)],
    ]
    found = region_scores(Counted(Whole(), photos), traces)
    assert asked == [([2, 1], True)]
    assert [[len(scores) for scores in group] for group in found] == [[7, 5], [1]]
    again = [
        [trace(steps=7), trace("inpaint", steps=5, seed=4)],
        [trace(steps=1, image=picture(9), seed=5)],
    ]
    for group, others in zip(again, found, strict=True):
        for item, scores in zip(group, others, strict=True):
            assert scores == pytest.approx(twin(Whole(), item))


def test_the_photo_is_left_as_it_was():
    image = picture()
    before = image.copy()
    region_scores(PlainLook(Whole(), (image,)), [[trace(image=image)]])
    assert (image == before).all()


def test_a_trace_needs_a_whole_step():
    with pytest.raises(ConfigError, match="1 regions in steps of 2"):
        RegionTrace(
            picture=picture(),
            order=np.array([0]),
            size=6,
            operator="mean",
            generator=np.random.default_rng(0),
            per_step=2,
        )
