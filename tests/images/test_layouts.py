"""Photo sets as people have them: recognised and read, or refused with what was seen."""

import json

import pytest

from pfungst.errors import ConfigError, DataError
from pfungst.images import LAYOUTS, Layout, open_dataset, register
from pfungst.images.assembly import Assembly
from pfungst.images.records import Labelled

SPLITS = {"train": ("a", "b"), "val": ("c",), "test": ("d",)}


def both(folders):
    """A cat and a dog in each folder."""
    return [f"{folder}/{name}/{folder}.jpg" for folder in folders for name in ("cat", "dog")]


def by_split(data):
    return {split: len(ids) for split, ids in data.splits.items()}


class TestCoco:
    @pytest.mark.parametrize("valid", ["valid", "val", "validation", "dev"])
    def test_a_file_in_each_split_folder(self, made, tmp_path, valid):
        for folder, names in (("train", ("a.jpg", "b.jpg")), (valid, ("c.jpg",)), ("test", ("d.jpg",))):
            kinds = ("disc", "shapes")
            made.coco(
                tmp_path / folder / "_annotations.coco.json",
                names,
                photos=tmp_path / folder,
                categories=kinds,
            )
        data = open_dataset(tmp_path)
        assert (data.layout, data.classes, by_split(data)) == (
            "coco",
            ("disc",),
            {"train": 2, "val": 1, "test": 1},
        )
        assert sum(len(record.boxes) for record in data) == 4
        assert data.problems == ()
        assert "has the lists images, annotations, categories" in data.evidence.replace("have", "has")

    @pytest.mark.parametrize("folders", [("",), ("train", "validation")])
    def test_data_folder_and_labels_json(self, made, tmp_path, folders):
        for number, folder in enumerate(folders):
            made.coco(
                tmp_path / folder / "labels.json", (f"{number}.jpg",), photos=tmp_path / folder / "data"
            )
        data = open_dataset(tmp_path)
        assert len(data) == len(folders)
        assert by_split(data) == ({} if folders == ("",) else {"train": 1, "val": 1})

    def test_a_split_called_default_is_none(self, made, tmp_path):
        made.coco(
            tmp_path / "annotations/instances_default.json", ("a.jpg",), photos=tmp_path / "images/default"
        )
        data = open_dataset(tmp_path)
        assert (len(data), data.splits, data.problems) == (1, {}, ())

    def test_captions_and_keypoints_beside_it_are_named_as_not_used(self, made, tmp_path):
        for name in ("instances_val2017", "person_keypoints_val2017"):
            made.coco(tmp_path / "annotations" / f"{name}.json", ("a.jpg",), photos=tmp_path / "val2017")
        made.write(tmp_path / "annotations/captions_val2017.json", '{"images": [], "annotations": []}')
        data = open_dataset(tmp_path)
        assert (len(data), data.problems) == (1, ())
        assert data.unused == (
            "2 files ending in .json (annotations/captions_val2017.json, "
            "annotations/person_keypoints_val2017.json)",
        )

    @pytest.mark.parametrize("name", ["a.png", "other/a.jpg", "images\\a.jpg", "A.JPG"])
    def test_names_that_are_not_quite_those_of_files(self, made, tmp_path, name):
        file = made.coco(tmp_path / "annotations.json", ("a.jpg", "b.jpg"), photos=tmp_path / "images")
        content = json.loads(file.read_text())
        content["images"][0]["file_name"] = name
        file.write_text(json.dumps(content))
        data = open_dataset(tmp_path)
        assert [record.path.name for record in data] == ["a.jpg", "b.jpg"]
        assert data.problems == ()

    def test_two_files_of_one_split_name_stay_apart(self, made, tmp_path):
        for year in ("2014", "2017"):
            file = tmp_path / f"annotations/instances_train{year}.json"
            made.coco(file, (f"{year}.jpg",), photos=tmp_path / "images")
        assert by_split(open_dataset(tmp_path)) == {"train2014": 1, "train2017": 1}


