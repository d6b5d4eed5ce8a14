"""Hostile YOLO folders and tables, and trees of all kinds of files whose layout is to be recognised."""

from __future__ import annotations

import json
import shutil
from random import Random

from fuzzing.annotations import checked, photo_bytes
from fuzzing.mutation import json_bytes, mutate_bytes, mutate_json, pick
from fuzzing.target import Case, Target
from pfungst.images import open_dataset

_ROWS = (
    "0 0.5 0.5 0.5 0.5", "1 0.25 0.25 0.1 0.1 0.9", "0 0.1 0.1 0.9 0.1 0.9 0.9", "1 0.5 0.5 0.2 0.2",
    "7 0.5 0.5 0.1 0.1", "0 4 3 2 2", "-1 0 0 0 0", "0 nan inf 1e999 0", "", "cat 0.5 0.5 0.5 0.5",
    "0 " + "0.5 " * 500, "0 0.5", "1e9 0.5 0.5 0.1 0.1", "9" * 400 + " .5 .5 .1 .1", "0\t.5\t.5\t1\t1",
)  # fmt: skip
_YAML = (
    "names: [cat, dog]\ntrain: images\n", "names:\n  0: cat\n  1: dog\n",
    "path: ../x\ntrain: images/train\nnames: [a, b]",
    "train: train.txt\nnames: [cat, dog]\nnc: 2\nkpt_shape: [17, 3]\n", "names: &a [*a]\n", "names: {a: b}\n",
)  # fmt: skip
_YAML_TOKENS = (
    b"&a ", b"*a", b"!!python/object/apply:os.system [x]", b"!!binary |\n", b"? ", b": ", b"- ", b"[", b"]",
    b"{", b"}",
    b"---\n", b"...\n", b"\t", b"|\n", b">\n", b"%YAML 9.9\n", b"<<: *a\n", b"\0", b"\xff\xfe", b"~", b"'",
    b'"',
)  # fmt: skip
_COLUMNS = (
    "file_name", "image", "label", "labels", "class", "split", "xmin", "ymin", "xmax", "ymax", "x", "y",
    "width",
    "height", "bbox", "objects", "cat", "dog", "difficult", "", "\ufeff", "0", "id", "x_center", "y_center",
    "tags", "classes", "cx", "cy", "is_test",
)  # fmt: skip
_CELLS = (
    "a.jpg", "b.jpg", "sub/a.jpg", "../a.jpg", "C:\\a.jpg", "cat", "dog", "cat|dog", "1", "0", "4", "8",
    "train", "", "NaN", "null", "cat dog", "\"['cat', 'dog']\"", "[cat", "0.5", "2", "99999999999",
    "sep=;", "# cat",
    '"[1, 1, 4, 3]"', '"', "nan", "1e999", "x" * 300, "\0", "é", "test", "-5", "1.0",
)  # fmt: skip
_CSV_TOKENS = (
    b'"',
    b'""',
    b",",
    b";",
    b"\t",
    b"\r",
    b"\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"'",
    b"\\",
    b"sep=",
    b"# ",
    b"[",
    b"]",
)
_NAME_LISTS = (b"cat\ndog\n", b"", b"\xff\xfe", b"cat\n" * 5, b"\0\n\n", ("x" * 300).encode(), b"../a\n")
_LINES = (
    "a", "a b", "a.jpg", "JPEGImages/a b.jpg", "C:\\me\\a.JPG", "../a", "/etc/passwd", "a 1", "b -1", "",
    "\0", "x" * 300, "'a'", '"b"', "# a", "a,b", "\u00e9", "e\u0301", ".", "..", "/", "\\", "a.png", "A",
    "1", "-1", " ", "\t",
)  # fmt: skip


