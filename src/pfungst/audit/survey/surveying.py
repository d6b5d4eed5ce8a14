"""One pass over a data set: scores of every photo, a heatmap of each class it shows or is taken for.

Context, strategies, artefacts and the report's gallery all start from these records; no photo is explained
twice. A record is small; thumbnails and reduced heatmaps are arrays of the run (:mod:`pfungst.runs`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst import __version__
from pfungst.audit.editing import scores_after
from pfungst.audit.survey.surroundings import (
    ContextConfig,
    Places,
    Surroundings,
    find_places,
    measured_surroundings,
    planned_edits,
)
from pfungst.contract.classifier import Classifier, ImageArray, explain_classes
from pfungst.contract.explanation import Explanation
from pfungst.contract.plain import from_plain, to_plain
from pfungst.errors import ConfigError, DataError, Failure, about_photo
from pfungst.evaluation.quality import common_classes
from pfungst.images.dataset import NEGATIVE, POSITIVE, DataSet, Record
from pfungst.images.decode import decode
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.identity import data_identity
from pfungst.runs.recorded import Finished, Run, open_run, run_items

THUMBNAIL = "thumbnail"
"""Array of the JPEG bytes of a photo's thumbnail."""


@dataclass(frozen=True, kw_only=True)
class SurveyConfig:
    """What is kept of every photo.

    Attributes
    ----------
    options : mapping
        How photos are explained (``rule=...``), as the classifier's ``explain`` takes it.
    map_side : int
        Longest side of a kept heatmap in cells; a smaller photo keeps its pixels.
    thumbnail_side : int
        Longest side of a thumbnail in pixels.
    errors : bool
        Also explain the false positive furthest above its threshold of each photo.
    context : ContextConfig
        How relevance is measured against the class's boxes, and whether the object is edited away.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    map_side: int = 128
    thumbnail_side: int = 240
    errors: bool = True
    context: ContextConfig = field(default_factory=ContextConfig)

    def __post_init__(self) -> None:
        if min(self.map_side, self.thumbnail_side) < 8:
            raise ConfigError(
                f"map_side = {self.map_side}, thumbnail_side = {self.thumbnail_side}", allowed="8 or more"
            )


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One class of one photo as a survey has it.

    Attributes
    ----------
    image, class_name : str
    label : int
        +1 shown, −1 a false positive.
    score, threshold : float
        f(x) as the classifier scores the photo; what was explained (one view of a network) is in ``ledger``.
    position : int
        Index among the photo's explained classes: its heatmap is ``survey.heatmap(image, class_name)``.
    rule : str
    peak : float
        max |R_p| at full resolution.
    ledger : mapping
        Where the score went.
    surroundings : Surroundings or None
        The heatmap against the class's boxes; None where it has none.
    """

    image: str
    class_name: str
    label: int
    score: float
    threshold: float
    position: int
    rule: str
    peak: float
    ledger: Mapping[str, Any]
    surroundings: Surroundings | None = None

    @property
    def predicted(self) -> bool:
        """Whether f(x) is above the threshold."""
        return self.score > self.threshold

    @property
    def true_positive(self) -> bool:
        """Shown and predicted."""
        return self.label == POSITIVE and self.predicted


class StoredSurvey:
    """A finished survey as its folder has it, without the data set (:func:`open_survey`).

    Attributes
    ----------
    classes : tuple of str
        Those that the classifier and the data have in common, in the classifier's order.
    thresholds : dict of str to float
        NaN where validation gave none.
    run : Run
    """

    def __init__(self, run: Run) -> None:
        configuration = run.configuration
        values = [float("nan") if value is None else value for value in configuration["thresholds"]]
        self.run = run
        self.classes = tuple(configuration["classes"])
        self.thresholds = dict(zip(self.classes, values, strict=True))
        self._records = {record["image"]: record for record in run.records()}

    @property
    def ids(self) -> tuple[str, ...]:
        """Photos that could be used, in the data's order."""
        return tuple(self._records)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Photos that could not, and why."""
        return self.run.failures

    def scores(self) -> NDArray[np.float64]:
        """f(x) of :attr:`classes`, ``(len(ids), n_classes)``."""
        rows = [record["scores"] for record in self._records.values()]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.classes))

    def size(self, image: str) -> tuple[int, int]:
        """``(height, width)`` of a photo."""
        record = self._records[image]
        return record["height"], record["width"]

    def seen(self, class_name: str | None = None, *, label: int | None = None) -> Iterator[Seen]:
        """What was explained, photo by photo; of one class or label if named."""
        for record in self._records.values():
            for position, row in enumerate(record["explained"]):
                if class_name in (None, row["class"]) and label in (None, row["label"]):
                    yield Seen(
                        image=record["image"],
                        class_name=row["class"],
                        label=row["label"],
                        score=row["score"],
                        threshold=self.thresholds[row["class"]],
                        position=position,
                        rule=row["rule"],
                        peak=row["peak"],
                        ledger=row["ledger"],
                        surroundings=from_plain(Surroundings, row["context"]) if row["context"] else None,
                    )

    def heatmap(self, image: str, class_name: str) -> NDArray[np.float32]:
        """The reduced heatmap ``(h, w)``: each cell the sum of its pixels' relevance, so Σ is conserved.

        Raises
        ------
        KeyError
            If the class was not explained for that photo.
        """
        position = [row["class"] for row in self._records[image]["explained"]].index(class_name)
        values: NDArray[np.float32] = self.run.arrays(image)[f"map{position}"]
        return values

    def thumbnail(self, image: str) -> bytes:
        """The photo's thumbnail as JPEG."""
        return self.run.arrays(image)[THUMBNAIL].tobytes()


