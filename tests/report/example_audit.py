"""A small audit folder with every section filled, drawn from shapes in a second.

    python tests/report/example_audit.py FOLDER

Class ``horse`` of the first model reads a tag in the lower left corner; ``boat`` lives off its water in both.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pfungst.audits.schema import (
    Artefact,
    Audit,
    ClassAudit,
    Cluster,
    ContextRow,
    EditPair,
    EditTest,
    ModelAudit,
    Photo,
    Strategies,
    StrategyPoint,
)
from pfungst.audits.survey.records import THUMBNAIL
from pfungst.audits.verdict import find_problems
from pfungst.contract.heatmap import colours, scaled
from pfungst.contract.plain import from_plain
from pfungst.errors import Failure
from pfungst.evaluation.rows import Quality
from pfungst.evaluation.statistics import Estimate
from pfungst.images.rectangles import Box
from pfungst.runs.recorded import Finished, run_items

CLASSES = ("horse", "boat", "cat", "dog")
_SKY = {"horse": (176, 205, 170), "boat": (120, 165, 205), "cat": (214, 200, 178), "dog": (200, 205, 190)}
_INK = {"horse": (116, 74, 44), "boat": (240, 236, 226), "cat": (92, 92, 98), "dog": (178, 132, 80)}
_TAG = (12.0, 330.0, 150.0, 362.0)


def estimate(mean: float, width: float = 0.06, n: int = 12) -> Estimate:
    return Estimate(mean=mean, low=mean - width, high=mean + width, n_images=n, n_values=n)


@dataclass(frozen=True)
class Scene:
    """One photo to be: class, object's box, whether it has the tag."""

    photo: Photo
    box: tuple[float, float, float, float]
    tag: bool

    @property
    def name(self) -> str:
        return self.photo.positive[0]


def scenes(names: Sequence[str], per_class: int, first_id: str | None = None) -> list[Scene]:
    rng = np.random.default_rng(7)
    found = []
    for position, name in enumerate(names):
        for index in range(per_class):
            left, top = float(rng.integers(60, 240)), float(rng.integers(40, 150))
            box = (left, top, left + float(rng.integers(140, 200)), top + float(rng.integers(110, 160)))
            identity = f"{2008000000 + 1000 * position + 7 * index:d}"
            if first_id is not None and not found:
                identity = first_id
            corners = dict(zip(("left", "top", "right", "bottom"), box, strict=True))
            photo = Photo(
                id=identity,
                height=375,
                width=500,
                positive=(name,),
                boxes=(Box(class_name=name, **corners),),
            )
            found.append(Scene(photo=photo, box=box, tag=position == 0 and index % 3 != 2))
    return found


