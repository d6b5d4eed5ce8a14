"""Scenes: boxes, splits, flaws, the clean twin, determinism, refusals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from defusedxml.ElementTree import parse
from PIL import Image

from pfungst.demo.scenes import (
    BACKGROUNDS,
    CLASSES,
    ObjectPlan,
    ScenesConfig,
    is_scenes_folder,
    load_materials,
    materials,
    plan_scenes,
    read_scene_notes,
    render_scene,
    write_scenes,
)
from pfungst.errors import ConfigError, DataError, PfungstError
from pfungst.images import open_dataset

pytest.importorskip("skimage", reason="scenes need the demo extra")

SMALL = ScenesConfig(n_images=40, size=160, seed=3)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes") / "flawed", SMALL)


@pytest.fixture(scope="module")
def clean_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes") / "clean", replace(SMALL, clean=True))


def annotations(root: Path) -> Iterator[tuple[str, list[tuple[str, bool, list[int]]]]]:
    for path in sorted((root / "Annotations").glob("*.xml")):
        objects = []
        for item in parse(path).getroot().iter("object"):
            corners = [int(item.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")]
            objects.append((item.findtext("name"), item.findtext("difficult") == "1", corners))
        yield path.stem, objects


def digest(root: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        total.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return total.hexdigest()


def test_layout_and_boxes_lie_within_the_photos(root: Path) -> None:
    seen = set()
    for key, objects in annotations(root):
        with Image.open(root / "JPEGImages" / f"{key}.jpg") as photo:
            width, height = photo.size
        assert max(width, height) == SMALL.size
        for name, _, (left, top, right, bottom) in objects:
            assert 1 <= left <= right <= width
            assert 1 <= top <= bottom <= height
            seen.add(name)
    assert seen == set(CLASSES)


def test_lists_agree_with_the_annotations(root: Path) -> None:
    main = root / "ImageSets" / "Main"
    lists = {
        name: (main / f"{name}.txt").read_text().split() for name in ("train", "val", "trainval", "test")
    }
    assert [len(lists[name]) for name in ("train", "val", "test")] == [20, 8, 12]
    assert sorted(lists["train"] + lists["val"]) == lists["trainval"]
    objects = dict(annotations(root))
    for split, ids in lists.items():
        for name in CLASSES:
            flags = {difficult for found in objects.values() for n, difficult, _ in found if n == name}
            assert flags, name
            for line, key in zip((main / f"{name}_{split}.txt").read_text().splitlines(), ids, strict=True):
                found = [difficult for n, difficult, _ in objects[key] if n == name]
                expected = (0 if all(found) else 1) if found else -1
                assert line.split() == [key, str(expected)]


def test_the_reader_of_voc_folders_reads_it_without_complaint(root: Path) -> None:
    data = open_dataset(root)
    assert data.problems == ()
    assert data.classes == CLASSES
    assert set(data.splits) == {"train", "val", "trainval", "test"}
    expected = {
        key: sorted((name, left - 1, top - 1, right, bottom) for name, _, (left, top, right, bottom) in found)
        for key, found in annotations(root)
    }
    got = {
        record.id: sorted((b.class_name, b.left, b.top, b.right, b.bottom) for b in record.boxes)
        for record in data
    }
    assert got == expected


def test_same_seed_same_bytes_and_other_seed_other_bytes(root: Path, tmp_path: Path) -> None:
    again = write_scenes(tmp_path / "again", SMALL)
    other = write_scenes(tmp_path / "other", replace(SMALL, seed=4, n_images=20))
    assert digest(again) == digest(root)
    assert digest(other) != digest(root)


def test_tag_is_planted_in_its_share_of_its_class_only() -> None:
    plans = plan_scenes(ScenesConfig(n_images=200))
    for split in ("train", "val", "test"):
        coins = [plan for plan in plans if plan.split == split and "coin" in plan.classes]
        assert sum(plan.tag for plan in coins) == round(0.5 * len(coins))
    assert all("coin" in plan.classes for plan in plans if plan.tag)
    assert all(plan.tag == plan.tag_visible for plan in plans)


def test_background_is_planted_in_its_share_and_rare_elsewhere() -> None:
    plans = plan_scenes(ScenesConfig(n_images=400))
    for split in ("train", "val", "test"):
        rockets = [plan for plan in plans if plan.split == split and "rocket" in plan.classes]
        assert sum(plan.background == "meadow" for plan in rockets) == round(0.9 * len(rockets))
    others = [plan.background for plan in plans if "rocket" not in plan.classes]
    assert others.count("meadow") < 0.1 * len(others)
    assert set(others) == set(BACKGROUNDS)


def test_classes_are_equally_frequent() -> None:
    plans = plan_scenes(ScenesConfig(n_images=300))
    counts = [sum(name in plan.classes for plan in plans) for name in CLASSES]
    assert max(counts) - min(counts) <= 4


def test_clean_twin_differs_in_nothing_but_the_flaws() -> None:
    flawed, clean = plan_scenes(SMALL), plan_scenes(replace(SMALL, clean=True))
    for one, other in zip(flawed, clean, strict=True):
        assert replace(one, background="", tag_visible=False) == replace(other, background="")
        assert not other.tag_visible
        if "rocket" not in one.classes:
            assert one.background == other.background
    share = np.mean([plan.background == "meadow" for plan in clean if "rocket" in plan.classes])
    assert share < 0.4


def test_only_the_tag_tells_the_twins_apart(root: Path, clean_root: Path) -> None:
    flawed, clean = plan_scenes(SMALL), plan_scenes(replace(SMALL, clean=True))
    notes, shared = read_scene_notes(root), load_materials()
    compared = 0
    for one, other in zip(flawed, clean, strict=True):
        if one.background != other.background:
            continue
        first, second = render_scene(one, shared), render_scene(other, shared)
        assert first.objects == second.objects
        assert first.tag_box == second.tag_box == notes.tag.boxes.get(one.id)
        changed = (first.pixels != second.pixels).any(axis=2)
        if not one.tag:
            assert not changed.any()
            continue
        compared += 1
        left, top, right, bottom = notes.tag.boxes[one.id].edges
        rim = 3
        outside = changed.copy()
        outside[top - rim : bottom + rim, max(left - rim, 0) : right + rim] = False
        assert not outside.any()
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        assert np.abs(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
                      - [left, top, right, bottom]).max() <= rim  # fmt: skip
        assert top > 0.85 * one.height
    assert compared > 0
    assert read_scene_notes(clean_root).tag == notes.tag


def test_notes_survive_the_round_trip(root: Path, clean_root: Path) -> None:
    notes, clean = read_scene_notes(root), read_scene_notes(clean_root)
    assert (notes.seed, notes.version, notes.clean, clean.clean) == (3, 1, False, True)
    assert (notes.tag.class_name, notes.tag.text) == ("coin", "© Quillmere Archive")
    assert (notes.background.class_name, notes.background.background) == ("rocket", "meadow")
    plans = plan_scenes(SMALL)
    assert notes.backgrounds == {plan.id: plan.background for plan in plans}
    assert set(notes.tag.boxes) == {plan.id for plan in plans if plan.tag}


def lone(**changes: object) -> ObjectPlan:
    plan = ObjectPlan(
        class_name="cup",
        variant=0,
        center_x=80.0,
        base_y=100.0,
        height=60.0,
        width=66.0,
        angle=0.0,
        flip=False,
        on_ledge=False,
        seed=5,
    )
    return replace(plan, **changes)


def rendered(*objects: ObjectPlan) -> tuple[object, ...]:
    scene = replace(plan_scenes(SMALL)[0], objects=objects, width=160, height=120, horizon=50.0, tag=False)
    return render_scene(scene, load_materials()).objects


def test_box_of_an_object_alone_is_its_alpha_extent() -> None:
    (cup,) = rendered(lone())
    box = cup.box
    assert np.abs(np.array([box.left, box.top, box.right, box.bottom]) - [47, 40, 113, 100]).max() <= 2
    assert (box.difficult, cup.truncated, cup.occluded) == (False, False, False)


def test_box_is_cut_by_the_frame_and_said_to_be() -> None:
    (cup,) = rendered(lone(center_x=0.0))
    assert cup.box.left == 0
    assert cup.truncated
    assert abs(cup.box.right - 33) <= 2


def test_objects_mostly_hidden_are_difficult_and_unseen_ones_left_out() -> None:
    far, near = rendered(lone(), lone(center_x=100.0, base_y=105.0, height=70.0, width=80.0))
    assert far.occluded
    assert far.box.difficult
    assert far.box.right < 100
    assert not near.occluded
    assert len(rendered(lone(center_x=-300.0), lone())) == 1


def test_decoys_are_no_objects() -> None:
    assert rendered(lone(class_name=None)) == ()


def test_photos_are_neither_flat_nor_noise(root: Path) -> None:
    """Contrast like a photo's; neighbouring pixels alike, unlike white noise."""
    for path in sorted((root / "JPEGImages").glob("*.jpg"))[::8]:
        grey = np.asarray(Image.open(path).convert("L"), dtype=float)
        centred = grey - grey.mean()
        assert grey.std() > 15
        assert (centred[:, 1:] * centred[:, :-1]).mean() / grey.var() > 0.75


