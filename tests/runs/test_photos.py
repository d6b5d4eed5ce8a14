import os
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from pfungst.errors import ConfigError, DataError, PfungstError
from pfungst.images import DataSet, Record, decode
from pfungst.runs import identity, photos
from pfungst.runs.photos import decoded, run_photos
from pfungst.runs.recorded import Finished


@dataclass(frozen=True)
class Means:
    """Mean of each photo; a dark one is refused, with all of its batch."""

    darkest: float = 0.0

    def __call__(self, batch):
        means = [float(photo.image.mean()) for photo in batch]
        if min(means) < self.darkest:
            raise PfungstError("is too dark")
        return [
            Finished(
                record={"image": p.record.id, "mean": mean, "beside": p.beside, "together": len(batch)},
                arrays={"corner": p.image[:2, :2]},
            )
            for p, mean in zip(batch, means, strict=True)
        ]


def kill(batch):
    if any(photo.record.id == "p3" for photo in batch):
        os._exit(1)
    return Means()(batch)


@pytest.fixture
def data(tmp_path):
    return made(tmp_path / "photos")


def made(folder, count=7):
    folder.mkdir()
    rng = np.random.default_rng(1)
    records = []
    for index in range(count):
        pixels = rng.integers(0, 256, (20 + index, 30, 3)).astype(np.uint8) // (20 if index == 3 else 1)
        path = folder / f"p{index}.png"
        Image.fromarray(pixels).save(path)
        records.append(Record(id=f"p{index}", path=path))
    return DataSet(name="p", root=folder, classes=("c",), records=tuple(records), problems=("q: gone",))


@pytest.fixture
def counted(monkeypatch):
    """How often each file is decoded and hashed in this process, which has forgotten what it knew."""
    counts = {"decoded": [], "hashed": []}
    real_decode, real_hash = photos.decode_bytes, identity.hashlib.sha256

    def decode_bytes(content, *, name):
        counts["decoded"].append(os.path.basename(name))
        return real_decode(content, name=name)

    def sha256(content=b""):
        if content.startswith(b"\x89PNG"):
            counts["hashed"].append(len(content))
        return real_hash(content)

    monkeypatch.setattr(photos, "decode_bytes", decode_bytes)
    monkeypatch.setattr(identity.hashlib, "sha256", sha256)
    monkeypatch.setattr(identity, "_known", {})
    monkeypatch.setattr(photos, "_decoded", photos._DecodedPhotos())
    return counts


def means(run):
    return {record["image"]: record["mean"] for record in run.records()}


def test_each_photo_is_decoded_once_and_hashed_once_by_all_runs_of_a_process(data, counted):
    first = run_photos(Means(), data, settings={"seed": 1})
    assert means(first) == {record.id: decode(record.path).mean() for record in data}
    np.testing.assert_array_equal(first.arrays("p2")["corner"], decode(data.records[2].path)[:2, :2])
    second = run_photos(Means(), data, settings={"seed": 2}, batch_size=3)
    assert means(second) == means(first)
    assert sorted(counted["decoded"]) == sorted([f"p{i}.png" for i in range(7)] * 2)
    assert len(counted["hashed"]) == 7
    assert [record["together"] for record in second.records()] == [3, 3, 3, 3, 3, 3, 1]


def test_what_workers_have_hashed_is_known_here(data, counted):
    one = run_photos(Means(), data, settings={}, workers=2, batch_size=2)
    two = run_photos(Means(), data, settings={})
    assert means(one) == means(two)
    assert counted["hashed"] == []


def test_a_file_that_changes_is_hashed_again(data, counted):
    run_photos(Means(), data, settings={})
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(data.records[0].path)
    assert means(run_photos(Means(), data, settings={}))["p0"] == 0
    assert len(counted["hashed"]) == 8


