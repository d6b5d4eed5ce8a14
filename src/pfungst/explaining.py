"""Heatmaps of a model's predictions for photos, as pictures in a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import Classifier, ImageArray
from pfungst.contract.deciding import decided, predicted
from pfungst.contract.explanation import Explanation
from pfungst.contract.look import looking
from pfungst.contract.plain import stored_as, to_plain
from pfungst.errors import DataError, Failure, FileError, unknown_name
from pfungst.evaluation.scoring import finite_scores
from pfungst.files import as_text, distinct_names
from pfungst.images.dataset import DataSet, Record
from pfungst.images.decode import photo_suffixes
from pfungst.images.leftovers import leftovers
from pfungst.images.names import named_classes
from pfungst.images.tree import walk
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers, executor_of
from pfungst.runs.photos import Photo, run_photos
from pfungst.runs.recorded import RECORDS_FILE, Finished, open_run
from pfungst.writing import remove_folder

TOP, PREDICTED = "top", "predicted"
RUNS_FOLDER = "runs"
"""Where, below the pictures, the records of each combination of model, options and photos are."""


@dataclass(frozen=True, kw_only=True)
class Heatmap:
    """One explanation and where its picture is.

    Attributes
    ----------
    image, class_name : str
    score : float
        f(x).
    rule : str
    height, width : int
        Of the photo.
    ledger : mapping
        Where the score went.
    caveat : str
        What has to be known to read it, in plain words; empty if there is nothing.
    picture : str
        The PNG file.
    arrays : str or None
        The safetensors file of the relevance, if it was asked for.
    """

    image: str
    class_name: str = field(metadata=stored_as("class"))
    score: float
    rule: str
    height: int
    width: int
    ledger: Mapping[str, Any]
    picture: str
    caveat: str = ""
    arrays: str | None = None


@dataclass(frozen=True, kw_only=True)
class Heatmaps:
    """All heatmaps of a call, in the order of the photos, and the photos that could not be explained."""

    heatmaps: tuple[Heatmap, ...]
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Record:
    image: str
    explanations: tuple[Heatmap, ...]


def wanted_classes(classifier: Classifier, texts: Sequence[str] | None) -> str | tuple[str, ...]:
    """What people name: nothing for the highest score, ``top``, ``predicted``, or classes.

    Each text is a name or several separated by commas; a class whose own name holds commas is taken whole.
    """
    given = list(texts or [TOP])
    if len(given) == 1 and given[0] in (TOP, PREDICTED):
        return given[0]
    return named_classes(given, classifier.classes) or ()


def explain_photos(
    classifier: Classifier,
    photos: Sequence[str | Path],
    out: str | Path,
    *,
    classes: str | Sequence[str] = TOP,
    options: Mapping[str, Any] | None = None,
    arrays: bool = False,
    identity: Mapping[str, Any] | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
) -> Heatmaps:
    """Explain photos and write a picture of each heatmap.

    Each combination of model, options and photos is a run of its own below ``out``: the same call goes on
    with it after an interruption, another one does not meet it. A run whose picture has been deleted begins
    anew.

    Parameters
    ----------
    classifier : Classifier
    photos : sequence of path
        Files, or folders of photos.
    out : path
        Folder of the pictures: one PNG for each photo and class, photo, heatmap and overlay over a legend.
    classes : str or sequence of str
        ``top`` explains the highest score, ``predicted`` every class that the model predicts; or names.
    options : mapping, optional
        The classifier's own, such as ``{"rule": "epsilon"}``.
    arrays : bool
        Also write the relevance, as safetensors.
    identity : mapping, optional
        What tells this model from another, for the runs.
    workers, progress
        As everywhere.

    Raises
    ------
    ConfigError
        If a class or an option is unknown.
    FileError
        If there is no photo, or the disk is full or cannot be written to.
    """
    (paths, left_out), folder = photo_files(photos), Path(out)
    names = _checked(classifier, classes)
    data = _data_set(paths)
    settings = {
        "class": names if isinstance(names, str) else ",".join(names),
        "options": dict(options or {}),
        "arrays": arrays,
        "photos": [_state(path) for path in paths],
    }
    about = settings | {"model": dict(identity or {}), "machines": executor_of(workers).machines()}
    run_folder = folder / RUNS_FOLDER / _fingerprint(about)
    _forget_if_deleted(run_folder)
    task = _ExplainPhotos(
        classifier=classifier,
        wanted=names,
        stems=dict(
            zip((record.id for record in data), distinct_names([path.stem for path in paths]), strict=True)
        ),
        endings=dict(zip(classifier.classes, distinct_names(classifier.classes), strict=True)),
        out=folder,
        arrays=arrays,
        options=dict(options or {}),
    )
    run = run_photos(
        task,
        data,
        settings=settings,
        identity=identity,
        batch_size=looking(classifier).batch_size,
        out=run_folder,
        workers=workers,
        progress=progress,
        stage="heatmaps",
    )
    rows = tuple(row for record in run.rows(_Record) for row in record.explanations)
    return Heatmaps(heatmaps=rows, failures=(*left_out, *run.failures))


def photo_files(places: Sequence[str | Path]) -> tuple[list[Path], list[Failure]]:
    """Photos as they are named, and those in folders, however deep; and what lies there and cannot be read.

    Raises
    ------
    FileError
        If there is none.
    """
    found: list[Path] = []
    left_out: list[Failure] = []
    for place in map(Path, places):
        if place.is_dir():
            tree = walk(place)
            found += [place / photo for photo in tree.photos]
            problems, _ = leftovers(tree, tree.photos)
            left_out += [Failure(place.name, problem) for problem in (*tree.problems, *problems)]
        else:
            found.append(place)
    if not found:
        allowed = ", ".join(sorted(photo_suffixes()))
        raise FileError(", ".join(map(str, places)), "holds no photo", allowed=allowed)
    return found, left_out


def _checked(classifier: Classifier, classes: str | Sequence[str]) -> str | tuple[str, ...]:
    """``top``, ``predicted``, or names that the classifier knows; a class called so comes first."""
    if isinstance(classes, str):
        if classes in (TOP, PREDICTED) and classes not in classifier.classes:
            return classes
        classes = (classes,)
    for name in classes:
        if name not in classifier.classes:
            raise unknown_name("class", name, classifier.classes)
    return tuple(classes)


def _data_set(paths: Sequence[Path]) -> DataSet:
    """The photos by their names without endings, numbered where two are the same."""
    ids: list[str] = []
    for path in paths:
        stem, number = as_text(path.stem), 1
        name = stem
        while name in ids:
            number += 1
            name = f"{stem}-{number}"
        ids.append(name)
    records = tuple(Record(id=name, path=path) for name, path in zip(ids, paths, strict=True))
    return DataSet(name="photos", root=Path(), classes=(), records=records)


def _state(path: Path) -> list[Any]:
    """A photo that is changed makes another run."""
    state = path.stat() if path.is_file() else None
    return [as_text(str(path.resolve())), *((state.st_size, state.st_mtime_ns) if state else ())]


def _fingerprint(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _forget_if_deleted(folder: Path) -> None:
    """Begin a run anew if a picture of it has been deleted since."""
    if not (folder / RECORDS_FILE).is_file():
        return
    try:
        rows = [row for record in open_run(folder).rows(_Record) for row in record.explanations]
    except DataError:
        return  # killed at its beginning, or damaged, which the run says better
    files = [file for row in rows for file in (row.picture, row.arrays) if file is not None]
    if not all(Path(file).is_file() for file in files):
        remove_folder(folder)


@dataclass(frozen=True, kw_only=True)
class _ExplainPhotos:
    """Explain a batch of photos and write its pictures."""

    classifier: Classifier
    wanted: str | tuple[str, ...]
    stems: Mapping[str, str]
    endings: Mapping[str, str]
    out: Path
    arrays: bool
    options: Mapping[str, Any]

    def __call__(self, photos: Sequence[Photo]) -> list[Finished]:
        ids = [photo.record.id for photo in photos]
        look = looking(self.classifier).look([photo.image for photo in photos], relevance=True)
        names = self._names(finite_scores(look.scores)) if isinstance(self.wanted, str) else None
        found = look.explain(names or [self.wanted] * len(photos), image_ids=ids, **self.options)
        return [
            Finished(
                record={
                    "image": photo.record.id,
                    "explanations": [to_plain(self._saved(item, photo.image)) for item in group],
                }
            )
            for photo, group in zip(photos, found, strict=True)
        ]

    def _names(self, scores: NDArray[np.float64]) -> list[list[str]]:
        """The classes to explain of each photo."""
        model = self.classifier
        chosen = (
            decided(scores, model.thresholds, "highest") if self.wanted == TOP else predicted(model, scores)
        )
        return [[name for name, yes in zip(model.classes, row, strict=True) if yes] for row in chosen]

    def _saved(self, explanation: Explanation, image: ImageArray) -> Heatmap:
        stem = f"{self.stems[explanation.image_id]}-{self.endings[explanation.class_name]}"
        picture = explanation.save(self.out / f"{stem}.png", image)
        arrays = explanation.save_arrays(self.out / f"{stem}.safetensors") if self.arrays else None
        height, width = explanation.relevance.shape
        return Heatmap(
            image=explanation.image_id,
            class_name=explanation.class_name,
            score=explanation.score,
            rule=explanation.rule,
            height=height,
            width=width,
            ledger=explanation.ledger.as_dict(),
            caveat=explanation.caveat,
            picture=as_text(str(picture)),
            arrays=None if arrays is None else as_text(str(arrays)),
        )
