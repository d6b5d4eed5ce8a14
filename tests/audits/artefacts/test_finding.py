import shutil
from dataclasses import replace

import pytest
from tests.audits.artefacts.conftest import FrameReader, MarkReader, surveyed

from pfungst.audits.artefacts import ArtefactConfig, find_artefacts
from pfungst.audits.schema import picture_file
from pfungst.demo.scenes.planting import Plant, plant
from pfungst.images import Box

SMALL = ArtefactConfig(window=16, max_patches=24, insertions=10)


def overlap(a, b):
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(wide, 0) * max(tall, 0)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return common / (area - common)


def test_a_mark_that_is_read_is_found_and_proved(marked_photos, tmp_path):
    data, truth = marked_photos
    reader = MarkReader()
    seen = surveyed(reader, data)
    found = find_artefacts(reader, seen, SMALL, out=tmp_path / "a", pictures=tmp_path)
    top = found.by_class["disc"][0]
    assert top.verdict == "proved"
    assert (top.kind, top.where) == ("place", "lower left corner")
    assert set(top.boxes) == set(truth)
    assert min(overlap(top.boxes[image], box) for image, box in truth.items()) > 0.4
    assert found.by_class["square"] == ()
    assert top.share == pytest.approx(len(truth) / 16)
    assert top.share_elsewhere == 0
    names = [top.crop, top.stamp, *(pair.after_picture for pair in top.pairs)]
    assert all(picture_file(tmp_path, name).is_file() for name in names)
    assert {pair.edit for pair in top.pairs} == {"removal", "control", "insertion"}
    again = find_artefacts(reader, seen, SMALL, out=tmp_path / "a", workers=2)  # from the records
    shutil.rmtree(tmp_path / "a" / "search")
    shutil.rmtree(tmp_path / "a" / "carriers")  # a reader of the tests cannot travel, what searches can
    anew = find_artefacts(reader, seen, SMALL, out=tmp_path / "a", workers=2)
    assert replace(top, crop="", stamp="", pairs=()) == again.by_class["disc"][0] == anew.by_class["disc"][0]


def test_removal_is_tested_off_the_object_alone(marked_photos):
    data, truth = marked_photos
    on_objects = sorted(truth)[:2]
    grown = {image: Box(class_name="disc", left=0, top=0, right=100, bottom=150) for image in on_objects}
    records = [replace(r, boxes=(*r.boxes, grown[r.id])) if r.id in grown else r for r in data]
    covered = replace(data, records=tuple(records))
    reader = MarkReader()
    before, after = (
        find_artefacts(reader, surveyed(reader, photos), SMALL).by_class["disc"][0]
        for photos in (data, covered)
    )
    assert set(after.boxes) == set(before.boxes) == set(truth)
    assert before.removal.n_images == len(truth)
    assert after.removal.n_images == len(truth) - 2


def test_a_mark_that_is_not_read_is_no_artefact(marked_photos):
    data, _ = marked_photos
    reader = MarkReader(weight=0.0)
    found = find_artefacts(reader, surveyed(reader, data), SMALL)
    assert all(item.verdict != "proved" for items in found.by_class.values() for item in items)


def test_photos_without_a_mark_give_none(plain_photos):
    data, _ = plain_photos
    reader = MarkReader()
    found = find_artefacts(reader, surveyed(reader, data), SMALL)
    assert found.by_class == {"disc": (), "square": ()}
    assert "No artefact found" in found.notes["disc"]


def test_a_frame_is_found_and_proved(plain_photos, tmp_path):
    data, _ = plain_photos
    marked = plant(data, {"disc": Plant(kind="border", share=0.5)}, tmp_path)
    reader = FrameReader()
    found = find_artefacts(reader, surveyed(reader, marked.data), SMALL, pictures=tmp_path)
    frames = [item for item in found.by_class["disc"] if item.kind == "border"]
    assert [item.verdict for item in frames] == ["proved"]
    assert set(frames[0].boxes) == set(marked.places["disc"])
    assert frames[0].where == "along the sides"
    assert found.by_class["square"] == ()
