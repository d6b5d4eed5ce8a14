"""YOLO labels as Ultralytics, Roboflow, LabelImg and CVAT lay them out."""

import pytest

from pfungst.errors import DataError
from pfungst.images import open_dataset

ROW = "1 0.5 0.488888889 0.333333333 0.444444444\n"
DISC = (20, 12, 40, 32)
YAML = "names: [bars, disc]\n"


def put(made, root, photos, labels, *, splits=(("", ("a", "b")),), row=ROW):
    """Photos and label files; ``{}`` in a folder's name is the split."""
    for split, names in splits:
        for name in names:
            made.save(
                made.photo(seed=hash((split, name)) % 1000), root / photos.format(split) / f"{name}.jpg"
            )
            made.write(root / labels.format(split) / f"{name}.txt", row)


def by_split(data):
    return {split: len(ids) for split, ids in data.splits.items()}


THREE = (("train", ("a", "b")), ("valid", ("a",)), ("test", ("a",)))


class TestPlaces:
    @pytest.mark.parametrize(
        ("photos", "labels"), [("images/{}", "labels/{}"), ("{}/images", "{}/labels"), ("{}", "{}")]
    )
    @pytest.mark.parametrize("stated", [True, False])
    def test_photos_and_labels_mirror_each_other(self, made, tmp_path, photos, labels, stated):
        put(made, tmp_path, photos, labels, splits=THREE)
        folders = "".join(
            f"{key}: ../{photos.format(folder)}\n"
            for key, folder in (("train", "train"), ("val", "valid"), ("test", "test"))
        )
        made.write(tmp_path / "data.yaml", (folders if stated else "") + "nc: 2\nnames: ['bars', 'disc']\n")
        data = open_dataset(tmp_path)
        assert (data.layout, data.classes, data.problems, data.unused) == ("yolo", ("disc",), (), ())
        assert by_split(data) == {"train": 2, "val": 1, "test": 1}
        for record in data:
            assert record.boxes[0].edges == pytest.approx(DISC)
            assert record.size == (45, 60)

    @pytest.mark.parametrize(
        "head",
        [
            "path: {root}\ntrain: images/train\nval: images/valid\n",
            "path: ../somewhere/else\ntrain: images/train\nval: images/valid\n",
            "train: [images/train]\nval:\n  - images/valid\n",
            "train: train.txt\nval: valid.txt\n",
            "train: /home/me/data/images/train\nval: D:\\data\\images\\valid\n",
        ],
    )
    def test_ways_to_state_a_split(self, made, tmp_path, head):
        put(made, tmp_path, "images/{}", "labels/{}", splits=THREE[:2])
        made.write(tmp_path / "train.txt", "./images/train/a.jpg\n/home/me/images/train/b.jpg\n")
        made.write(tmp_path / "valid.txt", "images\\valid\\a.jpg\n")
        made.write(tmp_path / "data.yaml", head.format(root=tmp_path) + "names:\n  0: bars\n  1: disc\n")
        data = open_dataset(tmp_path)
        assert (by_split(data), data.problems) == ({"train": 2, "val": 1}, ())
        assert open_dataset(tmp_path / "data.yaml").splits == data.splits

    def test_names_in_a_list_beside_the_labels(self, made, tmp_path):
        put(made, tmp_path, "images", "labels")
        made.write(tmp_path / "labels/classes.txt", "bars\ndisc\n")
        data = open_dataset(tmp_path)
        assert (data.layout, data.classes, data.splits, data.unused) == ("yolo", ("disc",), {}, ())

    def test_darknet_as_cvat_writes_it(self, made, tmp_path):
        put(made, tmp_path, "obj_train_data", "obj_train_data")
        made.write(tmp_path / "obj.names", "bars\ndisc\n")
        made.write(tmp_path / "obj.data", "classes = 2\nnames = data/obj.names\n")
        made.write(tmp_path / "train.txt", "data/obj_train_data/a.jpg\ndata/obj_train_data/b.jpg\n")
        data = open_dataset(tmp_path)
        assert (data.layout, by_split(data), data.problems) == ("yolo", {"train": 2}, ())

    def test_labels_without_names_are_refused(self, made, tmp_path):
        put(made, tmp_path, "images", "labels")
        with pytest.raises(DataError) as caught:
            open_dataset(tmp_path)
        assert "holds labels in YOLO's form, but the names of the classes nowhere" in str(caught.value)
        assert "Allowed: data.yaml with names, or one of classes.txt" in str(caught.value)

    def test_a_split_that_leads_nowhere_is_named(self, made, tmp_path):
        put(made, tmp_path, "images/{}", "labels/{}", splits=THREE[:1])
        made.write(tmp_path / "data.yaml", "train: images/train\nval: images/gone\nnames: [bars, disc]\n")
        assert "split val: 'images/gone' leads to no photo that lies here" in open_dataset(tmp_path).problems


