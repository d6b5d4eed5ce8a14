"""Photos, models and sets are taken from wherever they are, and checked where they come in."""

import numpy as np
import pytest
from PIL import Image

from pfungst.errors import ConfigError, ImageError
from pfungst.front import evaluate
from pfungst.front.edges import as_image, as_model, as_photos
from pfungst.images import decode

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_a_file_a_picture_and_an_array_are_the_same_photo(tmp_path):
    file = tmp_path / "photo.png"
    Image.fromarray(RGB).save(file)
    for source in (file, str(file), Image.fromarray(RGB), RGB, RGB.astype(float), RGB.tolist()):
        found = as_image(source)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, RGB)


def test_pictures_are_turned_and_laid_on_white_as_files_are(tmp_path):
    turned = Image.fromarray(RGB)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as picture:
        np.testing.assert_array_equal(as_image(picture), decode(tmp_path / "turned.png"))
    clear = Image.new("RGBA", (3, 2), (10, 20, 30, 0))
    assert (as_image(clear) == 255).all()
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(as_image(grey)[..., 2], grey)
    np.testing.assert_array_equal(as_image(grey[..., None]), as_image(Image.fromarray(grey)))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (RGB / 255, "whole numbers from 0 to 255"),
        (RGB.astype(int) - 1, "whole numbers from 0 to 255"),
        (np.full((4, 4), np.nan), "whole numbers from 0 to 255"),
        (RGB.transpose(2, 0, 1), r"Try image.transpose\(1, 2, 0\)|image.transpose"),
        (RGB[None], "one photo at a time"),
        (np.zeros((4, 4, 4)), "RGB or"),
        (np.zeros((0, 4, 3), np.uint8), "RGB or"),
    ],
)
def test_what_is_no_photo_is_named(array, message):
    with pytest.raises(ConfigError, match=message):
        as_image(array)


def test_a_file_that_is_no_photo_is_named(tmp_path):
    (tmp_path / "a.jpg").write_text("no photo")
    with pytest.raises(ImageError, match=r"a\.jpg"):
        as_image(tmp_path / "a.jpg")


def test_sets_on_disk_give_the_named_photos(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for index in range(8):
            Image.fromarray(np.roll(RGB, index, axis=1)).save(tmp_path / name / f"{name}{index}.png")
    everything = as_photos(tmp_path, split="all")
    parts = [as_photos(tmp_path, split=name) for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(everything) == 16
    assert as_photos(everything) is everything


def test_a_classifier_is_taken_as_it_is():
    model = object()
    with as_model(model) as (found, identity):
        assert found is model
        assert identity == {}


class Brightness:
    """One class, called light, that is the more shown the brighter a photo is."""

    classes = ("light",)
    thresholds = np.array([100.0])

    def scores(self, images):
        return np.array([[image.mean()] for image in images])

    def explain(self, image, class_name, **options):
        raise NotImplementedError


def test_photos_of_a_set_may_lie_elsewhere(tmp_path):
    """An annotation file without its photos beside it: two of three show the class."""
    for number, value in enumerate((200, 180, 20)):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(np.full((6, 8, 3), value, np.uint8)).save(tmp_path / f"photos/{number}.png")
    (tmp_path / "labels.csv").write_text("image,label\n0,light\n1,light\n2,\n")
    where = {"split": "all", "images": tmp_path / "photos", "format": "table"}
    found = evaluate(Brightness(), tmp_path / "labels.csv", **where)
    assert (found.mean_ap, found.classes["light"].positives) == (1.0, 2)
