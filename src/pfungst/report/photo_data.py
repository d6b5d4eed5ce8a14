"""What a page's script draws photos from: each thumbnail and heatmap once, with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL.Image import DecompressionBombError

from pfungst.audits.schema import Audit, ModelAudit, Photo, survey_folder
from pfungst.audits.survey import Seen, StoredSurvey, open_survey
from pfungst.contract.explanation import Ledger, share_of_threshold
from pfungst.errors import DataError, PfungstError
from pfungst.evaluation.wording import counted
from pfungst.report.pictures import FULL, Detail, heatmap_base64, photo_base64

Key = tuple[str, str]
"""Photo id and class name."""
Zero = Literal["threshold", "score"]
"""What a heatmap shows the relevance of: f(x) − threshold, or f(x) as in the paper."""
MAX_BYTES = 25_000_000
"""Photos and heatmaps in one file; text, crops and drawings come on top."""
_LARGEST = 100_000
"""More than one photo with its heatmaps takes."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """An audit with the surveys that could be opened.

    Attributes
    ----------
    photos : mapping of str to Photo
        By id.
    surveys : tuple of StoredSurvey or None
        One for each model, in the audit's order.
    seen : mapping of (photo id, class name) to tuple of Seen or None
        What each model explained, class by class: photos that show it, then those wrongly taken for it.
    clusters : tuple of mapping
        For each model the group of a photo's heatmap, where it has one.
    """

    audit: Audit
    photos: Mapping[str, Photo]
    surveys: tuple[StoredSurvey | None, ...]
    seen: Mapping[Key, tuple[Seen | None, ...]]
    clusters: tuple[Mapping[Key, int], ...]


def open_sources(folder: Path, audit: Audit) -> Sources:
    """Open the surveys that an audit names; one that is missing leaves its model without pictures."""
    opened = [_survey(folder, model) for model in audit.models]
    explained = [rows for _, rows in opened]
    order = {photo.id: position for position, photo in enumerate(audit.photos)}
    keys = {key for rows in explained for key in rows if key[0] in order and key[1] in audit.classes}
    found = {key: tuple(rows.get(key) for rows in explained) for key in keys}
    ranked = sorted(keys, key=lambda key: (audit.classes.index(key[1]), not shown(found[key]), order[key[0]]))
    return Sources(
        audit=audit,
        photos={photo.id: photo for photo in audit.photos},
        surveys=tuple(stored for stored, _ in opened),
        seen={key: found[key] for key in ranked},
        clusters=tuple(_clusters(model) for model in audit.models),
    )


def low_shares(sources: Sources) -> list[str]:
    """Of each model whose heatmaps are to be read with care how many they are, and why, in a sentence."""
    sentences = []
    for position, model in enumerate(sources.audit.models):
        found = [item for rows in sources.seen.values() if (item := rows[position]) is not None]
        told = [caveat for item in found if (caveat := _ledger(item).caveat)]
        if told:
            sentences.append(
                f"Of {counted(len(found), 'heatmap')} of {model.name}, {len(told)} are to be read with care; "
                f"the first: {told[0]}."
            )
    return sentences


def _ledger(seen: Seen) -> Ledger:
    row = seen.ledger
    return Ledger(score=row["score"], pixels=row["pixels"], taken=row["taken"])


def shown(seen: Sequence[Seen | None]) -> bool:
    """Whether the photo shows the class."""
    return any(item is not None and item.label > 0 for item in seen)


def _survey(folder: Path, model: ModelAudit) -> tuple[StoredSurvey | None, dict[Key, Seen]]:
    """A model's survey and what it explained; nothing if it is missing or damaged."""
    if not model.survey:
        return None, {}
    try:
        stored = open_survey(survey_folder(folder, model.survey))
        return stored, {(item.image, item.class_name): item for item in stored.seen()}
    except (DataError, KeyError, TypeError, ValueError):
        return None, {}


def important(audit: Audit) -> list[Key]:
    """Photos that other sections than the gallery show, the more telling first, each once."""
    found: dict[Key, None] = {
        (problem.example, problem.class_name): None for problem in audit.problems if problem.example
    }
    for depth in range(8):
        for model in audit.models:
            for row in model.classes:
                ranked = [row.context.most, row.context.least] if row.context else []
                ranked += [cluster.exemplars for cluster in row.strategies.clusters] if row.strategies else []
                found.update({(images[depth], row.name): None for images in ranked if depth < len(images)})
    return list(found)