class Survey(StoredSurvey):
    """The finished pass of one classifier over one data set.

    Attributes
    ----------
    data : DataSet
    """

    def __init__(self, data: DataSet, run: Run) -> None:
        super().__init__(run)
        self.data = data

    def labels(self) -> NDArray[np.int8]:
        """Labels of :attr:`classes`, ``(len(ids), n_classes)``: +1, 0 (difficult objects only) or −1."""
        by_id = {record.id: record for record in self.data}
        rows = [[by_id[image].label(name) for name in self.classes] for image in self.ids]
        return np.array(rows, dtype=np.int8).reshape(len(rows), len(self.classes))


def open_survey(folder: str | Path) -> StoredSurvey:
    """Read a survey back from its folder.

    Raises
    ------
    DataError
        If the folder holds no survey.
    """
    run = open_run(folder)
    if not {"survey", "classes", "thresholds"} <= run.configuration.keys():
        raise DataError(folder, "is a run, but not a survey", hint="a survey's folder of `pfungst audit`")
    return StoredSurvey(run)


def survey(
    classifier: Classifier,
    data: DataSet,
    config: SurveyConfig | None = None,
    *,
    classes: Sequence[str] | None = None,
    identity: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
) -> Survey:
    """Score and explain a data set.

    Parameters
    ----------
    classifier : Classifier
    data : DataSet
    config : SurveyConfig, optional
    classes : sequence of str, optional
        Default: all that both have.
    identity : mapping, optional
        What tells this model from another (checksums), compared when a run is taken up again.
    out : path, optional
        The run's folder.
    workers, progress
        As everywhere.

    Raises
    ------
    ConfigError
        If the two have no class in common, or the run was begun with another configuration.
    """
    config = config or SurveyConfig()
    chosen = common_classes(classifier, data, classes)
    columns = [classifier.classes.index(name) for name in chosen]
    thresholds = {name: float(classifier.thresholds[c]) for name, c in zip(chosen, columns, strict=True)}
    task = SurveyImage(classifier=classifier, config=config, classes=chosen)
    configuration = {
        "version": __version__,
        "survey": asdict(config),
        "classes": list(chosen),
        "thresholds": [value if np.isfinite(value) else None for value in thresholds.values()],
        "data": data_identity(data),
        "model": dict(identity or {}),
    }
    run = run_items(
        task,
        data.records,
        keys=[record.id for record in data],
        files=[record.path for record in data],
        problems=data.problems,
        configuration=configuration,
        out=out,
        workers=workers,
        progress=progress,
        stage="survey",
    )
    return Survey(data, run)


