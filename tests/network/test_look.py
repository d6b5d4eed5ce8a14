"""One look at photos: shared passes, edits in photos and pictures, batches."""

import numpy as np
import pytest
import torch
from torch import nn

from pfungst.contract.look import Edit, Looking, PlainLooking, edited_photos, looking
from pfungst.errors import ConfigError
from pfungst.network import NetworkClassifier, Preprocess
from pfungst.network.edits import EditedPhoto
from pfungst.network.look import NetworkLook
from pfungst.network.views import ViewPlan, center_view

INPUT = Preprocess(input_size=(20, 24), resize_length=32, scale=1 / 255, mean=(0.4, 0.5, 0.6))
CLASSES = ["a", "b", "c"]


class Counted(nn.Module):
    """A small network that counts its forward passes and the views in them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(20, 3)
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        return self.head(self.body(x))


def model(**options):
    found = NetworkClassifier(Counted().eval(), CLASSES, INPUT, **options)
    found.explain(np.zeros((9, 9, 3), np.uint8), "a")  # the first one compares the recording with another
    found.module.batches.clear()
    return found


@pytest.fixture
def photos(rng):
    return [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in [(40, 60), (70, 33), (20, 20)]]


def chains(photo, rng, n=3, steps=3):
    """Chains of edits of odd sizes, some at the border, some that leave the centre crop as it is."""
    height, width = photo.shape[:2]
    found = []
    for _ in range(n):
        chain = []
        for _ in range(steps):
            edits = []
            for _ in range(rng.integers(1, 3)):
                top, left = rng.integers(0, height - 3), rng.integers(0, width - 3)
                size = rng.integers(1, height - top + 1), rng.integers(1, width - left + 1), 3
                edits.append(Edit(top=int(top), left=int(left), pixels=rng.integers(0, 256, size, np.uint8)))
            chain.append(edits)
        found.append(chain)
    corner = Edit(top=0, left=0, pixels=np.zeros((1, 1, 3), np.uint8))
    return [*found, [[corner], [corner]], []]


def test_a_network_is_looked_at_as_it_is():
    assert isinstance(model(), Looking)
    found = model()
    assert looking(found) is found
    assert (found.batch_size, found.has_descriptors) == (4, False)
    with pytest.raises(ConfigError, match="replacing local descriptors in a model that has none"):
        found.look([]).trace()


def test_scores_and_heatmaps_of_a_look_share_one_pass(photos):
    one = model()
    look = one.look(photos[:1], relevance=True)
    scores = look.scores
    found = look.explain([["c", "a"]], image_ids=["x"])[0]
    assert one.module.batches == [1]
    assert [item.class_name for item in found] == ["c", "a"]
    assert [item.image_id for item in found] == ["x", "x"]
    np.testing.assert_allclose([item.score for item in found], scores[0, [2, 0]], rtol=1e-6)
    again = look.explain([["c", "a"]], rule="epsilon")[0]
    assert one.module.batches == [1, 1]
    for item, other in zip(again, one.look(photos[:1]).explain([["c", "a"]], rule="epsilon")[0], strict=True):
        np.testing.assert_array_equal(item.relevance, other.relevance)


def test_photos_with_several_or_no_classes(photos):
    one, batch = model(), model()
    names = [["b"], [], ["c", "a"]]
    look = NetworkLook(
        batch.forward, batch.classes, tuple(photos), views="center", batch_size=8, relevance=True
    )
    together, scores = look.explain(names, image_ids=list("pqr")), look.scores
    assert batch.module.batches == [3, 1]  # the third photo's second class by a pass of its own
    assert [len(group) for group in together] == [1, 0, 2]
    assert [item.class_name for item in together[2]] == ["c", "a"]
    for photo, group, row, wanted in zip(photos, together, scores, names, strict=True):
        for item, name in zip(group, wanted, strict=True):
            alone = one.explain(photo, name)
            np.testing.assert_allclose(item.relevance, alone.relevance, rtol=1e-4, atol=1e-7)
            assert item.score == pytest.approx(row[CLASSES.index(name)], rel=1e-5)
            assert item.ledger.taken["bias"] == pytest.approx(alone.ledger.taken["bias"], rel=1e-4)
    count = len(one.module.batches)
    assert one.look(photos).explain([[], [], []]) == [[], [], []]
    assert len(one.module.batches) == count


@pytest.mark.parametrize("views", ["center", "sliding"])
def test_edited_photos_score_as_whole_photos_do(photos, views, rng):
    one = model(views=views)
    groups = [chains(photo, rng) for photo in photos]
    found = one.look(photos).after(groups)
    plain = PlainLooking(model(views=views)).look(photos).after(groups)
    for mine, whole in zip(found, plain, strict=True):
        for rows, wanted in zip(mine, whole, strict=True):
            assert rows.shape == wanted.shape
            np.testing.assert_allclose(rows, wanted, rtol=1e-5, atol=1e-6)


def test_views_are_packed_in_full_batches_and_unchanged_ones_are_not_scored(photos, rng):
    one = model()
    look = one.look(photos)
    groups = [chains(picture, rng, n=2, steps=3) for picture in look.pictures]
    look.after(groups, in_picture=True)
    changed = sum(one.module.batches)
    assert all(size == 4 for size in one.module.batches[:-1])
    assert changed <= 3 * (2 * 3 + 1) + 3
    assert look.scores.shape == (3, 3)
    one.module.batches.clear()
    corner = Edit(top=0, left=0, pixels=np.zeros((1, 1, 3), np.uint8))
    rows = look.after([[[[corner]]], [], []])  # outside of the centre crop
    np.testing.assert_array_equal(rows[0][0][0], look.picture_scores[0])
    assert one.module.batches == []


def test_pictures_are_edited_in_their_own_pixels(photos, rng):
    one = model(views="sliding")
    look = one.look(photos)
    assert [picture.shape for picture in look.pictures] == [(20, 24, 3)] * 3
    groups = [chains(picture, rng, n=1) for picture in look.pictures]
    found = look.after(groups, in_picture=True)
    for picture, group, mine in zip(look.pictures, groups, found, strict=True):
        for chain, rows in zip(group, mine, strict=True):
            for image, row in zip(edited_photos(picture, chain), rows, strict=True):
                x = torch.from_numpy(INPUT.values(image[None]))
                np.testing.assert_allclose(row, one.module(x)[0].detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(look.picture_scores, one.with_views("center").scores(photos), rtol=1e-6)
    assert not np.allclose(look.picture_scores, look.scores)


@pytest.mark.parametrize("rule", ["longest+pad", "shortest", "warp"])
@pytest.mark.parametrize("shape", [(41, 57), (9, 31), (120, 64), (32, 32), (300, 451)])
def test_what_an_edit_changes_is_resized_again_to_the_bit(rule, shape, rng):
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    plan = ViewPlan.center(image, Preprocess(input_size=(20, 24), resize_length=32, resize=rule))
    base = EditedPhoto(image, plan)
    for chain in chains(image, rng, n=4, steps=4):
        edited = base.copy()
        for edits, whole in zip(chain, edited_photos(image, chain), strict=True):
            for edit in edits:
                edited.apply(edit)
            np.testing.assert_array_equal(edited.views(), plan.cut(plan.placement.draw(whole)))


def test_relevance_of_a_picture_on_its_photo(photos, rng):
    look = model().look(photos)
    relevance = rng.normal(size=(20, 24))
    for position, photo in enumerate(photos):
        placed = look.on_photo(relevance, photo=position)
        assert placed.shape == photo.shape[:2]
        placement, (top, left) = center_view(photo, look._forward.preprocess)[1:]
        rows, columns = (
            np.arange(20) + top - placement.padding[0],
            np.arange(24) + left - placement.padding[1],
        )
        on_photo = np.ix_(
            (rows >= 0) & (rows < placement.resized[0]), (columns >= 0) & (columns < placement.resized[1])
        )
        assert placed.sum() == pytest.approx(relevance[on_photo].sum())
    with pytest.raises(ConfigError, match=r"relevance of shape \(3, 4\). Allowed: the picture's \(20, 24\)"):
        look.on_photo(np.zeros((3, 4)))


def test_a_look_at_no_photos():
    look = model().look([])
    assert look.scores.shape == (0, 3)
    assert look.explain([]) == []
    assert look.after([]) == []
