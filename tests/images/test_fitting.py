"""Boxes come to the photo as it is: its own size and orientation win over what an annotation says."""

import json

import numpy as np
import pytest
from PIL import Image

from pfungst.errors import DataError
from pfungst.images import Rectangle, decode, open_dataset
from pfungst.images.decode import Header, image_header
from pfungst.images.fitting import fit, turned

STORED = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip
"""What takes a photo as shown to the stored one that its orientation turns back."""

DISC = (20, 12, 40, 32)


def stored_photo(path, orientation, *, size=(60, 45), box=DISC):
    """A white rectangle in a dark photo, stored turned; gives its box in stored pixels."""
    pixels = np.full((size[1], size[0], 3), 40, np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    image = Image.fromarray(pixels)
    change = STORED[orientation]
    image = image if change is None else image.transpose(change)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif, quality=95)
    rows, columns = np.nonzero(np.asarray(image).mean(axis=2) > 150)
    return image.size, (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


def white(path):
    """The box of what is white in the photo as decoded."""
    rows, columns = np.nonzero(decode(path).mean(axis=2) > 150)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def annotate(made, root, name, size, box):
    left, top, right, bottom = box
    text = made.xml(f"{name}.jpg", size, (("disc", (left + 1, top + 1, right, bottom)),))
    made.write(root / "Annotations" / f"{name}.xml", text)


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_stored_boxes_are_turned_as_decoding_turns_the_photo(self, tmp_path, orientation):
        size, box = stored_photo(tmp_path / "a.jpg", orientation)
        header = image_header(tmp_path / "a.jpg")
        assert header == Header(size[1], size[0], orientation)
        assert header.size == decode(tmp_path / "a.jpg").shape[:2]
        assert turned(Rectangle.of(box), header).edges == white(tmp_path / "a.jpg") == DISC

    @pytest.mark.parametrize("orientation", [5, 6, 7, 8])
    @pytest.mark.parametrize("stored", [True, False])
    def test_the_stated_size_tells_which_pixels_are_meant(self, made, tmp_path, orientation, stored):
        for number in range(3):
            size, box = stored_photo(tmp_path / f"JPEGImages/{number}.jpg", orientation)
            stated = (size, box) if stored else ((60, 45), DISC)
            annotate(made, tmp_path, str(number), *stated)
        data = open_dataset(tmp_path)
        assert [box.edges for record in data for box in record.boxes] == [DISC] * 3
        assert {record.size for record in data} == {(45, 60)}
        expected = "3 photos turned by EXIF data, with boxes for the stored pixels; boxes turned"
        expected += " (0.xml, 1.xml, 2.xml)"
        assert data.problems == ((expected,) if stored else ())

    @pytest.mark.parametrize("orientation", range(2, 9))
    def test_what_nothing_tells_is_left_out_of_boxes_and_named(self, made, tmp_path, orientation):
        size = (60, 45) if orientation < 5 else (60, 60)
        stored_photo(tmp_path / "JPEGImages/a.jpg", orientation, size=size)
        annotate(made, tmp_path, "a", size, DISC)
        (record,) = data = open_dataset(tmp_path)
        assert (record.boxes, record.positive) == ((), {"disc"})
        assert data.problems == (
            "1 photos turned by EXIF data, and nothing tells whether their boxes are for the stored pixels; "
            "left out of what needs boxes (saved upright, they count) (a.xml)",
        )

    @pytest.mark.parametrize("orientation", range(2, 9))
    @pytest.mark.parametrize("stored", [True, False])
    def test_what_the_size_does_not_tell_other_photos_of_the_set_do(
        self, made, tmp_path, orientation, stored
    ):
        size, box = stored_photo(tmp_path / "JPEGImages/a.jpg", 6)
        annotate(made, tmp_path, "a", *((size, box) if stored else ((60, 45), DISC)))
        shape = (60, 45) if orientation < 5 else (60, 60)
        size, box = stored_photo(tmp_path / "JPEGImages/b.jpg", orientation, size=shape)
        annotate(made, tmp_path, "b", size, box if stored else DISC)
        data = open_dataset(tmp_path)
        assert [box.edges for record in data for box in record.boxes] == [DISC] * 2
        assert data.problems[-1] == (
            "1 photos turned by EXIF data, whose size does not tell for which pixels their boxes are; "
            "taken as those of the other turned photos (b.xml)"
        )

    def test_photos_that_tell_different_things_settle_nothing(self, made, tmp_path):
        size, box = stored_photo(tmp_path / "JPEGImages/a.jpg", 6)
        annotate(made, tmp_path, "a", size, box)
        stored_photo(tmp_path / "JPEGImages/b.jpg", 8)
        annotate(made, tmp_path, "b", (60, 45), DISC)
        stored_photo(tmp_path / "JPEGImages/c.jpg", 3)
        annotate(made, tmp_path, "c", (60, 45), DISC)
        assert [len(record.boxes) for record in open_dataset(tmp_path)] == [1, 1, 0]

    def test_shares_of_a_turned_photo_could_be_of_either(self, made, tmp_path):
        stored_photo(tmp_path / "images/a.jpg", 6)
        made.save(made.photo(), tmp_path / "images/b.jpg")
        for name in "ab":
            made.write(tmp_path / f"labels/{name}.txt", "0 0.5 0.5 0.5 0.4\n")
        made.write(tmp_path / "data.yaml", "names: [disc]\n")
        data = open_dataset(tmp_path)
        assert [box.edges for record in data for box in record.boxes] == [pytest.approx((15, 13.5, 45, 31.5))]
        assert data.labels().tolist() == [[1], [1]]
        assert data.problems[0].startswith("1 photos turned by EXIF data, and nothing tells")

    def test_without_a_stated_size_boxes_that_fit_one_way_alone_tell(self, made, tmp_path):
        _, box = stored_photo(tmp_path / "JPEGImages/a.jpg", 6, size=(45, 60), box=(10, 40, 30, 58))
        assert box[2] > 45, "it reaches out of the photo as shown"
        annotate(made, tmp_path, "a", None, box)
        assert [b.edges for record in open_dataset(tmp_path) for b in record.boxes] == [(10, 40, 30, 58)]

    def test_without_a_stated_size_boxes_of_the_photo_as_shown(self, made, tmp_path):
        stored_photo(tmp_path / "JPEGImages/a.jpg", 6, size=(45, 60), box=(10, 40, 30, 58))
        annotate(made, tmp_path, "a", None, (10, 40, 30, 58))
        data = open_dataset(tmp_path)
        assert [b.edges for record in data for b in record.boxes] == [(10, 40, 30, 58)]
        assert data.problems == ()

    def test_a_photo_that_was_turned_without_exif_data_is_left_out_of_boxes(self, made, tmp_path):
        stored_photo(tmp_path / "JPEGImages/a.jpg", 1, size=(45, 60), box=(10, 2, 30, 22))
        annotate(made, tmp_path, "a", (60, 45), (2, 15, 22, 35))
        (record,) = data = open_dataset(tmp_path)
        assert (record.boxes, record.positive, record.size) == ((), {"disc"}, (60, 45))
        assert data.problems == (
            "1 photos of another shape than their annotation says; left out of what needs boxes (a.xml)",
        )


class TestSize:
    @pytest.mark.parametrize("factor", [2, 0.5, 3.3])
    def test_boxes_of_resized_photos_are_scaled(self, made, tmp_path, factor):
        made.save(made.photo(), tmp_path / "JPEGImages/a.jpg")
        size = (round(60 * factor), round(45 * factor))
        annotate(made, tmp_path, "a", size, [edge * factor for edge in DISC])
        (record,) = data = open_dataset(tmp_path)
        assert record.boxes[0].edges == pytest.approx(DISC, abs=1)
        assert data.problems == ("1 photos of another size than their annotation says; boxes scaled (a.xml)",)

    def test_a_resized_photo_that_exif_data_turn(self, made, tmp_path):
        size, box = stored_photo(tmp_path / "JPEGImages/a.jpg", 6)
        annotate(made, tmp_path, "a", (2 * size[0], 2 * size[1]), [2 * edge for edge in box])
        (record,) = open_dataset(tmp_path)
        assert record.boxes[0].edges == pytest.approx(DISC)

    @pytest.mark.parametrize("size", [(60, 60), (45, 60), (120, 45), (61, 30)])
    def test_photos_of_another_shape_keep_their_labels(self, made, tmp_path, size):
        made.voc(tmp_path, ("b",))
        made.save(made.photo(), tmp_path / "JPEGImages/a.jpg")
        annotate(made, tmp_path, "a", size, DISC)
        data = open_dataset(tmp_path)
        assert [len(record.boxes) for record in data] == [0, 1]
        assert data.labels().tolist() == [[1], [1]]

    @pytest.mark.parametrize("stated", [(500, 375), (4000, 3000), (333, 250)])
    @pytest.mark.parametrize("photo", [(250, 188), (250, 187), (1024, 768), (100, 75)])
    def test_rounding_of_sides_is_no_other_shape(self, stated, photo):
        found = fit([], (stated[1], stated[0]), Header(photo[1], photo[0]))
        assert found.kind == "scaled"


class TestUnits:
    def test_shares_in_coco(self, made, tmp_path):
        names = [f"{number}.jpg" for number in range(4)]
        boxes = dict.fromkeys(names, (0.33, 0.27, 0.3, 0.4))
        made.coco(tmp_path / "instances.json", names, photos=tmp_path, boxes=boxes)
        with pytest.raises(DataError) as caught:
            open_dataset(tmp_path)
        assert "4 of 4 boxes lie within one pixel" in str(caught.value)
        assert "normalised" in str(caught.value)

    def test_shares_in_voc(self, made, tmp_path):
        made.voc(tmp_path, ("a", "b"))
        shares = (("disc", (0.2, 0.3, 0.5, 0.7)),)
        for name in "ab":
            made.write(tmp_path / f"Annotations/{name}.xml", made.xml(f"{name}.jpg", objects=shares))
        with pytest.raises(DataError, match="2 of 2 boxes lie within one pixel"):
            open_dataset(tmp_path)

    @pytest.mark.parametrize(
        "box",
        [(40, 30, 58, 43), (400, 300, 200, 100), (333, 266, 666, 711), (70, 12, 20, 20)],
        ids=["corners as width and height", "of a larger photo", "in parts of 1000", "outside"],
    )
    def test_boxes_mostly_outside_are_refused_as_a_set(self, made, tmp_path, box):
        names = [f"{number}.jpg" for number in range(5)]
        made.coco(tmp_path / "instances.json", names, photos=tmp_path, boxes=dict.fromkeys(names[:4], box))
        with pytest.raises(DataError, match="4 of 5 boxes reach far out of their photos"):
            open_dataset(tmp_path)

    def test_corners_where_sides_should_be_are_told_by_a_quarter_that_reaches_out(self, made, tmp_path):
        """As sides, (30, 22, 40, 32) reaches to (70, 54) of (60, 45); the three others lie within."""
        names = [f"{number}.jpg" for number in range(4)]
        boxes = dict.fromkeys(names, (2, 3, 20, 25)) | {"3.jpg": (30, 22, 40, 32)}
        made.coco(tmp_path / "instances.json", names, photos=tmp_path, boxes=boxes)
        with pytest.raises(DataError, match=r"1 of 4 .* read as two corners all would lie within"):
            open_dataset(tmp_path)
        boxes["0.jpg"] = (20, 12, 19, 20)  # no two corners
        made.coco(tmp_path / "instances.json", names, photos=tmp_path, boxes=boxes)
        assert open_dataset(tmp_path).problems[0] == "1 boxes that reach out of their photo; clipped (3.jpg)"

    @pytest.mark.parametrize(
        ("size", "last", "parts"),
        [
            ((400, 300), (60, 55, 30, 40), "in percent"),
            ((2400, 1800), (600, 550, 300, 400), "in parts of a thousand"),
            ((190, 140), (60, 55, 30, 40), None),
            ((400, 300), (60, 5, 30, 10), None),
            ((400, 300), (60, 55, 41, 40), None),
        ],
        ids=["percent", "parts of 1000", "small photos", "along the top", "one reaches further"],
    )
    def test_boxes_that_could_be_pixels_but_look_like_parts_are_named(
        self, made, tmp_path, size, last, parts
    ):
        names = [f"{number}.png" for number in range(3)]
        boxes = dict.fromkeys(names, (10, 10, 20, 20)) | {"2.png": last}
        for name in names:
            made.save(Image.new("RGB", size), tmp_path / name)
        content = {
            "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
            "annotations": [
                {"id": number, "image_id": number, "category_id": 1, "bbox": boxes[name]}
                for number, name in enumerate(names)
            ],
            "categories": [{"id": 1, "name": "disc"}],
        }
        made.write(tmp_path / "instances.json", json.dumps(content))
        data = open_dataset(tmp_path)
        assert sum(len(record.boxes) for record in data) == 3
        said = [problem for problem in data.problems if "are they in" in problem]
        assert len(said) == (parts is not None)
        assert all(
            problem.startswith("3 boxes lie within the first") and parts in problem for problem in said
        )

    def test_a_few_boxes_outside_cost_their_boxes_alone(self, made, tmp_path):
        names = [f"{number}.jpg" for number in range(5)]
        boxes = {"0.jpg": (400, 300, 20, 20), "1.jpg": (0.3, 0.3, 0.2, 0.2)}
        made.coco(tmp_path / "instances.json", names, photos=tmp_path, boxes=boxes)
        data = open_dataset(tmp_path)
        assert [len(record.boxes) for record in data] == [0, 0, 1, 1, 1]
        assert data.labels().tolist() == [[1]] * 5


BAD = ((10, 10, 0, 0), (10, 10, 5, 0), (500, 10, 20, 20), (10, 10, float("nan"), 4), (10, 10, 4), "none")


class TestBadBoxes:
    @pytest.mark.parametrize("bad", BAD)
    def test_a_bad_box_never_costs_the_label(self, made, tmp_path, bad):
        names = [f"{number}.jpg" for number in range(4)]
        file = made.coco(tmp_path / "instances.json", names, photos=tmp_path)
        content = json.loads(file.read_text())
        content["annotations"][0]["bbox"] = bad
        file.write_text(json.dumps(content))
        data = open_dataset(tmp_path)
        assert data.labels().tolist() == [[1]] * 4
        assert data.problems == (
            "1 boxes that are empty, no numbers or outside their photo; their labels count (0.jpg)",
        )

    def test_swapped_corners_are_mended(self, made, tmp_path):
        names = [f"{number}.jpg" for number in range(3)]
        boxes = {"0.jpg": (40, 32, -20, -20), "1.jpg": (40, 12, -20, 20)}
        made.coco(tmp_path / "instances.json", names, photos=tmp_path, boxes=boxes)
        data = open_dataset(tmp_path)
        assert [record.boxes[0].edges for record in data] == [DISC] * 3
        assert data.problems == ("2 boxes with swapped corners; mended (0.jpg, 1.jpg)",)

    def test_swapped_corners_of_voc_are_inclusive(self, made, tmp_path):
        made.voc(tmp_path, ("a",))
        made.write(tmp_path / "Annotations/a.xml", made.xml("a.jpg", objects=(("disc", (40, 13, 21, 32)),)))
        assert [box.edges for record in open_dataset(tmp_path) for box in record.boxes] == [DISC]

    @pytest.mark.parametrize(
        "corners", [(21, 13, 21, 32), (21, 32, 40, 32), (30, 30, 30, 30), (40, 32, 40, 13)]
    )
    def test_corners_of_voc_in_one_row_or_column_make_no_box(self, made, tmp_path, corners):
        made.voc(tmp_path, ("a",))
        made.write(tmp_path / "Annotations/a.xml", made.xml("a.jpg", objects=(("disc", corners),)))
        (record,) = data = open_dataset(tmp_path)
        assert (record.boxes, record.positive) == ((), {"disc"})
        assert data.problems == (
            "1 boxes that are empty, no numbers or outside their photo; their labels count (a.xml)",
        )

    def test_an_object_without_a_box_beside_a_boxed_one_of_its_class(self, made, tmp_path):
        made.voc(tmp_path, ("b",))
        objects = (("disc", (21, 13, 40, 32)), ("disc", ("?", 1, 2, 3)), ("bars", (1, 1, 10, 10)))
        made.save(made.photo(), tmp_path / "JPEGImages/a.jpg")
        made.write(tmp_path / "Annotations/a.xml", made.xml("a.jpg", objects=objects))
        record = open_dataset(tmp_path).records[0]
        assert record.half_boxed == {"disc"}
        assert (record.boxes_of("disc"), len(record.known_boxes_of("disc"))) == ((), 1)
        assert len(record.boxes_of("bars")) == 1
        assert record.positive == {"disc", "bars"}