@dataclass(frozen=True, kw_only=True, eq=False)
class SurveyImage:
    """A picklable task: one labelled photo in, its record, thumbnail and heatmaps out."""

    classifier: Classifier
    config: SurveyConfig
    classes: tuple[str, ...]

    def __call__(self, record: Record) -> Finished:
        """Survey one photo."""
        image = decode(record.path)
        with about_photo(record.path):
            return self._finished(record, image)

    def _finished(self, record: Record, image: ImageArray) -> Finished:
        places = self._places(record, image)
        edits = planned_edits(image, places) if self.config.context.edits else {}
        columns = [self.classifier.classes.index(name) for name in self.classes]
        scores, *after = scores_after(self.classifier, image, list(edits.values()))[:, columns]
        edited_scores = {
            (name, part): float(row[self.classes.index(name)])
            for (name, part), row in zip(edits, after, strict=True)
        }
        names = self._explained(record, scores)
        found: list[Explanation] = (
            explain_classes(self.classifier, image, names, image_id=record.id, **self.config.options)
            if names
            else []
        )
        rows = []
        for item in found:
            name = item.class_name
            around = (
                measured_surroundings(item.relevance, record.boxes_of(name), places[name], edited_scores)
                if name in places
                else None
            )
            rows.append(_row(item, record.label(name), float(scores[self.classes.index(name)]), around))
        arrays: dict[str, NDArray[Any]] = {
            f"map{position}": reduced(explanation.relevance, self.config.map_side)
            for position, explanation in enumerate(found)
        }
        arrays[THUMBNAIL] = np.frombuffer(thumbnail(image, self.config.thumbnail_side), dtype=np.uint8)
        return Finished(
            record={
                "image": record.id,
                "height": image.shape[0],
                "width": image.shape[1],
                "scores": scores.tolist(),
                "explained": rows,
            },
            arrays=arrays,
        )

    def _places(self, record: Record, image: ImageArray) -> dict[str, Places]:
        """Of each class shown that has boxes: where they are, and the control region."""
        height, width = image.shape[:2]
        shown = [name for name in self.classes if record.label(name) == POSITIVE]
        found = {
            name: find_places(record.boxes_of(name), height, width, self.config.context, image_id=record.id)
            for name in shown
        }
        return {name: places for name, places in found.items() if places is not None}

    def _explained(self, record: Record, scores: NDArray[np.float64]) -> list[str]:
        """The classes shown, then the false positive furthest above its threshold."""
        names = [name for name in self.classes if record.label(name) == POSITIVE]
        if self.config.errors:
            columns = [self.classifier.classes.index(name) for name in self.classes]
            excess = scores - np.asarray(self.classifier.thresholds)[columns]
            wrong = [
                (float(excess[i]), name)
                for i, name in enumerate(self.classes)
                if record.label(name) == NEGATIVE and excess[i] > 0
            ]
            names += [max(wrong)[1]] if wrong else []
        return names


def _row(
    explanation: Explanation, label: int, score: float, surroundings: Surroundings | None
) -> dict[str, Any]:
    return {
        "class": explanation.class_name,
        "label": label,
        "score": score,
        "rule": explanation.rule,
        "peak": float(np.abs(explanation.relevance).max(initial=0.0)),
        "ledger": explanation.ledger.as_dict(),
        "context": to_plain(surroundings),
    }


def reduced(relevance: NDArray[np.floating], side: int) -> NDArray[np.float32]:
    """Relevance summed over the cells of a coarser grid of the same shape, at most ``side`` cells long."""
    height, width = relevance.shape
    factor = min(side / max(height, width), 1.0)
    rows, columns = max(round(height * factor), 1), max(round(width * factor), 1)
    return cell_sums(relevance, rows, columns).astype(np.float32)


def cell_sums(relevance: NDArray[np.floating], rows: int, columns: int) -> NDArray[np.float64]:
    """Relevance summed over the cells of a grid that is stretched over the photo, ``(rows, columns)``.

    A pixel that two cells share is divided by area, so the sum is conserved:
    ``C = A_rows R A_colsᵀ`` with columns of A that sum to 1.
    """
    height, width = relevance.shape
    values = np.asarray(relevance, dtype=np.float64)
    cells: NDArray[np.float64] = _overlaps(rows, height) @ values @ _overlaps(columns, width).T
    return cells


@lru_cache(maxsize=32)
def _overlaps(cells: int, pixels: int) -> NDArray[np.float64]:
    """The share of each pixel that lies in each cell, ``(cells, pixels)``."""
    edges = np.arange(cells + 1) * (pixels / cells)
    start = np.arange(pixels)
    low = np.maximum(edges[:-1, None], start[None, :])
    high = np.minimum(edges[1:, None], start[None, :] + 1)
    shares: NDArray[np.float64] = np.maximum(high - low, 0.0)
    shares /= shares.sum(axis=0)
    return shares


def thumbnail(image: ImageArray, side: int) -> bytes:
    """A JPEG of the photo, its longest side at most ``side`` pixels."""
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=80)
    return buffer.getvalue()