def draw(scene: Scene, look: str, *, tag: bool | None = None) -> Image.Image:
    picture = Image.new("RGB", (500, 375))
    rng = np.random.default_rng(abs(hash(scene.box)) % 2**32)
    rows = np.linspace(1.12, 0.62, 375)[:, None, None] * np.array(_SKY[look])[None, None, :]
    grain = rng.normal(0, 6, (375, 500, 1))
    picture = Image.fromarray(np.clip(rows + grain, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    left, top, right, bottom = scene.box
    if look == "boat":
        pen.polygon([(left, bottom), (right, bottom), (right - 30, bottom - 35), (left + 30, bottom - 35)],
                    fill=(120, 60, 50))  # fmt: skip
        pen.polygon([((left + right) / 2, top), (right - 20, bottom - 42), (left + 50, bottom - 42)],
                    fill=_INK[look])  # fmt: skip
    else:
        pen.ellipse((left, top + 30, right - 30, bottom - 25), fill=_INK[look])
        pen.ellipse((right - 70, top, right, top + 65), fill=_INK[look])
        for leg in (0.15, 0.3, 0.6, 0.75):
            x = left + leg * (right - left - 30)
            pen.rectangle((x, bottom - 60, x + 14, bottom), fill=_INK[look])
    if scene.tag if tag is None else tag:
        pen.rectangle(_TAG, fill=(20, 20, 20))
        pen.text((22, 336), "(c) photo studio", fill=(245, 245, 245), font_size=16)
    return picture


def heatmap(scene: Scene, look: str, *, on_tag: float, on_object: float, around: float, seed: int) -> Any:
    """Relevance on a 96 by 128 grid: blobs on the object, the tag and the rest, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :128]
    left, top, right, bottom = (value * 128 / 500 for value in scene.box)
    middle, width = ((left + right) / 2, (top + bottom) / 2), ((right - left) / 3, (bottom - top) / 3)
    blob = np.exp(-(((x - middle[0]) / width[0]) ** 2) - ((y - middle[1]) / width[1]) ** 2)
    tag = np.exp(-(((x - 20) / 14) ** 2) - ((y - 88) / 5) ** 2) * scene.tag
    water = (1 - blob) * (y > 45) * (0.6 + 0.4 * np.sin(x / 5 + y / 3))
    cells = on_object * blob + on_tag * tag + around * water + rng.normal(0, 0.07, x.shape)
    return (cells / 5000).astype(np.float32)


_STRENGTH = {
    ("fisher", "horse"): (1.0, 0.25, 0.05), ("fisher", "boat"): (0, 0.25, 0.7),
    ("network", "horse"): (0.1, 0.9, 0.0), ("network", "boat"): (0, 0.5, 0.45),
}  # fmt: skip


def write_survey(folder: Path, found: Sequence[Scene], names: Sequence[str], kind: str) -> None:
    """The folder that :func:`pfungst.audits.survey.survey` would write."""
    looks = dict(zip(names, CLASSES, strict=False))

    def finished(scene: Scene) -> Finished:
        number = found.index(scene)
        scores = [round(0.9 if name == scene.name else -0.8, 3) + 0.01 * (number % 7) for name in names]
        wrong = number % 5 == 4
        if wrong:
            scores[names.index(scene.name)] = -0.2
        explained = [(scene.name, 1)]
        if number % 6 == 5 and len(names) > 1:
            other = names[(names.index(scene.name) + 1) % len(names)]
            scores[names.index(other)] = 0.3
            explained.append((other, -1))
        arrays: dict[str, Any] = {}
        rows = []
        for position, (name, label) in enumerate(explained):
            strength = _STRENGTH.get((kind, looks[name]), (0.0, 0.8, 0.1))
            tag, thing, around = strength
            cells = heatmap(scene, name, on_tag=tag, on_object=thing, around=around, seed=number)
            arrays[f"map{position}"] = cells
            rows.append(
                {
                    "class": name,
                    "label": label,
                    "score": scores[names.index(name)],
                    "rule": "epsilon=100",
                    "peak": float(np.abs(cells).max()),
                    "context": None,
                    "ledger": {"score": 1.0, "pixels": 0.9, "taken": {"stabiliser": 0.1}, "spread": {},
                               "residual": 0.0},
                }
            )  # fmt: skip
        small = draw(scene, looks[scene.name]).resize((240, 180), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        small.save(stream, format="JPEG", quality=80)
        arrays[THUMBNAIL] = np.frombuffer(stream.getvalue(), dtype=np.uint8)
        record = {"image": scene.photo.id, "height": 375, "width": 500, "scores": scores, "explained": rows}
        return Finished(record=record, arrays=arrays)

    run_items(
        finished,
        found,
        keys=[scene.photo.id for scene in found],
        configuration={"survey": {}, "classes": list(names), "thresholds": [0.0] * len(names)},
        out=folder,
    )


def curve(rule: str, order: str, height: float, method: str, operator: str) -> dict[str, Any]:
    drop = height * np.linspace(0.02, 1.0, 50) ** 0.6
    middle = float(drop.mean())
    return {
        "method": method,
        "operator": operator,
        "class": "all",
        "rule": rule,
        "order": order,
        "steps": 50,
        "repetitions": [5],
        "n_images": 30,
        "n_true_positives": 34,
        "n_traces": 170,
        "A": {"mean": middle, "low": middle - 0.05, "high": middle + 0.05, "n_images": 30, "n_values": 34},
        "AOPC": {"mean": middle, "low": None, "high": None, "n_images": 30, "n_values": 34},
        "V": {"mean": min(abs(height), 1) * 0.8, "low": 0.1, "high": 0.9, "n_images": 30, "n_values": 34},
        "drop": {"mean": drop.tolist(), "low": (drop - 0.06).tolist(), "high": (drop + 0.06).tolist()},
        "changed": (np.linspace(0, 1, 50) * min(abs(height), 1)).tolist(),
    }


def quality(kind: str) -> Quality:
    method, operator = ("descriptors", "mixture") if kind == "fisher" else ("regions", "noise")
    rules = ("naive", "epsilon=100", "absolute") if kind == "fisher" else ("epsilon-plus", "gradient")
    curves = [curve(rule, "morf", 0.5 + 0.5 * i, method, operator) for i, rule in enumerate(rules)]
    curves.append(curve("-", "random", 0.2, method, operator))
    content = {
        "classes": {}, "curves": curves, "between": [], "localisation": [], "failures": [],
        "manifest": {"config": {"replacement": {"batch_size": 100}, "regions": {"per_step": 1}}},
    }  # fmt: skip
    return from_plain(Quality, content)


class Writer:
    """Draws the pictures that the records name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pictures").mkdir(parents=True, exist_ok=True)

    def save(self, name: str, picture: Image.Image) -> str:
        picture.save(self.folder / "pictures" / name)
        return f"pictures/{name}"

    def map(self, name: str, cells: Any) -> str:
        return self.save(name, Image.fromarray(colours(scaled(cells))))


def context(found: Sequence[Scene], name: str, ratio: float, *, dependent: bool) -> ContextRow:
    photos = [scene.photo.id for scene in found if scene.name == name]
    rng = np.random.default_rng(len(name))
    ratios = dict(zip(photos, (ratio * rng.uniform(0.4, 1.7, len(photos))).tolist(), strict=True))
    ranked = sorted(ratios, key=lambda key: -ratios[key])
    share = ratio / (ratio + 0.6)
    return ContextRow(
        n_images=len(photos),
        ratio=estimate(ratio, 0.12),
        median_ratio=0.9 * ratio,
        signed_ratio=None if dependent else estimate(ratio * 0.8, 0.2),
        share_outside=estimate(share),
        area_outside=estimate(0.72, 0.03),
        control_ratio=estimate(ratio * 1.05, 0.15),
        kept_without_object=estimate(0.75 if dependent else 0.1, 0.12),
        kept_without_control=estimate(0.5 if dependent else 0.95, 0.05),
        kept_beyond_chance=estimate(0.7 if dependent else 0.05, 0.1),
        drop_object=estimate(0.2 if dependent else 1.1, 0.1),
        drop_control=estimate(0.6 if dependent else 0.05, 0.08),
        most=tuple(ranked[:4]),
        least=tuple(ranked[-4:][::-1]),
        ratios=ratios,
        dependent=dependent,
        note=""
        if not dependent
        else "75% [63, 87] of 12 true positives are still predicted without their object",
    )


def strategies(found: Sequence[Scene], name: str, writer: Writer, key: str) -> Strategies:
    photos = [scene for scene in found if scene.name == name]
    rng = np.random.default_rng(3)
    clusters, points = [], []
    for index in range(2):
        members = [scene for scene in photos if scene.tag == (index == 0)]
        if not members:
            continue
        cells = np.mean(
            [heatmap(s, name, on_tag=1.0, on_object=0.4, around=0, seed=1) for s in members], axis=0
        )
        clusters.append(
            Cluster(
                index=index,
                size=len(members),
                share=len(members) / len(photos),
                mean_map=writer.map(f"{key}-mean{index}.png", cells),
                exemplars=tuple(scene.photo.id for scene in members[:4]),
                share_outside=0.71 - 0.4 * index,
                blend=0.004,
            )
        )
        for scene in members:
            x, y = rng.normal(10 * index, 1.6, 2).tolist()
            points.append(StrategyPoint(image=scene.photo.id, x=x, y=y, cluster=index))
    return Strategies(
        n_images=len(photos),
        n_clusters=len(clusters),
        eigenvalues=(0.0, 0.02, 0.31, 0.36, 0.4, 0.44),
        gap=0.29,
        clusters=tuple(clusters),
        points=tuple(points),
    )


def artefact(found: Sequence[Scene], name: str, writer: Writer, key: str) -> Artefact:
    tagged = [scene for scene in found if scene.name == name and scene.tag]
    others = [scene for scene in found if not scene.tag]
    crop = writer.save(f"{key}-crop.png", draw(tagged[0], CLASSES[0]).crop((0, 318, 170, 375)))

    def pair(scene: Scene, edit: Any, before: bool, after: bool, scores: tuple[float, float]) -> EditPair:
        names = [f"{key}-{edit}-{scene.photo.id[-4:].strip('>')}-{side}.png" for side in ("before", "after")]
        pictures = [draw(scene, CLASSES[0], tag=state).resize((240, 180)) for state in (before, after)]
        files = [writer.save(n.replace("/", "_"), p) for n, p in zip(names, pictures, strict=True)]
        return EditPair(
            image=scene.photo.id,
            edit=edit,
            before_picture=files[0],
            after_picture=files[1],
            before=scores[0],
            after=scores[1],
        )

    def test(before: float, after: float, flipped: float) -> EditTest:
        change = estimate(after - before, 0.11)
        return EditTest(
            n_images=len(tagged), before=before, after=after, change=change, flipped=estimate(flipped, 0.08)
        )

    return Artefact(
        id=f"{key}-1",
        kind="place",
        where="lower left corner",
        crop=crop,
        n_images=sum(scene.name == name for scene in found),
        boxes={scene.photo.id: _TAG for scene in tagged},
        share=0.67,
        share_elsewhere=0.0,
        relevance_share=0.58,
        area_share=0.024,
        removal=test(0.93, -0.31, 0.88),
        control=test(0.93, 0.9, 0.0),
        insertion=test(-0.78, 0.41, 0.79),
        insertion_control=test(-0.78, -0.75, 0.0),
        effect=estimate(1.21, 0.13),
        insertion_effect=estimate(1.16, 0.14),
        verdict="proved",
        sentence="Filling it in lowers the score by 1.21 more than filling an equal area elsewhere "
        "(95 % interval 1.08 to 1.34, 8 photos); pasted into photos without the class it turns 79 % of them.",
        pairs=(
            pair(tagged[0], "removal", True, False, (0.95, -0.29)),
            pair(tagged[1], "removal", True, False, (0.9, -0.35)),
            pair(tagged[0], "control", True, True, (0.95, 0.92)),
            pair(others[0], "insertion", False, True, (-0.7, 0.45)),
        ),
    )


def class_audits(kind: str, found: Sequence[Scene], names: Sequence[str], writer: Writer) -> list[ClassAudit]:
    rows = []
    for position, name in enumerate(names):
        flawed = kind == "fisher" and position == 0
        ratio = (1.4 if flawed else 0.5) if position != 1 else (3.1 if kind == "fisher" else 1.9)
        key = f"{kind}-{position}"
        count = sum(scene.name == name for scene in found)
        rows.append(
            ClassAudit(
                name=name,
                positives=count,
                true_positives=count - 2,
                false_positives=2,
                threshold=0.0,
                ap=estimate(0.62 + 0.09 * position + (0.06 if kind != "fisher" else 0), 0.08),
                ap_11pt=0.61,
                context=context(found, name, ratio, dependent=position == 1),
                localisation={
                    "pointing": estimate(0.55 + 0.1 * position),
                    "near_area": estimate(0.4),
                    "mass": estimate(0.51),
                    "rank": estimate(0.48),
                    "area": estimate(0.28, 0.02),
                },
                quality_a=estimate(1.1 + 0.1 * position, 0.1),
                quality_v=estimate(0.8 - 0.05 * position, 0.09),
                strategies=strategies(found, name, writer, key),
                artefacts=(artefact(found, name, writer, key),) if flawed else (),
                artefact_note="Searched 10 photos for recurring places, looks and borders."
                + ("" if flawed else " No artefact found."),
            )
        )
    return rows


def build_example(
    folder: Path,
    *,
    names: Sequence[str] = CLASSES,
    per_class: int = 12,
    first_id: str | None = None,
    kinds: Sequence[str] = ("fisher", "network"),
) -> Path:
    """Write the folder and return it.

    Parameters
    ----------
    names : sequence of str
        Classes; the first is flawed, the second lives off its context.
    first_id : str, optional
        Id of the first photo instead of a number.
    """
    names = tuple(names)
    found = scenes(names, per_class, first_id)
    writer = Writer(folder)
    titles = {"fisher": "Fisher vectors", "network": "EfficientNet-Lite0"}
    models = []
    for kind in kinds:
        write_survey(folder / f"survey-{kind}", found, names, kind)
        models.append(
            ModelAudit(
                name=titles[kind],
                kind=kind,
                rule="epsilon=100" if kind == "fisher" else "epsilon-plus",
                identity={"arrays_sha256": "9f2c" * 16, "views": None},
                survey=f"survey-{kind}",
                mean_ap=0.755 if kind == "fisher" else 0.815,
                classes=tuple(class_audits(kind, found, names, writer)),
                quality=quality(kind),
                quality_rule="epsilon=100" if kind == "fisher" else "epsilon-plus",
                failures=(Failure("2008000999", "2008000999.jpg: is no photo"),) if kind == "fisher" else (),
            )
        )
    photos = tuple(scene.photo for scene in found)
    problems = find_problems(models, photos)
    audit = Audit(
        title="Audit of two classifiers",
        data="shapes",
        split="test",
        classes=names,
        n_photos=len(found),
        photos=photos,
        models=tuple(models),
        problems=problems,
        ran=("scores of every photo", "heatmaps of every class shown and the worst false positive",
             "context ratio and edits", "strategies of every class", "artefacts: places, looks, borders"),
        not_run=("heatmap quality beyond a sample of 30 photos: --quality-images",),
        failures=(Failure("2008000999", "2008000999.jpg: cannot be decoded (truncated JPEG)"),),
        settings={"seed": 0, "survey": {"map_side": 128, "thumbnail_side": 240}, "rules": ["epsilon=100"]},
        versions={"pfungst": "0.2.0", "numpy": "2.1.0", "torch": "2.9.0"},
    )  # fmt: skip
    audit.save(folder)
    return folder


if __name__ == "__main__":
    print(build_example(Path(sys.argv[1])))
