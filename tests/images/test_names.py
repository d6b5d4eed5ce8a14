"""Names as people write them."""

import unicodedata
from pathlib import PurePosixPath

import pytest

from pfungst.errors import DataError
from pfungst.images import open_dataset
from pfungst.images.names import Index, nearly, read_text, split_name


class TestLists:
    @pytest.mark.parametrize(
        "line",
        ["my cat (1)", "my cat (1).jpg", "my cat (1).JPG", "JPEGImages/my cat (1).jpg", "my cat (1).png",
         "./JPEGImages/my cat (1)", "C:\\Users\\me\\VOC\\JPEGImages\\my cat (1).jpg",
         "/home/me/VOC2007/JPEGImages/my cat (1).jpg", "my cat (1) 1", "my cat (1)  -1", '"my cat (1)"',
         "my cat (1)\t", "  my cat (1)"],
    )  # fmt: skip
    def test_each_way_to_name_a_photo(self, made, tmp_path, line):
        made.voc(tmp_path, ("my cat (1)", "my cat (2)", "my"), lists={"train": f"{line}\n"})
        data = open_dataset(tmp_path)
        assert (data.splits, data.problems) == ({"train": ("my cat (1)",)}, ())

    @pytest.mark.parametrize(
        "content",
        [b"\xef\xbb\xbfa\r\nb\r\n", "a\r\nb".encode("utf-16"), b"a\rb\r", b"a\n\n  \nb\n", b"a\nb"],
        ids=["BOM", "UTF-16", "old Mac", "empty lines", "no last line feed"],
    )
    def test_each_way_to_write_a_list(self, made, tmp_path, content):
        made.voc(tmp_path, ("a", "b", "c"), lists={"train": content})
        data = open_dataset(tmp_path)
        assert (data.splits, data.problems) == ({"train": ("a", "b")}, ())

    def test_old_code_pages_and_forms_of_letters(self, made, tmp_path):
        decomposed = unicodedata.normalize("NFD", "Bär")
        lists = {"train": "Bär\n".encode("cp1252"), "test": f"{decomposed}\n".encode()}
        made.voc(tmp_path, ("Bär",), lists=lists)
        assert open_dataset(tmp_path).splits == {"train": ("Bär",), "test": ("Bär",)}

    def test_lists_of_one_class_that_no_annotation_has(self, made, tmp_path):
        made.voc(tmp_path, ("a", "b"), lists={"train": "a\nb\n", "zebra_train": "a  1\nb -1\n"})
        assert open_dataset(tmp_path).splits == {"train": ("a", "b")}

    def test_names_of_lists(self, made, tmp_path):
        made.voc(tmp_path, ("a", "b"), lists={"valid": "a\n", "mine": "b\n"})
        assert set(open_dataset(tmp_path).splits) == {"val", "mine"}

    def test_an_id_in_two_lists_and_one_twice_in_a_list(self, made, tmp_path):
        made.voc(
            tmp_path, ("a", "b", "c"), lists={"train": "a\na\nb\n", "test": "b\nc\n", "trainval": "a\nb\n"}
        )
        assert open_dataset(tmp_path).problems == (
            "ImageSets/Main/train.txt: 1 photos stand in it more than once",
            "1 photos stand in both train and test (first: b)",
            "1 photos stand in both trainval and test (first: b)",
        )

    def test_a_name_that_two_photos_have_is_not_guessed(self, made, tmp_path):
        for folder in ("one", "two"):
            made.save(made.photo(), tmp_path / f"JPEGImages/{folder}/a.jpg")
            made.write(tmp_path / f"Annotations/{folder}_a.xml", made.xml(f"{folder}/a.jpg"))
        made.write(tmp_path / "ImageSets/Main/train.txt", "a.jpg\none/a.jpg\n")
        data = open_dataset(tmp_path)
        assert data.splits == {"train": ("one_a",)}
        assert data.problems == ("ImageSets/Main/train.txt: 1 listed photos cannot be used (first: a.jpg)",)

    def test_no_text_at_all(self, tmp_path):
        (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(DataError, match="is no text in UTF-8, UTF-16 or Windows-1252"):
            read_text(tmp_path / "list.txt", what="a list")


class TestIndex:
    def test_whole_names_win(self):
        names = ("a.jpg", "sub/a.jpg", "b.jpg", "B.jpg", "c.v2.jpg")
        index = Index([PurePosixPath(name) for name in names])
        assert [str(index.find(name)) for name in names] == list(names)
        assert str(index.find("x/sub/a.jpg")) == "sub/a.jpg"
        assert str(index.find("c.v2")) == str(index.find("C.V2.PNG")) == "c.v2.jpg"

    @pytest.mark.parametrize("name", ["", ".", "/", "\\", "none", "a.jpg/b", "c"])
    def test_nothing_is_found_for_nothing(self, name):
        assert Index([PurePosixPath("a.jpg"), PurePosixPath("c.v2.jpg")]).find(name) is None


class TestClasses:
    def test_names_in_two_forms_are_one_class(self, made, tmp_path):
        for form in ("NFC", "NFD"):
            name = unicodedata.normalize(form, "café")
            folder = tmp_path / ("train" if form == "NFC" else "test")
            made.save(made.photo(seed=len(name)), folder / name / "1.jpg")
        data = open_dataset(tmp_path)
        assert (data.classes, len(data)) == (("café",), 2)
        assert data.select([unicodedata.normalize("NFD", "café")]).classes == ("café",)

    @pytest.mark.parametrize("pair", [("Bars", "bars"), ("hot dog", "hot_dog"), ("Ä", "ä")])
    def test_names_that_differ_in_spelling_alone_are_named(self, made, tmp_path, pair):
        for number, name in enumerate(pair):
            made.save(made.photo(seed=number), tmp_path / name / "1.jpg")
        first, second = sorted(pair)
        assert open_dataset(tmp_path).problems == (
            f"classes {first!r}, {second!r} differ in spelling alone; are they one?",
        )

    def test_odd_names_are_read_as_they_are(self, made, tmp_path):
        names = ("bass, fish", "cup;mug", '<b>bold & "q"', "a b", "CON", "100%", "-x")
        for number, name in enumerate(names):
            made.save(made.photo(seed=number), tmp_path / name / "1.jpg")
        assert set(open_dataset(tmp_path).classes) == set(names)

    @pytest.mark.parametrize(
        ("name", "meant"),
        [("Bars", "bars"), ("motorcycle", "motorbike"), ("airplane", "aeroplane"), ("hores", "horse"),
         ("tv", "tvmonitor"), ("cafe", "café"), ("zebra", None), ("cat", None)],
    )  # fmt: skip
    def test_what_a_name_probably_means(self, name, meant):
        known = ("bars", "motorbike", "aeroplane", "horse", "tvmonitor", "café", "disc")
        assert nearly(name, known) == meant

    def test_a_missing_class_is_hinted_at(self, made, tmp_path):
        made.voc(tmp_path, ("a",))
        with pytest.raises(DataError, match=r"no class 'Disc' .* Allowed: disc\. Try: 'disc'"):
            open_dataset(tmp_path, classes=["Disc"])


SPELLINGS = {
    "train": (
        "train",
        "TRAIN",
        "Training",
        "trainset",
        "train_set",
        "train2017",
        "images_train",
        "train-data",
    ),
    "val": ("val", "valid", "validation", "dev", "Development", "val_images"),
    "test": ("test", "testing", "test-data", "eval", "holdout"),
    "trainval": ("trainval", "train_val", "trainval2012"),
    None: ("bullet train", "test tube", "trains", "set", "", "2017", "cat", "..."),
}


@pytest.mark.parametrize(("split", "folders"), SPELLINGS.items())
def test_names_of_splits(split, folders):
    assert {split_name(folder) for folder in folders} == {split}