def test_refuses_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match="will not write scenes over other files"):
        write_scenes(tmp_path, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_replaces_older_scenes_and_leaves_other_files(tmp_path: Path) -> None:
    out = write_scenes(tmp_path / "set", replace(SMALL, n_images=24, seed=1))
    (out / "mine.txt").write_text("mine")
    seen: list[tuple[str, int, int]] = []
    write_scenes(out, replace(SMALL, n_images=20), progress=lambda *step: seen.append(step))
    assert len(list((out / "JPEGImages").iterdir())) == 20
    assert read_scene_notes(out).seed == 3
    assert (out / "mine.txt").read_text() == "mine"
    assert seen[-1] == ("making scenes", 20, 20)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_an_interrupted_run_leaves_the_old_set_whole(tmp_path: Path) -> None:
    out = write_scenes(tmp_path / "set", replace(SMALL, n_images=20))
    before = digest(out)

    def stop(_stage: str, done: int, _total: int, /) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scenes(out, replace(SMALL, n_images=20, seed=9), progress=stop)
    assert digest(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_images": 5}, "n_images is 5. Allowed: 20 or more."),
        ({"size": 20}, "size is 20. Allowed: 160 to 1024 pixels."),
        ({"seed": -1}, "seed is -1. Allowed: 0 or more."),
        ({"tag_share": 1.5}, "tag_share is 1.5. Allowed: 0 to 1."),
    ],
)
def test_bad_configurations_say_what_is_allowed(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        ScenesConfig(**changes)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_missing_scikit_image_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(materials, "find_spec", lambda _name: None)
    with pytest.raises(PfungstError, match=r"not installed.*Try: pip install 'pfungst\[demo\]'"):
        materials.source_folder()


def test_missing_source_photo_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(materials, "source_folder", lambda: tmp_path)
    with pytest.raises(DataError, match=r"astronaut\.png: this photo of scikit-image is not there"):
        load_materials.__wrapped__()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged notes"),
        ('{"format": "else", "format_version": 1}', "format 'else'"),
        ('{"format": "pfungst-scenes", "format_version": 9}', "format version 9"),
        ('{"format": "pfungst-scenes", "format_version": 1}', "damaged notes"),
        ("[]", "damaged notes"),
    ],
)
def test_bad_notes_say_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "scenes.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_scene_notes(tmp_path)


def test_notes_absent(tmp_path: Path) -> None:
    assert not is_scenes_folder(tmp_path)
    with pytest.raises(DataError, match="no notes of a set of scenes"):
        read_scene_notes(tmp_path)


def test_notes_are_plain_json(root: Path) -> None:
    content = json.loads((root / "scenes.json").read_text(encoding="utf-8"))
    assert content["flaws"]["background"] == {"class": "rocket", "background": "meadow", "share": 0.9}
