"""Hostile VOC folders, COCO files and scene notes."""

from __future__ import annotations

import io
import json
import math
import shutil
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image

from fuzzing.mutation import TEXTS, integer, json_bytes, mutate_bytes, mutate_json, pick, scalar, value
from fuzzing.target import Case, Target
from pfungst.demo.scenes.notes import is_scenes_folder, read_scene_notes
from pfungst.images import DataSet, open_dataset

_TAGS = (
    "annotation", "filename", "size", "width", "height", "depth", "object", "name", "difficult",
    "truncated", "bndbox",
    "xmin", "ymin", "xmax", "ymax", "part", "folder", "source",
)  # fmt: skip
_ENCODINGS = (
    "utf-8", "UTF-16", "utf-7", "latin-1", "ascii", "idna", "punycode", "rot13", "hex", "zlib", "undefined",
    "cp037",
    "unicode_escape", "raw_unicode_escape", "utf-8-sig", "mbcs", "utf-32", "../os", "os.path", "x" * 500,
)  # fmt: skip
_XML_TOKENS = (
    b"<object>", b"</object>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?pi?>", b"&amp;", b"&#0;",
    b"&#xD800;", b"&x;",
    b'<!DOCTYPE a [<!ENTITY x "y">]>', b'<!DOCTYPE annotation SYSTEM "file:///etc/passwd">', b"\xff\xfe",
    b"\xef\xbb\xbf",
    b'<?xml version="1.0" encoding="utf-16"?>', b'xmlns:a="b"', b"<a:b>", b"\0", b"<" * 50, b"<a>" * 200,
    b"nan", b"-1e308",
)  # fmt: skip
_LISTS = (
    b"a\nb\n",
    b"a 1\nb -1\n",
    b"",
    b"\xff\xfe",
    b"../../x 1\n",
    b"a" * 3000,
    b"\0\n",
    b" \n\n a\n",
    b"a\n" * 50,
)