class TestVoc:
    def test_xml_beside_photos_in_split_folders(self, made, tmp_path):
        for split, names in SPLITS.items():
            for name in names:
                made.save(made.photo(), tmp_path / split / f"{name}.jpg")
                made.write(tmp_path / split / f"{name}.xml", made.xml(f"{name}.jpg"))
        data = open_dataset(tmp_path)
        assert (data.layout, data.classes, by_split(data)) == (
            "voc",
            ("disc",),
            {"train": 2, "val": 1, "test": 1},
        )
        assert [box.edges for record in data for box in record.boxes] == [(20, 12, 40, 32)] * 4
        assert data.evidence == "4 XML files lie in it, such as test/d.xml"

    @pytest.mark.parametrize(
        ("photos", "labels", "splits"),
        [
            ("images", "annotations", {}),
            ("images", "Annotations/xmls", {}),
            ("images/{}", "annotations/{}", {"train": 2, "val": 1, "test": 1}),
            ("{}/images", "{}/annotations", {"train": 2, "val": 1, "test": 1}),
            ("", "", {}),
        ],
    )
    def test_folders_that_mirror_each_other(self, made, tmp_path, photos, labels, splits):
        for split, names in SPLITS.items():
            for name in names:
                made.save(made.photo(), tmp_path / photos.format(split) / f"{name}.jpg")
                made.write(tmp_path / labels.format(split) / f"{name}.xml", made.xml(f"{name}.jpg"))
        data = open_dataset(tmp_path)
        assert (len(data), by_split(data), data.problems) == (4, splits, ())

    def test_the_same_names_in_each_split(self, made, tmp_path):
        for split, kind in (("train", "disc"), ("test", "bars")):
            made.save(made.photo(kind), tmp_path / "images" / split / "1.jpg")
            text = made.xml("1.jpg", objects=((kind, (21, 13, 40, 32)),))
            made.write(tmp_path / "annotations" / split / "1.xml", text)
        data = open_dataset(tmp_path)
        assert {record.path.parts[-2]: set(record.positive) for record in data} == {
            "train": {"disc"}, "test": {"bars"},
        }  # fmt: skip

    def test_a_name_that_was_copied_into_every_annotation(self, made, tmp_path):
        for name in ("a", "b", "c"):
            made.save(made.photo(), tmp_path / f"{name}.jpg")
            made.write(tmp_path / f"{name}.xml", made.xml("a.jpg"))
        assert sorted(record.path.name for record in open_dataset(tmp_path)) == ["a.jpg", "b.jpg", "c.jpg"]

    def test_a_list_called_default_is_no_split(self, made, tmp_path):
        made.voc(tmp_path, ("a", "b"), lists={"default": "a\nb\n"})
        data = open_dataset(tmp_path)
        assert (len(data), data.splits, data.problems) == (2, {}, ())


class TestFolders:
    def put(self, made, root, *names):
        for number, name in enumerate(names):
            made.save(made.photo(seed=number), root / name)

    @pytest.mark.parametrize(
        "splits",
        [("train", "valid", "test"), ("train", "dev", "test"), ("Training", "Validation", "Testing"),
         ("train_set", "val_set", "test_set"), ("train2017", "val2017", "test2017")],
    )  # fmt: skip
    def test_split_folders_of_any_common_name(self, made, tmp_path, splits):
        self.put(made, tmp_path, *both(splits))
        data = open_dataset(tmp_path)
        assert (data.layout, data.classes) == ("folders", ("cat", "dog"))
        assert by_split(data) == {"train": 2, "val": 2, "test": 2}

    def test_two_folders_that_mean_the_same_split_stay_apart(self, made, tmp_path):
        self.put(made, tmp_path, *both(("train", "test", "eval")))
        data = open_dataset(tmp_path)
        assert by_split(data) == {"train": 2, "test": 2, "eval": 2}
        assert data.problems == (
            f"{tmp_path.name}: folders eval and test both mean test; each is a split of its own",
        )

    def test_one_folder_too_many_is_named(self, made, tmp_path):
        names = [
            f"{split}/{name}/{split}.jpg" for split in ("train", "val", "test") for name in ("cat", "dog")
        ]
        self.put(made, tmp_path, *names, "notes/whiteboard.jpg")
        data = open_dataset(tmp_path)
        assert (data.classes, by_split(data)) == (("cat", "dog"), {"train": 2, "val": 2, "test": 2})
        assert data.problems == (f"{tmp_path.name}: 1 photos lie in no class folder; left out",)
        made.write(tmp_path / "notes/todo.txt", "more cats")
        assert open_dataset(tmp_path).unused == ("1 file ending in .txt (notes/todo.txt)",)

    @pytest.mark.parametrize("wrapper", ["data", "dataset/images", "my photos"])
    def test_a_folder_that_holds_all_others_is_passed_through(self, made, tmp_path, wrapper):
        self.put(made, tmp_path, f"{wrapper}/cat/1.jpg", f"{wrapper}/dog/2.jpg")
        assert open_dataset(tmp_path).classes == ("cat", "dog")
        self.put(made, tmp_path, f"{wrapper}/cat/1.jpg", f"{wrapper}/test/dog/2.jpg")

    def test_splits_within_a_wrapper(self, made, tmp_path):
        self.put(made, tmp_path, "data/train/cat/1.jpg", "data/train/dog/2.jpg", "data/test/cat/3.jpg")
        assert by_split(open_dataset(tmp_path)) == {"train": 2, "test": 1}

    @pytest.mark.parametrize(
        ("names", "seen"),
        [
            (("train/1.jpg", "valid/2.jpg", "test/3.jpg"), "named like splits"),
            (("train/1.jpg", "dev/2.jpg", "test/3.jpg"), "named like splits"),
            (("train/1.jpg", "test/3.jpg", "extra/4.jpg"), "named like splits"),
            (("images/1.jpg", "labels/1.png"), "names are none of classes"),
            (("images/1.jpg",), "names are none of classes"),
            (("data/1.jpg", "data/2.jpg"), "names are none of classes"),
            (
                ("one/cat/1.jpg", "two/cat/2.jpg", "one/dog/3.jpg", "two/dog/4.jpg"),
                "with the same folders in",
            ),
        ],
    )
    def test_what_is_no_class_is_refused(self, made, tmp_path, names, seen):
        self.put(made, tmp_path, *names)
        with pytest.raises(DataError) as caught:
            open_dataset(tmp_path)
        assert seen in str(caught.value)
        assert "Try: format folders (--format folders)" in str(caught.value)
        assert len(open_dataset(tmp_path, format="folders")) == len(names)

    @pytest.mark.parametrize(
        ("file", "text"),
        [
            ("cat/1.xml", "<svg/>"),
            ("cat/1.json", '{"shapes": []}'),
            ("cat/1.txt", "a cat on a mat"),
            ("cat/1.jpg.json", "{}"),
            ("labels.json", '{"1.jpg": "tom", "2.jpg": "tim", "3.jpg": "rex"}'),
            ("captions.txt", "1.jpg#0 a cat\n2.jpg#0 a cat\n3.jpg#0 a dog"),
            ("scores.csv", "photo,beauty\n1.jpg,3\n2.jpg,4\n3.jpg,4"),
        ],
    )
    def test_files_that_look_like_labels_are_named(self, made, tmp_path, file, text):
        self.put(made, tmp_path, "cat/1.jpg", "cat/2.jpg", "dog/3.jpg")
        made.write(tmp_path / file, text)
        with pytest.raises(DataError) as caught:
            open_dataset(tmp_path)
        assert f"1 files that look like labels, in no layout that is known ({file} " in str(caught.value)
        assert open_dataset(tmp_path, format="folders").classes == ("cat", "dog")

    def test_notes_are_no_labels(self, made, tmp_path):
        self.put(made, tmp_path, "cat/1.jpg", "dog/3.jpg")
        for name in ("README.md", "LICENSE.txt", "cat/notes.txt", "settings.json", "prices.csv"):
            made.write(tmp_path / name, "{}" if name.endswith("json") else "a,b\n1,2\n")
        data = open_dataset(tmp_path)
        assert (data.classes, data.problems) == (("cat", "dog"), ())
        assert set(data.unused) == {
            "1 file ending in .md (README.md)",
            "2 files ending in .txt (LICENSE.txt, cat/notes.txt)",
            "1 file ending in .json (settings.json)",
            "1 file ending in .csv (prices.csv)",
        }


