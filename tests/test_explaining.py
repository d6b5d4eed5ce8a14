import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pfungst.contract.explanation import Explanation, Ledger
from pfungst.errors import ConfigError, FileError
from pfungst.explaining import explain_photos, photo_files


class Bright:
    """Two classes: how bright a photo is, and how dark."""

    classes = ("light day", "light_day")
    thresholds = np.array([100.0, 200.0])
    explained: list[str] = []  # noqa: RUF012 - shared on purpose

    def scores(self, images):
        return np.array([[image.mean(), 255 - image.mean()] for image in images])

    def explain(self, image, class_name, *, image_id="", rule="mean"):
        self.explained.append(image_id)
        relevance = image.mean(axis=2) / image[..., 0].size
        total = float(relevance.sum())
        return Explanation(
            image_id=image_id, class_name=class_name, score=total, rule=rule, relevance=relevance,
            ledger=Ledger(score=total, pixels=total),
        )  # fmt: skip


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name, value in (("a/day.png", 220), ("b/day.png", 20), ("night sky.png", 40)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), value, np.uint8)).save(folder / name)
    Bright.explained.clear()
    return [folder / name for name in ("a/day.png", "b/day.png", "night sky.png")]


def test_top_predicted_and_named_classes(photos, tmp_path):
    top = explain_photos(Bright(), photos, tmp_path / "o")
    assert [(row.image, row.class_name) for row in top.heatmaps] == [
        ("day", "light day"), ("day-2", "light_day"), ("night sky", "light_day"),
    ]  # fmt: skip
    predicted = explain_photos(Bright(), photos, tmp_path / "o", classes="predicted")
    assert [row.class_name for row in predicted.heatmaps] == ["light day", "light_day", "light_day"]
    both = explain_photos(Bright(), photos[:1], tmp_path / "o", classes=Bright.classes, arrays=True)
    assert len({row.picture for row in both.heatmaps}) == 2, (
        "classes of like names have pictures of their own"
    )
    for row in both.heatmaps:
        assert Path(row.picture).read_bytes().startswith(b"\x89PNG")
        assert os.path.exists(row.arrays)
    with pytest.raises(ConfigError, match="unknown class 'moon'"):
        explain_photos(Bright(), photos, tmp_path / "o", classes=["moon"])


def test_what_is_there_is_not_made_again_unless_a_picture_is_gone(photos, tmp_path):
    first = explain_photos(Bright(), photos, tmp_path / "o")
    assert explain_photos(Bright(), photos, tmp_path / "o") == first
    assert Bright.explained == ["day", "day-2", "night sky"]
    os.unlink(first.heatmaps[1].picture)
    assert explain_photos(Bright(), photos, tmp_path / "o") == first
    assert len(Bright.explained) == 6
    explain_photos(Bright(), photos, tmp_path / "o", options={"rule": "other"})
    assert len(Bright.explained) == 9


def test_what_cannot_be_explained_is_listed(photos, tmp_path):
    photos[1].write_bytes(b"no photo")
    found = explain_photos(Bright(), photos, tmp_path / "o")
    assert [failure.item for failure in found.failures] == ["day-2"]
    assert "b/day.png: is not a photo" in found.failures[0].reason
    assert len(found.heatmaps) == 2

    class Lost(Bright):
        def scores(self, images):
            return np.full((len(images), 2), np.nan)

    (failure,) = explain_photos(Lost(), photos[:1], tmp_path / "p").failures
    assert "the model's score is NaN or infinite" in failure.reason


def test_names_of_any_bytes_and_length(photos, tmp_path):
    odd = photos[0].with_name(os.fsdecode(b"\xff\xe9") + "x" * 240 + ".png")
    photos[0].rename(odd)
    found = explain_photos(Bright(), [odd], tmp_path / "o")
    assert found.heatmaps[0].image.startswith("\\xff\\xe9xxx")
    assert os.path.exists(found.heatmaps[0].picture)


def test_folders_of_photos(photos, tmp_path):
    (photos[0].parent / "notes.txt").write_text("")
    assert photo_files([photos[0].parent, photos[2]]) == ([photos[0], photos[2]], [])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="holds no photo"):
        photo_files([tmp_path / "empty"])


def test_a_folder_is_taken_with_all_folders_in_it_and_what_cannot_be_read_is_told(photos, tmp_path):
    root = tmp_path / "photos"
    (root / "a/day.png").rename(root / "a/day.PNG")
    (root / "a/raw.CR2").write_bytes(b"x")
    (root / "b/._day.png").write_bytes(b"x")
    (root / "b/saved").write_bytes((root / "b/day.png").read_bytes())
    found = explain_photos(Bright(), [root], tmp_path / "o")
    assert [row.image for row in found.heatmaps] == ["day", "day-2", "night sky"]
    assert [failure.reason for failure in found.failures] == [
        "1 photo ending in .cr2, which is not read; left out (a/raw.CR2)",
        "1 photo without an ending; left out (b/saved)",
    ]
