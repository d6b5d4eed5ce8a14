import functools
import hashlib
import http.server
import io
import json
import tarfile
import threading

import pytest
from PIL import Image
from typer.testing import CliRunner

from pfungst.cli.main import app
from pfungst.images import download
from pfungst.images.archives import Archive

OBJECT = (
    "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>1</xmin><ymin>1</ymin>"
    "<xmax>{right}</xmax><ymax>7</ymax></bndbox></object>"
)
ANNOTATION = "<annotation><size><width>9</width><height>7</height></size>{objects}</annotation>"


def one(name="cat", difficult=0, right=9):
    return OBJECT.format(name=name, difficult=difficult, right=right)


def write_voc(folder, photos, lists=None):
    """``photos`` maps an id to the objects of its annotation."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, objects in photos.items():
        colour = sum(name.encode())  # no two files are the same
        Image.new("RGB", (9, 7), (colour % 256, 0, 0)).save(folder / "JPEGImages" / f"{name}.jpg")
        (folder / "Annotations" / f"{name}.xml").write_text(ANNOTATION.format(objects=objects))
    for name, ids in (lists or {}).items():
        (folder / "ImageSets/Main" / f"{name}.txt").write_text("\n".join(ids))
    return folder


@pytest.fixture
def voc(tmp_path):
    photos = {"a": one() + one("dog", difficult=1), "b": one("dog") + one("dog"), "c": one()}
    return write_voc(tmp_path / "VOC", photos, {"train": ["a", "b"], "test": ["c"]})


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_check_counts_classes_and_splits(voc):
    result = run("data", "check", voc, "--json", "-")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "name": "VOC",
        "root": str(voc),
        "layout": "voc",
        "evidence": "VOC holds JPEGImages and Annotations",
        "photos": 3,
        "boxes": 5,
        "splits": {"train": 2, "test": 1},
        "classes": {
            "cat": {"positive": 2, "difficult": 0, "objects": 2, "splits": {"train": 1, "test": 1}},
            "dog": {"positive": 1, "difficult": 1, "objects": 3, "splits": {"train": 1, "test": 0}},
        },
        "problems": [],
        "unused": [],
    }


def test_check_prints_a_table(voc):
    result = run("data", "check", voc, "--classes", "dog")
    assert result.exit_code == 0
    rows = [line.replace("│", " ").split() for line in result.stdout.splitlines()]
    assert ["dog", "1", "1", "3", "1", "0"] in rows
    assert ["all", "photos", "3", "5", "2", "1"] in rows
    assert not any(row[:1] == ["cat"] for row in rows)


def test_check_lists_problems_and_exits_with_3(voc):
    for number in range(25):
        (voc / "Annotations" / f"bad{number:02}.xml").write_text("<")
    result = run("data", "check", voc)
    assert result.exit_code == 3
    assert "25 problems:\n  bad00.xml: is not well-formed XML" in result.stderr
    assert "bad19.xml" in result.stderr
    assert result.stderr.endswith("  and 5 more (--json lists all)\n")
    assert len(json.loads(run("data", "check", voc, "--json", "-").stdout)["problems"]) == 25


def test_check_decodes_photos_on_request(voc):
    assert run("data", "check", voc, "--decode").exit_code == 0
    Image.new("RGB", (7, 9)).save(voc / "JPEGImages" / "a.jpg")
    content = (voc / "JPEGImages" / "b.jpg").read_bytes()
    (voc / "JPEGImages" / "b.jpg").write_bytes(content[:-100])
    result = run("data", "check", voc, "--decode", "--json", "-")
    assert result.exit_code == 3
    turned, cut = json.loads(result.stdout)["problems"]
    assert turned == (
        "1 photos of another shape than their annotation says; left out of what needs boxes (a.xml)"
    )
    assert cut.startswith(f"{voc}/JPEGImages/b.jpg: is truncated or damaged (")


def test_check_other_layouts(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (9, 7)).save(tmp_path / "cat" / "a.jpg")
    found = json.loads(run("data", "check", tmp_path, "--format", "folders", "--json", "-").stdout)
    assert found["classes"]["cat"] == {"positive": 1, "difficult": 0, "objects": 0, "splits": {}}
    assert run("data", "check", tmp_path, "--format", "voc").exit_code == 1


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The address of a server with two small archives, which stand for the official ones."""
    archives = []
    for name, photos, split in (("a.tar", ("1", "2"), "trainval"), ("b.tar", ("3",), "test")):
        source = write_voc(tmp_path / name[0], dict.fromkeys(photos, one()), {split: photos})
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            tar.add(source, "VOCdevkit/VOC2007")
        (tmp_path / "served").mkdir(exist_ok=True)
        (tmp_path / "served" / name).write_bytes(stream.getvalue())
        archives.append(Archive(name=name, md5=hashlib.md5(stream.getvalue()).hexdigest()))
    monkeypatch.setattr(download, "VOC2007_ARCHIVES", tuple(archives))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_voc2007_is_fetched_and_counted(served, tmp_path):
    out = tmp_path / "out"
    result = run("data", "voc2007", "--out", out, "--url", served, "--json", "-")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["splits"] == {"trainval": 2, "test": 1}
    assert (out / "VOCdevkit/VOC2007/JPEGImages/3.jpg").is_file()
    assert not list(out.glob("*.tar*"))
    again = run("data", "voc2007", "--out", out, "--url", "http://127.0.0.1:1", "--keep-archives")
    assert again.exit_code == 0, "nothing is left to do"
    assert "VOC2007: 3 photos" in again.stdout


def test_voc2007_with_a_wrong_checksum(served, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "VOC2007_ARCHIVES", (Archive(name="a.tar", md5="0" * 32),))
    result = run("data", "voc2007", "--out", tmp_path / "out", "--url", served)
    assert "arrived with the MD5 checksum" in str(result.exception)
    assert list((tmp_path / "out").iterdir()) == []
