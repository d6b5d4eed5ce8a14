"""A survey as its folder has it: scores, what was explained, heatmaps and thumbnails."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.survey.config import PARTS
from pfungst.audits.survey.kept import KeptPhotos
from pfungst.audits.survey.surroundings import EditedScores, Surroundings, own_scores
from pfungst.contract.plain import from_plain, to_plain
from pfungst.errors import DataError, Failure
from pfungst.images.dataset import POSITIVE, DataSet
from pfungst.runs.recorded import RECORDS_FILE, Run, open_run

THUMBNAIL = "thumbnail"
"""Array of the JPEG bytes of a photo's thumbnail."""


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


class _Explained(NamedTuple):
    """A class of a photo: its record, and where its heatmap lies."""

    row: Mapping[str, Any]
    run: Run
    position: int


class StoredSurvey:
    """A finished survey as its folder has it, without the data set (:func:`open_survey`).

    Parameters
    ----------
    run : Run
        The pass over the photos.
    more : mapping of str to Run
        Parts (:data:`~pfungst.audits.survey.config.PARTS`) that were asked for later.
    classes : sequence of str, optional
        Of the run's classes those that are asked for.
    parts : collection of str, optional
        Of the parts that there are those that are asked for, so that an answer does not depend on what others
        have asked before.

    Attributes
    ----------
    classes : tuple of str
        Those that the classifier and the data have in common, in the classifier's order.
    thresholds : dict of str to float
        NaN where validation gave none.
    run : Run
    """

    def __init__(
        self,
        run: Run,
        more: Mapping[str, Run] | None = None,
        classes: Sequence[str] | None = None,
        parts: Collection[str] = PARTS,
    ) -> None:
        surveyed = run.configuration["classes"]
        values = [float("nan") if value is None else value for value in run.configuration["thresholds"]]
        known = dict(zip(surveyed, values, strict=True))
        self.run, self._more = run, dict(more or {})
        self._hidden = set(PARTS) - set(parts)
        self.classes = tuple(surveyed if classes is None else classes)
        self.thresholds = {name: known[name] for name in self.classes}
        self._columns = [surveyed.index(name) for name in self.classes]
        self._records = {record["image"]: record for record in run.records()}
        self._after = self._all_after()
        self._explained = self._all_explained()

    def _all_explained(self) -> dict[str, list[_Explained]]:
        edits = self._after
        found = {
            image: [
                _Explained(self._with_edits(row, edits.get(image, {})), self.run, position)
                for position, row in enumerate(record["explained"])
            ]
            for image, record in self._records.items()
        }
        for record in self._records_of("errors"):
            rows = enumerate(record["explained"])
            found[record["image"]] += [_Explained(row, self._more["errors"], i) for i, row in rows]
        return found

    def _all_after(self) -> dict[str, dict[tuple[str, str], NDArray[np.float64]]]:
        """f(x) of the surveyed classes after each edit, by photo."""
        return {
            record["image"]: {(name, part): _numbers(row) for name, part, row in record["after"]}
            for record in (*self._records.values(), *self._records_of("edits"))
            if "after" in record
        }

    def _with_edits(self, row: Mapping[str, Any], after: EditedScores) -> Mapping[str, Any]:
        """An explained class with its scores after edits that were made later."""
        if not row["context"] or row["label"] != POSITIVE:
            return row
        column = self.run.configuration["classes"].index(row["class"])
        return {**row, "context": {**row["context"], **to_plain(own_scores(row["class"], column, after))}}

    def _records_of(self, part: str) -> list[dict[str, Any]]:
        """Records of a part that was asked for later."""
        run = self._more.get(part)
        return [] if run is None else [row for row in run.records() if row["image"] in self._records]

    @property
    def ids(self) -> tuple[str, ...]:
        """Photos that could be used, in the data's order."""
        return tuple(self._records)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Photos that could not, and why."""
        found = [failure for run in (self.run, *self._more.values()) for failure in run.failures]
        return tuple({failure.item: failure for failure in reversed(found)}.values())

    def scores(self) -> NDArray[np.float64]:
        """f(x) of :attr:`classes`, ``(len(ids), n_classes)``."""
        rows = [[record["scores"][column] for column in self._columns] for record in self._records.values()]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.classes))

    def after(self, image: str) -> dict[tuple[str, str], NDArray[np.float64]]:
        """f(x) of :attr:`classes` after each edit of a photo, ``(n_classes,)``; NaN where nothing is scored.

        By the class whose object is filled in (:data:`~pfungst.audits.survey.surroundings.NOTHING` where the
        photo has none whose place is known) and whether it is the object or an equal area off it. Empty
        where no edits were asked for.
        """
        found = {} if "edits" in self._hidden else self._after.get(image, {})
        return {key: row[self._columns] for key, row in found.items()}

    def size(self, image: str) -> tuple[int, int]:
        """``(height, width)`` of a photo."""
        record = self._records[image]
        return record["height"], record["width"]

    def seen(self, class_name: str | None = None, *, label: int | None = None) -> Iterator[Seen]:
        """What was explained, photo by photo; of one class or label if named."""
        for image, explained in self._explained.items():
            for row, _, _ in explained:
                asked = row["class"] in self.thresholds and self._is_asked(row)
                if asked and label in (None, row["label"]) and class_name in (None, row["class"]):
                    yield self._seen(image, row)

    def _is_asked(self, row: Mapping[str, Any]) -> bool:
        return row["label"] == POSITIVE or "errors" not in self._hidden

    def _seen(self, image: str, row: Mapping[str, Any]) -> Seen:
        return Seen(
            image=image,
            class_name=row["class"],
            label=row["label"],
            score=row["score"],
            threshold=self.thresholds[row["class"]],
            rule=row["rule"],
            peak=row["peak"],
            ledger=row["ledger"],
            surroundings=self._surroundings(row["context"]) if row["context"] else None,
        )

    def _surroundings(self, content: Mapping[str, Any]) -> Surroundings:
        found = from_plain(Surroundings, content)
        if "edits" not in self._hidden:
            return found
        return replace(found, without_object=float("nan"), without_control=float("nan"))

    def heatmap(self, image: str, class_name: str) -> NDArray[np.float32]:
        """The reduced heatmap ``(h, w)``: each cell the sum of its pixels' relevance, so Σ is conserved.

        Raises
        ------
        KeyError
            If the class was not explained for that photo.
        """
        for row, run, position in self._explained[image]:
            if row["class"] == class_name:
                values: NDArray[np.float32] = run.arrays(image)[f"map{position}"]
                return values
        raise KeyError(class_name)

    def thumbnail(self, image: str) -> bytes:
        """The photo's thumbnail as JPEG."""
        return self.run.arrays(image)[THUMBNAIL].tobytes()

    @property
    def kept(self) -> KeptPhotos:
        """The photos' pixels, from here where they were kept."""
        return KeptPhotos(self.run.folder)


def _numbers(row: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in row], dtype=np.float64)


class Survey(StoredSurvey):
    """The finished pass of one classifier over one data set.

    Attributes
    ----------
    data : DataSet
    """

    def __init__(
        self,
        data: DataSet,
        run: Run,
        more: Mapping[str, Run] | None = None,
        classes: Sequence[str] | None = None,
        parts: Collection[str] = PARTS,
    ) -> None:
        super().__init__(run, more, classes, parts)
        self.data = data

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Photos that could not be used, those that the data set left out among them, and why."""
        return (*self.data.failures, *super().failures)

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
    later = [part for part in PARTS if (Path(folder) / part / RECORDS_FILE).is_file()]
    return StoredSurvey(run, {part: open_run(Path(folder) / part) for part in later})
