"""More of what people's folders look like: what is refused says what was seen, what is read says all."""

import pytest

from pfungst.errors import DataError
from pfungst.images import open_dataset
from pfungst.images.checking import checked

DISC = (20, 12, 40, 32)


def photos(made, root, names):
    for number, name in enumerate(names):
        made.save(made.photo(seed=number), root / name)
    return root


class TestFolders:
    @pytest.mark.parametrize(
        "names", [("trainA", "trainB", "testA"), ("train_cats", "test_cats"), ("VAL-x", "Train-x")]
    )
    def test_names_that_begin_like_splits_are_no_classes(self, made, tmp_path, names):
        root = photos(made, tmp_path, [f"{name}/{number}.jpg" for name in names for number in range(2)])
        with pytest.raises(DataError, match="whose names begin like those of splits"):
            open_dataset(root)
        assert len(open_dataset(root, format="folders").classes) == len(names)

    @pytest.mark.parametrize(
        "names", [("train", "bus"), ("trains", "tests"), ("test_tube", "flask"), ("valley", "dev")]
    )
    def test_names_that_merely_hold_such_words_are(self, made, tmp_path, names):
        root = photos(made, tmp_path, [f"{name}/{number}.jpg" for name in names for number in range(2)])
        assert open_dataset(root).classes == tuple(sorted(names))

    def test_empty_folders_are_named(self, made, tmp_path):
        root = photos(made, tmp_path, ["train/cat/a.jpg", "train/dog/b.jpg", "val/cat/c.jpg"])
        for name in ("val/dog", "bird/.hidden"):
            (root / name).mkdir(parents=True)
        assert open_dataset(root).unused == ("2 folders in which nothing lies (bird, val/dog)",)

    def test_evidence_names_a_class_once_whatever_its_form(self, made, tmp_path):
        root = photos(made, tmp_path, ["train/cafe\u0301/a.jpg", "val/caf\u00e9/b.jpg"])
        data = open_dataset(root)
        assert data.classes == ("caf\u00e9",)
        assert data.evidence.startswith("it holds folders of photos (caf\u00e9) in folders for train, val")

    @pytest.mark.parametrize("label", ["0, 0.5, 0.5, 0.2, 0.2\n", "disc 0.5 0.5 0.2 0.2\n"])
    def test_label_files_that_mirror_photos_are_named(self, made, tmp_path, label):
        root = photos(made, tmp_path, ["images/train/a.jpg", "images/val/b.jpg"])
        made.write(root / "labels/train/a.txt", label)
        with pytest.raises(DataError, match=r"labels/train/a\.txt lies beside its photo or mirrors it"):
            open_dataset(root)


class TestVoc:
    def test_lists_beside_scattered_annotations_are_the_splits(self, made, tmp_path):
        root = photos(made, tmp_path, [f"images/{name}.jpg" for name in "abcd"])
        for name in "abcd":
            made.write(root / f"annotations/{name}.xml", made.xml(f"{name}.jpg"))
        made.write(root / "lists/train.txt", "a\nb.jpg\n")
        made.write(root / "lists/Valid.txt", b"\xef\xbb\xbfC:\\x\\images\\c.JPG\r\nd\r\n")
        made.write(root / "notes.txt", "by hand\n")
        data = open_dataset(root)
        assert data.splits == {"train": ("images__a", "images__b"), "val": ("images__c", "images__d")}
        assert data.unused == ("1 file ending in .txt (notes.txt)",)

    def test_a_list_that_names_nothing_is_said(self, made, tmp_path):
        root = made.voc(tmp_path, ("a", "b"), lists={"train": "a\nb\n", "val": "", "test": "x\n"})
        data = open_dataset(root)
        assert data.splits == {"train": ("a", "b"), "val": (), "test": ()}
        assert data.problems == (
            "ImageSets/Main/test.txt: 1 listed photos cannot be used (first: x)",
            "ImageSets/Main/val.txt: names no photo",
        )

    def test_a_namespace_changes_nothing(self, made, tmp_path):
        root = made.voc(tmp_path, ("a",))
        text = made.xml("a.jpg").replace("<annotation>", '<annotation xmlns="http://example.org/voc">')
        made.write(root / "Annotations/a.xml", text)
        assert [box.edges for record in open_dataset(root) for box in record.boxes] == [DISC]

    def test_a_second_photo_of_a_name_is_said_to_lie_in_the_set(self, made, tmp_path):
        root = photos(made, tmp_path / "mine", ["a.jpg", "b.jpg", "a.png"])
        for name in "ab":
            made.write(root / f"{name}.xml", made.xml(f"{name}.jpg"))
        assert open_dataset(root).problems == ("mine: 1 photo has no annotation; left out (a.png)",)


def test_two_numbers_of_one_name_in_yolo_are_said(made, tmp_path):
    root = photos(made, tmp_path, ["images/a.jpg", "images/b.jpg"])
    made.write(root / "labels/a.txt", "0 0.5 0.5 0.5 0.4\n")
    made.write(root / "labels/b.txt", "1 0.5 0.5 0.5 0.4\n")
    made.write(root / "data.yaml", "names: [disc, disc]\n")
    data = open_dataset(root)
    assert (data.classes, data.labels().tolist()) == (("disc",), [[1], [1]])
    assert data.problems == ("data.yaml: 2 classes are named 'disc'; taken as one",)


class TestChecked:
    @pytest.mark.parametrize("options", [{}, {"looks": False}, {"pixels": True}], ids=str)
    def test_files_that_are_no_photos_are_named_whatever_is_asked(self, made, tmp_path, options):
        root = photos(made, tmp_path, ["cat/a.jpg", "dog/b.jpg"])
        made.write(root / "cat/page.jpg", "<html>404</html>")
        made.write(root / "dog/empty.jpg", "")
        problems = checked(open_dataset(root), **options).problems
        assert len(problems) == 2
        assert "page.jpg: is not a photo in a known format" in problems[0]
        assert "empty.jpg: is an empty file" in problems[1]

    def test_a_photo_cut_off_is_named(self, made, tmp_path):
        root = photos(made, tmp_path, ["cat/a.jpg", "dog/b.jpg"])
        whole = (root / "cat/a.jpg").read_bytes()
        (root / "cat/cut.jpg").write_bytes(whole[: len(whole) // 2])
        (problem,) = checked(open_dataset(root)).problems
        assert "cut.jpg: " in problem
