"""What a data set holds and what is wrong with it, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pfungst.errors import PfungstError
from pfungst.images.dataset import DataSet
from pfungst.images.decode import decode, image_header
from pfungst.images.digests import each
from pfungst.images.twins import find_twins, twin_problems
from pfungst.progress import Progress, silent


@dataclass(frozen=True, kw_only=True)
class ClassCount:
    """How often one class is shown.

    Attributes
    ----------
    positive, difficult : int
        Photos with label +1, and with label 0.
    objects : int
        Boxes of the class, difficult ones among them.
    splits : dict of str to int
        Photos with label +1 in each split.
    """

    positive: int
    difficult: int
    objects: int
    splits: dict[str, int]


def count_classes(data: DataSet) -> dict[str, ClassCount]:
    """Counts for each class of ``data.classes``, in their order."""
    positive = Counter(name for record in data for name in record.positive)
    difficult = Counter(name for record in data for name in record.difficult)
    objects = Counter(box.class_name for record in data for box in record.boxes)
    shown = {record.id: record.positive for record in data}
    in_split = {
        split: Counter(name for identity in ids for name in shown.get(identity, ()))
        for split, ids in data.splits.items()
    }
    return {
        name: ClassCount(
            positive=positive[name],
            difficult=difficult[name],
            objects=objects[name],
            splits={split: counter[name] for split, counter in in_split.items()},
        )
        for name in data.classes
    }


def checked(
    data: DataSet,
    *,
    looks: bool = True,
    pixels: bool = False,
    workers: int = 1,
    progress: Progress = silent,
) -> DataSet:
    """The same data set with more problems: photos that stand there twice, and files that are no photos.

    Damage deep in a file is found where every pixel is decoded alone.

    Parameters
    ----------
    data : DataSet
    looks : bool
        Whether photos that look the same are found, and not equal files alone.
    pixels : bool
        Whether every photo is decoded as a whole.
    workers : int
        Threads that read photos.
    progress : Progress
    """
    data = data.with_digests(workers=workers, progress=progress)
    errors: list[PfungstError] = []
    twins = find_twins(data, looks=looks, workers=workers, progress=progress, told=errors.append)
    problems = twin_problems(data, twins)
    if pixels or not looks:
        paths = [record.path for record in data]
        ask = _decoded if pixels else _opened
        found = each(paths, ask, stage="photos", workers=workers, progress=progress)
        errors = [answer for answer in found if isinstance(answer, PfungstError)]
    problems += map(str, errors)
    return replace(data, problems=(*data.problems, *problems))


def _opened(path: Path) -> None:
    image_header(path)


def _decoded(path: Path) -> None:
    decode(path)


def summary(data: DataSet) -> dict[str, Any]:
    """Plain numbers for JSON: how it was read, photos, splits, classes with their counts, problems."""
    return {
        "name": data.name,
        "root": str(data.root),
        "layout": data.layout,
        "evidence": data.evidence,
        "photos": len(data),
        "boxes": sum(len(record.boxes) for record in data),
        "splits": {name: len(ids) for name, ids in data.splits.items()},
        "classes": {
            name: {
                "positive": count.positive,
                "difficult": count.difficult,
                "objects": count.objects,
                "splits": count.splits,
            }
            for name, count in count_classes(data).items()
        },
        "problems": list(data.problems),
        "unused": list(data.unused),
    }
