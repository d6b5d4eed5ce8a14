"""What may befall a run: it is killed, interrupted, runs into a full disk, is started twice."""

import errno
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from pfungst import writing
from pfungst.errors import FileError
from pfungst.runs.arrays import ArrayStore
from pfungst.runs.manifest import read_manifest
from pfungst.runs.recorded import Finished, open_run, run_items


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_killed_again_and_again_has_the_numbers_of_a_whole_one(scripted, whole, workers):
    for begun in (3, 13, 20, 31)[: 4 if workers == 1 else 2]:
        process = scripted.start(workers=workers, pause=0.02)
        scripted.wait_for(begun, process)
        process.kill()
        process.wait()
    assert scripted.processes_end()
    assert read_manifest(scripted.out)["state"] == "running"
    scripted.finish(workers=workers)
    assert scripted.numbers() == whole
    assert not list(scripted.out.rglob("*.part"))
    manifest = read_manifest(scripted.out)
    assert manifest["state"] == "finished"
    assert manifest["counts"] == {"items": 40, "finished": 40, "failures": 0, "problems": 0}
    repeated = len(scripted.begun()) - 40
    assert repeated <= 4 * (1 if workers == 1 else 10)  # what was under way at each kill
    assert len(list((scripted.out / "arrays").glob("shard-*"))) >= 4


def test_a_worker_killed_in_mid_run_is_survived(scripted, whole):
    process = scripted.start(workers=2, pause=0.05)
    scripted.wait_for(6, process)
    os.kill(int(scripted.begun()[-1][1]), signal.SIGKILL)
    assert process.wait() == 0, scripted.errors.read_text()
    assert scripted.numbers() == whole


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_stops_at_once_and_leaves_a_run_to_take_up(scripted, whole, workers):
    process = scripted.start(workers=workers, pause=0.1)
    scripted.wait_for(5, process)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    assert process.wait() != 0
    assert time.monotonic() - start < 5
    assert scripted.errors.read_text().strip().endswith("KeyboardInterrupt")
    assert scripted.processes_end()
    assert read_manifest(scripted.out)["state"] == "stopped"
    assert read_manifest(scripted.out)["counts"]["finished"] >= 1
    scripted.finish(workers=workers)
    assert scripted.numbers() == whole


def test_a_second_process_is_told_who_is_at_work(scripted):
    process = scripted.start(pause=0.2)
    scripted.wait_for(2, process)
    with pytest.raises(
        FileError,
        match=rf"another process is at work on this run \(process {process.pid} on .*Try: wait for it",
    ):
        run_items(numbers, [1], keys=["1"], configuration={"seed": 0}, out=scripted.out)
    process.kill()
    process.wait()
    scripted.finish()  # the lock went with its process


def numbers(item):
    arrays = {"map": np.full((40, 50), item, np.float32)}
    return Finished(record={"image": str(item), "value": item / 7}, arrays=arrays)


def go(out, count=60):
    return run_items(
        numbers, range(count), keys=[str(i) for i in range(count)], configuration={"seed": 0}, out=out
    )


def assert_whole(run, count=60):
    assert [record["value"] for record in run.records()] == [item / 7 for item in range(count)]
    for item in range(count):
        np.testing.assert_array_equal(run.arrays(str(item))["map"], numbers(item).arrays["map"])


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_space(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    with pytest.raises(
        FileError, match=r"cannot be written \(No space left on device\)\. Try: more free space"
    ):
        go(small_disk / "out", 20)
    kept = open_run(small_disk / "out")
    done = len(kept.records())
    assert 2 < done < 20
    assert_whole(kept, done)
    assert not list((small_disk / "out").rglob("*.part"))
    ballast.unlink()
    told = []
    run = run_items(
        numbers, range(20), keys=[str(i) for i in range(20)], configuration={"seed": 0},
        out=small_disk / "out", progress=lambda *step: told.append(step),
    )  # fmt: skip
    assert told[0] == ("images", done, 20)
    assert_whole(run, 20)


@pytest.mark.parametrize("limit", [1_500, 9_000])
def test_a_write_that_stops_in_the_middle_leaves_nothing_torn(tmp_path, limit):
    """A limit on the size of files: first the journal's line is cut, or already the arrays' file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(FileError, match=r"cannot be written \(File too large\)"):
            go(tmp_path / "out", 400)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    journal = (tmp_path / "out" / "records.jsonl").read_bytes()
    assert journal.endswith(b"\n")
    assert not list((tmp_path / "out").rglob("*.part"))
    assert_whole(go(tmp_path / "out"))


@pytest.mark.parametrize("victim", ["shard-", "manifest.json"])
def test_a_disk_that_fills_up_while_packing_or_at_the_end(tmp_path, monkeypatch, victim):
    monkeypatch.setattr(ArrayStore, "shard_items", 16)
    real, calls = writing.write_all, []

    def full(stream, content):
        if victim in Path(stream.name).name:
            calls.append(stream.name)
            if victim == "shard-" or len(calls) > 1:
                stream.write(content[: len(content) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
        real(stream, content)

    monkeypatch.setattr(writing, "write_all", full)
    with pytest.raises(FileError, match=rf"{victim}.*cannot be written"):
        go(tmp_path / "out")
    monkeypatch.undo()
    assert_whole(go(tmp_path / "out"))
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_folder_that_cannot_be_written_to_is_said(small_disk, tmp_path):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(FileError, match=r"cannot be written \(Read-only file system\)\. Try: another --out"):
        go(small_disk / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="file: cannot be written"):
        go(tmp_path / "file")


def test_killed_while_packing(tmp_path, monkeypatch):
    """Between the shard and the deletion of the small files, and before the record of the last item."""
    monkeypatch.setattr(ArrayStore, "shard_items", 16)
    store = ArrayStore(tmp_path / "arrays")
    for item in range(16):
        store.save(str(item), numbers(item).arrays)
    copies = {file: file.read_bytes() for file in (tmp_path / "arrays").iterdir()}
    store.pack_if_full()
    for file, whole_file in copies.items():
        file.write_bytes(whole_file)
    store.save("16", numbers(16).arrays)
    store.save("17", numbers(17).arrays)  # killed before its record
    (tmp_path / "arrays" / "item-x.safetensors.part").write_bytes(b"half")
    again = ArrayStore(tmp_path / "arrays")
    again.recover({str(item) for item in range(17)})
    assert len(list((tmp_path / "arrays").iterdir())) == 2
    for item in range(17):
        np.testing.assert_array_equal(again.load(str(item))["map"], numbers(item).arrays["map"])
    assert again.load("17") == {}
