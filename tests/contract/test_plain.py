import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from pfungst.contract.plain import from_plain, stored_as, to_json, to_plain


@dataclass(frozen=True, kw_only=True)
class Inner:
    number: float
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    box: tuple[float, float] = (0.0, 1.0)
    table: dict[str, tuple[int, ...]] = field(default_factory=dict)
    anything: Any = None
    yes: bool = True


def test_a_round_trip():
    content = Outer(
        name="x",
        inner=Inner(number=1.5, kind="b"),
        many=(Inner(number=2), Inner(number=3)),
        box=(2.0, 3.0),
        table={"k": (1, 2)},
        anything={"free": [1, None]},
        yes=False,
    )
    assert from_plain(Outer, json.loads(json.dumps(to_plain(content)))) == content


def test_what_json_cannot_hold_becomes_null_and_a_float_again():
    plain = to_plain(Inner(number=math.inf))
    assert plain == {"number": None, "kind": "a"}
    assert math.isnan(from_plain(Inner, plain).number)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"name": 3}, "content.name is 3, not str"),
        ({}, r"content lacks \['name'\]"),
        ({"name": "x", "evil": 1}, r"unknown \['evil'\]"),
        ({"name": "x", "inner": {"number": "y"}}, "content.inner.number is 'y', not float"),
        ({"name": "x", "inner": {"number": 1, "kind": "c"}}, "not one of a, b"),
        ({"name": "x", "many": [{"number": True}]}, r"content.many\[0\].number is True"),
        ({"name": "x", "box": [1]}, "has 1 items, not 2"),
        ({"name": "x", "table": []}, "content.table is .*, not an object"),
        ({"name": "x", "yes": 1}, "content.yes is 1, not bool"),
        ([], "not an object"),
    ],
)
def test_wrong_content_is_named(content, message):
    with pytest.raises(ValueError, match=message):
        from_plain(Outer, content)


def test_numbers_that_json_cannot_hold_become_null():
    content = {
        "a": math.nan, "b": [1.5, -math.inf], "c": (np.float32(0.5), np.int64(3), np.bool_(True)),
        "d": np.array([[1.0, np.nan]]), "e": np.float64("inf"), "f": Path("x/y"), "g": None, "h": "NaN",
        5: True,
    }  # fmt: skip
    assert json.loads(json.dumps(to_plain(content), allow_nan=False)) == {
        "a": None, "b": [1.5, None], "c": [0.5, 3, True], "d": [[1.0, None]], "e": None, "f": "x/y",
        "g": None, "h": "NaN", "5": True,
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Renamed:
    class_name: str = field(metadata=stored_as("class"))
    failures: tuple[int, ...] = field(default=(), metadata=stored_as("failures", "failed", "skipped"))

    def __post_init__(self):
        if not self.class_name:
            raise ValueError("a class without a name")


def test_names_that_python_does_not_allow_and_earlier_ones():
    content = Renamed(class_name="cat", failures=(1, 2))
    assert to_plain(content) == {"class": "cat", "failures": [1, 2]}
    assert from_plain(Renamed, {"class": "cat", "failures": [1, 2]}) == content
    assert from_plain(Renamed, {"class": "cat", "skipped": [1, 2]}) == content
    assert from_plain(Renamed, {"class": "cat"}).failures == ()
    for wrong, message in (
        ({"class_name": "cat"}, r"lacks \['class'\] and has unknown \['class_name'\]"),
        ({"class": ""}, "content is not possible: a class without a name"),
    ):
        with pytest.raises(ValueError, match=message):
            from_plain(Renamed, wrong)


def test_json_text():
    assert to_json(Inner(number=math.nan)) == '{\n  "number": null,\n  "kind": "a"\n}\n'
