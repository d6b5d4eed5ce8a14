"""Photo sets as people have them, from the command line: what is said, what is counted, what is measured.

The photos are made here; every expected number follows from how many were made and where their objects are.
"""

from __future__ import annotations

import json
import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageOps
from safetensors.numpy import load_file
from typer.testing import CliRunner

from pfungst.cli.main import app

TRAIN = (
    "--components",
    "3",
    "--dims",
    "8",
    "--step",
    "6",
    "--samples",
    "2000",
    "--iterations",
    "4",
    "--c",
    "1",
)
SIZE, BOX = (72, 60), (8, 6, 44, 42)
"""Width and height of a photo; left, top, right and bottom of its object."""


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def photo(kind, seed):
    """Stripes or rings in a box on noise."""
    pixels = np.random.default_rng(seed).integers(90, 160, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    left, top, right, bottom = BOX
    rows, columns = np.mgrid[top:bottom, left:right]
    wave = columns if kind == "bars" else np.hypot(rows - (top + bottom) / 2, columns - (left + right) / 2)
    pixels[top:bottom, left:right] = np.where(wave // 4 % 2, 250, 5)[..., None]
    return Image.fromarray(pixels)


def xml(name, size=SIZE, boxes=(("disc", BOX),)):
    """VOC's annotation: corners count from 1, the last pixel included."""
    inner = "".join(
        f"<object><name>{kind}</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax>"
        f"<ymax>{y1}</ymax></bndbox></object>" for kind, (x0, y0, x1, y1) in boxes
    )  # fmt: skip
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return f"<annotation><filename>{name}</filename>{stated}{inner}</annotation>"


def put(path, kind="disc", seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = photo(kind, seed)
    image.save(path, quality=95, **options)
    return image


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def voc(root, count=6, first=0, name="{kind}{number}"):
    """VOC's layout; of each class two photos in three are of train, the third ones of val."""
    lists = {"train": [], "val": []}
    for kind in ("disc", "bars"):
        for number in range(count):
            stem = name.format(kind=kind, number=number)
            put(root / f"JPEGImages/{stem}.jpg", kind, [first + number, len(kind) + ord(kind[0])])
            write(root / f"Annotations/{stem}.xml", xml(f"{stem}.jpg", boxes=((kind, BOX),)))
            lists["val" if number % 3 == 2 else "train"].append(stem)
    for split, names in lists.items():
        write(root / f"ImageSets/Main/{split}.txt", "".join(f"{line}\n" for line in names))
    return root


def coco(root, *, kinds=("disc", "bars"), count=4, first=500, boxes=None, names=None):
    left, top, right, bottom = BOX
    images, objects = [], []
    for number, kind in enumerate(kinds):
        for place in range(count):
            name = f"{kind}{place}.jpg"
            put(root / f"images/{name}", kind, [first + place, number])
            images.append({"id": len(images), "file_name": name, "width": SIZE[0], "height": SIZE[1]})
            box = (boxes or {}).get(name, [left, top, right - left, bottom - top])
            objects.append(
                {"id": len(objects), "image_id": images[-1]["id"], "category_id": number, "bbox": box}
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(names or kinds)]
    content = {"images": images, "annotations": objects, "categories": categories}
    write(root / "annotations/instances.json", json.dumps(content))
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    root = tmp_path_factory.mktemp("model")
    result = run("train", "fisher", voc(root / "set"), "--out", root / "fv", "--workers", "1", *TRAIN)
    assert result.exit_code == 0, result.output
    return root / "fv"


def check(root, *arguments):
    result = run("data", "check", root, "--json", "-", *arguments)
    return result, json.loads(result.stdout) if result.exit_code in (0, 3) else None


def measured(command, model, root, *arguments):
    result = run(command, model, root, "--split", "all", "--workers", "1", "--json", "-", *arguments)
    assert result.exit_code in (0, 3), result.output
    return result, json.loads(result.stdout)


def ratio_of(model, root):
    """What the command says, and the context ratio of discs."""
    result, content = measured("context", model, root, "--no-edits")
    (entry,) = content["models"].values()
    return result, entry["rows"]["disc"]["ratio"]["mean"]


class TestLayouts:
    def test_a_split_folder_each_with_coco_or_xml_or_yolo_or_a_table(self, tmp_path):
        """Four tools' exports of the same photos: 2 classes, 3 splits of 2 photos, a box in each."""
        left, top, right, bottom = BOX
        centre = [(left + right) / 2 / SIZE[0], (top + bottom) / 2 / SIZE[1]]
        shares = [*centre, (right - left) / SIZE[0], (bottom - top) / SIZE[1]]
        for tool in ("coco", "voc", "yolo", "table"):
            for place, split in enumerate(("train", "valid", "test")):
                for number, kind in enumerate(("bars", "disc")):
                    folder = tmp_path / tool / split
                    put(folder / f"{kind}.jpg", kind, [place, number])
                    row = f"{kind}.jpg,{kind},{left},{top},{right},{bottom}\n"
                    if tool == "voc":
                        write(folder / f"{kind}.xml", xml(f"{kind}.jpg", boxes=((kind, BOX),)))
                    elif tool == "yolo":
                        write(folder / f"{kind}.txt", f"{number} {' '.join(map(str, shares))}\n")
                    elif tool == "table":
                        before = "" if number else "filename,class,xmin,ymin,xmax,ymax\n"
                        file = folder / "_annotations.csv"
                        write(file, (file.read_text() if number else "") + before + row)
                if tool == "coco":
                    shutil.rmtree(folder)
                    coco(folder, count=1, first=10 * place)
                    (folder / "annotations/instances.json").rename(folder / "_annotations.coco.json")
            write(
                tmp_path / "yolo/data.yaml",
                "names: [bars, disc]\ntrain: ../train\nval: ../valid\ntest: ../test\n",
            )
            result, found = check(tmp_path / tool, "--no-looks")
            assert result.exit_code == 0, result.output
            assert found["layout"] == tool
            assert found["splits"] == {"train": 2, "val": 2, "test": 2}
            assert {name: entry["objects"] for name, entry in found["classes"].items()} == {
                "bars": 3,
                "disc": 3,
            }

    def test_a_linked_class_is_read_and_what_is_no_photo_here_is_counted(self, tmp_path):
        for number in range(3):
            put(tmp_path / f"store/disc/{number}.jpg", "disc", number)
            put(tmp_path / f"set/bars/{number}.jpg", "bars", number)
        (tmp_path / "set/disc").symlink_to(tmp_path / "store/disc")
        shutil.copy(tmp_path / "set/bars/0.jpg", tmp_path / "set/bars/saved")
        shutil.copy(tmp_path / "set/bars/1.jpg", tmp_path / "set/bars/more.jpg_large")
        write(tmp_path / "set/bars/._0.jpg", "x")
        result, found = check(tmp_path / "set")
        assert result.exit_code == 3
        assert {name: entry["positive"] for name, entry in found["classes"].items()} == {"bars": 3, "disc": 3}
        assert [line.partition(";")[0] for line in found["problems"]] == [
            "1 photo ending in .jpg_large, which is not read",
            "1 photo without an ending",
        ]

    def test_names_and_lists_of_other_systems(self, tmp_path):
        root = voc(tmp_path, name="my {kind} photo ({number})")
        file = root / "ImageSets/Main/train.txt"
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
        file = root / "ImageSets/Main/val.txt"
        file.write_text("".join(f"JPEGImages\\{line}.JPG\n" for line in file.read_text().splitlines()))
        result, found = check(root, "--no-looks")
        assert (result.exit_code, found["splits"]) == (0, {"train": 8, "val": 4})


class TestBoxes:
    def test_boxes_of_turned_and_of_reduced_photos_give_the_ratio_of_plain_ones(self, model, tmp_path):
        """The same six photos: plain; stored turned with stored boxes; annotated at twice the size."""
        left, top, right, bottom = BOX
        for number in range(6):
            name = f"{number}.jpg"
            image = put(tmp_path / "plain/JPEGImages" / name, "disc", [800 + number, 0])
            write(tmp_path / f"plain/Annotations/{number}.xml", xml(name))
            exif = Image.Exif()
            exif[0x0112] = 6
            target = tmp_path / "turned/JPEGImages" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            image.transpose(Image.Transpose.ROTATE_90).save(target, quality=95, exif=exif)
            stored = (top, SIZE[0] - right, bottom, SIZE[0] - left)
            write(tmp_path / f"turned/Annotations/{number}.xml", xml(name, SIZE[::-1], (("disc", stored),)))
            put(tmp_path / "reduced/JPEGImages" / name, "disc", [800 + number, 0])
            twice = tuple(2 * edge for edge in BOX)
            stated = (2 * SIZE[0], 2 * SIZE[1])
            write(tmp_path / f"reduced/Annotations/{number}.xml", xml(name, stated, (("disc", twice),)))
        ratios = {}
        for name in ("plain", "turned", "reduced"):
            result, ratios[name] = ratio_of(model, tmp_path / name)
            said = {"turned": "boxes turned", "reduced": "boxes scaled"}.get(name)
            assert result.exit_code == (3 if said else 0)
            assert said is None or said in result.stderr
        assert ratios["turned"] == pytest.approx(ratios["plain"], rel=0.05)
        assert ratios["reduced"] == pytest.approx(ratios["plain"], rel=0.02)

    @pytest.mark.parametrize("command", ["data check", "evaluate", "context", "quality", "train fisher"])
    def test_shares_are_refused_by_every_command_with_the_cause(self, model, tmp_path, command):
        shares = [BOX[0] / SIZE[0], BOX[1] / SIZE[1], 0.5, 0.6]
        names = [f"{kind}{number}.jpg" for kind in ("disc", "bars") for number in range(4)]
        root = coco(tmp_path / "set", boxes=dict.fromkeys(names, shares))
        before = [] if command in ("data check", "train fisher") else [model]
        after = ["--out", tmp_path / "out"] if command == "train fisher" else []
        result = run(*command.split(), *before, root, *after)
        assert result.exit_code == 1
        assert "8 of 8 boxes lie within one pixel; are they normalised" in str(result.exception)

    def test_bad_boxes_cost_no_label(self, model, tmp_path):
        """Of 4 discs one box is empty, one swapped and one outside: still 4 positives."""
        boxes = {"disc0.jpg": [10, 10, 0, 0], "disc1.jpg": [44, 42, -36, -36], "disc2.jpg": [500, 10, 20, 20]}
        root = coco(tmp_path / "set", boxes=boxes)
        result, content = measured("evaluate", model, root)
        assert result.exit_code == 3
        assert content["classes"]["disc"]["positives"] == content["classes"]["bars"]["positives"] == 4
        assert content["photos"]["problems"] == [
            "1 boxes with swapped corners; mended (disc1.jpg)",
            "2 boxes that are empty, no numbers or outside their photo; their labels count "
            "(disc0.jpg, disc2.jpg)",
        ]
        assert "2 problems:" in result.stderr
        _, found = check(root)
        assert found["classes"]["disc"] == {"positive": 4, "difficult": 0, "objects": 2, "splits": {}}


class TestLeakage:
    def test_splits_stay_when_photos_are_added_and_learned_ones_are_left_out(self, tmp_path):
        for kind in ("bars", "disc"):
            for number in range(16):
                put(tmp_path / f"set/{kind}/{number:02}.jpg", kind, [number, len(kind) + ord(kind[0])])
        result = run("train", "fisher", tmp_path / "set", "--out", tmp_path / "fv", "--workers", "1", *TRAIN)
        assert result.exit_code == 0, result.output
        before = run("evaluate", tmp_path / "fv", tmp_path / "set", "--workers", "1", "--json", "-")
        count = json.loads(before.stdout)["images"]
        put(tmp_path / "set/disc/aaa.jpg", "disc", [999, 0])
        after = json.loads(
            run("evaluate", tmp_path / "fv", tmp_path / "set", "--workers", "1", "--json", "-").stdout
        )
        assert after["photos"]["learned"] == 0
        assert after["images"] - count in (0, 1)
        other = run(
            "evaluate", tmp_path / "fv", tmp_path / "set", "--seed", "5", "--workers", "1", "--json", "-"
        )
        learned = json.loads(other.stdout)["photos"]["learned"]
        assert learned > 0
        assert f"note: {learned} photos (" in other.stderr

    def test_copies_across_splits_and_doubled_names_are_said_by_check_and_by_training(self, tmp_path):
        root = voc(tmp_path / "set")
        shutil.copy(root / "JPEGImages/disc2.jpg", root / "JPEGImages/copy.jpg")
        ImageOps.mirror(Image.open(root / "JPEGImages/bars2.jpg")).save(
            root / "JPEGImages/mirror.jpg", quality=60
        )
        for name, kind in (("copy", "disc"), ("mirror", "bars")):
            write(root / f"Annotations/{name}.xml", xml(f"{name}.jpg", boxes=((kind, BOX),)))
        with (root / "ImageSets/Main/train.txt").open("a") as stream:
            stream.write("copy\nmirror\nbars5\n")
        result, found = check(root)
        assert result.exit_code == 3
        assert found["problems"][:2] == [
            "1 photos stand in both train and val (first: bars5)",
            "1 pairs of photos in train and val are equal files (copy and disc2)",
        ]
        result = run("train", "fisher", root, "--out", tmp_path / "fv", "--workers", "1", *TRAIN)
        assert result.exit_code == 3
        assert "1 pairs of photos in train and val are equal files (copy and disc2)" in result.stderr


class TestNames:
    @pytest.mark.parametrize("command", ["evaluate", "context", "quality", "strategies", "artefacts"])
    def test_classes_that_are_not_shared_are_named_by_every_command(self, model, tmp_path, command):
        root = coco(tmp_path / "set", names=("disc", "Bars"))
        extra = ["--out", tmp_path / "out"] if command in ("strategies", "artefacts") else []
        result, content = measured(command, model, root, *extra)
        photos = content["photos"]
        assert photos["only_in_data"] == ["Bars"]
        assert list(photos["only_in_models"].values()) == [["bars"]]
        for line in (
            "that no model knows: Bars",
            "does not have: bars",
            "are 'bars' and 'Bars' the same class?",
        ):
            assert line in result.stderr

    def test_two_forms_of_a_letter_are_one_class(self, tmp_path):
        for split, form in (("train", "NFD"), ("test", "NFC")):
            for number in range(2):
                name = unicodedata.normalize(form, "caf\u00e9")
                put(tmp_path / f"{split}/{name}/{number}.jpg", "disc", [number, len(split)])
        result, found = check(tmp_path, "--no-looks")
        assert (result.exit_code, list(found["classes"])) == (0, ["caf\u00e9"])
        assert found["classes"]["caf\u00e9"]["splits"] == {"train": 2, "test": 2}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "large.jpg"
    photo("disc", 0).resize((2100, 1400)).save(path)
    return path


@pytest.fixture(scope="module")
def two_kinds(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    data = voc(root / "set")
    work = ("--workers", "1")
    fisher = run("train", "fisher", data, "--out", root / "fisher", "--longest-side", "40", *work, *TRAIN)
    start = ("--init", "small-cnn", "--epochs", "1")
    network = run("train", "network", data, "--out", root / "network", *start, *work)
    assert fisher.exit_code == network.exit_code == 0, fisher.output + network.output
    return root


class TestLargePhotos:
    """A model that works at 40 pixels, and one that sees its network's input, explain 2100 x 1400 pixels."""

    @pytest.mark.parametrize("kind", ["fisher", "network"])
    def test_heatmaps_have_the_photos_pixels_and_pictures_a_bound(self, large, two_kinds, tmp_path, kind):
        result = run(
            "explain", two_kinds / kind, large, "--out", tmp_path, "--arrays", "--workers", "1", "--json", "-"
        )
        assert result.exit_code == 0, result.output
        (row,) = json.loads(result.stdout)["explanations"]
        assert (row["height"], row["width"]) == (1400, 2100)
        relevance = load_file(row["arrays"])["relevance"]
        assert relevance.shape == (1400, 2100)
        assert relevance.sum() == pytest.approx(row["ledger"]["pixels"], rel=1e-9, abs=1e-9)
        with Image.open(row["picture"]) as picture:
            width = picture.size[0]
        assert width == 3 * (1050 + 8) + 8, "2100 pixels are drawn by two"

    @pytest.mark.parametrize("kind", ["fisher", "network"])
    def test_the_limit_against_bombs_is_an_option_that_its_hint_names(
        self, large, two_kinds, tmp_path, kind, monkeypatch
    ):
        monkeypatch.setenv("PFUNGST_MAX_MEGAPIXELS", "100")
        rest = ["explain", two_kinds / kind, large, "--out", tmp_path, "--workers", "1"]
        result = run("--max-megapixels", "2", *rest)
        assert result.exit_code == 1
        assert "2100 x 1400 = 2,940,000 pixels" in str(result.exception)
        assert "a larger limit (pfungst --max-megapixels, max_pixels)" in str(result.exception)
        assert run("--max-megapixels", "3", *rest).exit_code == 0