class Yolo(Target):
    """A YAML file, a label file and a list beside two good photos."""

    name = "yolo"

    def prepare(self) -> None:
        """Photos outside and inside the folder."""
        (self.folder / "a.jpg").write_bytes(photo_bytes())
        self.root = self.folder / "yolo"
        for name in ("images/a.jpg", "images/train/b.jpg"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(photo_bytes())

    def make(self, rng: Random) -> Case:
        """Mostly good names with odd rows, or the other way round."""
        yaml = pick(rng, _YAML[:2] if rng.random() < 0.6 else _YAML).encode()
        if rng.random() < 0.4:
            yaml = mutate_bytes(rng, yaml, _YAML_TOKENS)
        rows = pick(rng, (_ROWS[:4], _ROWS))
        label = "\n".join(pick(rng, rows) for _ in range(pick(rng, (0, 1, 1, 3, 40)))).encode()
        case = {
            "data.yaml": yaml,
            "labels/a.txt": mutate_bytes(rng, label) if rng.random() < 0.2 else label,
            "labels/train/b.txt": b"0 0.5 0.5 0.5 0.5\n",
        }
        if rng.random() < 0.2:
            case["train.txt"] = pick(rng, (b"images/a.jpg\n", b"../a.jpg\n/etc/passwd\n", b"a\nb\n", b"\xff"))
        return case

    def run(self, case: Case) -> bool:
        """Read the folder; accepted if nothing was complained of."""
        for name in ("data.yaml", "labels/a.txt", "train.txt"):
            (self.root / name).unlink(missing_ok=True)
        self.write(self.root, case)
        data = open_dataset(self.root, format="yolo")
        checked(data, self.root / "images")
        return not data.problems


class Table(Target):
    """A table of any form beside its photos."""

    name = "table"

    def prepare(self) -> None:
        """Photos outside and inside the folder."""
        (self.folder / "a.jpg").write_bytes(photo_bytes())
        self.root = self.folder / "table"
        for name in ("a.jpg", "b.jpg", "sub/a.jpg"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(photo_bytes())

    def make(self, rng: Random) -> Case:
        """A table with odd cells, and now and then damaged bytes."""
        if rng.random() < 0.4:
            return {"t.jsonl": self._lines(rng)}
        case = self._csv(rng)
        if rng.random() < 0.2:
            case["classes.txt"] = pick(rng, _NAME_LISTS)
        return case

    def _csv(self, rng: Random) -> Case:
        columns = ["file_name", "label"] if rng.random() < 0.5 else [pick(rng, _COLUMNS) for _ in range(5)]
        separator = pick(rng, (",", ",", ";", "\t", "|"))
        rows = [columns] if rng.random() < 0.9 else []
        for name in ("a.jpg", "b.jpg"):
            odd = rng.random() < 0.3
            first = [pick(rng, _CELLS) if odd else name, pick(rng, _CELLS if odd else ("cat", "dog"))]
            rows.append(first + [pick(rng, _CELLS) for _ in columns[2:]])
        content = "\n".join(separator.join(row) for row in rows).encode(
            pick(rng, ("utf-8", "utf-8", "utf-16"))
        )
        return {"t.csv": mutate_bytes(rng, content, _CSV_TOKENS) if rng.random() < 0.3 else content}

    def _lines(self, rng: Random) -> bytes:
        base = {"file_name": "a.jpg", "label": "cat", "objects": {"bbox": [[1, 1, 4, 3]], "categories": [0]}}
        rows = [mutate_json(rng, json.dumps(base | {"file_name": name})) for name in ("a.jpg", "b.jpg")]
        content = b"\n".join(json_bytes(row) for row in rows)
        return mutate_bytes(rng, content) if rng.random() < 0.2 else content

    def run(self, case: Case) -> bool:
        """Read the table; accepted if nothing was complained of."""
        for name in ("t.csv", "t.jsonl", "classes.txt"):
            (self.root / name).unlink(missing_ok=True)
        self.write(self.root, case)
        data = open_dataset(self.root, format="table")
        checked(data, self.root)
        return not data.problems


class Lists(Target):
    """Lists of photos, in VOC's own place or anywhere beside scattered annotations."""

    name = "lists"

    def prepare(self) -> None:
        """Photos and annotations outside and inside the folders."""
        xml = b"<annotation><object><name>cat</name></object></annotation>"
        self.roots = {
            "voc": (self.folder / "voc", "JPEGImages", "Annotations"),
            "scattered": (self.folder / "scattered", "images", "xml"),
        }
        (self.folder / "a.jpg").write_bytes(photo_bytes())
        for root, photos, labels in self.roots.values():
            for name in ("a", "a b"):
                for path, content in ((f"{photos}/{name}.jpg", photo_bytes()), (f"{labels}/{name}.xml", xml)):
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_bytes(content)

    def make(self, rng: Random) -> Case:
        """One to three lists in any encoding, with any ends of lines."""
        names = ("train", "val", "test", "trainval", "cat_train", "Train", "dev", "default", "x")
        folder = pick(rng, ("voc/ImageSets/Main", "voc/ImageSets", "scattered", "scattered/lists"))
        case = {}
        for _ in range(pick(rng, (1, 1, 2, 3))):
            lines = pick(rng, (_LINES[:4], _LINES))
            text = pick(rng, ("\n", "\n", "\r\n", "\r")).join(
                pick(rng, lines) for _ in range(pick(rng, (0, 1, 3, 9)))
            )
            content = text.encode(pick(rng, ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-7")))
            content = mutate_bytes(rng, content) if rng.random() < 0.2 else content
            case[f"{folder}/{pick(rng, names)}.txt"] = content
        return case

    def run(self, case: Case) -> bool:
        """Read the set; accepted if nothing was complained of."""
        for root, _, _ in self.roots.values():
            for old in (*root.glob("*.txt"), *root.glob("lists/*.txt"), *root.glob("ImageSets/**/*.txt")):
                old.unlink()
        self.write(self.folder, case)
        root, photos, _ = self.roots[next(iter(case)).partition("/")[0]]
        data = open_dataset(root, format="voc")
        checked(data, root / photos)
        known = {record.id for record in data}
        assert all(set(ids) <= known for ids in data.splits.values())
        return not data.problems


class Trees(Target):
    """A few files of all kinds, of which the layout is to be told."""

    name = "trees"

    def make(self, rng: Random) -> Case:
        """Paths and contents, put together at random."""
        folders = (
            "", "cat/", "dog/", "train/", "valid/", "test/", "images/", "labels/", "annotations/", "data/",
            "JPEGImages/", "Annotations/", "ImageSets/Main/", "train/cat/", "images/train/", "__MACOSX/",
        )  # fmt: skip
        xml = b"<annotation><filename>a.jpg</filename><object><name>cat</name></object></annotation>"
        coco = b'{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}'
        files = {
            "a.jpg": photo_bytes(), "b.jpg": photo_bytes(), "c.png": photo_bytes("PNG"), "a.xml": xml,
            "b.xml": b"<x/>",
            "instances.json": coco, "labels.json": b"{}", "a.txt": b"0 .5 .5 .1 .1\n", "b.txt": b"a cat\n",
            "data.yaml": b"names: [cat]\n", "classes.txt": b"cat\n",
            "labels.csv": b"image,label\na.jpg,cat\n",
            "metadata.jsonl": b'{"file_name": "a.jpg", "label": 1}\n', "train.txt": b"a\n",
            "x.HEIC": b"\0\0\0 ftypheic",
            "IMG": photo_bytes(), ".DS_Store": b"x", "Thumbs.db": b"x",
        }  # fmt: skip
        names = [pick(rng, folders) + pick(rng, tuple(files)) for _ in range(pick(rng, (1, 3, 6, 12)))]
        contents = {name: files[name.rpartition("/")[2]] for name in names}
        return {
            name: mutate_bytes(rng, content) if rng.random() < 0.1 else content
            for name, content in contents.items()
        }

    def run(self, case: Case) -> bool:
        """Open the folder by its evidence; accepted if nothing was complained of."""
        root = self.folder / "set"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        self.write(root, case)
        data = open_dataset(root)
        checked(data, root)
        assert data.layout
        assert data.evidence
        return not data.problems
