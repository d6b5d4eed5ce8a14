"""What a model does not see of a photo takes no part in the proof."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from tests.audits.artefacts.conftest import MarkReader, make_photos, surveyed

from pfungst.audits.artefacts import ArtefactConfig, find_artefacts
from pfungst.audits.artefacts.proof.views import Views, seen_share, view_of
from pfungst.contract.look import Edit, PlainLook
from pfungst.network import NetworkClassifier, Preprocess

SMALL = ArtefactConfig(window=16, max_patches=24, insertions=10)


class CroppedLook(PlainLook):
    """Sees landscape photos without their outer quarters."""

    @property
    def pictures(self):
        return tuple(cropped(image) for image in self.images)

    @property
    def picture_scores(self):
        return self.scores

    def on_photo(self, relevance, *, photo=0):
        height, width = self.images[photo].shape[:2]
        aside = (width - relevance.shape[1]) // 2
        whole = np.zeros((height, width))
        whole[:, aside : aside + relevance.shape[1]] = relevance
        return whole


def cropped(image):
    height, width = image.shape[:2]
    aside = width // 4 if width > height else 0
    return image[:, aside : width - aside]


@dataclass(frozen=True)
class CroppedReader(MarkReader):
    """Relevance everywhere, so that the mark is found; scores of what it sees."""

    batch_size: int = 4
    has_descriptors: bool = False

    def scores(self, images):
        return super().scores([cropped(image) for image in images])

    def look(self, images, *, relevance=False):
        return CroppedLook(self, tuple(images))


def test_the_view_of_a_network_is_what_its_picture_is_made_of():
    import torch

    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(2, 2)
    ).eval()
    model = NetworkClassifier(module, ["a", "b"], Preprocess(input_size=(56, 56), resize_length=64))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (150, 200, 3), dtype=np.uint8)
    view = view_of(model.look([image]))
    assert view.shape == (150, 200)
    np.testing.assert_array_equal(Views(model, image).of((150, 200)), view)
    assert view[:, 100].all()  # padded below and above, cut at the sides
    aside = 200 * 4 / 64
    assert view[75].argmax() == pytest.approx(aside, abs=1.5)
    for outside, changes in ((~view, False), (view, True)):
        edited = np.where(outside[..., None], 255 - image, image)
        assert bool(np.any(model.scores([edited]) != model.scores([image]))) is changes


def test_the_view_of_a_plain_classifier_is_the_photo():
    image = np.zeros((20, 30, 3), dtype=np.uint8)
    assert view_of(PlainLook(MarkReader(), (image,))).all()


def test_the_share_that_is_seen_counts_pixels():
    view = np.zeros((20, 30), dtype=bool)
    view[:, 10:] = True
    piece = Edit(top=2, left=8, pixels=np.zeros((4, 8, 3), np.uint8))
    assert seen_share((piece,), view) == 0.75
    assert seen_share((), view) == 0.0


def test_a_mark_is_judged_where_it_is_seen_and_said_to_be_outside_elsewhere(tmp_path):
    data, truth = make_photos(tmp_path, count=60)
    reader = CroppedReader()
    top = find_artefacts(reader, surveyed(reader, data), SMALL).by_class["disc"][0]
    assert set(truth) <= set(top.boxes)
    portrait = [image for image in top.boxes if int(image[-3:]) % 3 == 2]
    assert top.removal.n_images == len(portrait) >= SMALL.min_proof
    assert 5 < top.unseen <= len(top.boxes) - len(portrait)  # the rest lie on objects
    assert top.verdict == "proved"
    assert f"In {top.unseen} photos it lies outside what the model sees" in top.sentence


def test_a_mark_that_is_never_seen_is_not_testable_and_said_why(tmp_path):
    data, truth = make_photos(tmp_path, count=48)
    landscape = replace(data, records=tuple(r for r in data if int(r.id[-3:]) % 3 != 2))
    reader = CroppedReader()
    top = find_artefacts(reader, surveyed(reader, landscape), SMALL).by_class["disc"][0]
    carriers = [image for image in truth if int(image[-3:]) % 3 != 2]
    assert top.verdict == "untestable"
    assert f"in {len(carriers)} others it lies outside what the model sees" in top.sentence
