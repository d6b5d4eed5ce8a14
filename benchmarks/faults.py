"""Every command killed, and run into a full disk, at many points, and given again: is it as undisturbed?

    python benchmarks/faults.py --points 12
    python benchmarks/faults.py --command evaluate --points 0        # every point

prints JSON. A point is an event on the disk in the command's folder: a file opened for writing, flushed,
renamed or deleted, a folder made or deleted. The command runs in a process of its own.

- ``crash_points``, ``crash_points_ok``: killed (SIGKILL) at a point, then given again: points, and those
  after which every product (models, pictures, numbers) is byte for byte that of an undisturbed run.
- ``full_disk_places``, ``full_disk_ok``, ``tracebacks``: from a point on, every write fails for want of
  space; then there is space, and the command is given again. A traceback is an error outside the library's
  own family.
- ``points_of``: all points that each command has.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from _measure import ONE_THREAD, print_json

ANNOTATION = """<annotation><filename>{name}.png</filename><size><width>64</width><height>48</height></size>
{objects}</annotation>"""
OBJECT = """<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>9</xmin><ymin>9</ymin>
<xmax>48</xmax><ymax>40</ymax></bndbox></object>"""
PER_SPLIT = 9
VOLATILE = ("seconds", "processor_seconds", "processor_seconds_per_photo", "cost")
WRITTEN = os.O_WRONLY | os.O_RDWR
OK, TRACEBACK = 0, 70


@dataclass(frozen=True)
class World:
    """Photos, and a model of them."""

    photos: Path
    model: Path


@dataclass(frozen=True)
class Command:
    """A command line, given the world and an empty folder, and what it produces there."""

    line: Callable[[World, Path], list[str]]
    products: tuple[str, ...]


ALONE = ("--workers", "1")
FISHER = ("--components", "2", "--dims", "4", "--step", "8", "--bin-sizes", "4", "--samples", "600",
          "--iterations", "3", "--c", "1")  # fmt: skip
NETWORK = ("--init", "small-cnn", "--epochs", "2", "--batch-size", "16")
QUALITY = ("--method", "descriptors,regions", "--rules", "epsilon=5", "--descriptors", "20", "--batch", "10",
           "--region-size", "16", "--region-steps", "2", "--repetitions", "1")  # fmt: skip


def _with_numbers(*words: str, out: str = "out", products: tuple[str, ...] = ()) -> Command:
    """A command over the photos with a model, which writes a folder and its numbers."""

    def line(world: World, place: Path) -> list[str]:
        options = ["--out", str(place / out), "--json", str(place / "numbers.json"), *ALONE]
        return [words[0], str(world.model), str(world.photos), *words[1:], *options]

    return Command(line, ("numbers.json", *products))


def _training(kind: str, *words: str) -> Command:
    return Command(
        lambda world, place: [
            "train",
            kind,
            str(world.photos),
            "--out",
            str(place / "model"),
            "--overwrite",
            *words,
            *ALONE,
        ],
        ("model/*",),
    )


def _explain(world: World, place: Path) -> list[str]:
    photos = sorted((world.photos / "JPEGImages").glob("test*"))[:4]
    options = ["--out", str(place / "out"), "--class", "horse,dog", "--arrays"]
    return [
        "explain",
        str(world.model),
        *map(str, photos),
        *options,
        "--json",
        str(place / "numbers.json"),
        *ALONE,
    ]


def _paper(world: World, place: Path) -> list[str]:
    return ["paper", "--data", str(world.photos.parent), "--out", str(place / "out"), "--limit", "6",
            "--components", "2", "--samples", "600", "--region-photos", "2", *ALONE]  # fmt: skip


COMMANDS = {
    "train fisher": _training("fisher", *FISHER),
    "train network": _training("network", *NETWORK),
    "train network --train-all": _training("network", *NETWORK, "--train-all"),
    "evaluate": _with_numbers("evaluate"),
    "explain": Command(_explain, ("numbers.json", "out/*.png", "out/*.safetensors")),
    "quality": _with_numbers("quality", *QUALITY, products=("out/*.json", "out/*.png")),
    "context": _with_numbers("context", products=("out/*.json", "out/*.png")),
    "strategies": _with_numbers("strategies", products=("out/*.json", "out/*.png", "out/pictures/*")),
    "artefacts": _with_numbers("artefacts", products=("out/*.json",)),
    "audit": _with_numbers("audit", "--quality-images", "2", products=("out/audit.json", "out/report.html")),
    "paper": Command(_paper, ("out/results.json", "out/*/model/*")),
}


def make_photos(root: Path) -> Path:
    """A VOC folder: upright stripes are horses, level ones dogs, grey noise is neither."""
    from PIL import Image

    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:48, 0:64]
    inside = (rows >= 8) & (rows < 40) & (columns >= 8) & (columns < 48)
    for split in ("train", "val", "test"):
        ids = [f"{split}{index}" for index in range(PER_SPLIT)]
        for index, image in enumerate(ids):
            name = ("horse", "dog", "")[index % 3]
            pixels = rng.integers(90, 160, (48, 64, 3))
            if name:
                wave = (columns if name == "horse" else rows) // 4 % 2
                pixels[inside] += (80 * wave[inside] - 40)[:, None]
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            picture.save(root / "JPEGImages" / f"{image}.png")
            objects = OBJECT.format(name=name) if name else ""
            text = ANNOTATION.format(name=image, objects=objects)
            (root / "Annotations" / f"{image}.xml").write_text(text)
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(ids) + "\n")
    return root


class Points:
    """Counts the events on the disk below a folder, and does something at one of them."""

    def __init__(self, place: Path, act: Callable[[int], None]) -> None:
        self._place, self._act, self.count = str(place), act, 0

    def arm(self) -> None:
        """From now on."""
        from pfungst import writing

        flush, write_all = os.fsync, writing.write_all

        def fsync(handle: Any) -> None:
            self._met()
            flush(handle)

        def write(stream: BinaryIO, content: bytes) -> None:
            if str(stream.name).startswith(self._place):
                self._met()
            write_all(stream, content)

        os.fsync = fsync
        writing.write_all = write  # type: ignore[assignment]
        for module in list(sys.modules.values()):
            if getattr(module, "write_all", None) is write_all:
                module.write_all = write  # type: ignore[attr-defined]
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & WRITTEN:
                return
        elif event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}:
            path = arguments[0]
        else:
            return
        if isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(self._place):
            self._met()

    def _met(self) -> None:
        self.count += 1
        self._act(self.count)


def go(line: list[str], arm: Callable[[], None] | None = None) -> int:
    """Run the command in a process of its own; its exit status, minus a signal, or ``TRACEBACK``."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        _, status = os.waitpid(process, 0)
        return os.waitstatus_to_exitcode(status)
    code = TRACEBACK
    try:
        from pfungst.cli.main import app
        from pfungst.errors import PfungstError

        words = io.StringIO()
        try:
            with redirect_stdout(words), redirect_stderr(words):
                if arm is not None:
                    arm()
                app(line, standalone_mode=False)
            code = OK
        except PfungstError:
            code = 1
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:
            traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(code)


