import json

import pytest

from pfungst.errors import ConfigError, DataError, FileError
from pfungst.runs.journal import Journal

CONFIGURATION = {"seed": 1, "regions": {"size": 9, "operators": ["noise"]}}


def begun(path, *names):
    with Journal(path, CONFIGURATION) as journal:
        for name in names:
            journal.append({"image": name, "value": 0.1})
    return path


def test_records_survive_and_are_not_repeated(tmp_path):
    path = begun(tmp_path / "new" / "records.jsonl", "a", "b")
    with Journal(path, CONFIGURATION) as journal:
        assert set(journal.finished) == {"a", "b"}
        journal.append({"image": "c", "value": 0.2})
        assert [record["image"] for record in journal.records()] == ["a", "b", "c"]


def test_each_record_is_on_disk_at_once(tmp_path):
    path = tmp_path / "records.jsonl"
    with Journal(path, CONFIGURATION) as journal:
        journal.append({"image": "a", "value": 0.1})
        record = json.loads(path.read_text().splitlines()[1])
        assert {name: record[name] for name in ("image", "value")} == {"image": "a", "value": 0.1}


@pytest.mark.parametrize("torn", ['{"image":"b","val', '{"image":"b","value":0.1}'])
def test_a_torn_last_line_is_dropped(tmp_path, torn):
    path = begun(tmp_path / "records.jsonl", "a")
    with path.open("a") as stream:
        stream.write(torn)
    with Journal(path, CONFIGURATION) as journal:
        assert set(journal.finished) == {"a"}
        journal.append({"image": "b", "value": 7})
    assert [json.loads(line).get("image") for line in path.read_text().splitlines()] == [None, "a", "b"]


def test_a_torn_first_line_begins_anew(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"format":"pfungst-jou')
    assert begun(path, "a").read_text().count("\n") == 2


def test_another_configuration_is_refused_by_name(tmp_path):
    path = begun(tmp_path / "records.jsonl", "a")
    changed = {"seed": 1, "regions": {"size": 8, "operators": ["noise"]}}
    with pytest.raises(ConfigError, match=r"another configuration: regions\.size was 9, is now 8\. Allowed"):
        Journal(path, changed)
    with pytest.raises(ConfigError, match="extra was null, is now 3"):
        Journal(path, {**CONFIGURATION, "extra": 3})
    assert len(path.read_text().splitlines()) == 2


def test_damage_is_named(tmp_path):
    path = begun(tmp_path / "records.jsonl", "a", "b")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-4], lines[2], ""]))
    with pytest.raises(DataError, match="line 2 is damaged: its checksum is wrong"):
        Journal(path, CONFIGURATION)
    path.write_text("[1]\n")
    with pytest.raises(DataError, match="line 1 is not a record"):
        Journal(path, CONFIGURATION)
    path.write_text('{"a": 1}\n')
    with pytest.raises(DataError, match="is not a journal of this library"):
        Journal(path, CONFIGURATION)
    for version in (1, 3):
        path.write_text(f'{{"format":"pfungst-journal","version":{version},"configuration":{{}}}}\n')
        with pytest.raises(
            DataError, match=rf"format version {version}\. Allowed: 2\. Try: the same command"
        ):
            Journal(path, CONFIGURATION)


def test_a_journal_that_is_deleted_is_noticed_at_the_next_record(tmp_path):
    path = tmp_path / "run" / "records.jsonl"
    with Journal(path, CONFIGURATION) as journal:
        journal.append({"image": "a"})
        path.unlink()
        with pytest.raises(FileError, match=r"records\.jsonl: was deleted while the run was at work"):
            journal.append({"image": "b"})
