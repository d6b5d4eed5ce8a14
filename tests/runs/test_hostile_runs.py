"""Run folders come from others as well: an audit is compared, a report is made from it."""

import json

import pytest

from pfungst.errors import DataError
from pfungst.runs.recorded import open_run

HEADER = {"format": "pfungst-journal", "version": 1, "configuration": {}}


def write(folder, *records):
    lines = [json.dumps(HEADER), *(item if isinstance(item, str) else json.dumps(item) for item in records)]
    (folder / "records.jsonl").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    "record", [{"value": 1}, {"image": ["a"]}, {"image": None}, "[]", "{", "[" * 50_000, '{"image": 1e999}']
)
def test_records(tmp_path, record):
    write(tmp_path, {"image": "a"}, record)
    with pytest.raises(DataError, match=r"records\.jsonl"):
        open_run(tmp_path).records()


def test_a_header_without_configuration(tmp_path):
    (tmp_path / "records.jsonl").write_text(json.dumps(HEADER | {"configuration": [1]}) + "\n")
    with pytest.raises(DataError, match="states no configuration"):
        open_run(tmp_path)


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
        assert "is damaged" in str(error)  # noqa: PT017 - releases of safetensors differ in what they read
