"""One pass over a data set: scores of every photo, a heatmap of each class it shows or is taken for.

Context, strategies, artefacts and the report's gallery all start from these records; no photo is explained
twice. A record is small; thumbnails and reduced heatmaps are arrays of the run (:mod:`pfungst.runs`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pfungst.audits.survey.config import SurveyConfig
from pfungst.audits.survey.records import Survey
from pfungst.audits.survey.task import HEATMAPS, SurveyPhotos, usual_shape
from pfungst.contract.classifier import Classifier
from pfungst.contract.look import Looking, looking
from pfungst.evaluation.classes import common_classes
from pfungst.images.dataset import DataSet
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.journal import read_configuration
from pfungst.runs.photos import run_photos
from pfungst.runs.recorded import RECORDS_FILE, Run


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
    """Score and explain a data set, or take up what is in ``out`` already.

    A survey that has more than is asked for (classes, :data:`~pfungst.audits.survey.config.PARTS`) serves;
    one that has fewer parts gets them, in folders of their own below it.

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
    folder = None if out is None else Path(out)
    chosen = common_classes(classifier, data, classes)
    begun = _begun(folder)
    surveyed = _serving(begun, chosen, common_classes(classifier, data))
    parts = tuple(begun.get("parts", ())) if begun else config.parts
    work = _Pass(looking(classifier), data, config, surveyed, identity, workers, progress)
    run = work((HEATMAPS, *parts), folder)
    more = {
        part: work((part,), None if folder is None else folder / part)
        for part in config.parts
        if part not in parts
    }
    return Survey(data, run, more, chosen, config.parts)


def _begun(folder: Path | None) -> dict[str, Any]:
    """The configuration of the survey in a folder; empty where there is none."""
    file = None if folder is None else folder / RECORDS_FILE
    return read_configuration(file) if file is not None and file.is_file() else {}


def _serving(begun: Mapping[str, Any], chosen: tuple[str, ...], common: tuple[str, ...]) -> tuple[str, ...]:
    """The classes of a survey that was begun if they hold the chosen ones; else these."""
    stored = tuple(begun.get("classes", ()))
    return stored if set(chosen) <= set(stored) <= set(common) else chosen


@dataclass(frozen=True, eq=False)
class _Pass:
    """A pass over the photos for some parts of a survey."""

    classifier: Looking
    data: DataSet
    config: SurveyConfig
    classes: tuple[str, ...]
    identity: Mapping[str, Any] | None
    workers: Workers
    progress: Progress

    def __call__(self, parts: tuple[str, ...], out: Path | None) -> Run:
        columns = [self.classifier.classes.index(name) for name in self.classes]
        thresholds = [float(self.classifier.thresholds[column]) for column in columns]
        return run_photos(
            SurveyPhotos(
                classifier=self.classifier,
                config=self.config,
                classes=self.classes,
                parts=frozenset(parts),
                usual=usual_shape(self.data),
            ),
            self.data,
            settings={
                "survey": self.config.identity,
                "parts": [part for part in parts if part != HEATMAPS],
                "classes": list(self.classes),
                "thresholds": [value if np.isfinite(value) else None for value in thresholds],
            },
            identity=self.identity,
            batch_size=self.classifier.batch_size,
            out=out,
            workers=self.workers,
            progress=self.progress,
            stage="survey" if HEATMAPS in parts else f"survey: {', '.join(parts)}",
        )
