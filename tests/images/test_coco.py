import json

import pytest
from PIL import Image

from pfungst.errors import ConfigError, DataError
from pfungst.images import open_dataset

CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}, {"id": 90, "name": "toothbrush"}]


def photo(number, name, height=20, width=30):
    return {"id": number, "file_name": name, "height": height, "width": width}


def thing(number, image, category, bbox=(1, 2, 3, 4), **more):
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(bbox), **more}


PHOTOS = [photo(7, "a.jpg"), photo(5, "b.jpg"), photo(6, "deep/c.jpg")]
THINGS = [
    thing(1, 7, 18, (1.5, 2, 3, 4.25)),
    thing(2, 7, 3, iscrowd=1),
    thing(3, 5, 3, iscrowd=0),
    thing(4, 5, 18, ignore=1),
]


@pytest.fixture
def coco(tmp_path):
    def write(
        images=PHOTOS, annotations=THINGS, categories=CATEGORIES, *, file="instances_val2017.json",
        photos="val2017", extra=(),
    ):  # fmt: skip
        target = tmp_path / "annotations" / file
        target.parent.mkdir(exist_ok=True)
        content = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
        target.write_text(json.dumps(content))
        for entry in [*PHOTOS, *extra]:
            place = tmp_path / photos / entry["file_name"]
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (30, 20)).save(place)
        return target

    return write


def test_records_boxes_and_labels(coco):
    data = open_dataset(coco())
    assert data.classes == ("car", "dog")
    assert [record.id for record in data] == ["a", "b", "deep__c"]
    assert data.labels().tolist() == [[0, 1], [1, 0], [-1, -1]]
    box = data.records[0].boxes[0]
    assert (box.class_name, box.left, box.top, box.right, box.bottom) == ("dog", 1.5, 2.0, 4.5, 6.25)
    assert [box.difficult for record in data for box in record.boxes] == [False, True, False, True]
    assert data.records[0].size == (20, 30)
    assert (data.splits, data.problems) == ({}, ())


@pytest.mark.parametrize("photos", ["val2017", "images/val2017", "images", ".", "annotations"])
def test_photos_are_found_beside_the_file(coco, photos):
    assert len(open_dataset(coco(photos=photos))) == 3


def test_photos_elsewhere_are_named(coco, tmp_path):
    file = coco(photos="../far/away")
    with pytest.raises(DataError, match=r"its photos are in none of .*val2017.* Try: images=FOLDER"):
        open_dataset(file)
    assert len(open_dataset(file, images=tmp_path / "../far/away")) == 3
    with pytest.raises(DataError, match="no such folder of photos"):
        open_dataset(file, images=tmp_path / "nowhere")


def test_folder_with_a_file_for_each_split(coco, tmp_path):
    coco(file="instances_train2017.json", photos="train2017", images=PHOTOS[:2])
    coco(images=PHOTOS[2:], annotations=[])
    data = open_dataset(tmp_path)
    assert data.splits == {"train": ("a", "b"), "val": ("deep__c",)}
    assert data.problems == ("annotations/instances_val2017.json: has no object of any class",)


def test_same_name_in_two_folders_gets_two_ids(coco, tmp_path):
    for split in ("train", "test", "val"):
        coco(file=f"instances_{split}2017.json", photos=f"{split}2017")
    data = open_dataset(tmp_path)
    assert len({record.id for record in data}) == len(data) == 9


def test_boxes_are_clipped_beyond_rounding(coco):
    things = [
        thing(1, 7, 18, (-0.004, 0, 30.008, 20)),
        thing(2, 7, 18, (20, 5, 15, 5)),
        thing(3, 7, 3, (5, 5, 0, 4)),
        thing(4, 7, 3, (5, 5, "x", 4)),
        thing(5, 7, 3, (5, 5, 4)),
        thing(6, 7, 3, (5, 5, float("nan"), 4)),
        thing(7, 7, 3, (5, 5, 1e999, 4)),
    ]
    data = open_dataset(coco(annotations=things))
    boxes = data.records[0].boxes
    assert [(box.left, box.right) for box in boxes] == [(0, 30), (20, 30)]
    assert data.problems == (
        "1 boxes that reach out of their photo; clipped (a.jpg)",
        "5 boxes that are empty, no numbers or outside their photo; their labels count (a.jpg)",
    )
    assert data.records[0].positive == {"dog", "car"}


def test_object_without_box_keeps_its_label(coco):
    data = open_dataset(coco(annotations=[{"id": 1, "image_id": 7, "category_id": 18}]))
    assert data.labels().tolist() == [[1], [-1], [-1]]


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a/../../x.jpg", "C:\\x.jpg", "", None])
def test_path_escapes_are_refused(coco, tmp_path, name):
    Image.new("RGB", (30, 20)).save(tmp_path / "secret.jpg")
    bad = photo(9, "x") | {"file_name": name}
    data = open_dataset(coco(images=[*PHOTOS, bad]))
    assert len(data) == 3
    reason = "leads out of {}" if isinstance(name, str) else "is no text that can be printed"
    assert data.problems == (
        f"photo 9: its file name {name!r} {reason.format(tmp_path / 'val2017')}; left out",
    )


