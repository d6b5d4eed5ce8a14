"""Tables of photos and labels: CSV, TSV, JSON Lines."""

import json

import pytest

from pfungst.errors import DataError
from pfungst.images import open_dataset

BOX = (20, 12, 40, 32)
TF_HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


@pytest.fixture
def put(made, tmp_path):
    """A function that writes a table and makes photos of the given names."""

    def write(text, file="labels.csv", photos=("a.jpg", "b.jpg", "c.jpg"), at="images"):
        for number, name in enumerate(photos):
            made.save(made.photo(seed=number), tmp_path / at / name)
        if isinstance(text, list):
            text = "\n".join(json.dumps(row) for row in text)
        made.write(tmp_path / file, text)
        return tmp_path

    return write


def labels(data):
    return {record.path.stem: sorted(record.positive) for record in data}


class TestLabels:
    @pytest.mark.parametrize(
        "text",
        [
            "file_name,label\na.jpg,cat\nb.jpg,dog\nc.jpg,cat\n",
            "image;class\r\na;cat\r\nb;dog\r\nc;cat\r\n",
            "\ufeffImage Path\tSpecies\nimages/a.jpg\tcat\nC:\\x\\images\\b.jpg\tdog\n/y/c.png\tcat\n",
            'id,"label"\n"a","cat"\n"b","dog"\n"c","cat"\n',
            "a.jpg,cat\nb.jpg,dog\nc.jpg,cat\n",
            "x,filename,width,height,category\n1,a.jpg,60,45,cat\n2,b.jpg,60,45,dog\n3,c.jpg,60,45,cat\n",
        ],
        ids=["plain", "semicolons", "tabs and BOM", "without endings", "without header", "more columns"],
    )
    def test_forms_of_a_table(self, put, text):
        data = open_dataset(put(text))
        assert (data.layout, data.classes, data.problems, data.unused) == ("table", ("cat", "dog"), (), ())
        assert labels(data) == {"a": ["cat"], "b": ["dog"], "c": ["cat"]}
        assert open_dataset(data.root / "labels.csv", images=data.root / "images").labels().tolist() == [
            [1, -1],
            [-1, 1],
            [1, -1],
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "file_name,labels\na.jpg,cat|dog\nb.jpg,\nc.jpg,dog\n",
            'file,tags\na.jpg,"cat, dog"\nb.jpg,\nc.jpg,dog\n',
            "image,label\na.jpg,cat;dog\nb.jpg,\nc.jpg,dog\n",
            "image,label\na.jpg,cat\na.jpg,dog\nb.jpg,\nc.jpg,dog\n",
            "filename, cat, dog\na.jpg, 1, 1\nb.jpg, 0, 0\nc.jpg, 0, 1\n",
            "image,cat,dog\na,1.0,1.0\nb,0.0,0.0\nc,0,1\n",
        ],
        ids=["bars", "commas", "semicolons", "rows", "columns of 0 and 1", "columns of floats"],
    )
    def test_several_labels_a_photo(self, put, text):
        data = open_dataset(put(text))
        assert labels(data) == {"a": ["cat", "dog"], "b": [], "c": ["dog"]}
        assert data.problems == ()

    def test_commas_in_a_class_name(self, put):
        data = open_dataset(put('file,class\na.jpg,"bass, fish"\nb.jpg,cup/mug\nc.jpg,"say ""hi"""\n'))
        assert data.classes == ("bass, fish", "cup/mug", 'say "hi"')

    def test_json_lines(self, put):
        rows = [
            {"file_name": "a.jpg", "labels": ["cat", "dog"]},
            {"file_name": "b.jpg", "labels": []},
            {"file_name": "c.jpg", "labels": "dog"},
        ]
        assert labels(open_dataset(put(rows, "metadata.jsonl"))) == {
            "a": ["cat", "dog"],
            "b": [],
            "c": ["dog"],
        }

    def test_numbers_are_names(self, put):
        data = open_dataset(put("image,label\na.jpg,10\nb.jpg,9\nc.jpg,10.0\n"))
        assert data.classes == ("9", "10")

    def test_what_cannot_be_used_is_counted(self, made, put):
        root = put(f"image,label\na.jpg,cat\nb.jpg,dog\ngone.jpg,cat\nc.jpg,{'x' * 201}\n")
        made.save(made.photo(seed=9), root / "images/more.jpg")
        data = open_dataset(root)
        assert set(data.problems) == {
            "1 rows name a photo that is not here, or more than one; left out ('gone.jpg')",
            "1 rows have a class name that is too long or cannot be printed; left out (images/c.jpg)",
            "images: 1 photo has no annotation; left out (images/more.jpg)",
        }


