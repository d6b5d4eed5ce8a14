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


@given(
    st.lists(st.sets(st.sampled_from("abc")), max_size=60),
    st.integers(0, 5),
)
def test_random_splits_are_a_stratified_partition(labels, seed):
    data = dataset(labels)
    shares = {"train": 0.5, "val": 0.3, "test": 0.2}
    split = data.with_random_splits(shares, random_state=seed)
    dealt = [identity for ids in split.splits.values() for identity in ids]
    assert sorted(dealt) == sorted(record.id for record in data)
    positives = {record.id: record.positive for record in data}
    for combination in {frozenset(item) for item in labels}:
        size = sum(frozenset(item) == combination for item in labels)
        for name, share in shares.items():
            got = sum(positives[identity] == combination for identity in split.splits[name])
            assert abs(got - share * size) <= 1, "each combination of labels is dealt in proportion"


def test_random_splits_keep_the_stated_shares():
    data = dataset([{"a"}] * 100 + [{"b"}] * 10).with_random_splits({"train": 0.7, "val": 0.2, "test": 0.1})
    for name, share in (("train", 0.7), ("val", 0.2), ("test", 0.1)):
        counts = (data.split(name).labels() == 1).sum(axis=0)
        np.testing.assert_allclose(counts, [100 * share, 10 * share, 0], atol=1e-9)


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