def digests(place: Path, products: tuple[str, ...]) -> dict[str, str]:
    """SHA-256 of each product; of JSON without what a clock says."""
    found = {}
    for pattern in products:
        for file in sorted(place.glob(pattern)):
            if file.is_file():
                content = file.read_bytes()
                if file.suffix == ".json":
                    content = json.dumps(_still(json.loads(content))).encode()
                found[str(file.relative_to(place))] = hashlib.sha256(
                    content.replace(str(place).encode(), b"PLACE")
                ).hexdigest()
    return found


def _still(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _still(value) for key, value in node.items() if key not in VOLATILE}
    return [_still(item) for item in node] if isinstance(node, list) else node


def chosen(count: int, points: int) -> list[int]:
    """So many of the points, evenly; all for 0."""
    if not points or count <= points:
        return list(range(1, count + 1))
    return sorted({round(1 + step * (count - 1) / (points - 1)) for step in range(points)})


def kill(at: int) -> Callable[[int], None]:
    """End the process at an event."""

    def act(count: int) -> None:
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def fill(at: int) -> Callable[[int], None]:
    """From an event on, there is no space left."""

    def act(count: int) -> None:
        if count >= at and _asks_for_space():
            raise OSError(errno.ENOSPC, "No space left on device")

    return act


def _asks_for_space() -> bool:
    """Not for deleting or renaming."""
    frame = sys._getframe(2)
    event = frame.f_locals.get("event", "write")
    return event not in {"os.rename", "os.remove", "os.rmdir"} and frame.f_code.co_name != "fsync"


def examined(command: Command, world: World, folder: Path, points: int) -> Iterator[tuple[str, int]]:
    """The counts of one command."""
    whole = folder / "place"
    counted = folder / "count"

    def count_events() -> None:
        tally = Points(whole, lambda count: counted.write_text(str(count)))
        tally.arm()

    whole.mkdir()
    if go(command.line(world, whole), count_events) != OK:
        yield "undisturbed_ok", 0
        return
    total, expected = int(counted.read_text()), digests(whole, command.products)
    shutil.rmtree(whole)
    yield "points", total
    for at in chosen(total, points):
        whole.mkdir()
        go(command.line(world, whole), Points(whole, kill(at)).arm)
        again = go(command.line(world, whole))
        yield "crash_points", 1
        yield "crash_points_ok", int(again == OK and digests(whole, command.products) == expected)
        shutil.rmtree(whole)
        whole.mkdir()
        first = go(command.line(world, whole), Points(whole, fill(at)).arm)
        again = go(command.line(world, whole))
        yield "full_disk_places", 1
        yield "tracebacks", int(TRACEBACK in (first, again))
        yield "full_disk_ok", int(again == OK and digests(whole, command.products) == expected)
        shutil.rmtree(whole)


def main() -> int:
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_THREAD)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--command", nargs="+", choices=sorted(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--points", type=int, default=12, help="points of each command; 0 for all")
    parser.add_argument("--tiny", action="store_true", help="two points of one command, to see that it runs")
    options = parser.parse_args()
    if options.tiny:
        options.command, options.points = ["explain"], 2
    report: dict[str, Any] = {
        "crash_points": 0, "crash_points_ok": 0, "full_disk_places": 0, "full_disk_ok": 0, "tracebacks": 0,
        "points_of": {}, "not_ok": [],
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="pfungst-faults-") as folder:
        world = World(make_photos(Path(folder) / "devkit" / "VOC2007"), Path(folder) / "made" / "model")
        if go(COMMANDS["train fisher"].line(world, world.model.parent)) != OK:
            raise SystemExit("the model could not be trained")
        for name in options.command:
            place = Path(folder) / name.replace(" ", "-")
            place.mkdir()
            for key, value in examined(COMMANDS[name], world, place, options.points):
                if key == "points":
                    report["points_of"][name] = value
                elif key != "undisturbed_ok":
                    report[key] += value
                if (key.endswith("_ok") and not value) or (key == "tracebacks" and value):
                    report["not_ok"].append(f"{name}: {key}")
    print_json(report)
    return int(bool(report["not_ok"]))


if __name__ == "__main__":
    sys.exit(main())