class TestSplits:
    def test_a_column(self, put):
        text = "file_name,label,split\na.jpg,cat,TRAIN\nb.jpg,dog,validation\nc.jpg,cat,test\n"
        assert open_dataset(put(text)).splits == {
            "train": ("images__a",),
            "val": ("images__b",),
            "test": ("images__c",),
        }

    def test_a_table_for_each_split(self, put):
        put("image,label\na.jpg,cat\nb.jpg,dog\n", "train.csv")
        data = open_dataset(put("image,label\nc.jpg,cat\n", "valid.csv"))
        assert {name: len(ids) for name, ids in data.splits.items()} == {"train": 2, "val": 1}

    def test_a_table_in_each_split_folder(self, put):
        for split, names in (("train", ("a.jpg", "b.jpg")), ("test", ("c.jpg",))):
            rows = [{"file_name": name, "label": "cat"} for name in names]
            root = put(rows, f"{split}/metadata.jsonl", names, split)
        data = open_dataset(root)
        assert {name: len(ids) for name, ids in data.splits.items()} == {"train": 2, "test": 1}

    def test_two_tables_that_could_both_be_meant(self, put):
        put("image,label\na.jpg,cat\nb.jpg,dog\nc.jpg,dog\n", "old.csv")
        with pytest.raises(DataError, match=r"holds several tables of labels \(labels.csv, old.csv\)"):
            open_dataset(put("image,label\na.jpg,cat\nb.jpg,cat\nc.jpg,dog\n"))

    def test_an_empty_answer_to_a_contest_is_no_table(self, put):
        put("id,label\na,cat\nb,dog\n", "train.csv")
        data = open_dataset(put("id,label\nc,0\n", "sample_submission.csv"))
        assert len(data) == 2
        assert "1 file ending in .csv (sample_submission.csv)" in data.unused


class TestBoxes:
    @pytest.mark.parametrize(
        "text",
        [
            TF_HEADER + "a.jpg,60,45,disc,20,12,40,32\nb.jpg,60,45,disc,20,12,40,32\n",
            "image,x,y,w,h,label\na.jpg,20,12,20,20,disc\nb.jpg,20,12,20,20,disc\n",
            'image_id,height,width,bbox,label\na,45,60,"[20,12,20,20]",disc\nb,45,60,"[2e1,12,20,20]",disc\n',
            "a.jpg,20,12,40,32,disc\nb.jpg,20,12,40,32,disc\n",
        ],
        ids=["corners", "sides", "a list", "without header"],
    )
    def test_forms_of_boxes(self, put, text):
        data = open_dataset(put(text, photos=("a.jpg", "b.jpg")))
        assert [box.edges for record in data for box in record.boxes] == [BOX] * 2
        assert (data.classes, data.problems) == (("disc",), ())

    @pytest.mark.parametrize(
        "objects",
        [
            {"bbox": [[20, 12, 20, 20]], "categories": ["disc"]},
            {"bbox": [[20, 12, 20, 20]], "category": ["disc"]},
            [{"bbox": [20, 12, 20, 20], "label": "disc"}],
        ],
    )
    def test_objects_of_hugging_face(self, put, objects):
        rows = [{"file_name": name, "objects": objects} for name in ("a.jpg", "b.jpg")]
        data = open_dataset(put(rows, "images/metadata.jsonl", ("a.jpg", "b.jpg")))
        assert [box.edges for record in data for box in record.boxes] == [BOX] * 2

    def test_a_stated_size_that_is_not_the_photos(self, put):
        text = TF_HEADER + "a.jpg,120,90,disc,40,24,80,64\nb.jpg,60,45,disc,20,12,40,32\n"
        data = open_dataset(put(text, photos=("a.jpg", "b.jpg")))
        assert [box.edges for record in data for box in record.boxes] == [BOX] * 2
        assert data.problems == (
            "1 photos of another size than their annotation says; boxes scaled (images/a.jpg)",
        )

    def test_shares_are_refused(self, put):
        text = "image,label,x1,y1,x2,y2\na.jpg,disc,0.3,0.2,0.7,0.7\nb.jpg,disc,0.3,0.2,0.7,0.7\n"
        with pytest.raises(DataError, match="boxes lie within one pixel"):
            open_dataset(put(text, photos=("a.jpg", "b.jpg")))

    def test_a_row_without_a_box_among_boxes(self, put):
        text = "image,label,xmin,ymin,xmax,ymax\na,disc,20,12,40,32\na,disc,,,,\nb,disc,20,12,40,32\n"
        data = open_dataset(put(text, photos=("a.jpg", "b.jpg")))
        assert [record.half_boxed for record in data] == [{"disc"}, set()]
        assert data.labels().tolist() == [[1], [1]]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("t.jsonl", '{"file_name": "a.jpg", "label": 1}\n[1]\n', "line 2 is no object"),
        ("t.jsonl", '{"file_name": "a.jpg", "label": 1}\n{\n', "line 2 is not readable JSON"),
        ("t.csv", "image,label\na.jpg,cat\n" + '"' + "x" * 200_000, "is no readable table"),
    ],
)
def test_damaged_tables_are_refused(put, file, text, message):
    with pytest.raises(DataError) as caught:
        open_dataset(put(text, file, ("a.jpg",)), format="table")
    assert message in str(caught.value) or "holds no table of photos and labels" in str(caught.value)


