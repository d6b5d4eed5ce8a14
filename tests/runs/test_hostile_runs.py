"""Run folders come from others as well: an audit is compared, a report is made from it."""

import json

import numpy as np
import pytest

from pfungst.errors import ConfigError, DataError
from pfungst.runs.journal import _SEAL, _seal
from pfungst.runs.manifest import write_manifest
from pfungst.runs.recorded import Finished, open_run, run_items

HEADER = {"format": "pfungst-journal", "version": 2, "configuration": {}}


def write(folder, *records):
    """A journal with checksums that fit, as a stranger may make one, and its manifest."""
    content, seal = b"", ""
    for item in (HEADER, *records):
        body = (item if isinstance(item, str) else json.dumps(item)).encode()[:-1]
        seal = _seal(body, seal)
        content += body + _SEAL + seal.encode() + b'"}\n'
    (folder / "records.jsonl").write_bytes(content)
    write_manifest(folder, state="finished", configuration={}, n_items=1, n_finished=len(records))


@pytest.mark.parametrize(
    "record", [{"value": 1}, {"image": ["a"]}, {"image": None}, "[]", "{}", "[" * 50_000, '{"image": 1e999}']
)
def test_records(tmp_path, record):
    write(tmp_path, {"image": "a"}, record)
    with pytest.raises(DataError, match=r"records\.jsonl"):
        open_run(tmp_path).records()


@pytest.mark.parametrize(
    "header", [HEADER | {"configuration": [1]}, HEADER | {"format": 1}, HEADER | {"version": 1}]
)
def test_headers(tmp_path, header):
    body = json.dumps(header).encode()[:-1]
    (tmp_path / "records.jsonl").write_bytes(body + _SEAL + _seal(body, "").encode() + b'"}\n')
    with pytest.raises(DataError, match=r"states no configuration|not a journal|format version 1"):
        open_run(tmp_path)


def test_what_never_ends_is_not_read(tmp_path):
    (tmp_path / "records.jsonl").symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is not a file"):
        open_run(tmp_path)


def measured(item):
    return Finished(record={"image": item, "value": 0.5}, arrays={"map": np.arange(4.0)})


@pytest.fixture
def finished(tmp_path):
    run_items(measured, list("abc"), keys=list("abc"), configuration={"seed": 1}, out=tmp_path / "run")
    return tmp_path / "run"


def again(folder):
    return run_items(measured, list("abc"), keys=list("abc"), configuration={"seed": 1}, out=folder)


def test_any_change_of_a_record_is_noticed(finished):
    file = finished / "records.jsonl"
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for altered in (
        whole.replace(b"0.5", b"0.6", 1),
        b"".join([lines[0], lines[2], lines[1], lines[3]]),
        b"".join([lines[0], lines[1], lines[3]]),
        whole + lines[3],
        whole.replace(b'"seed":1', b'"seed":2'),
    ):
        file.write_bytes(altered)
        for read in (open_run, again):
            with pytest.raises((DataError, ConfigError)):
                read(finished)
    file.write_bytes(whole[: whole.index(lines[3])])  # as if interrupted: but the manifest says finished
    with pytest.raises(DataError, match="has 2 records, its manifest states 3"):
        open_run(finished)
    assert len(again(finished).records()) == 3


def test_any_change_of_an_array_is_noticed(finished):
    file = next((finished / "arrays").glob("item-*"))
    whole = file.read_bytes()
    for position in range(8, len(whole)):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        run = open_run(finished)
        with pytest.raises(DataError, match=r"damaged|does not hold the arrays"):
            [run.arrays(key) for key in "abc"]
    file.write_bytes(whole)
    assert open_run(finished).arrays("a")["map"].tolist() == [0, 1, 2, 3]


def test_a_record_whose_arrays_are_gone_is_made_again(finished):
    for file in (finished / "arrays").iterdir():
        file.unlink()
        break
    run = open_run(finished)
    with pytest.raises(DataError, match="does not hold the arrays"):
        [run.arrays(key) for key in "abc"]
    run = again(finished)
    assert [record["image"] for record in run.records()] == list("abc")
    assert [run.arrays(key)["map"].tolist() for key in "abc"] == [[0, 1, 2, 3]] * 3
    assert [record["image"] for record in open_run(finished).records()] == list("abc")


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "C64", "x"])
def test_arrays_of_types_that_numpy_lacks(tmp_path, kind):
    write(tmp_path, {"image": "a"})
    shape = {"BF16": [4], "F8_E4M3": [8], "C64": [1], "x": [8]}[kind]
    text = json.dumps({"a/map": {"dtype": kind, "shape": shape, "data_offsets": [0, 8]}}).encode()
    run = open_run(tmp_path)
    folder = tmp_path / "arrays"
    folder.mkdir()
    (folder / "shard-000000.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    try:
        assert set(run.arrays("a")) <= {"map"}
    except DataError as error:
        assert "damaged" in str(error) or "does not hold" in str(error)  # noqa: PT017 - releases of safetensors differ in what they read