@cache
def photo_bytes(kind: str = "JPEG") -> bytes:
    """A photo of 8 x 6 pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 30, 30)).save(buffer, kind)
    return buffer.getvalue()


def checked(data: DataSet, folder: Path) -> None:
    """What every user of a data set relies on."""
    ids = [record.id for record in data]
    assert len(set(ids)) == len(ids)
    assert {name for names in data.splits.values() for name in names} <= set(ids)
    for record in data:
        assert record.path.is_file()
        assert record.path.is_relative_to(folder), record.path
        assert ".." not in record.path.parts
        assert len(f"{record.id}.png".encode()) < 250
        for box in record.boxes:
            edges = (box.left, box.top, box.right, box.bottom)
            assert all(math.isfinite(edge) for edge in edges)
            assert 0 <= box.left < box.right
            assert 0 <= box.top < box.bottom
    for name in (*data.classes, *data.problems):
        name.encode()
    data.labels()


class Voc(Target):
    """One annotation and one list of a VOC folder with two good photos."""

    name = "voc"

    def prepare(self) -> None:
        """Photos outside and inside the folder."""
        (self.folder / "a.jpg").write_bytes(photo_bytes())
        self.root = self.folder / "voc"
        for part in ("JPEGImages/sub", "Annotations", "ImageSets/Main"):
            (self.root / part).mkdir(parents=True)
        for name in ("a.jpg", "sub/a.jpg"):
            (self.root / "JPEGImages" / name).write_bytes(photo_bytes())

    def make(self, rng: Random) -> Case:
        """A tree with odd values, and half of the time damaged bytes as well."""
        content = _annotation(rng, sane=pick(rng, (0.5, 0.8, 0.95, 1.0)))
        if rng.random() < 0.6:
            content = mutate_bytes(rng, content, _XML_TOKENS)
        case = {"Annotations/a.xml": content}
        if rng.random() < 0.2:
            case["ImageSets/Main/train.txt"] = mutate_bytes(rng, pick(rng, _LISTS))
        return case

    def run(self, case: Case) -> bool:
        """Read the folder; accepted if the annotation gave a record without a complaint."""
        (self.root / "ImageSets/Main/train.txt").unlink(missing_ok=True)
        self.write(self.root, case)
        data = open_dataset(self.root, format="voc")
        checked(data, self.root / "JPEGImages")
        return not data.problems


def _annotation(rng: Random, sane: float) -> bytes:
    good = lambda: rng.random() < sane  # noqa: E731
    parts = []
    if good():
        parts.append(_element(rng, "filename", "a.jpg" if good() else pick(rng, TEXTS)))
    if good():
        parts.append(
            _element(rng, "size", _numbers(rng, ("width", "height", "depth"), (8, 6, 3), sane), raw=True)
        )
    for _ in range(pick(rng, (0, 1, 1, 2, 20) if sane < 1 else (1,))):
        inner = _element(
            rng,
            "name" if good() else pick(rng, _TAGS),
            pick(rng, ("cat", "dog")) if good() else pick(rng, TEXTS),
        )
        inner += _element(rng, "difficult", "0" if good() else pick(rng, TEXTS))
        corners = _numbers(rng, ("xmin", "ymin", "xmax", "ymax"), (1, 2, 5, 4), sane)
        inner += _element(rng, "bndbox" if good() else pick(rng, _TAGS), corners, raw=True) if good() else ""
        parts.append(_element(rng, "object" if good() else pick(rng, _TAGS), inner, raw=True))
    if not good():
        rng.shuffle(parts)
    text = _element(rng, "annotation" if good() else pick(rng, _TAGS), "".join(parts), raw=True)
    if good():
        return text.encode(errors="replace")
    encoding = pick(rng, _ENCODINGS)
    declared = f'<?xml version="1.0" encoding="{encoding}"?>' + text
    return declared.encode(pick(rng, ("utf-8", "utf-16", "latin-1")), errors="replace")


def _numbers(rng: Random, tags: tuple[str, ...], usual: tuple[int, ...], sane: float) -> str:
    return "".join(
        _element(rng, tag, str(number) if rng.random() < sane else str(scalar(rng)))
        for tag, number in zip(tags, usual, strict=True)
    )


def _element(_rng: Random, tag: str, text: str, *, raw: bool = False) -> str:
    return f"<{tag}>{text if raw else escape(text)}</{tag}>"


class Coco(Target):
    """An instances file beside its photos."""

    name = "coco"

    def prepare(self) -> None:
        """Photos outside and inside the folder."""
        (self.folder / "a.jpg").write_bytes(photo_bytes())
        self.root = self.folder / "coco"
        for name in ("images/a.jpg", "images/b.jpg", "images/sub/a.jpg"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(photo_bytes())
        self.base = json.dumps(
            {
                "images": [
                    {"id": 1, "file_name": "a.jpg", "width": 8, "height": 6},
                    {"id": 2, "file_name": "b.jpg"},
                    {"id": "x", "file_name": "sub/a.jpg", "width": 8, "height": 6},
                ],
                "annotations": [
                    {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4.5, 3], "iscrowd": 0},
                    {"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 8, 6]},
                    {"id": 3, "image_id": "x", "category_id": 2, "bbox": [2, 1, 3, 2]},
                ],
                "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
            }
        )

    def make(self, rng: Random) -> Case:
        """Mostly changed trees; some with many entries, some damaged bytes."""
        kind = rng.random()
        if kind < 0.1:
            tree = {pick(rng, ("images", "annotations", "categories", "x")): value(rng, 4) for _ in range(4)}
        else:
            tree = mutate_json(rng, self.base)
        if kind > 0.995 and isinstance(tree, dict):
            _multiply(rng, tree)
        content = json_bytes(tree)
        if rng.random() < 0.15:
            content = mutate_bytes(
                rng, content, (b"{", b"}", b"[", b"]", b'"', b"\\u", b"\\ud800", b"1e999", b"NaN", b",")
            )
        return {"instances.json": content}

    def run(self, case: Case) -> bool:
        """Read it; accepted if nothing was complained of."""
        self.write(self.root, case)
        data = open_dataset(self.root / "instances.json")
        checked(data, self.root / "images")
        return not data.problems


def _multiply(rng: Random, tree: dict[str, Any]) -> None:
    """Many entries that are the same, or the same but for their id."""
    entries = tree.get(pick(rng, ("images", "annotations", "categories")))
    if isinstance(entries, list) and entries and isinstance(entries[0], dict):
        fresh = rng.random() < 0.7
        entries += [entries[0] | ({"id": number + 10} if fresh else {}) for number in range(800)]


class Scenes(Target):
    """The notes of a set of scenes."""

    name = "scenes"

    def prepare(self) -> None:
        """Good notes to start from."""
        self.base = json.dumps(
            {
                "format": "pfungst-scenes", "format_version": 1, "seed": 3, "version": 2, "clean": False,
                "flaws": {
                    "tag": {"class": "cat", "text": "x", "share": 0.2, "images": {"a": [1, 2, 3, 4],
                    "b": [1, 2, 3, 4]}},
                    "background": {"class": "dog", "background": "sand", "share": 0.8},
                },
                "images": {"a": {"background": "sand"}, "b": {"background": "sea"}},
            }
        )  # fmt: skip

    def make(self, rng: Random) -> Case:
        """Changed trees, some damaged bytes."""
        content = json_bytes(mutate_json(rng, self.base))
        return {"scenes.json": mutate_bytes(rng, content) if rng.random() < 0.15 else content}

    def run(self, case: Case) -> bool:
        """Read the notes."""
        self.write(self.folder, case)
        is_scenes_folder(self.folder)
        notes = read_scene_notes(self.folder)
        assert abs(notes.seed) < 2**64
        assert math.isfinite(notes.tag.share)
        return True


class Folders(Target):
    """Folders of photos with odd names; the content of the photos is the decoder's affair."""

    name = "folders"

    def make(self, rng: Random) -> Case:
        """A few paths."""
        parts = (
            "cat",
            "dog",
            "train",
            "val",
            ".hidden",
            "x" * 200,
            "a b",
            "\udcff",
            "é",
            "\x1b[2J",
            "[b]",
            "<i>",
            "a\nb",
            "~",
        )
        paths = {}
        for _ in range(1 + int(rng.random() * 5)):
            names = [pick(rng, parts) for _ in range(pick(rng, (1, 2, 2, 3, 3, 4, 16)))]
            names[-1] += f"{integer(rng) % 3}{pick(rng, ('.jpg', '.png', '.PNG', '.txt', ''))}"
            paths["/".join(names)] = b"x"
        return paths

    def run(self, case: Case) -> bool:
        """List the photos."""
        root = self.folder / "set"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        self.write(root, case)
        data = open_dataset(root, format="folders")
        checked(data, root)
        return not data.problems