class TestRegistry:
    def test_two_kinds_of_evidence_are_not_chosen_between(self, made, tmp_path):
        made.voc(tmp_path, ("a",))
        made.coco(tmp_path / "instances.json", ("a.jpg",), photos=tmp_path / "JPEGImages")
        with pytest.raises(DataError) as caught:
            open_dataset(tmp_path)
        assert "can be read in more than one way: voc, since " in str(caught.value)
        assert "; coco, since instances.json has the lists" in str(caught.value)
        assert "Try: format (--format) voc or coco" in str(caught.value)
        for name in ("voc", "coco"):
            data = open_dataset(tmp_path, format=name)
            assert (data.layout, data.evidence, len(data)) == (name, "as asked for", 1)

    @pytest.fixture
    def own(self):
        def recognise(place):
            return "LABEL.txt lies in it" if place.files(".txt") else ""

        def read(place):
            found = Assembly(place)
            for photo in place.tree.photos:
                found.add(found.new_id(photo), place.path / photo, [Labelled(class_name="thing")])
            place.read.add(place.path / "LABEL.txt")
            return found.finish()

        yield register(Layout(name="own", title="LABEL.txt beside photos", recognise=recognise, read=read))
        del LAYOUTS["own"]

    def test_a_layout_from_outside(self, made, tmp_path, own):
        made.save(made.photo(), tmp_path / "a.jpg")
        made.write(tmp_path / "LABEL.txt", "all of these are things")
        data = open_dataset(tmp_path)
        assert (data.layout, data.classes, data.unused) == ("own", ("thing",), ())
        assert open_dataset(tmp_path, format="own").classes == ("thing",)
        with pytest.raises(ConfigError, match="a second layout of the name 'own'"):
            register(own)

    def test_the_default_is_auto(self, made, tmp_path):
        made.voc(tmp_path, ("a",))
        assert (
            open_dataset(tmp_path, format="auto")
            == open_dataset(tmp_path)
            == open_dataset(tmp_path, format=None)
        )
