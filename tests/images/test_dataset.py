import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfungst.errors import ConfigError
from pfungst.images import Box, DataSet, Record


def dataset(labels):
    """Records with the given sets of positive classes."""
    records = tuple(
        Record(id=f"r{number}", path=Path(f"r{number}.jpg"), positive=frozenset(positive))
        for number, positive in enumerate(labels)
    )
    return DataSet(name="d", root=Path("d"), classes=("a", "b", "c"), records=records)


def test_record_labels_and_boxes():
    boxes = tuple(
        Box(class_name=name, left=0, top=0, right=1, bottom=1, difficult=hard)
        for name, hard in (("a", False), ("b", True), ("a", True))
    )
    record = Record(id="x", path=Path("x"), positive=frozenset("a"), difficult=frozenset("b"), boxes=boxes)
    assert [record.label(name) for name in "abc"] == [1, 0, -1]
    assert len(record.boxes_of("a")) == 2
    assert pickle.loads(pickle.dumps(record)) == record


def test_labels_have_a_shape_even_without_records():
    assert dataset([]).labels().shape == (0, 3)
    assert dataset([{"a"}, set()]).labels().tolist() == [[1, -1, -1], [-1, -1, -1]]


@given(st.lists(st.sets(st.sampled_from("abc")), max_size=60), st.integers(0, 5))
def test_random_splits_are_a_partition(labels, seed):
    data = dataset(labels)
    split = data.with_random_splits({"train": 0.5, "val": 0.3, "test": 0.2}, random_state=seed)
    dealt = [identity for ids in split.splits.values() for identity in ids]
    assert sorted(dealt) == sorted(record.id for record in data)


def test_random_splits_keep_the_stated_shares_on_average():
    shares = {"train": 0.7, "val": 0.2, "test": 0.1}
    data = dataset([{"a"}] * 5000).with_random_splits(shares)
    for name, share in shares.items():
        deviation = (5000 * share * (1 - share)) ** 0.5
        assert abs(len(data.splits[name]) - 5000 * share) < 4 * deviation


@pytest.fixture
def folder(tmp_path):
    """A function that writes files of the given contents and gives the data set of them."""

    def make(contents, names=None):
        records = []
        for number, content in enumerate(contents):
            path = tmp_path / (names[number] if names else f"{content}.jpg")
            path.write_text(content)
            records.append(Record(id=path.stem, path=path, positive=frozenset("a")))
        return DataSet(name="d", root=tmp_path, classes=("a",), records=tuple(records))

    return make


def test_adding_removing_and_renaming_photos_moves_no_other(folder):
    contents = [str(number) for number in range(60)]
    before = folder(contents).with_random_splits(random_state=3)
    more = folder([*contents, "new", "newer"]).with_random_splits(random_state=3)
    fewer = folder(contents[10:]).with_random_splits(random_state=3)
    renamed = folder(contents, [f"x{number}.jpg" for number in range(60)]).with_random_splits(random_state=3)
    for split, ids in before.splits.items():
        assert set(ids) == set(more.splits[split]) - {"new", "newer"}
        assert set(fewer.splits[split]) == set(ids) - set(contents[:10])
        assert {identity.removeprefix("x") for identity in renamed.splits[split]} == set(ids)


def test_equal_files_stand_in_one_split(folder):
    names = [f"{number}.jpg" for number in range(40)]
    data = folder([str(number % 20) for number in range(40)], names).with_random_splits()
    for ids in data.splits.values():
        assert {str((int(identity) + 20) % 40) for identity in ids} == set(ids)


def test_a_class_that_a_random_split_lacks_is_named(folder):
    data = folder(["1"]).with_random_splits({"train": 0.5, "test": 0.5})
    empty = "test" if data.splits["train"] else "train"
    assert data.problems == (f"random split {empty} has no photo of a; try another seed",)


def test_random_splits_depend_on_the_seed_alone():
    data = dataset([{"a"}] * 20 + [{"b", "c"}] * 11)
    assert data.with_random_splits(random_state=1).splits == data.with_random_splits(random_state=1).splits
    assert data.with_random_splits(random_state=1).splits != data.with_random_splits(random_state=2).splits


def test_records_keep_their_order_in_a_split():
    data = dataset([{"a"}] * 9).with_random_splits()
    for ids in data.splits.values():
        numbers = [int(identity[1:]) for identity in ids]
        assert numbers == sorted(numbers)
    union = data.split("val+train")
    assert [record.id for record in union] == [
        record.id for record in data if record.id not in data.splits["test"]
    ]
    assert union.name == "d:val+train"


@pytest.mark.parametrize("shares", [{"train": 0.5, "test": 0.4}, {"train": 1.5, "test": -0.5}])
def test_shares_must_be_shares(shares):
    with pytest.raises(ConfigError, match=r"do not sum to 1\. Allowed: positive shares with sum 1"):
        dataset([{"a"}]).with_random_splits(shares)


def test_labels_are_int8():
    assert dataset([{"a"}]).labels().dtype == np.int8
