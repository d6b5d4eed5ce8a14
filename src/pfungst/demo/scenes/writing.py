"""Write a set of scenes in VOC layout."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from pfungst.demo.scenes._outlines import CLASSES
from pfungst.demo.scenes.config import (
    BACKGROUND,
    BACKGROUND_CLASS,
    SPLITS,
    TAG_CLASS,
    TAG_TEXT,
    VERSION,
    ScenesConfig,
)
from pfungst.demo.scenes.materials import Materials, load_materials
from pfungst.demo.scenes.notes import (
    NOTES_FILE,
    BackgroundFlaw,
    SceneNotes,
    TagFlaw,
    is_scenes_folder,
    notes_text,
)
from pfungst.demo.scenes.planning import ScenePlan, plan_scenes
from pfungst.demo.scenes.rendering import RenderedScene, SceneObject, render_scene
from pfungst.errors import DataError
from pfungst.images.rectangles import Region
from pfungst.progress import Progress, silent
from pfungst.writing import make_folder, write_whole, write_with, writing

_PARTS = ("JPEGImages", "Annotations", "ImageSets")
_JPEG_STREAM = 13


def write_scenes(out: str | Path, config: ScenesConfig | None = None, *, progress: Progress = silent) -> Path:
    """Make a set of scenes and write it in VOC layout.

    The folder gets ``JPEGImages``, ``Annotations`` (1-based inclusive integer boxes), ``ImageSets/Main`` with
    train, val, trainval and test lists, whole and per class, and ``scenes.json`` (see
    :func:`read_scene_notes`). The same configuration gives the same bytes for the same versions of NumPy,
    SciPy, Pillow and scikit-image. All files are written beside ``out`` and moved there when complete; a set
    of scenes that is there already is replaced.

    Parameters
    ----------
    out : path
        The folder to write; new, empty, or a set of scenes.
    config : ScenesConfig, optional
        Number, size, seed, flaws.
    progress : Progress
        Told of every photo.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError
        If the folder holds something else, or a photo of scikit-image is missing.
    PfungstError
        If scikit-image is not installed.

    Examples
    --------
    >>> root = write_scenes("scenes", ScenesConfig(seed=1))  # doctest: +SKIP
    """
    root, config = Path(out), config or ScenesConfig()
    _refuse_foreign(root)
    materials = load_materials()
    make_folder(root.parent)
    with writing(root), tempfile.TemporaryDirectory(prefix=f".{root.name}-", dir=root.parent) as scratch:
        new = Path(scratch) / "new"
        _write_set(new, config, materials, progress)
        _move_into_place(new, root, Path(scratch) / "old")
    return root


def _refuse_foreign(root: Path) -> None:
    if root.is_dir() and (not any(root.iterdir()) or is_scenes_folder(root)):
        return
    if root.exists():
        raise DataError(
            root,
            "will not write scenes over other files",
            allowed="a new or empty folder, or one that `pfungst data scenes` wrote",
            hint="another --out",
        )


def _write_set(root: Path, config: ScenesConfig, materials: Materials, progress: Progress) -> None:
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True)
    plans = plan_scenes(config)
    labels: dict[str, Mapping[str, int]] = {}
    tag_boxes: dict[str, Region] = {}
    for done, plan in enumerate(plans, start=1):
        scene = render_scene(plan, materials)
        _write_photo(root, plan, scene)
        labels[plan.id] = _labels(scene.objects)
        if scene.tag_box:
            tag_boxes[plan.id] = scene.tag_box
        progress("making scenes", done, len(plans))
    _write_lists(root / "ImageSets" / "Main", plans, labels)
    notes = notes_text(_notes(config, plans, tag_boxes))
    _write(root / NOTES_FILE, notes)


def _move_into_place(new: Path, root: Path, old: Path) -> None:
    """The notes go first and come last, so a folder with notes is a whole set; other files stay."""
    root.mkdir(exist_ok=True)
    old.mkdir()
    for name in (NOTES_FILE, *_PARTS):
        if (root / name).exists():
            shutil.move(root / name, old / name)
    for name in (*_PARTS, NOTES_FILE):
        (new / name).rename(root / name)


def _write_photo(root: Path, plan: ScenePlan, scene: RenderedScene) -> None:
    quality = int(np.random.default_rng([*plan.seed, _JPEG_STREAM]).integers(84, 95))
    picture = Image.fromarray(scene.pixels)
    write_with(
        root / "JPEGImages" / f"{plan.id}.jpg",
        lambda stream: picture.save(stream, format="JPEG", quality=quality),
        durable=False,
    )
    _write(root / "Annotations" / f"{plan.id}.xml", _annotation(plan, scene.objects))


def _write(path: Path, text: str) -> None:
    """Not waited for: the folder moves into place when it is whole."""
    write_whole(path, text, durable=False)


def _annotation(plan: ScenePlan, objects: Sequence[SceneObject]) -> str:
    lines = [
        "<annotation>",
        "  <folder>scenes</folder>",
        f"  <filename>{plan.id}.jpg</filename>",
        "  <source><database>Pfungst scenes</database></source>",
        f"  <size><width>{plan.width}</width><height>{plan.height}</height><depth>3</depth></size>",
        "  <segmented>0</segmented>",
        *(_object_text(item) for item in objects),
        "</annotation>",
    ]
    return "\n".join(lines) + "\n"


def _object_text(item: SceneObject) -> str:
    """One object; VOC's corners are 1-based and inclusive."""
    box = item.box
    corners = (
        f"<xmin>{box.left + 1:.0f}</xmin><ymin>{box.top + 1:.0f}</ymin>"
        f"<xmax>{box.right:.0f}</xmax><ymax>{box.bottom:.0f}</ymax>"
    )
    flags = (
        f"<truncated>{item.truncated:d}</truncated><occluded>{item.occluded:d}</occluded>"
        f"<difficult>{box.difficult:d}</difficult>"
    )
    name = f"<name>{escape(box.class_name)}</name><pose>Unspecified</pose>"
    return f"  <object>{name}{flags}<bndbox>{corners}</bndbox></object>"


def _labels(objects: Sequence[SceneObject]) -> dict[str, int]:
    """VOC's labels: 1 shown, 0 shown by difficult objects only; what is not shown is left out."""
    labels: dict[str, int] = {}
    for item in objects:
        name = item.box.class_name
        labels[name] = max(labels.get(name, 0), 0 if item.box.difficult else 1)
    return labels


def _write_lists(folder: Path, plans: Sequence[ScenePlan], labels: Mapping[str, Mapping[str, int]]) -> None:
    members = {name: [plan.id for plan in plans if plan.split == name] for name, _ in SPLITS}
    members["trainval"] = sorted(members["train"] + members["val"])
    for split, ids in members.items():
        _write_lines(folder / f"{split}.txt", ids)
        for name in CLASSES:
            lines = [f"{key} {labels[key].get(name, -1):2d}" for key in ids]
            _write_lines(folder / f"{name}_{split}.txt", lines)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    _write(path, "".join(f"{line}\n" for line in lines))


def _notes(config: ScenesConfig, plans: Sequence[ScenePlan], tag_boxes: Mapping[str, Region]) -> SceneNotes:
    return SceneNotes(
        seed=config.seed,
        version=VERSION,
        clean=config.clean,
        tag=TagFlaw(class_name=TAG_CLASS, text=TAG_TEXT, share=config.tag_share, boxes=dict(tag_boxes)),
        background=BackgroundFlaw(
            class_name=BACKGROUND_CLASS, background=BACKGROUND, share=config.background_share
        ),
        backgrounds={plan.id: plan.background for plan in plans},
    )
