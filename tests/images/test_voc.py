import os
import time
from pathlib import Path

import pytest
from PIL import Image

from pfungst.errors import ConfigError, DataError
from pfungst.images import VOC_CLASSES, decode, open_dataset
from pfungst.images.checking import checked, count_classes

SHARED = Path(os.environ.get("PFUNGST_SHARED", Path(__file__).parents[2] / ".." / "shared")) / "data"
needs_photos = pytest.mark.skipif(
    not (SHARED / "voc2012_animals").is_dir(), reason="the real VOC photos (PFUNGST_SHARED) are not here"
)


def objekt(name="cat", box=(1, 1, 4, 3), difficult=0):
    corners = "".join(
        f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>"


def annotation(objects="", *, photo="a.jpg", size=(20, 30), root="annotation"):
    stated = (
        f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>" if size else ""
    )
    return f"<{root}><filename>{photo}</filename>{stated}{objects}</{root}>"


@pytest.fixture
def voc(tmp_path):
    """A function that writes a VOC folder from annotations by name, each with its photo."""

    def write(annotations, *, without_photo=(), lists=None, at=tmp_path):
        for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (at / name).mkdir(parents=True, exist_ok=True)
        for name, text in annotations.items():
            content = text if isinstance(text, bytes) else text.encode()
            (at / "Annotations" / f"{name}.xml").write_bytes(content)
            if name not in without_photo:
                Image.new("RGB", (30, 20)).save(at / "JPEGImages" / f"{name}.jpg")
        for name, lines in (lists or {}).items():
            (at / "ImageSets/Main" / f"{name}.txt").write_text(lines)
        return at

    return write


GOOD = {"a": annotation(objekt()), "b": annotation(objekt("dog"), photo="b.jpg")}


def test_boxes_become_half_open(voc):
    root = voc({"a": annotation(objekt(box=(3, 5, 10, 6)))})
    (record,) = open_dataset(root)
    (box,) = record.boxes
    assert (box.left, box.top, box.right, box.bottom) == (2, 4, 10, 6)
    assert box.area == 16
    assert (record.id, record.path, record.size) == ("a", root / "JPEGImages" / "a.jpg", (20, 30))


def test_fractional_coordinates(voc):
    (record,) = open_dataset(voc({"a": annotation(objekt(box=(1.5, 2.25, 7.75, 9)))}))
    (box,) = record.boxes
    assert (box.left, box.top, box.right, box.bottom) == (0.5, 1.25, 7.75, 9.0)


def test_difficult_objects_make_label_zero_unless_an_easy_one_is_there(voc):
    objects = objekt("cat", difficult=1) + objekt("dog", difficult=1) + objekt("dog")
    data = open_dataset(voc({"a": annotation(objects), "b": annotation(objekt("cow"), photo="b.jpg")}))
    assert data.classes == ("cat", "cow", "dog")
    assert data.labels().tolist() == [[0, -1, 1], [-1, 1, -1]]
    assert [box.difficult for box in data.records[0].boxes] == [True, True, False]
    assert data.problems == ()


@pytest.mark.parametrize("root", ["annotation", "Annotation", "ANNOTATION"])
def test_case_of_tags_does_not_matter(voc, root):
    text = annotation(objekt(), root=root).replace("bndbox", "BndBox").replace("xmin", "Xmin")
    (record,) = open_dataset(voc({"a": text}))
    assert len(record.boxes) == 1


def test_boxes_outside_are_clipped_and_empty_ones_left_out(voc):
    objects = objekt("cat", (0, 1, 31, 20)) + objekt("dog", (40, 1, 50, 9)) + objekt("cow", (9, 9, 3, 12))
    data = open_dataset(voc({"a": annotation(objects + objekt("pig", ("nan", 1, 2, 2)) + objekt("ox"))}))
    (record,) = data
    assert [(box.class_name, box.left, box.right) for box in record.boxes] == [
        ("cat", 0, 30),
        ("cow", 2, 9),
        ("ox", 0, 4),
    ]
    assert data.classes == ("cat", "cow", "dog", "ox", "pig")
    assert data.problems == (
        "1 boxes with swapped corners; mended (a.xml)",
        "1 boxes that reach out of their photo; clipped (a.xml)",
        "2 boxes that are empty, no numbers or outside their photo; their labels count (a.xml)",
    )


def test_object_without_box_or_name(voc):
    objects = "<object><name>cat</name></object><object><pose>Left</pose></object>"
    data = open_dataset(voc({"a": annotation(objects + objekt("dog"))}))
    assert data.labels().tolist() == [[1, 1]]
    assert data.problems == (
        "a.xml: an object has no name; object left out",
        "1 objects without a box; their labels count (a.xml)",
    )


def test_parts_of_an_object_are_not_objects(voc):
    with_part = objekt().replace(
        "</object>", "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
    )
    assert open_dataset(voc({"a": annotation(with_part)})).classes == ("cat",)


def test_size_is_measured_where_it_is_not_stated(voc):
    texts = {"a": annotation(objekt(), size=None), "b": annotation(objekt(), photo="b.jpg", size=(0, 0))}
    assert [record.size for record in open_dataset(voc(texts))] == [(20, 30), (20, 30)]


def test_splits_from_lists_but_not_per_class_lists(voc):
    lists = {
        "test": "b\n", "train": "a  1\n\n", "trainval": "a\nabsent\n", "cat_train": "a 1\n",
        "horse_val": "a -1\n", "my_subset": "b\n",
    }  # fmt: skip
    data = open_dataset(voc(GOOD, lists=lists))
    assert data.splits == {"train": ("a",), "trainval": ("a",), "test": ("b",), "my_subset": ("b",)}
    assert list(data.splits) == ["train", "trainval", "test", "my_subset"]
    assert data.problems == ("ImageSets/Main/trainval.txt: 1 listed photos cannot be used (first: absent)",)
    assert [record.id for record in data.split("train+test")] == ["a", "b"]
    with pytest.raises(DataError, match=r"no split 'val' in data set .* Allowed: my_subset, test, train, "):
        data.split("val")


def test_missing_lists_are_no_problem(voc):
    root = voc(GOOD)
    (root / "ImageSets/Main").rmdir()
    (root / "ImageSets").rmdir()
    data = open_dataset(root)
    assert data.splits == {}
    with pytest.raises(DataError, match="this data set has no splits"):
        data.split("train")


BROKEN = {
    "cut": ("<annotation><filename>cut.jpg</filename><obj", "is not well-formed XML ("),
    "empty": ("", "is not well-formed XML ("),
    "root": ("<svg/>", "has the root tag <svg> instead of <annotation>"),
    "bytes": (b"\xff\xfe\xfa\x00\x01", "is not well-formed XML ("),
    "codec": ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "is not well-formed XML ("),
    "entity": (
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>',
        "declares a DTD or an entity, which is refused",
    ),
    "laughs": (
        '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>',
        "declares a DTD or an entity, which is refused",
    ),
    "dtd": ('<!DOCTYPE annotation SYSTEM "http://127.0.0.1/a.dtd"><annotation/>', "declares a DTD"),
    "up": (
        annotation(photo="../../secret.jpg"),
        "names the photo '../../secret.jpg', which leads out of JPEG",
    ),
    "abs": (annotation(photo="/etc/passwd"), "names the photo '/etc/passwd', which leads out of JPEGImages"),
    "back": (annotation(photo="..\\secret.jpg"), "which leads out of JPEGImages"),
    "drive": (annotation(photo="C:\\secret.jpg"), "which leads out of JPEGImages"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_annotation_is_recorded_and_reading_goes_on(voc, tmp_path, name):
    text, message = BROKEN[name]
    (tmp_path.parent / "secret.jpg").write_bytes(b"")
    data = open_dataset(voc(GOOD | {name: text}))
    assert [record.id for record in data] == ["a", "b"]
    (problem,) = data.problems
    assert problem.startswith(f"{name}.xml: ")
    assert message in problem
    assert problem.endswith("; left out")


def test_missing_photo_is_recorded(voc):
    data = open_dataset(voc(GOOD | {"c": annotation(objekt(), photo="c.jpg")}, without_photo=["c"]))
    assert len(data) == 2
    assert data.problems == ("c.xml: its photo c.jpg is not in JPEGImages; left out",)


def test_unreadable_photo_without_stated_size_is_recorded(voc):
    root = voc(GOOD | {"c": annotation(objekt(), photo="c.jpg", size=None)})
    (root / "JPEGImages" / "c.jpg").write_bytes(b"no photo")
    data = open_dataset(root)
    assert len(data) == 2
    (problem,) = data.problems
    assert "c.jpg: is not a photo in a known format" in problem
    assert problem.endswith("Left out")


def test_photo_of_another_name_or_ending(voc):
    root = voc({"a": annotation(objekt(), photo="elsewhere.bmp")})
    (record,) = open_dataset(root)
    assert record.path.name == "a.jpg"
    Image.new("RGB", (30, 20)).save(root / "JPEGImages" / "elsewhere.bmp")
    (record,) = open_dataset(root)
    assert record.path.name == "elsewhere.bmp"


def test_photos_without_annotation_are_counted(voc):
    root = voc(GOOD | {"bad": "<"})
    for name in ("x.jpg", "y.png", "notes.txt"):
        (root / "JPEGImages" / name).write_bytes(b"")
    expected = "JPEGImages: 2 photos have no annotation; left out (JPEGImages/x.jpg, JPEGImages/y.png)"
    assert expected in open_dataset(root).problems
    assert open_dataset(root).unused == (
        "1 file ending in .txt (JPEGImages/notes.txt)",
        "1 folder in which nothing lies (ImageSets/Main)",
    )


def test_nothing_left_is_an_error(voc):
    with pytest.raises(DataError) as caught:
        open_dataset(voc({"a": "<", "b": "<svg/>"}))
    message = str(caught.value)
    assert "no photo that can be used (2 problems, first: a.xml: is not well-formed XML" in message


def test_no_object_at_all_is_an_error(voc):
    with pytest.raises(DataError, match="photos, but no labelled object"):
        open_dataset(voc({"a": annotation()}))


def test_photo_without_objects_is_a_negative(voc):
    data = open_dataset(voc(GOOD | {"c": annotation(photo="c.jpg")}))
    assert data.labels()[2].tolist() == [-1, -1]


def test_classes_in_vocs_order_or_alphabetical(voc):
    texts = {"a": annotation(objekt("tvmonitor") + objekt("person") + objekt("aeroplane"))}
    assert open_dataset(voc(texts)).classes == ("aeroplane", "person", "tvmonitor")
    texts["b"] = annotation(objekt("Zebra") + objekt("ant"), photo="b.jpg")
    assert open_dataset(voc(texts)).classes == ("Zebra", "aeroplane", "ant", "person", "tvmonitor")


def test_chosen_classes_and_a_missing_one(voc):
    root = voc(GOOD)
    assert open_dataset(root, classes=["dog", "cat"]).labels().tolist() == [[-1, 1], [1, -1]]
    with pytest.raises(DataError) as caught:
        open_dataset(root, classes=["dog", "unicorn"])
    assert str(caught.value) == f"{root}: no class 'unicorn' in data set '{root.name}'. Allowed: cat, dog."
    with pytest.raises(ConfigError, match=r"classes dog, dog\. Allowed: at least one, each once"):
        open_dataset(root, classes=["dog", "dog"])


@pytest.mark.parametrize("where", ["VOC2007", "VOCdevkit/VOC2007"])
def test_devkit_folder_is_looked_into(voc, tmp_path, where):
    root = voc(GOOD, at=tmp_path / where)
    assert open_dataset(tmp_path).root == root
    assert open_dataset(tmp_path, format="voc").name == "VOC2007"


def test_several_years_are_not_guessed(voc, tmp_path):
    for year in ("VOC2007", "VOC2012"):
        voc(GOOD, at=tmp_path / "VOCdevkit" / year)
    with pytest.raises(DataError, match=r"holds 2 VOC data sets .*VOC2007, .*VOC2012"):
        open_dataset(tmp_path)


@needs_photos
def test_real_animals():
    start = time.process_time()
    data = open_dataset(SHARED / "voc2012_animals")
    assert time.process_time() - start < 6, "a photo's annotation and header take about a millisecond"
    assert len(data) == 1419
    assert {name: len(ids) for name, ids in data.splits.items()} == {
        "train": 712, "val": 353, "trainval": 1065, "test": 354,
    }  # fmt: skip
    boxes = [box for record in data for box in record.boxes]
    assert (len(boxes), sum(box.difficult for box in boxes)) == (4316, 625)
    assert data.problems == ()
    assert set(data.splits["trainval"]) == {*data.splits["train"], *data.splits["val"]}


@needs_photos
def test_labels_agree_with_vocs_own_lists():
    """The per-class lists state +1, 0, −1 independently of our reading of the annotations."""
    root = SHARED / "voc2012_animals"
    data = open_dataset(root)
    by_id = {record.id: record for record in data}
    for name in ("horse", "person", "chair"):
        lines = (root / "ImageSets/Main" / f"{name}_trainval.txt").read_text().split("\n")
        stated = [line.split() for line in lines if line]
        assert [by_id[identity].label(name) for identity, _ in stated] == [int(value) for _, value in stated]


@needs_photos
def test_real_sample_without_lists():
    data = open_dataset(SHARED / "voc2012_sample100")
    assert data.classes == VOC_CLASSES
    assert (len(data), data.splits, data.problems) == (100, {}, ())
    assert sum(count.objects for count in count_classes(data).values()) == 273
    assert int((data.labels() == 0).sum()) == sum(count.difficult for count in count_classes(data).values())
    assert checked(data, pixels=True).problems == ()
    for record in data.records[:5]:
        assert decode(record.path).shape[:2] == record.size
