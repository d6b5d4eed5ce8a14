"""Equal files and photos that look the same."""

import io
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pfungst.images import open_dataset
from pfungst.images.checking import checked
from pfungst.images.digests import NEAR, digest_of, look_of
from pfungst.images.seen import SeenPhotos
from pfungst.images.twins import Twins, find_twins, nearest

hashes = st.lists(st.integers(0, 2**64 - 1), max_size=20)


def bits(one, other):
    return bin(int(one) ^ int(other)).count("1")


@given(hashes, hashes, st.integers(0, 2**32))
@settings(deadline=None)
def test_the_nearest_hash_is_that_of_a_plain_search(queries, targets, seed):
    flips = np.random.default_rng(seed)
    flipped = (flips.choice(64, flips.integers(0, 8), replace=False) for _ in queries)
    near = [value ^ sum(1 << int(b) for b in bits) for value, bits in zip(queries, flipped, strict=True)]
    targets = np.array([*targets, *near], dtype=np.uint64)
    queries = np.array(queries, dtype=np.uint64)
    found = nearest(queries, targets)
    for query, index in zip(queries, found, strict=True):
        least = min((bits(query, target) for target in targets if target), default=65)
        if query == 0 or least > NEAR:
            assert index == -1
        else:
            assert bits(query, targets[index]) == least


def detailed(seed, size=(160, 120)):
    """A photo with large forms, as photos have."""
    generator = np.random.default_rng(seed)
    rough = generator.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    return Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC)


def changed(image, how):
    width, height = image.size
    if how == "saved again":
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=60)
        return Image.open(stream)
    return {
        "mirrored": lambda: ImageOps.mirror(image),
        "half": lambda: image.resize((width // 2, height // 2), Image.Resampling.LANCZOS),
        "mirrored and half": lambda: ImageOps.mirror(image).resize((width // 2, height // 2)),
        "brighter": lambda: image.point(lambda value: min(255, int(1.15 * value))),
    }[how]()


@pytest.mark.parametrize("how", ["saved again", "mirrored", "half", "mirrored and half", "brighter"])
def test_copies_are_found_across_splits(made, tmp_path, how):
    for number in range(12):
        made.save(detailed(number), tmp_path / "train" / "cat" / f"{number}.png")
        made.save(detailed(number + 100), tmp_path / "test" / "cat" / f"{number}.png")
    made.save(changed(detailed(5), how), tmp_path / "test" / "cat" / "copy.png")
    data = open_dataset(tmp_path)
    kind = "mirrored" if "mirrored" in how else "near"
    assert find_twins(data) == [Twins(one="test__cat__copy", other="train__cat__5", kind=kind)]
    what = "look the same when one is mirrored" if kind == "mirrored" else "look the same"
    assert checked(data).problems == (
        f"1 pairs of photos in train and test {what} (test__cat__copy and train__cat__5)",
    )
    assert checked(data, looks=False).problems == ()


def test_equal_files_are_found_across_splits_and_within(made, tmp_path):
    for number, place in enumerate(
        ("train/cat/1.png", "train/cat/2.png", "test/cat/1.png", "test/dog/1.png")
    ):
        made.save(detailed(number), tmp_path / place)
    shutil.copy(tmp_path / "train/cat/1.png", tmp_path / "test/dog/copy.png")
    shutil.copy(tmp_path / "train/cat/2.png", tmp_path / "train/cat/again.png")
    assert set(checked(open_dataset(tmp_path)).problems) == {
        "1 pairs of photos in train and test are equal files (test__dog__copy and train__cat__1)",
        "1 pairs of photos in train are equal files (train__cat__2 and train__cat__again)",
        "1 photos stand there twice with different labels (test__dog__copy and train__cat__1)",
    }


def test_near_duplicates_within_a_split_are_no_leak(made, tmp_path):
    made.save(detailed(1), tmp_path / "train/cat/1.png")
    made.save(ImageOps.mirror(detailed(1)), tmp_path / "train/cat/2.png")
    made.save(detailed(2), tmp_path / "test/cat/1.png")
    assert find_twins(open_dataset(tmp_path)) == []
    shutil.rmtree(tmp_path / "test")
    shutil.move(tmp_path / "train/cat", tmp_path / "cat")
    (tmp_path / "train").rmdir()
    assert len(find_twins(open_dataset(tmp_path))) == 1, "a random split could part them"


def test_plain_photos_and_broken_ones_have_no_twins(made, tmp_path):
    for number in range(3):
        made.save(Image.new("RGB", (30, 20), (number, 0, 0)), tmp_path / "cat" / f"{number}.png")
    made.write(tmp_path / "cat/broken.png", b"no photo")
    assert find_twins(open_dataset(tmp_path)) == []
    assert look_of(tmp_path / "cat/0.png").upright == 0


def test_looks_are_those_of_the_photo_as_shown(made, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    made.save(detailed(3), tmp_path / "shown.png")
    made.save(
        detailed(3).transpose(Image.Transpose.ROTATE_90), tmp_path / "stored.jpg", exif=exif, quality=95
    )
    assert bits(look_of(tmp_path / "shown.png").upright, look_of(tmp_path / "stored.jpg").upright) <= 2


class TestSeen:
    @pytest.fixture
    def data(self, made, tmp_path):
        for number in range(6):
            made.save(detailed(number), tmp_path / "cat" / f"{number}.png")
        return open_dataset(tmp_path).with_digests()

    def test_a_model_knows_its_photos_by_content(self, data, tmp_path):
        first = data.records[:3]
        seen = SeenPhotos.of(data.__class__(name="d", root=tmp_path, classes=("cat",), records=first))
        assert [seen.has(record) for record in data] == [True] * 3 + [False] * 3
        (tmp_path / "cat/0.png").rename(tmp_path / "cat/renamed.png")
        again = open_dataset(tmp_path).with_digests()
        assert {record.path.name for record in again if seen.has(record)} == {"renamed.png", "1.png", "2.png"}

    def test_it_is_small_and_comes_back(self, data):
        seen = SeenPhotos.of(data, data)
        assert len(seen) == 6
        assert sum(array.nbytes for array in seen.arrays().values()) == 6 * 16
        again = SeenPhotos.from_arrays(seen.arrays())
        np.testing.assert_array_equal(again.contents, seen.contents)
        assert SeenPhotos.from_arrays({}) is None
        assert SeenPhotos.from_arrays({name: a.astype(float) for name, a in seen.arrays().items()}) is None

    def test_it_knows_photos_that_look_like_its_own(self, data, made, tmp_path):
        seen = SeenPhotos.of(data)
        made.save(ImageOps.mirror(detailed(2)), tmp_path / "new/dog/mirrored.png")
        made.save(detailed(50), tmp_path / "new/dog/other.png")
        new = open_dataset(tmp_path / "new").with_digests()
        assert not any(seen.has(record) for record in new)
        assert seen.alike(new) == ["dog__mirrored"]


def test_a_digest_is_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    digest = digest_of(tmp_path / "a")
    assert digest.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (digest.bytes, digest.short) == (3, 0xBA7816BF8F01CFEA)
