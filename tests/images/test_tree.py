"""Nothing is passed over in silence: links, endings, notes of other systems."""

import importlib.util
import os

import pytest

from pfungst.errors import DataError, ImageError
from pfungst.images import decode, open_dataset
from pfungst.images.decode import photo_suffixes
from pfungst.images.tree import walk

with_heif = pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is None, reason="without pillow-heif")


@pytest.fixture
def photos(made, tmp_path):
    """Folders ``set/cat`` and ``set/dog`` with two photos each."""
    for number, name in enumerate(("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg")):
        made.save(made.photo(seed=number), tmp_path / "set" / name)
    return tmp_path / "set"


class TestLinks:
    def test_a_linked_class_folder_is_read(self, made, photos, tmp_path):
        made.save(made.photo(), tmp_path / "store/ox/1.jpg")
        (photos / "ox").symlink_to(tmp_path / "store/ox")
        assert open_dataset(photos).classes == ("cat", "dog", "ox")

    def test_a_linked_photo_and_a_linked_set(self, photos, tmp_path):
        (photos / "cat/3.jpg").symlink_to(photos / "dog/1.jpg")
        (tmp_path / "link").symlink_to(photos)
        assert len(open_dataset(tmp_path / "link")) == 5

    def test_a_loop_is_named_and_not_followed(self, photos):
        (photos / "cat/again").symlink_to(photos)
        (photos / "dog/self").symlink_to(photos / "dog")
        data = open_dataset(photos)
        assert len(data) == 4
        assert set(data.problems) == {
            "cat/again: is a link to a folder that it lies in; not followed",
            "dog/self: is a link to a folder that it lies in; not followed",
        }

    def test_a_link_to_nowhere_is_named(self, photos, tmp_path):
        (photos / "cat/3.jpg").symlink_to(tmp_path / "gone.jpg")
        (photos / "ox").symlink_to(tmp_path / "gone")
        assert set(open_dataset(photos).problems) == {
            "cat/3.jpg: is a link to a file that is not there; left out",
            "ox: is a link to a file that is not there; left out",
        }

    def test_links_upon_links_end(self, tmp_path):
        for level in range(40):
            (tmp_path / f"{level}").mkdir()
        for level in range(39):
            for name in "ab":
                (tmp_path / f"{level}" / name).symlink_to(tmp_path / f"{level + 1}")
        tree = walk(tmp_path / "0")
        assert len(tree.problems) < 1000, "two to the power of 39 ways lead there"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_folder_that_cannot_be_read_is_named(self, photos):
        (photos / "dog").chmod(0)
        problems = open_dataset(photos).problems
        (photos / "dog").chmod(0o755)
        assert problems == ("dog: cannot be read (Permission denied); left out",)


class TestEndings:
    def test_photos_under_other_endings_are_named(self, photos):
        (photos / "cat/1.jpg").rename(photos / "cat/1.jpg_large")
        (photos / "dog/1.jpg").rename(photos / "dog/download")
        (photos / "dog/raw.NEF").write_bytes(b"II*\x00")
        data = open_dataset(photos)
        assert len(data) == 2
        assert set(data.problems) == {
            "1 photo ending in .jpg_large, which is not read; left out (cat/1.jpg_large)",
            "1 photo without an ending; left out (dog/download)",
            "1 photo ending in .nef, which is not read; left out (dog/raw.NEF)",
        }

    def test_files_of_other_kinds_are_counted(self, made, photos):
        for name in ("README.md", "cat/a.zip", "cat/b.zip", "dog/film.mp4"):
            made.write(photos / name, "x")
        data = open_dataset(photos)
        assert data.problems == ()
        assert set(data.unused) == {
            "1 file ending in .md (README.md)",
            "2 files ending in .zip (cat/a.zip, cat/b.zip)",
            "1 file ending in .mp4 (dog/film.mp4)",
        }

    def test_notes_of_other_systems_are_not_seen(self, made, photos):
        for name in (
            ".DS_Store", "cat/._1.jpg", "Thumbs.db", "cat/desktop.ini", "__MACOSX/cat/1.jpg",
            "@eaDir/1.jpg/SYNOPHOTO.jpg", ".git/a.jpg",
        ):  # fmt: skip
            made.write(photos / name, "x")
        data = open_dataset(photos)
        assert (len(data), data.problems, data.unused) == (4, (), ())

    def test_hidden_annotations_of_other_systems_are_not_seen(self, made, tmp_path):
        made.voc(tmp_path, ("a",))
        made.write(tmp_path / "Annotations/._a.xml", b"\x00\x05\x16\x07")
        assert open_dataset(tmp_path).problems == ()

    def test_heif_is_named_where_it_cannot_be_read(self, photos, monkeypatch):
        import pfungst.images.tree as module

        monkeypatch.setattr(module, "photo_suffixes", lambda: photo_suffixes() - {".heic"})
        (photos / "cat/1.jpg").rename(photos / "cat/1.HEIC")
        assert open_dataset(photos).problems == (
            "1 photo ending in .heic, which needs the package pillow-heif; left out (cat/1.HEIC)",
        )

    @with_heif
    @pytest.mark.parametrize("orientation", [1, 6])
    def test_heif_is_read_upright_where_it_can(self, made, tmp_path, orientation):
        from PIL import Image

        from pfungst.images import image_size

        exif = Image.Exif()
        exif[0x0112] = orientation
        place = tmp_path / "cat/a.heic"
        made.save(made.photo(size=(96, 64)), place, exif=exif)
        assert decode(place).shape[:2] == image_size(place)
        assert len(open_dataset(tmp_path)) == 1

    def test_a_photo_under_a_wrong_ending_is_read_by_its_content(self, made, tmp_path):
        made.save(made.photo(), tmp_path / "cat/a.png", format="JPEG")
        assert decode(open_dataset(tmp_path).records[0].path).shape == (45, 60, 3)


def test_nothing_but_what_cannot_be_read(photos):
    for path in photos.rglob("*.jpg"):
        path.rename(path.with_suffix(""))
    with pytest.raises(DataError, match="is not a data set of a known layout"):
        open_dataset(photos)
    with pytest.raises(ImageError):
        decode(photos / "cat")
