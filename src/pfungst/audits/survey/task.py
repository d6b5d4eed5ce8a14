"""A survey's work on a batch of photos: one look at them, and what is asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.survey.config import SurveyConfig
from pfungst.audits.survey.kept import kept_arrays
from pfungst.audits.survey.maps import reduced, thumbnail
from pfungst.audits.survey.records import THUMBNAIL
from pfungst.audits.survey.surroundings import (
    NOTHING,
    EditedScores,
    Places,
    find_places,
    measured_surroundings,
    own_scores,
    planned_edits,
    usual_place,
)
from pfungst.contract.explanation import Explanation
from pfungst.contract.look import Edit, Look, Looking
from pfungst.contract.plain import to_plain
from pfungst.images.dataset import NEGATIVE, POSITIVE, Record
from pfungst.runs.photos import Photo
from pfungst.runs.recorded import Finished

HEATMAPS = "heatmaps"
"""The part that a survey begins with: scores, the heatmaps of the classes shown, thumbnails."""
Variants = Mapping[tuple[str, str], tuple[Edit, ...]]


@dataclass(frozen=True, kw_only=True, eq=False)
class SurveyPhotos:
    """A picklable task: labelled photos in; their records, thumbnails and heatmaps out.

    Attributes
    ----------
    classifier : Looking
    config : SurveyConfig
    classes : tuple of str
    parts : frozenset of str
        :data:`HEATMAPS` and of :data:`~pfungst.audits.survey.config.PARTS`.
    usual : (int, int) or None
        Height and width of a usual object (:func:`usual_shape`).
    """

    classifier: Looking
    config: SurveyConfig
    classes: tuple[str, ...]
    parts: frozenset[str]
    usual: tuple[int, int] | None = None

    def __call__(self, photos: Sequence[Photo]) -> list[Finished]:
        """Survey a batch of photos."""
        look = self.classifier.look([photo.image for photo in photos], relevance=self.parts != {"edits"})
        scores = look.scores[:, self._columns]
        places = [self._places(photo) for photo in photos]
        found = self._explained(look, photos, scores)
        after = self._after(look, photos, places)
        return [
            self._finished(photo, *results)
            for photo, *results in zip(photos, scores, places, found, after, strict=True)
        ]

    @property
    def _columns(self) -> list[int]:
        return [self.classifier.classes.index(name) for name in self.classes]

    def _places(self, photo: Photo) -> dict[str, Places]:
        """Of each class shown that has boxes: where they are, and the control region.

        Classes that are not surveyed are among them, for what the surveyed ones do without their objects.
        """
        record, (height, width) = photo.record, photo.image.shape[:2]
        context = self.config.context
        found = {
            name: find_places(record.boxes_of(name), height, width, context, image_id=record.id)
            for name in sorted(record.positive)
            if record.boxes_of(name)
        }
        if not any(found.values()) and self.usual is not None:
            found[NOTHING] = usual_place(self.usual, height, width, context, image_id=record.id)
        return {name: places for name, places in found.items() if places is not None}

    def _shown(self, record: Record) -> list[str]:
        return [name for name in self.classes if record.label(name) == POSITIVE]

    def _explained(
        self, look: Look, photos: Sequence[Photo], scores: NDArray[np.float64]
    ) -> list[list[Explanation]]:
        wanted = [self._wanted(photo.record, row) for photo, row in zip(photos, scores, strict=True)]
        if not any(wanted):
            return [[] for _ in photos]
        return look.explain(wanted, image_ids=[photo.record.id for photo in photos], **self.config.options)

    def _wanted(self, record: Record, scores: NDArray[np.float64]) -> list[str]:
        """The classes shown, then the false positive furthest above its threshold."""
        names = self._shown(record) if HEATMAPS in self.parts else []
        if "errors" in self.parts:
            excess = scores - np.asarray(self.classifier.thresholds)[self._columns]
            wrong = [
                (float(above), name)
                for above, name in zip(excess, self.classes, strict=True)
                if record.label(name) == NEGATIVE and above > 0
            ]
            names += [max(wrong)[1]] if wrong else []
        return names

    def _after(
        self, look: Look, photos: Sequence[Photo], places: Sequence[Mapping[str, Places]]
    ) -> list[EditedScores]:
        """Scores after the objects, and equal areas off them, are filled in; empty where not asked for."""
        if "edits" not in self.parts:
            return [{} for _ in photos]
        edits: list[Variants] = [
            planned_edits(photo.image, here) for photo, here in zip(photos, places, strict=True)
        ]
        chains = look.after([[[variant] for variant in variants.values()] for variants in edits])
        return [
            {key: rows[0, self._columns] for key, rows in zip(variants, chain, strict=True)}
            for variants, chain in zip(edits, chains, strict=True)
        ]

    def _finished(
        self,
        photo: Photo,
        scores: NDArray[np.float64],
        places: Mapping[str, Places],
        found: Sequence[Explanation],
        after: EditedScores,
    ) -> Finished:
        record, image = photo.record, photo.image
        content: dict[str, Any] = {"image": record.id}
        arrays: dict[str, NDArray[Any]] = {
            f"map{position}": reduced(explanation.relevance, self.config.map_side)
            for position, explanation in enumerate(found)
        }
        if HEATMAPS in self.parts:
            content |= {"height": image.shape[0], "width": image.shape[1], "scores": scores.tolist()}
            arrays[THUMBNAIL] = np.frombuffer(thumbnail(image, self.config.thumbnail_side), dtype=np.uint8)
            arrays |= kept_arrays(image, self.config.kept_pixels)
        if "edits" in self.parts:
            content["after"] = [[*key, to_plain(row)] for key, row in after.items()]
        content["explained"] = [
            self._row(record, item, float(scores[self.classes.index(item.class_name)]), places, after)
            for item in found
        ]
        return Finished(record=content, arrays=arrays)

    def _row(
        self,
        record: Record,
        explanation: Explanation,
        score: float,
        places: Mapping[str, Places],
        after: EditedScores,
    ) -> dict[str, Any]:
        name, relevance = explanation.class_name, explanation.relevance
        around = (
            measured_surroundings(
                relevance,
                record.boxes_of(name),
                places[name],
                own_scores(name, self.classes.index(name), after),
            )
            if name in places
            else None
        )
        return {
            "class": name,
            "label": record.label(name),
            "score": score,
            "rule": explanation.rule,
            "peak": float(np.abs(relevance).max(initial=0.0)),
            "ledger": explanation.ledger.as_dict(),
            "context": to_plain(around),
        }


def usual_shape(records: Iterable[Record]) -> tuple[int, int] | None:
    """Median height and width of the boxes of a data set in pixels; None where it has none."""
    sides = [(box.bottom - box.top, box.right - box.left) for record in records for box in record.boxes]
    if not sides:
        return None
    height, width = np.median(np.asarray(sides, dtype=np.float64), axis=0)
    return max(round(height), 1), max(round(width), 1)
