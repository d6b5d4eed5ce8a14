"""Found by fuzzing and by thinking: what data sets may name, state and be called."""

import json
import os
import time

import pytest
from PIL import Image

from pfungst.demo.scenes.notes import is_scenes_folder, read_scene_notes
from pfungst.errors import DataError
from pfungst.images import open_dataset
from pfungst.images.assembly import record_id

ESCAPES = [
    "../secret.jpg", "a/../../secret.jpg", "/etc/passwd", "//server/share/a.jpg", "C:\\secret.jpg",
    "c:secret.jpg",
    "..\\secret.jpg", "a\\..\\..\\secret.jpg", "\\\\server\\a.jpg",
]  # fmt: skip
BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>3</ymax></bndbox>"
OBJECT = f"<object><name>cat</name>{BOX}</object>"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "set"
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for place in (root / "JPEGImages" / "a.jpg", root / "JPEGImages" / "b.jpg", tmp_path / "secret.jpg"):
        Image.new("RGB", (8, 6)).save(place)
    (root / "Annotations" / "b.xml").write_text(
        f"<annotation><filename>b.jpg</filename>{OBJECT}</annotation>"
    )
    return root


def voc_problems(folder, content):
    (folder / "Annotations" / "a.xml").write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    data = open_dataset(folder)
    assert all(record.path.is_relative_to(folder / "JPEGImages") for record in data)
    return data.problems


class TestVoc:
    @pytest.mark.parametrize("name", ESCAPES)
    def test_paths_that_lead_out_are_refused(self, folder, name):
        problems = voc_problems(folder, f"<annotation><filename>{name}</filename>{OBJECT}</annotation>")
        if name.endswith("a.jpg"):
            assert problems == (), "the photo of that name within the folder is taken"
        else:
            assert len(problems) == 1
            assert "which leads out of JPEGImages; left out" in problems[0]

    def test_names_that_no_file_can_have(self, folder):
        text = f"<annotation><filename>{'x' * 300}</filename>{OBJECT}</annotation>"
        assert voc_problems(folder, text) == (), "the photo named like the annotation is taken"

    @pytest.mark.parametrize(
        "encoding", ["unicode_escape", "idna", "zlib", "undefined", "rot13", "../os", "utf-7"]
    )
    def test_declared_encodings_do_no_harm(self, folder, encoding):
        text = f'<?xml version="1.0" encoding="{encoding}"?><annotation>\\]{OBJECT}</annotation>'
        assert len(voc_problems(folder, text)) <= 1

    def test_an_annotation_that_is_a_pipe_is_not_waited_for(self, folder):
        os.mkfifo(folder / "Annotations" / "p.xml")
        os.mkfifo(folder / "ImageSets/Main/train.txt")
        problems = open_dataset(folder).problems
        assert "p.xml: is not a file, so it cannot be an annotation; left out" in problems
        assert any(problem.startswith("ImageSets/Main/train.txt: cannot be read") for problem in problems)

    def test_large_files_are_not_read(self, folder):
        with (folder / "Annotations" / "a.xml").open("wb") as stream:
            stream.truncate(10 * 2**30)  # sparse
        (problem,) = open_dataset(folder).problems[:1]
        assert problem.startswith("a.xml: has 10737418240 bytes, too large for an annotation")

    @pytest.mark.parametrize("size", ["1e308", "99999999999", "inf", "nan", "-5", "0.5"])
    def test_absurd_sizes_are_measured_instead(self, folder, size):
        stated = f"<size><width>{size}</width><height>6</height></size>"
        assert voc_problems(folder, f"<annotation>{stated}{OBJECT}</annotation>") == ()
        assert {record.size for record in open_dataset(folder)} == {(6, 8)}

    def test_class_names_that_cannot_be_printed(self, folder):
        many = "".join(f"<object><name>{name}</name></object>" for name in ("x" * 201, "a\u202eb"))
        problems = voc_problems(folder, f"<annotation>{many}{OBJECT}</annotation>")
        assert len(problems) == 2
        assert all("too long or cannot be printed; object left out" in problem for problem in problems)

    def test_a_file_is_no_voc_folder(self, folder):
        with pytest.raises(DataError, match="is not in VOC layout"):
            open_dataset(folder / "JPEGImages" / "a.jpg", format="voc")


@pytest.fixture
def coco(tmp_path):
    (tmp_path / "set" / "images").mkdir(parents=True)
    for name in ("set/images/a.jpg", "secret.jpg"):
        Image.new("RGB", (8, 6)).save(tmp_path / name)

    def write(images, annotations=(), raw=None):
        photos = [{"id": 0, "file_name": "a.jpg"}, *images]
        things = [{"id": 1, "image_id": 0, "category_id": 1}, *annotations]
        content = {"images": photos, "annotations": things, "categories": [{"id": 1, "name": "cat"}]}
        text = json.dumps(content)
        (tmp_path / "set" / "c.json").write_text(text if raw is None else text.replace('"RAW"', raw))
        return open_dataset(tmp_path / "set" / "c.json")

    return write