class TestOtherForms:
    """What people's tables look like; each value by hand."""

    @pytest.mark.parametrize(
        "text",
        [
            "image,labels\na.jpg,\"['cat', 'dog']\"\nb.jpg,[]\nc.jpg,['dog']\n",
            'image;labels\na.jpg;["cat", "dog"]\nb.jpg;\nc.jpg;["dog"]\n',
            "image,labels\na.jpg,cat dog\na.jpg,cat\nb.jpg,\nc.jpg,dog\n",
            "sep=;\nimage;labels\na.jpg;cat,dog\nb.jpg;\nc.jpg;dog\n",
            "# by hand\nimage,labels\na.jpg,cat|dog\nb.jpg,\nc.jpg,dog\n",
        ],
        ids=["list of Python", "list of JSON", "spaces", "stated separator", "remark"],
    )
    def test_several_labels(self, put, text):
        data = open_dataset(put(text))
        assert labels(data) == {"a": ["cat", "dog"], "b": [], "c": ["dog"]}
        assert data.classes == ("cat", "dog")
        assert ("with spaces between them" in data.evidence) == ("cat dog" in text)

    def test_spaces_that_may_stand_between_labels_are_named(self, put):
        data = open_dataset(put("image,labels\na.jpg,scab\nb.jpg,scab frog eye\nc.jpg,rust\n"))
        assert data.classes == ("rust", "scab", "scab frog eye")
        assert data.problems == (
            "1 labels hold spaces, and parts of theirs are labels too; each taken as one name (images/b.jpg)",
        )

    def test_names_with_spaces_are_names(self, put):
        data = open_dataset(put("image,labels\na.jpg,traffic light\nb.jpg,fire hydrant\nc.jpg,cat\n"))
        assert (data.classes, data.problems) == (("cat", "fire hydrant", "traffic light"), ())

    def test_a_label_that_says_there_is_none(self, put):
        data = open_dataset(put("image,label\na.jpg,cat\nb.jpg,NaN\nc.jpg,null\n"))
        assert data.classes == ("cat",)
        assert data.problems[0].startswith("2 labels say that there is none")

    def test_rows_that_repeat_another_are_named(self, put):
        data = open_dataset(put("image,label\na.jpg,cat\nb.jpg,dog\nc.jpg,cat\na.jpg,cat\n"))
        assert data.problems == ("1 rows say again what another row of their photo says (images/a.jpg)",)

    def test_a_doubled_name_among_many_is_named(self, put):
        names = [f"p{number:02}.jpg" for number in range(20)]
        rows = "".join(f"{name},cat\n" for name in names)
        data = open_dataset(put(f"image,label\n{rows}p07.jpg,dog\n", photos=names))
        assert data.problems == (
            "1 photos have more than one row, as few others have; their labels are joined (p07.jpg)",
        )

    def test_equal_boxes_twice_are_one_object(self, put):
        row = "a.jpg,cat,1,1,20,20\n"
        data = open_dataset(put(f"image,label,xmin,ymin,xmax,ymax\n{row}{row}a.jpg,cat,5,5,9,9\n"))
        assert len(data.records[0].boxes) == 2
        assert data.problems[0].startswith("1 rows say again")

    def test_a_centre_with_sides(self, put):
        data = open_dataset(put("image,label,x_center,y_center,width,height\na,cat,30,22,20,20\n"))
        assert data.records[0].boxes[0].edges == BOX
        assert data.records[0].size == (45, 60)

    def test_columns_that_are_not_used_are_named(self, put):
        data = open_dataset(put("image,label,is_test,camera\na,cat,0,x\nb,dog,1,x\n"))
        assert data.evidence.endswith("its classes; not used: 'is_test', 'camera'")

    def test_a_table_of_more_photos_than_are_here(self, put):
        rows = "".join(f"{number}.jpg,dog\n" for number in range(500))
        data = open_dataset(put(f"image,label\n{rows}a.jpg,cat\nb.jpg,dog\nc.jpg,cat\n"))
        assert labels(data) == {"a": ["cat"], "b": ["dog"], "c": ["cat"]}
        assert data.problems[0].startswith("500 rows name a photo that is not here")

    @pytest.mark.parametrize("file", ["metadata.jsonl", "metadata.csv", "_annotations.csv"])
    def test_tables_in_folders_of_photos_with_the_same_names(self, put, file):
        for split, kind in (("train", "cat"), ("test", "dog")):
            rows = f"file_name,label\na.jpg,{kind}\nb.jpg,{kind}\n"
            text = [{"file_name": name, "label": kind} for name in ("a.jpg", "b.jpg")]
            root = put(text if file.endswith("l") else rows, f"{split}/{file}", ("a.jpg", "b.jpg"), split)
        data = open_dataset(root)
        assert data.splits == {"train": ("train__a", "train__b"), "test": ("test__a", "test__b")}
        assert {record.id: sorted(record.positive) for record in data} == {
            "train__a": ["cat"], "train__b": ["cat"], "test__a": ["dog"], "test__b": ["dog"],
        }  # fmt: skip
        assert data.problems == ()

    def test_a_box_without_a_class_among_hugging_faces_objects(self, put):
        objects = {"bbox": [[20, 12, 20, 20], [1, 1, 5, 5]], "category": ["cat"]}
        data = open_dataset(put([{"file_name": "a.jpg", "objects": objects}], "metadata.jsonl"))
        assert [box.edges for box in data.records[0].boxes] == [BOX]
        assert data.problems[0].startswith("1 rows have a class name that is too long or cannot be printed")

    @pytest.mark.parametrize("file", ["classes.txt", "names.txt", "labels.txt"])
    def test_numbers_named_by_a_list(self, made, put, file):
        root = put("image,label\na.jpg,1\nb.jpg,0\nc.jpg,1\n")
        made.write(root / file, "dog\ncat\n")
        data = open_dataset(root)
        assert data.classes == ("dog", "cat")
        assert labels(data) == {"a": ["cat"], "b": ["dog"], "c": ["cat"]}
        assert data.evidence.endswith("numbers are those of the 2 names beside it")
        assert data.unused == ()

    @pytest.mark.parametrize("names", ["dog\n", "dog\ncat\n"], ids=["too few", "of words"])
    def test_a_list_that_does_not_fit_the_numbers_is_not_used(self, made, put, names):
        words = "cat" if names == "dog\ncat\n" else "1"
        root = put(f"image,label\na.jpg,{words}\nb.jpg,0\nc.jpg,{words}\n")
        made.write(root / "classes.txt", names)
        data = open_dataset(root)
        assert data.classes == ("0", words)
        assert data.unused == ("1 file ending in .txt (classes.txt)",)


def test_a_folder_of_no_layout_is_told_by_what_it_holds(put):
    root = put('{"a.jpg": "cat"}', "labels.json", at=".")
    with pytest.raises(DataError, match=r"known layout: it holds 3 photos and files, 1 ending in \.json\. "):
        open_dataset(root)
