import pytest

from pfungst.errors import ConfigError, DataError
from pfungst.images import LAYOUTS, open_dataset


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_folder_names_are_classes_however_deep(tmp_path):
    touch(
        tmp_path, "dog/1.jpg", "dog/more/1.JPG", "cat/x.png", "cat/notes.txt", "cat/.hidden.jpg", ".git/a.jpg"
    )
    data = open_dataset(tmp_path)
    assert data.classes == ("cat", "dog")
    assert {record.id: sorted(record.positive) for record in data} == {
        "cat__x": ["cat"],
        "dog__1": ["dog"],
        "dog__more__1": ["dog"],
    }
    assert data.labels().tolist() == [[1, -1], [-1, 1], [-1, 1]]
    assert (data.splits, data.problems) == ({}, ())


def test_split_folders_above_the_classes(tmp_path):
    touch(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", "valid/cat/1.jpg", "test/dog/4.jpg")
    data = open_dataset(tmp_path)
    assert data.classes == ("cat", "dog")
    assert data.splits == {
        "test": ("test__dog__4",),
        "train": ("train__cat__1", "train__dog__2"),
        "val": ("valid__cat__1",),
    }


def test_a_class_named_train_is_not_a_split(tmp_path):
    touch(tmp_path, "train/1.jpg", "bus/2.jpg", "train/deep/3.jpg")
    assert open_dataset(tmp_path).classes == ("bus", "train")


def test_ids_stay_unique(tmp_path):
    touch(tmp_path, "cat/1.jpg", "cat/1.png", "cat__1.jpg/1_jpg.png", "cat/1/x.jpg", "cat/1__x.jpg")
    data = open_dataset(tmp_path)
    assert len({record.id for record in data}) == 5


def test_photos_outside_are_counted(tmp_path):
    touch(tmp_path, "cat/1.jpg", "stray.jpg", "other.png")
    assert open_dataset(tmp_path).problems == (f"{tmp_path.name}: 2 photos lie in no class folder; left out",)


@pytest.mark.parametrize("names", [[], ["stray.jpg"], ["notes/readme.txt"]])
def test_unknown_layout(tmp_path, names):
    touch(tmp_path, *names)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    message = str(caught.value)
    photos = sum(name.endswith("jpg") for name in names)
    more = " and files, 1 ending in .txt" if any(name.endswith("txt") for name in names) else ""
    assert message.startswith(
        f"{tmp_path}: is not a data set of a known layout: it holds {photos} photos{more}. Allowed: voc: JPEG"
    )
    assert all(f"{layout.name}: {layout.title}" in message for layout in LAYOUTS.values())
    with pytest.raises(DataError, match="no photo that can be used"):
        open_dataset(tmp_path, format="folders")


@pytest.mark.parametrize(("there", "missing"), [("JPEGImages", "Annotations"), ("Annotations", "JPEGImages")])
def test_half_a_voc_set_is_not_taken_for_a_class_folder(tmp_path, there, missing):
    touch(tmp_path, f"{there}/1.jpg")
    with pytest.raises(DataError, match=f"has a folder {there}, but no {missing}"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="is not in VOC layout"):
        open_dataset(tmp_path, format="voc")


def test_missing_path_wrong_file_and_unknown_format(tmp_path):
    with pytest.raises(DataError, match=r"absent: no such folder or file\."):
        open_dataset(tmp_path / "absent")
    touch(tmp_path, "photo.jpg")
    with pytest.raises(DataError, match="is a file that is no data set"):
        open_dataset(tmp_path / "photo.jpg")
    with pytest.raises(ConfigError, match=r"unknown format 'zip'\. Allowed: auto, voc, coco, "):
        open_dataset(tmp_path, format="zip")
    with pytest.raises(DataError, match="holds no COCO annotations"):
        open_dataset(tmp_path, format="coco")
