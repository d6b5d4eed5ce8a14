"""The photos of the experiment: three splits of a VOC folder, or a stratified part of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pfungst.errors import ConfigError, DataError
from pfungst.images import DataSet, open_dataset
from pfungst.images.dataset import POSITIVE

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class PaperPhotos:
    """What is learned from and what is tested on.

    Attributes
    ----------
    name : str
        Of the data set, such as ``VOC2007``.
    train, val, test : DataSet
    left_out : tuple of str
        Classes that a split does not show.
    """

    name: str
    train: DataSet
    val: DataSet
    test: DataSet
    left_out: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Those that every split shows, in the data set's order."""
        return self.train.classes


def read_photos(
    path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    limit: int | None = None,
    random_state: int = 0,
) -> PaperPhotos:
    """The splits ``train``, ``val`` and ``test`` of a data set.

    Parameters
    ----------
    path : path
        A folder in VOC layout, or one that holds such a folder (``VOCdevkit``).
    classes : sequence of str, optional
        Default: all that every split shows.
    limit : int, optional
        At most so many photos of each split (:func:`stratified`).
    random_state : int
        Seed of that choice.

    Raises
    ------
    DataError
        If a split is missing, or no class is shown by all three.
    ConfigError
        If ``limit`` is below the number of classes.
    """
    data = open_dataset(path, classes=classes)
    _require_splits(data)
    parts = [data.split(name) for name in SPLITS]
    shown = tuple(name for name in data.classes if all(_shows(part, name) for part in parts))
    if not shown:
        raise DataError(data.root, "no class has photos in all of train, val and test", hint="other splits")
    if limit is not None:
        parts = [stratified(part.select(shown), limit, random_state) for part in parts]
    train, val, test = (part.select(shown) for part in parts)
    left_out = tuple(name for name in data.classes if name not in shown)
    return PaperPhotos(name=data.name, train=train, val=val, test=test, left_out=left_out)


def _require_splits(data: DataSet) -> None:
    missing = [name for name in SPLITS if name not in data.splits]
    if missing:
        raise DataError(
            data.root,
            f"has no split {' and no split '.join(missing)}",
            allowed="a VOC folder with ImageSets/Main/train.txt, val.txt and test.txt",
            hint="`pfungst data voc2007 --out VOCdevkit`, which fetches trainval and test",
        )


def _shows(data: DataSet, class_name: str) -> bool:
    return any(record.label(class_name) == POSITIVE for record in data)


def stratified(data: DataSet, limit: int, random_state: int = 0) -> DataSet:
    """At most ``limit`` photos, every class in its proportion and with one photo at least.

    Photos are taken one by one: the next one shows the class that lacks most of its share; classes without
    any photo so far come first.

    Raises
    ------
    ConfigError
        If there are more classes than photos are to be taken.
    """
    if limit < len(data.classes):
        raise ConfigError(
            f"limit = {limit} for {len(data.classes)} classes", allowed=f"{len(data.classes)} or more"
        )
    if limit >= len(data):
        return data
    labels = data.labels() == POSITIVE
    shares = labels.mean(axis=0) * limit
    waiting = np.random.default_rng(random_state).permutation(len(data)).tolist()
    taken: list[int] = []
    while len(taken) < limit:
        counts = labels[taken].sum(axis=0)
        lack = np.where(counts == 0, np.inf, shares - counts)
        chosen = next(
            (row for column in np.argsort(-lack, kind="stable") if lack[column] > 0
             for row in waiting if labels[row, column]),
            waiting[0],
        )  # fmt: skip
        waiting.remove(chosen)
        taken.append(chosen)
    records = tuple(data.records[row] for row in sorted(taken))
    return replace(data, name=f"{data.name}, {limit} photos", records=records)
