import numpy as np
import pytest
from tests.audits.artefacts.conftest import make_photos

from pfungst.demo.scenes.planting import KINDS, Plant, plant
from pfungst.errors import ConfigError
from pfungst.images import decode


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    data, _ = make_photos(tmp_path_factory.mktemp("photos"), share=0.0)
    return data.with_random_splits({"train": 0.5, "test": 0.5})


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_mark_is_where_it_is_said_to_be(photos, tmp_path, kind):
    planted = plant(photos, {"disc": Plant(kind=kind, share=0.25)}, tmp_path)
    places = planted.places["disc"]
    for ids in photos.splits.values():
        shown = [record for record in photos if record.id in ids and record.label("disc") > 0]
        assert sum(record.id in places for record in shown) == round(0.25 * len(shown))
    for before, after in zip(photos, planted.data, strict=True):
        if before.id not in places:
            assert after is before
            continue
        first, second = decode(before.path).astype(int), decode(after.path).astype(int)
        whole = places[before.id][0].shape == first.shape[:2]
        changed = np.abs(first - second).max(axis=2) > (5 if whole else 40)
        marked = np.zeros(changed.shape, dtype=bool)
        for region in places[before.id]:
            marked[region.top : region.bottom + 1, region.left : region.right + 1] = True
        assert changed.any()
        assert changed[marked].sum() >= 0.98 * changed.sum()


def test_the_same_seed_plants_the_same(photos, tmp_path):
    plants = {"disc": Plant(kind="sticker", share=0.5)}
    first, second = (plant(photos, plants, tmp_path / name, random_state=3) for name in "ab")
    assert first.places == second.places
    other = plant(photos, plants, tmp_path / "c", random_state=4)
    assert first.places != other.places


def test_wrong_plants_are_refused():
    with pytest.raises(ConfigError, match=r"kind of plant.*ghost"):
        Plant(kind="ghost")
    with pytest.raises(ConfigError, match="above 0, at most 1"):
        Plant(kind="border", share=0.0)