class TestCoco:
    @pytest.mark.parametrize("name", [*ESCAPES, "a\0.jpg", "\0", "\ud800.jpg", "\x1b[2J.jpg"])
    def test_paths_that_lead_out_are_refused(self, coco, name):
        data = coco([{"id": 5, "file_name": name}])
        assert [record.id for record in data] == ["a"]
        (problem,) = data.problems
        assert problem.startswith("photo 5: its file name ")
        assert ("leads out of" in problem) or ("is no text that can be printed" in problem)
        problem.encode()

    @pytest.mark.parametrize("name", ["x" * 300, "/".join(["x" * 200] * 30), "a.jpg/b", "."])
    def test_names_that_no_file_can_have(self, coco, name):
        (problem,) = coco([{"id": 5, "file_name": name}]).problems
        assert "1 photos are not in" in problem

    def test_photos_are_not_looked_for_above_the_file(self, tmp_path, coco):
        (tmp_path / "set" / "images" / "a.jpg").rename(tmp_path / "a.jpg")
        with pytest.raises(DataError, match="its photos are in none of"):
            coco([])

    def test_the_same_photo_many_times_costs_linear_time(self, coco):
        started = time.process_time()
        data = coco(
            [{"id": number, "file_name": "a.jpg", "width": 8, "height": 6} for number in range(1, 8001)]
        )
        assert time.process_time() - started < 8, "quadratic it took a minute"
        assert len({record.id for record in data}) == 8001

    @pytest.mark.parametrize("raw", ["[" * 940 + "]" * 940, "1" * 4000, "1e999", '"\\ud800"', "true", "{}"])
    def test_odd_ids_and_sizes(self, coco, raw):
        data = coco([{"id": "RAW", "file_name": "a.jpg", "width": "RAW", "height": "RAW"}], raw=raw)
        assert all(record.size == (6, 8) for record in data)
        assert all(len(problem) < 300 for problem in data.problems)

    def test_no_json_at_all(self, tmp_path):
        for text in ("[" * 100_000, '{"images": ', "\x00"):
            (tmp_path / "c.json").write_text(text)
            with pytest.raises(DataError, match="is not readable JSON"):
                open_dataset(tmp_path / "c.json")


class TestFolders:
    def test_a_photo_beside_the_splits(self, tmp_path):
        for name in ("train/cat/a.jpg", "val/cat/b.jpg", "c.jpg", "train/d.jpg"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        data = open_dataset(tmp_path)
        assert set(data.splits) == {"train", "val"}
        assert data.problems == (f"{tmp_path.name}: 2 photos lie in no class folder; left out",)

    def test_names_that_cannot_be_printed_or_are_too_long(self, tmp_path):
        for name in ("cat/a.jpg", "cat/\udcff.jpg", "\x1b[2J/a.jpg", "x" * 230 + "/a.jpg"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        data = open_dataset(tmp_path)
        assert (data.classes, len(data), len(data.problems)) == (("cat",), 1, 3)
        "".join(data.problems).encode()

    def test_deep_folders_end_somewhere(self, tmp_path):
        (tmp_path / "cat" / "/".join(["x"] * 60)).mkdir(parents=True)
        (tmp_path / "cat" / "/".join(["x"] * 60) / "deep.jpg").write_bytes(b"")
        (tmp_path / "cat" / "a.jpg").write_bytes(b"")
        assert [record.id for record in open_dataset(tmp_path)] == ["cat__a"]

    def test_ids_fit_into_file_names(self):
        from pathlib import PurePosixPath

        taken: dict[str, int] = {}
        paths = [PurePosixPath("ä" * 90, "ö" * 90, f"{name}.jpg") for name in ("a", "b")]
        ids = [record_id(path, taken) for path in (*paths, paths[0])]
        assert len(set(ids)) == 3
        assert all(len(identity.encode()) < 180 for identity in ids)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 50_000, "damaged notes"),
        ('{"format": "pfungst-scenes", "format_version": 1, "seed": 1e999}', "1e999"),
        (
            '{"format": "pfungst-scenes", "format_version": 1, "flaws": {"tag": 1, "background": 2}}',
            "damaged notes",
        ),
    ],
)
def test_damaged_scene_notes(tmp_path, content, message):
    (tmp_path / "scenes.json").write_text(content)
    is_scenes_folder(tmp_path)
    with pytest.raises(DataError, match=message):
        read_scene_notes(tmp_path)
