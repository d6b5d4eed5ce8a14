import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfungst.errors import DataError, ModelError, PfungstError, printable
from pfungst.files import (
    MAX_DEPTH,
    as_text,
    distinct_names,
    is_file,
    parse_json,
    read_bounded,
    safe_name,
    shown,
    usable_name,
)

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def test_small_regular_files_are_read(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    assert read_bounded(file, 5, error=DataError, what="a list") == b"12345"
    with pytest.raises(ModelError, match=r"has 5 bytes, too large for a list\. Allowed: at most 4 bytes"):
        read_bounded(file, 4, error=ModelError, what="a list")
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        read_bounded(tmp_path / "b", 4, error=DataError, what="a list")
    with pytest.raises(DataError, match="cannot be read"):
        read_bounded(tmp_path / "a\0b", 4, error=DataError, what="a list")


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        with pytest.raises(DataError, match="is not a file, so it cannot be a list"):
            read_bounded(place, 4, error=DataError, what="a list")
        assert not is_file(place)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800", "/".join(["x"] * 5000)])
def test_names_that_no_file_can_have(tmp_path, name):
    assert not is_file(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper than 64"),
        ("[" * 100_000 + "]" * 100_000, "nested deeper than 64"),
        ('{"a":' * 900 + "1" + "}" * 900, "nested deeper than 64"),
        ("NaN", "holds NaN"),
        ("-Infinity", "holds -Infinity"),
        ('{"a": 1e999}', "holds 1e999, which is too large"),
        ('{"a": ' + "9" * 5000 + "}", "an integer of 5000 digits"),
        (str(2**64 + 1), "an integer of 20 digits"),
        ('{"a": "\\ud800"}', "text that is not Unicode"),
        ('{"\\udcff": 1}', "text that is not Unicode"),
        ("{", "Expecting"),
        (b"\xff\xfe\xfd", "decode"),
    ],
)
def test_json_that_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_json(text)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(ANY_JSON)
def test_tame_json_comes_through(tree):
    import json

    assert parse_json(json.dumps(tree)) == tree
    assert parse_json(json.dumps(tree, ensure_ascii=False).encode()) == tree


def test_anything_can_be_shown():
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    for value in (deep, "x" * 10**6, 10**5000, -(10**5000), {"a": deep}, None, True, 1.5):
        assert len(shown(value)) < 200
    assert shown("a.jpg") == "'a.jpg'"
    assert shown(10**5000) == "a huge integer"


def test_class_names():
    assert all(map(usable_name, ("cat", "Katze äöü", "tench, Tinca tinca", "a" * 200)))
    assert not any(map(usable_name, ("", " ", "a\nb", "\x1b[2J", "\ud800", "a" * 201, 3, None, "\u202egpj")))


def test_messages_are_safe_for_a_terminal_and_bounded():
    error = PfungstError("a\x1b[2J\ud800\nb", allowed="x" * 10**6)
    assert str(error).startswith("a\\x1b[2J\\ud800\\nb. Allowed: xxx")
    assert len(str(error)) < 8100
    str(error).encode()
    assert printable("plain äöü") == "plain äöü"


def test_names_of_files_as_text():
    odd = os.fsdecode(b"caf\xe9-\xff.png")
    assert as_text(odd) == "caf\\xe9-\\xff.png"
    assert as_text("caf\u00e9") == "caf\u00e9"
    assert as_text("\ud800") == "?"
    assert safe_name(odd) == "caf_-_.png"
    assert len(os.fsencode(safe_name(odd * 60))) <= 100
    assert distinct_names(["a b", "a_b", "A_B", "c"]) == ["a_b", "a_b-2", "A_B-3", "c"]
