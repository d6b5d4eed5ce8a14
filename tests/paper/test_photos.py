import numpy as np
import pytest

from pfungst.errors import ConfigError, DataError
from pfungst.images import DataSet, Record
from pfungst.paper.photos import read_photos, stratified


def photos(labels, tmp_path, classes=("a", "b", "c")):
    records = tuple(
        Record(id=f"p{index}", path=tmp_path / f"p{index}.png", positive=frozenset(names))
        for index, names in enumerate(labels)
    )
    return DataSet(name="set", root=tmp_path, classes=classes, records=records)


def test_a_part_keeps_proportions_and_every_class(tmp_path):
    data = photos([{"a"}] * 60 + [{"b"}] * 30 + [{"c"}] + [set()] * 29, tmp_path)
    part = stratified(data, 12)
    counts = (part.labels() == 1).sum(axis=0)
    assert len(part) == 12
    np.testing.assert_array_equal(counts, [6, 3, 1])
    assert [record.id for record in part] == sorted((r.id for r in part), key=lambda name: int(name[1:]))


def test_the_part_is_the_seeds(tmp_path):
    data = photos([{"a"}, {"b"}, {"c"}, {"a", "b"}] * 10, tmp_path)
    first, again, other = (stratified(data, 9, seed) for seed in (1, 1, 2))
    assert first.records == again.records
    assert first.records != other.records
    assert stratified(data, 40) is data


def test_fewer_photos_than_classes_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"limit = 2 for 3 classes\. Allowed: 3 or more"):
        stratified(photos([{"a"}, {"b"}, {"c"}], tmp_path), 2)


def test_classes_that_a_split_lacks_are_left_out(voc):
    found = read_photos(voc)
    assert found.classes == ("dog", "horse")
    assert found.left_out == ("cat",)
    assert found.name == "VOC2007"
    assert [len(part) for part in (found.train, found.val, found.test)] == [12, 12, 12]
    assert read_photos(voc, classes=("horse",)).classes == ("horse",)


def test_a_missing_split_is_named(voc, tmp_path):
    root = tmp_path / "part"
    for part in ("JPEGImages", "Annotations"):
        (root / part).parent.mkdir(exist_ok=True)
        (root / part).symlink_to(voc / "VOC2007" / part)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "train.txt").write_text("train00\n")
    with pytest.raises(DataError, match=r"has no split val and no split test.*pfungst data voc2007"):
        read_photos(root)


def test_no_common_class(voc):
    with pytest.raises(DataError, match="no class has photos in all of train, val and test"):
        read_photos(voc, classes=("cat",))
