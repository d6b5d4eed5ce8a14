import numpy as np
import pytest

from pfungst.audit.editing import edited, pixel_region, removal_edits, scores_after
from pfungst.contract.perturbation import Edit
from pfungst.errors import PfungstError
from pfungst.images import Box


def test_a_removed_place_shows_its_surroundings():
    image = np.full((30, 40, 3), (200, 100, 50), dtype=np.uint8)
    image[5:15, 10:20] = 0
    region = pixel_region(Box(class_name="x", left=9.5, top=4.2, right=20.5, bottom=15.9), 30, 40)
    assert (region.top, region.left, region.bottom, region.right) == (4, 9, 16, 21)
    edited = image.copy()
    for edit in removal_edits(image, [region]):
        edit.apply(edited)
    assert (edited == (200, 100, 50)).all()
    clipped = pixel_region(Box(class_name="x", left=-3, top=25, right=50, bottom=99), 30, 40)
    assert (clipped.top, clipped.left, clipped.bottom, clipped.right) == (25, 0, 30, 40)


def test_overlapping_places_are_filled_one_after_the_other():
    image = np.full((20, 20, 3), 90, dtype=np.uint8)
    image[4:10, 4:14] = 255
    boxes = [
        Box(class_name="x", left=4, top=4, right=10, bottom=10),
        Box(class_name="x", left=8, top=4, right=14, bottom=10),
    ]
    edited = image.copy()
    for edit in removal_edits(image, [pixel_region(box, 20, 20) for box in boxes]):
        edit.apply(edited)
    assert edited[7, 12, 0] < 130


class _Edits:
    """Counts how it is asked."""

    classes, thresholds = ("a",), np.zeros(1)

    def __init__(self):
        self.asked = 0

    def scores(self, images):
        return np.array([[image.mean()] for image in images])

    def perturbed_scores(self, image, steps):
        from pfungst.contract.perturbation import edited_photos

        self.asked += 1
        return self.scores(edited_photos(image, steps))


def test_variants_start_from_the_untouched_photo(classifier):
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    white = Edit(top=0, left=0, pixels=np.full((6, 16, 3), 255, dtype=np.uint8))
    black = Edit(top=6, left=0, pixels=np.zeros((6, 16, 3), dtype=np.uint8))
    whole = image.copy()
    white.apply(whole)
    lower = image.copy()
    black.apply(lower)
    expected = classifier.scores([image, whole, lower])
    np.testing.assert_allclose(scores_after(classifier, image, [[white], [black]]), expected)
    assert scores_after(classifier, image, []).shape == (1, 3)


def test_small_edits_are_handed_over_as_one_chain_that_takes_each_back():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    small = [Edit(top=4 * i, left=2, pixels=np.full((5, 7, 3), 200, dtype=np.uint8)) for i in range(3)]
    large = Edit(top=0, left=0, pixels=np.zeros((20, 29, 3), dtype=np.uint8))
    variants = [[small[0]], [large], [small[1]], [small[2]]]
    cheap = _Edits()
    found = scores_after(cheap, image, variants)[:, 0]
    photos = [image, *(edited(image, edits) for edits in variants)]
    np.testing.assert_allclose(found, [photo.mean() for photo in photos])
    assert cheap.asked == 1


class _NeedsContrast(_Edits):
    """Cannot score what is of one colour."""

    def scores(self, images):
        images = [image.copy() for image in images]
        if any(np.ptp(image) == 0 for image in images):
            raise PfungstError("of one colour")
        return super().scores(images)


def assert_the_first_alone_is_nan(image, nothing, other):
    found = scores_after(_NeedsContrast(), image, [[nothing], [other]])[:, 0]
    assert np.isnan(found[1])
    np.testing.assert_allclose(found[[0, 2]], [image.mean(), edited(image, [other]).mean()])


def test_an_edit_that_leaves_nothing_to_score_is_nan_and_the_others_are_not():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert_the_first_alone_is_nan(
        image,
        Edit(top=0, left=0, pixels=np.full(image.shape, 7, dtype=np.uint8)),
        Edit(top=2, left=3, pixels=np.full((5, 7, 3), 200, dtype=np.uint8)),
    )


def test_a_small_edit_that_leaves_nothing_spoils_no_chain():
    image = np.full((20, 30, 3), 7, dtype=np.uint8)
    image[4:8, 5:9] = 90
    assert_the_first_alone_is_nan(
        image,
        Edit(top=4, left=5, pixels=np.full((4, 4, 3), 7, dtype=np.uint8)),
        Edit(top=12, left=5, pixels=np.full((4, 4, 3), 30, dtype=np.uint8)),
    )


def test_a_photo_that_cannot_be_scored_itself_is_an_error():
    image = np.full((20, 30, 3), 7, dtype=np.uint8)
    small = Edit(top=4, left=5, pixels=np.full((4, 4, 3), 90, dtype=np.uint8))
    with pytest.raises(PfungstError, match="one colour"):
        scores_after(_NeedsContrast(), image, [[small]])