class Builder:
    """Takes photos and heatmaps into a page's data, each once, and counts their bytes."""

    def __init__(self, sources: Sources, detail: Detail, zero: Zero) -> None:
        self.sources, self.detail, self.zero = sources, detail, zero
        self.bytes = 0
        self._places: dict[str, int] = {}
        self._photos: list[dict[str, Any]] = []
        self._entries: list[dict[str, Any]] = []

    def add(self, key: Key) -> None:
        """Take in what the models explained of one class of one photo."""
        image = key[0]
        if image not in self._places:
            self._places[image] = len(self._photos)
            self._photos.append(self._photo(key))
        models = [self._explained(position, item) for position, item in enumerate(self.sources.seen[key])]
        self._entries.append(
            {
                "photo": self._places[image],
                "class": self.sources.audit.classes.index(key[1]),
                "shown": shown(self.sources.seen[key]),
                "models": models,
            }
        )

    def data(self) -> dict[str, Any]:
        """What the page's script reads."""
        return {
            "classes": list(self.sources.audit.classes),
            "models": [model.name for model in self.sources.audit.models],
            "thresholds": [
                [_plain(_threshold(model, name)) for name in self.sources.audit.classes]
                for model in self.sources.audit.models
            ],
            "photos": self._photos,
            "entries": self._entries,
        }

    def _photo(self, key: Key) -> dict[str, Any]:
        photo, classes = self.sources.photos[key[0]], self.sources.audit.classes
        pairs = zip(self.sources.surveys, self.sources.seen[key], strict=True)
        survey = next(survey for survey, seen in pairs if survey is not None and seen is not None)
        return {
            "id": photo.id,
            "width": photo.width,
            "height": photo.height,
            "boxes": [
                [classes.index(box.class_name), box.left, box.top, box.right, box.bottom]
                for box in photo.boxes
                if box.class_name in classes
            ],
            "picture": self._counted(lambda: photo_base64(survey.thumbnail(photo.id), self.detail)),
        }

    def _explained(self, position: int, seen: Seen | None) -> dict[str, Any] | None:
        survey = self.sources.surveys[position]
        if survey is None or seen is None:
            return None
        model = self.sources.audit.models[position]
        row = model.by_name(seen.class_name)
        zero = _threshold(model, seen.class_name) if self.zero == "threshold" else 0.0
        ratios = row.context.ratios if row is not None and row.context is not None else {}
        return {
            "score": _plain(seen.score),
            "predicted": seen.predicted,
            "ratio": _plain(ratios.get(seen.image)),
            "cluster": self.sources.clusters[position].get((seen.image, seen.class_name)),
            "map": self._counted(
                lambda: heatmap_base64(
                    shifted(survey.heatmap(seen.image, seen.class_name), zero, seen.score), self.detail
                )
            ),
        }

    def _counted(self, draw: Callable[[], str]) -> str:
        """A picture as text; empty, which the page says in words, where its array is missing or damaged."""
        try:
            text = draw()
        except (PfungstError, KeyError, OSError, ValueError, DecompressionBombError):
            return ""
        self.bytes += len(text)
        return text


def shifted(relevance: NDArray[np.floating[Any]], threshold: float, score: float) -> NDArray[np.float64]:
    """Relevance of f(x) − threshold: every cell bears the same part of the threshold.

    With relevance ``R_c`` of f(x) over n cells, ``R_c − s t / n``, where s is the share of f(x) that they
    hold: the sum is s (f(x) − t), positive exactly where the class is predicted.
    """
    values = np.asarray(relevance, dtype=np.float64)
    if not isfinite(threshold):
        return values
    return values - threshold * share_of_threshold(float(values.sum()), score) / values.size


def page_data(
    sources: Sources,
    keys: Sequence[Key],
    detail: Detail = FULL,
    max_bytes: int = MAX_BYTES,
    zero: Zero = "threshold",
) -> tuple[dict[str, Any], Sequence[Key]]:
    """Plain content for a page's script, and the keys that it has no room for; at least one is taken in."""
    builder = Builder(sources, detail, zero)
    for position, key in enumerate(keys):
        if builder.bytes > max_bytes - _LARGEST and position:
            return builder.data(), keys[position:]
        builder.add(key)
    return builder.data(), ()


def _clusters(model: ModelAudit) -> dict[Key, int]:
    return {
        (point.image, row.name): point.cluster
        for row in model.classes
        if row.strategies is not None
        for point in row.strategies.points
    }


def _threshold(model: ModelAudit, class_name: str) -> float:
    row = model.by_name(class_name)
    return row.threshold if row is not None else 0.0


def _plain(value: float | None) -> float | None:
    return round(value, 4) if value is not None and isfinite(value) else None