class TestLabels:
    @pytest.mark.parametrize(
        "row",
        [
            "1 0.5 0.488888889 0.333333333 0.444444444 0.93",
            "1  .5\t4.88888889e-1 0.333333333 .444444444\r",
            "1 0.333333333 0.266666667 0.666666667 0.266666667 0.666666667 0.711111111 0.4 0.711111111",
            "1 0.5 0.266666667 0.666666667 0.711111111 0.333333333 0.5",
        ],
        ids=["with certainty", "spaces", "four points", "three points"],
    )
    def test_forms_of_a_row(self, made, tmp_path, row):
        put(made, tmp_path, "images", "labels", row=row)
        made.write(tmp_path / "data.yaml", YAML)
        data = open_dataset(tmp_path)
        assert data.problems == ()
        assert data.records[0].boxes[0].edges == pytest.approx(DISC, abs=1e-6)

    def test_key_points_are_no_polygon(self, made, tmp_path):
        put(made, tmp_path, "images", "labels", row=ROW.strip() + " 0.1 0.1 2 0.9 0.9 2\n")
        made.write(tmp_path / "data.yaml", YAML + "kpt_shape: [2, 3]\n")
        assert open_dataset(tmp_path).records[0].boxes[0].edges == pytest.approx(DISC)

    def test_photos_that_nobody_labelled(self, made, tmp_path):
        put(made, tmp_path, "images/{}", "labels/{}", splits=THREE)
        made.save(made.photo(seed=7), tmp_path / "images/train/none.jpg")
        made.write(tmp_path / "labels/train/b.txt", "")
        (tmp_path / "labels/test/a.txt").unlink()
        made.write(tmp_path / "data.yaml", YAML)
        data = open_dataset(tmp_path)
        assert {record.path.name: len(record.positive) for record in data.split("train")} == {
            "a.jpg": 1,
            "b.jpg": 0,
            "none.jpg": 0,
        }
        assert by_split(data) == {"train": 3, "val": 1}
        assert set(data.problems) == {
            "test: no photo of it has a label file; left out",
            "1 photos have no label file; taken as showing none of the classes (images/train/none.jpg)",
        }

    def test_broken_rows_are_counted(self, made, tmp_path):
        put(made, tmp_path, "images", "labels")
        rows = (
            ROW + "disc 0.5 0.5 0.1 0.1\n1 0.5\n-1 0.5 0.5 0.1 0.1\n1.5 0.5 0.5 0.1 0.1\n1 nan 0.5 0.1 0.1\n"
        )
        made.write(tmp_path / "labels/a.txt", rows + "7 0.5 0.5 0.1 0.1\n")
        made.write(tmp_path / "data.yaml", YAML)
        data = open_dataset(tmp_path)
        assert [len(record.boxes) for record in data] == [1, 1]
        assert data.problems == (
            "5 lines are no labels; left out (labels/a.txt)",
            "1 objects have a number without a name; left out (labels/a.txt)",
        )

    def test_pixels_in_place_of_shares_are_refused(self, made, tmp_path):
        put(made, tmp_path, "images", "labels", row="1 30 22 20 20\n")
        made.write(tmp_path / "data.yaml", YAML)
        with pytest.raises(DataError, match="2 of 2 boxes reach far out of their photos"):
            open_dataset(tmp_path)

    @pytest.mark.parametrize("names", ["[no, yes]", "{0: no, 1: yes}", "\n- no\n- yes"])
    def test_names_that_yaml_takes_for_something_else(self, made, tmp_path, names):
        put(made, tmp_path, "images", "labels")
        made.write(tmp_path / "data.yaml", f"names: {names}\n")
        assert open_dataset(tmp_path).classes == ("yes",)

    @pytest.mark.parametrize(
        "text",
        [
            "names: !!python/object/apply:os.system [exit]",
            "names: &a [*a]",
            "[" * 5000,
            "names: {a: b}",
            "a: *b",
            "\x00",
            "names: [[x]]",
        ],
    )
    def test_hostile_yaml(self, made, tmp_path, text):
        put(made, tmp_path, "images", "labels")
        made.write(tmp_path / "data.yaml", text)
        with pytest.raises(DataError, match=r"names of the classes nowhere|no labelled object"):
            open_dataset(tmp_path)
