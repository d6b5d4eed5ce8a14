"""Photos that a model has learned from are left out of measurements, whatever they are called since."""

import shutil
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image, ImageOps

from pfungst.contract.seen import seen_by, unseen
from pfungst.contract.used import used_photos
from pfungst.errors import DataError
from pfungst.images import open_dataset
from pfungst.images.seen import SeenPhotos


@dataclass
class Model:
    classes: tuple[str, ...]
    seen: SeenPhotos | None = None


def photo(seed, size=(160, 120)):
    """A photo with large forms, as photos have."""
    rough = np.random.default_rng(seed).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    return Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def learned(tmp_path):
    """Four photos, and a model that remembers them."""
    for seed in range(4):
        folder = tmp_path / "old" / ("cat" if seed % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        photo(seed).save(folder / f"{seed}.png")
    data = open_dataset(tmp_path / "old")
    return data, Model(data.classes, SeenPhotos.of(data))


def more(data, place, *extra):
    """The same photos under other names, with others among them."""
    for record in data:
        target = place / next(iter(record.positive)) / f"copy of {record.path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(record.path, target)
    for name, image in extra:
        image.save(place / "cat" / name)
    return open_dataset(place)


def test_copies_under_other_names_are_left_out(learned, tmp_path):
    data, model = learned
    both = more(data, tmp_path / "new", ("9.png", photo(9)), ("8.png", photo(8)))
    found = unseen(both, {"one": model})
    assert sorted(record.path.name for record in found) == ["8.png", "9.png"]
    assert len(found.overlap.seen) == 4
    assert found.problems == both.problems
    assert unseen(found, {"one": model}) is found
    used = used_photos(found, {"one": model})
    assert (used.photos, used.learned, used.learned_measured) == (2, 4, False)
    assert used.lines[0].startswith("4 photos (")
    assert used.lines[0].endswith("that a model has learned from; left out")


def test_they_stay_when_asked_for_and_are_named(learned, tmp_path):
    data, model = learned
    both = more(data, tmp_path / "new", ("9.png", photo(9)))
    found = unseen(both, {"one": model}, include=True)
    assert len(found) == 5
    used = used_photos(found, {"one": model})
    assert (used.photos, used.learned, used.learned_measured) == (5, 4, True)
    assert "measured all the same" in used.lines[0]


def test_one_of_several_models_is_enough(learned, tmp_path):
    data, model = learned
    both = more(data, tmp_path / "new", ("9.png", photo(9)))
    found = unseen(both, {"none": Model(data.classes), "one": model})
    assert len(found) == 1
    assert found.overlap.unknown == ("none",)
    assert used_photos(found, {"one": model}).lines[-1].endswith("learned from by: none")


def test_a_mirrored_copy_is_named_and_kept(learned, tmp_path):
    data, model = learned
    new = more(data, tmp_path / "new", ("mirrored.png", ImageOps.mirror(photo(1))), ("9.png", photo(9)))
    found = unseen(new, {"one": model}, looks=True)
    assert [record.path.name for record in found if record.id in found.overlap.alike] == ["mirrored.png"]
    assert len(found) == 2
    assert not unseen(new, {"one": model}).overlap.alike


def test_no_photo_left_is_refused(learned):
    data, model = learned
    with pytest.raises(DataError, match="learned from all 4 photos"):
        unseen(data, {"one": model})
    assert len(unseen(data, {"one": model}, include=True)) == 4


def test_a_model_that_does_not_say_leaves_all(learned):
    data, _ = learned
    silent = Model(data.classes)
    assert seen_by(silent) is None
    assert unseen(data, {"one": silent}).records == data.records


def test_a_memory_of_two_trainings_has_both(learned, tmp_path):
    data, model = learned
    other = more(data, tmp_path / "new", ("9.png", photo(9)))
    both = model.seen.joined(SeenPhotos.of(other))
    assert len(both) == 5
    assert model.seen.joined(None) is model.seen


def test_classes_that_are_not_shared_are_named(learned):
    data, _ = learned
    used = used_photos(data, {"one": Model(("cat", "owl")), "two": Model(("cat",))})
    assert used.only_in_data == ("dog",)
    assert used.only_in_models == {"one": ("owl",)}
    assert used.lines == (
        "classes of old that no model knows: dog",
        "classes of one that old does not have: owl",
    )


def test_names_that_are_nearly_the_same_are_hinted(learned):
    data, _ = learned
    used = used_photos(data, {"one": Model(("Cat", "dog"))})
    assert used.lines[-1] == "are 'Cat' and 'cat' the same class?"
