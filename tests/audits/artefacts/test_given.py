"""A mark that the user suspects: taken out and put in, without any search."""

import numpy as np
import pytest
from PIL import Image
from tests.audits.artefacts.conftest import MARK_SHAPE, MarkReader, mark_pattern, surveyed

from pfungst.audits.artefacts import ArtefactConfig, Mark, find_artefacts, prove_mark
from pfungst.audits.schema import picture_file
from pfungst.errors import ConfigError
from pfungst.images import decode

SMALL = ArtefactConfig(insertions=10, pairs=1)


@pytest.fixture(scope="module")
def crop(tmp_path_factory):
    """The mark as a PNG whose ground is transparent."""
    ink = mark_pattern()
    pixels = np.zeros((*MARK_SHAPE, 4), dtype=np.uint8)
    pixels[ink] = (235, 40, 235, 255)
    file = tmp_path_factory.mktemp("mark") / "mark.png"
    Image.fromarray(pixels).save(file)
    return file


def opaque_crop(data, truth, folder):
    """The same cut out of a photo, ground and all."""
    image, (left, top, right, bottom) = next(iter(truth.items()))
    record = next(record for record in data if record.id == image)
    file = folder / "cut.png"
    Image.fromarray(decode(record.path)[top:bottom, left:right]).save(file)
    return file, record.path


def test_a_crop_is_tested_where_carriers_have_it(marked_photos, tmp_path):
    data, truth = marked_photos
    reader = MarkReader()
    file, example = opaque_crop(data, truth, tmp_path)
    mark = Mark.open(file, like=example)
    left, top, *_ = truth[example.stem]
    assert mark.at == pytest.approx((left, top), abs=1)
    found = prove_mark(reader, surveyed(reader, data), mark, SMALL, out=tmp_path / "r", pictures=tmp_path)
    (disc,), (square,) = found.by_class["disc"], found.by_class["square"]
    assert disc.verdict == "proved"
    assert set(disc.boxes) <= set(truth)
    assert len(disc.boxes) >= len(truth) - 1  # a crop has a ground of its own
    assert square.boxes == {}
    assert square.verdict == "untestable"
    assert square.removal is None
    assert square.insertion.n_images >= 8
    assert f"Put into {square.insertion.n_images} photos without the class" in square.sentence
    assert found.notes["disc"] == (
        "Looked for the mark in 16 photos of the class and 16 without it: "
        f"{len(disc.boxes)} of the class have it."
    )
    for name in (disc.crop, disc.stamp, *(pair.after_picture for pair in disc.pairs)):
        assert picture_file(tmp_path, name).is_file()


def test_what_is_put_in_is_the_crop_and_nothing_else(plain_photos, crop):
    data, _ = plain_photos
    reader = MarkReader()
    mark = Mark.open(crop, at=(4, 104))
    found = prove_mark(reader, surveyed(reader, data), mark, SMALL, classes=["disc"])
    (disc,) = found.by_class["disc"]
    assert disc.verdict == "untestable"
    ink = mark_pattern().sum() / 300
    assert disc.insertion.change.mean == pytest.approx(ink, abs=0.02)
    assert disc.insertion_effect.mean == pytest.approx(ink, abs=0.05)
    blind = MarkReader(weight=0.0)
    (nothing,) = prove_mark(blind, surveyed(blind, data), mark, SMALL, classes=["disc"]).by_class["disc"]
    assert nothing.insertion.change.mean == pytest.approx(0, abs=0.02)


def test_it_agrees_with_what_a_search_finds(marked_photos, tmp_path):
    data, truth = marked_photos
    reader = MarkReader()
    seen = surveyed(reader, data)
    searched = find_artefacts(reader, seen, ArtefactConfig(window=16, max_patches=24)).by_class["disc"][0]
    file, example = opaque_crop(data, truth, tmp_path)
    given = prove_mark(reader, seen, Mark.open(file, like=example), SMALL).by_class["disc"][0]
    assert given.effect.mean == pytest.approx(searched.effect.mean, rel=0.2)


def test_another_mark_does_not_go_on_with_the_records_of_the_first(marked_photos, tmp_path, crop):
    data, truth = marked_photos
    reader = MarkReader()
    seen = surveyed(reader, data)
    prove_mark(reader, seen, Mark.open(crop), SMALL, out=tmp_path / "r")
    file, _ = opaque_crop(data, truth, tmp_path)
    with pytest.raises(ConfigError, match="mark was"):
        prove_mark(reader, seen, Mark.open(file), SMALL, out=tmp_path / "r")


def test_wrong_marks_are_refused(marked_photos, tmp_path, crop):
    data, truth = marked_photos
    with pytest.raises(ConfigError, match="one of them"):
        Mark.open(crop, at=(1, 2), like=crop)
    tiny = tmp_path / "tiny.png"
    Image.fromarray(np.zeros((3, 30, 3), np.uint8)).save(tiny)
    with pytest.raises(ConfigError, match=r"tiny.png has 30 x 3 pixels.*6 or more"):
        Mark.open(tiny)
    other = next(record for record in data if record.id not in truth)
    with pytest.raises(ConfigError, match=r"does not show the mark \(likeness 0\.\d+\)"):
        Mark.open(crop, like=other.path)
    huge = tmp_path / "huge.png"
    Image.fromarray(np.zeros((400, 400, 3), np.uint8)).save(huge)
    reader = MarkReader()
    with pytest.raises(ConfigError, match="the mark has 400 x 400 pixels, the photos of disc"):
        prove_mark(reader, surveyed(reader, data), Mark.open(huge), SMALL)