def test_what_cannot_be_used_is_recorded(coco, tmp_path):
    images = [*PHOTOS, photo(7, "b.jpg"), photo(8, "absent.jpg"), photo(None, "b.jpg")]
    things = [
        *THINGS, thing(9, 7, 555), thing(10, 999, 18), thing(11, [7], 18), thing(12, 7, {"id": 18}),
    ]  # fmt: skip
    data = open_dataset(coco(images=images, annotations=things, categories=[*CATEGORIES, {"id": 1}]))
    file = "instances_val2017.json"
    assert data.problems == (
        f"{file}: category 4 has no id or no name; left out",
        f"{file}: 1 objects belong to no photo; left out",
        f"2 objects of an unknown category; left out ({file}: 9 of 555, {file}: 12 of {{'id': 18}})",
        f"1 objects without the id of a photo; left out ({file}: 11)",
        f"2 photos with a missing or repeated id; left out ({file}: 7, {file}: None)",
        f"1 photos are not in {tmp_path / 'val2017'}; left out (absent.jpg)",
    )
    assert len(data) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not readable JSON ("),
        (b"\xff\xfe\x00", "is not readable JSON ("),
        (b"[" * 200_000, "is not readable JSON ("),
        (
            b"[]",
            "is not COCO JSON: the outermost value is no object. Allowed: an object with the lists",
        ),
        (b'{"images": []}', "is not COCO JSON: it has no list of objects 'annotations'"),
        (b'{"images": [], "annotations": [1], "categories": []}', "has no list of objects 'annotations'"),
    ],
)
def test_bad_json(tmp_path, content, message):
    file = tmp_path / "instances.json"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_dataset(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)


def test_empty_lists_are_an_error(coco):
    with pytest.raises(DataError, match="photos, but no labelled object"):
        open_dataset(coco(annotations=[]))


def test_size_is_measured_where_it_is_not_stated(coco):
    images = [{"id": 7, "file_name": "a.jpg"}, photo(5, "b.jpg", height="20")]
    assert [record.size for record in open_dataset(coco(images=images))] == [(20, 30), (20, 30)]


def test_photo_folder_belongs_to_coco_only(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.jpg").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"with a data set of format 'folders'. Allowed: only with coco"):
        open_dataset(tmp_path, images=tmp_path)


@pytest.mark.parametrize("kind", [str, float, lambda number: f"{number}"], ids=["text", "float", "f"])
@pytest.mark.parametrize("side", ["images", "annotations", "categories", "all"])
def test_numbers_may_be_written_in_other_ways(coco, kind, side):
    """Whatever a table made of the numbers: photos, objects and categories still find each other."""
    keys = {"images": ["id"], "annotations": ["image_id", "category_id"], "categories": ["id"]}
    content = {"images": PHOTOS, "annotations": THINGS, "categories": CATEGORIES}
    for name in keys if side == "all" else [side]:
        content[name] = [entry | {key: kind(entry[key]) for key in keys[name]} for entry in content[name]]
    data = open_dataset(coco(**content))
    assert data.labels().tolist() == [[0, 1], [1, 0], [-1, -1]]
    assert data.problems == ()


@pytest.mark.parametrize(
    "prefix", ["/home/me/photos/", "C:\\Users\\me\\", "https://example.org/", "photos\\"]
)
def test_photos_that_lay_elsewhere_when_the_file_was_written(coco, prefix):
    images = [entry | {"file_name": prefix + entry["file_name"]} for entry in PHOTOS]
    data = open_dataset(coco(images=images))
    assert [record.path.name for record in data] == ["a.jpg", "b.jpg", "c.jpg"]
    assert data.problems == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_of_json(coco, tmp_path, encoding):
    file = coco()
    file.write_bytes(file.read_text().encode(encoding))
    assert open_dataset(tmp_path).classes == ("car", "dog")


def test_two_categories_of_one_name_are_one_and_said(coco):
    categories = [*CATEGORIES[:2], {"id": 4, "name": "dog "}]
    things = [thing(1, 7, 18), thing(2, 5, 4)]
    data = open_dataset(coco(annotations=things, categories=categories))
    assert data.labels().tolist() == [[1], [1], [-1]]
    assert data.problems == ("instances_val2017.json: categories 18 and 4 are both 'dog'; taken as one",)


def test_many_objects_of_no_category_are_one_line(coco):
    things = [*THINGS, *(thing(number, 7, 77) for number in range(10, 500))]
    (problem,) = open_dataset(coco(annotations=things)).problems
    file = "instances_val2017.json"
    assert problem == (
        f"490 objects of an unknown category; left out ({file}: 10 of 77, {file}: 11 of 77, "
        f"{file}: 12 of 77, …)"
    )


def test_photos_that_have_an_address_alone(coco):
    images = [
        {"id": entry["id"], "coco_url": f"http://example.org/val2017/{entry['file_name']}"}
        for entry in PHOTOS
    ]
    data = open_dataset(coco(images=images))
    assert [record.path.name for record in data] == ["a.jpg", "b.jpg", "c.jpg"]
    assert data.labels().tolist() == [[0, 1], [1, 0], [-1, -1]]
