"""A classifier with the four members alone is looked at through an adapter."""

import numpy as np
import pytest

from pfungst.contract import Explanation, Ledger
from pfungst.contract.look import Edit, Looking, PlainLooking, edited_photos, looking
from pfungst.errors import ConfigError, PfungstError


class Mean:
    """f(x) is the mean of red and of blue; black photos cannot be scored."""

    classes = ("red", "blue")
    thresholds = np.zeros(2)

    def __init__(self):
        self.scored = 0

    def scores(self, images):
        rows = []
        for image in images:
            self.scored += 1
            if not image.any():
                raise PfungstError("a black photo")
            rows.append([image[..., 0].mean(), image[..., 2].mean()])
        return np.array(rows).reshape(-1, 2)

    def explain(self, image, class_name, *, image_id="", **options):
        channel = image[..., 0 if class_name == "red" else 2].astype(float) / image[..., 0].size
        score = float(channel.sum())
        return Explanation(
            image_id=image_id,
            class_name=class_name,
            score=score,
            rule=options.get("rule", "exact"),
            relevance=channel,
            ledger=Ledger(score=score, pixels=score),
        )


def photos():
    return [np.full((3, 4, 3), value, dtype=np.uint8) for value in (10, 20)]


def patch(value, top=0, left=0):
    return Edit(top=top, left=left, pixels=np.full((1, 2, 3), value, dtype=np.uint8))


def test_the_adapter_offers_looks_and_a_looking_classifier_is_taken_as_it_is():
    seen = looking(Mean())
    assert isinstance(seen, Looking)
    assert looking(seen) is seen
    assert (seen.classes, seen.batch_size, seen.has_descriptors) == (("red", "blue"), 1, False)
    assert not isinstance(Mean(), Looking)


def test_scores_are_computed_once_and_the_picture_is_the_photo():
    model = Mean()
    look = PlainLooking(model).look(iter(photos()))
    np.testing.assert_array_equal(look.scores, [[10, 10], [20, 20]])
    np.testing.assert_array_equal(look.picture_scores, look.scores)
    assert model.scored == 2
    assert look.pictures is look.images


def test_each_photo_is_explained_for_its_own_classes():
    found = PlainLooking(Mean()).look(photos()).explain([["blue"], []], image_ids=["a", "b"], rule="r")
    assert [[(e.image_id, e.class_name, e.rule) for e in group] for group in found] == [
        [("a", "blue", "r")],
        [],
    ]


def test_edits_of_a_chain_accumulate_and_each_chain_starts_anew():
    originals = photos()
    look = PlainLooking(Mean()).look(originals)
    chain = [[patch(40)], [patch(40, top=2)]]
    found = look.after([[chain, iter([[patch(50)]])], []])
    np.testing.assert_allclose(found[0][0][:, 0], [10 + 30 * 2 / 12, 10 + 30 * 4 / 12])
    np.testing.assert_allclose(found[0][1], [[10 + 40 * 2 / 12] * 2])
    assert found[1] == []
    np.testing.assert_array_equal(originals[0], photos()[0])
    assert [image[0, 0, 0] for image in edited_photos(originals[0], chain)] == [40, 40]


def test_a_photo_that_cannot_be_scored_after_its_edits_is_not_a_number():
    black = Edit(top=0, left=0, pixels=np.zeros((3, 4, 3), dtype=np.uint8))
    found = PlainLooking(Mean()).look(photos()).after([[[[black]]], []])
    assert np.isnan(found[0][0]).all()


def test_what_a_plain_classifier_has_not_is_said():
    look = PlainLooking(Mean()).look(photos())
    with pytest.raises(ConfigError, match="local descriptors"):
        look.trace()
    with pytest.raises(ConfigError, match=r"relevance of shape \(2, 2\)"):
        look.on_photo(np.zeros((2, 2)))
    assert look.on_photo(np.ones((3, 4))).sum() == 12