def test_decoded_photos_are_kept_up_to_a_number_of_bytes(data, counted):
    paths = [record.path for record in data]
    for _ in range(2):
        for path in paths[:2]:
            assert not decoded(path, keep=4000).flags.writeable  # 1,800 and 1,890 bytes
    assert counted["decoded"] == ["p0.png", "p1.png"]
    decoded(paths[2], keep=4000)
    decoded(paths[1], keep=4000)
    decoded(paths[0], keep=4000)
    assert counted["decoded"] == ["p0.png", "p1.png", "p2.png", "p0.png"]
    np.testing.assert_array_equal(decoded(paths[0], keep=4000), decode(paths[0]))
    assert decoded(paths[5], keep=10).flags.writeable


def test_a_run_may_keep_its_photos_for_the_next(data, counted):
    for seed in (0, 1):
        run_photos(Means(), data, settings={"seed": seed}, keep=10**6)
    assert len(counted["decoded"]) == 7


def test_only_the_photo_at_fault_fails(data):
    data.records[5].path.write_bytes(b"no photo")
    task = Means(darkest=50.0)
    run = run_photos(task, data, settings={}, batch_size=4, beside={"p1": "x"})
    assert [failure.item for failure in run.failures] == ["p3", "p5"]
    assert "p3.png: is too dark" in str(run.failures[0])
    assert "is not a photo" in run.failures[1].reason
    found = {record["image"]: record for record in run.records()}
    assert sorted(found) == ["p0", "p1", "p2", "p4", "p6"]
    assert {name: record["together"] for name, record in found.items()} == {
        "p0": 1, "p1": 1, "p2": 1, "p4": 2, "p6": 2,
    }  # fmt: skip
    assert found["p1"]["beside"] == "x"
    assert found["p0"]["beside"] is None


def test_a_batch_that_ends_its_worker_is_taken_apart(data):
    told = []
    run = run_photos(
        kill, data, settings={}, batch_size=3, workers=2, progress=lambda *step: told.append(step[1:])
    )
    assert [failure.item for failure in run.failures] == ["p3"]
    assert "its worker process died" in str(run.failures[0])
    assert [record["image"] for record in run.records()] == ["p0", "p1", "p2", "p4", "p5", "p6"]
    assert told[0] == (0, 7)
    assert told[-1] == (7, 7)


def test_what_is_left_is_done_in_the_same_batches(data, tmp_path):
    gone = data.records[4].path.read_bytes()
    data.records[4].path.unlink()
    first = run_photos(Means(), data, settings={}, batch_size=3, out=tmp_path / "run")
    assert [(failure.item, "no such file" in str(failure)) for failure in first.failures] == [("p4", True)]
    data.records[4].path.write_bytes(gone)
    told = []
    again = run_photos(
        Means(), data, settings={}, batch_size=3, out=tmp_path / "run",
        progress=lambda *step: told.append(step[1:]),
    )  # fmt: skip
    assert told == [(6, 7), (7, 7)]
    assert [record["image"] for record in again.records()] == [f"p{i}" for i in range(7)]
    data.records[0].path.write_bytes(gone)
    with pytest.raises(DataError, match=r"p0\.png: has changed"):
        run_photos(Means(), data, settings={}, out=tmp_path / "run")


def test_the_configuration_names_data_model_and_settings(data, tmp_path):
    some = data.records[:2]
    run = run_photos(
        Means(), data, settings={"seed": 3}, identity={"kind": "k"}, records=some, out=tmp_path / "r"
    )
    assert run.configuration["model"] == {"kind": "k"}
    assert run.configuration["data"] == identity.data_identity(data)
    assert run.configuration["seed"] == 3
    with pytest.raises(ConfigError, match=r"model\.kind was"):
        run_photos(
            Means(), data, settings={"seed": 3}, identity={"kind": "l"}, records=some, out=tmp_path / "r"
        )
    with pytest.raises(ConfigError, match="batch_size = 0"):
        run_photos(Means(), data, settings={}, batch_size=0)


def test_a_wrong_option_stops_and_a_wrong_task_is_a_fault(data):
    def refuse(batch):
        raise ConfigError("a wrong option")

    with pytest.raises(ConfigError, match="a wrong option"):
        run_photos(refuse, data, settings={}, batch_size=2)
    with pytest.raises(ValueError, match="answered 2 photos with 1 records"):
        run_photos(lambda batch: Means()(batch[:1]), data, settings={}, batch_size=2)
