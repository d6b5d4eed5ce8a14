"""How well a classifier ranks photos: average precision as VOC defines it, decisions at its thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import Classifier
from pfungst.contract.deciding import Decision, decision_of
from pfungst.contract.look import looking
from pfungst.contract.plain import stored_as
from pfungst.contract.ranking import average_precision, average_precision_11pt, equal_error_threshold
from pfungst.contract.used import UsedPhotos, used_photos
from pfungst.errors import Failure, PfungstError
from pfungst.evaluation.classes import common_classes
from pfungst.evaluation.single_label import SingleLabel, single_label
from pfungst.images import DataSet
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.photos import Photo, run_photos
from pfungst.runs.recorded import Finished


@dataclass(frozen=True, kw_only=True)
class ScoredSet:
    """Scores of a classifier for the photos of a data set.

    Attributes
    ----------
    classes : tuple of str
        Column order.
    ids : tuple of str
        Photos that could be scored.
    labels : (n, C) int8
        +1, 0 (difficult) or −1.
    scores : (n, C) float64
        f(x).
    failures : tuple of Failure
        Photos that could not.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: NDArray[np.int8]
    scores: NDArray[np.float64]
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """One class's ranking and decisions; AP is in [0, 1], NaN where there are no positives.

    Attributes
    ----------
    ap, ap_11pt : float
        Average precision by area and by 11 points.
    positives, negatives, difficult : int
        Photos by label.
    eer_threshold : float
        The classifier's decision threshold (equal error rate on its validation photos).
    eer_threshold_here : float
        The threshold at the equal error rate of these photos, for comparison; never used to decide.
    true_positives, false_positives : int
        Predictions at ``eer_threshold``.
    """

    ap: float
    ap_11pt: float
    positives: int
    negatives: int
    difficult: int
    eer_threshold: float
    eer_threshold_here: float
    true_positives: int
    false_positives: int


@dataclass(frozen=True)
class _ScorePhotos:
    classifier: Classifier

    def __call__(self, photos: Sequence[Photo]) -> list[Finished]:
        scores = finite_scores(looking(self.classifier).look([photo.image for photo in photos]).scores)
        rows = zip(photos, scores.tolist(), strict=True)
        return [Finished(record={"image": photo.record.id, "scores": row}) for photo, row in rows]


@dataclass(frozen=True)
class _Scored:
    """A record of :class:`_ScorePhotos`."""

    image: str
    scores: tuple[float, ...]


def finite_scores(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same scores.

    Raises
    ------
    PfungstError
        If one is NaN or infinite: such a score ranks nothing.
    """
    if not np.isfinite(scores).all():
        raise PfungstError("the model's score is NaN or infinite", hint="the model's original copy")
    return scores


def score_dataset(
    classifier: Classifier,
    dataset: DataSet,
    *,
    classes: Sequence[str] | None = None,
    identity: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
) -> ScoredSet:
    """Score every photo; those that cannot be used are listed, and the run goes on.

    Parameters
    ----------
    classifier : Classifier
    dataset : DataSet
        Its labels are taken for the classes.
    classes : sequence of str, optional
        Default: all that the classifier and the data set have in common.
    identity : mapping, optional
        What tells this model from another (checksums), compared when a run is taken up again.
    out : path, optional
        The run's folder; a further call goes on where it was interrupted.
    workers, progress
        As everywhere.

    Raises
    ------
    ConfigError
        If they have no class in common, a named one is not among these, or the run was begun with another
        model, data set or version.
    """
    chosen = dataset.select(common_classes(classifier, dataset, classes))
    columns = [classifier.classes.index(name) for name in chosen.classes]
    run = run_photos(
        _ScorePhotos(classifier),
        chosen,
        settings={"scores": list(classifier.classes)},
        identity=identity,
        batch_size=looking(classifier).batch_size,
        out=out,
        workers=workers,
        progress=progress,
        stage="scores",
    )
    with run:
        found = {row.image: row.scores for row in run.rows(_Scored)}
    kept = [position for position, record in enumerate(chosen) if record.id in found]
    ids = tuple(chosen.records[position].id for position in kept)
    rows = [found[name] for name in ids]
    return ScoredSet(
        classes=chosen.classes,
        ids=ids,
        labels=chosen.labels()[kept],
        scores=np.array(rows, dtype=np.float64).reshape(len(rows), len(classifier.classes))[:, columns],
        failures=(*dataset.failures, *run.failures),
    )


def class_results(
    scored: ScoredSet, thresholds: Sequence[float] | NDArray[np.float64]
) -> dict[str, ClassResult]:
    """Ranking and decisions class by class."""
    results = {}
    for column, name in enumerate(scored.classes):
        labels, scores = scored.labels[:, column], scored.scores[:, column]
        predicted = scores > thresholds[column]
        results[name] = ClassResult(
            ap=average_precision(labels, scores),
            ap_11pt=average_precision_11pt(labels, scores),
            positives=int(np.sum(labels > 0)),
            negatives=int(np.sum(labels < 0)),
            difficult=int(np.sum(labels == 0)),
            eer_threshold=float(thresholds[column]),
            eer_threshold_here=equal_error_threshold(labels, scores),
            true_positives=int(np.sum(predicted & (labels > 0))),
            false_positives=int(np.sum(predicted & (labels < 0))),
        )
    return results


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How well a classifier ranks a data set.

    Attributes
    ----------
    classes : mapping of str to ClassResult
    mean_ap, mean_ap_11pt : float
        Over the classes that have positives.
    images : int
        Photos that could be scored.
    classes_without_positives : tuple of str
    single_label : SingleLabel or None
        Of classifiers that predict the class of the highest score alone.
    failures : tuple of Failure
    photos : UsedPhotos or None
        What there is to tell of the photos.
    """

    classes: Mapping[str, ClassResult]
    mean_ap: float = field(metadata=stored_as("map"))
    mean_ap_11pt: float = field(metadata=stored_as("map_11pt"))
    images: int
    classes_without_positives: tuple[str, ...] = ()
    single_label: SingleLabel | None = None
    failures: tuple[Failure, ...] = ()
    photos: UsedPhotos | None = None


def evaluated(
    scored: ScoredSet,
    thresholds: Sequence[float] | NDArray[np.float64],
    decision: Decision = "thresholds",
) -> Evaluation:
    """The numbers of :func:`class_results` and their means, and those of the decision."""
    results = class_results(scored, thresholds)
    with_positives = [result for result in results.values() if result.positives]
    return Evaluation(
        classes=results,
        mean_ap=_mean([result.ap for result in with_positives]),
        mean_ap_11pt=_mean([result.ap_11pt for result in with_positives]),
        images=len(scored.ids),
        classes_without_positives=tuple(name for name, row in results.items() if not row.positives),
        single_label=single_label(scored.labels, scored.scores, scored.classes)
        if decision == "highest"
        else None,
        failures=scored.failures,
    )


def evaluate(
    classifier: Classifier,
    dataset: DataSet,
    *,
    classes: Sequence[str] | None = None,
    identity: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
) -> Evaluation:
    """Score a data set (:func:`score_dataset`) and say how well the classifier ranks it."""
    scored = score_dataset(
        classifier, dataset, classes=classes, identity=identity, out=out, workers=workers, progress=progress
    )
    known = dict(zip(classifier.classes, classifier.thresholds, strict=True))
    found = evaluated(scored, [known[name] for name in scored.classes], decision_of(classifier))
    return replace(found, photos=used_photos(dataset, {"the model": classifier}))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
