"""How much of the positive relevance lies on the planted tag, and outside the objects' boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import Classifier
from pfungst.images import Box, DataSet, Record, box_mask, decode
from pfungst.images.scenes import SceneNotes
from pfungst.progress import Progress, silent
from pfungst.runs.executor import map_items


@dataclass(frozen=True, kw_only=True)
class FlawShares:
    """Mean shares of positive relevance over test photos that show the class, each with its area's share.

    Attributes
    ----------
    tag, tag_area : float
        On the planted tag (in the clean twin: where it would be), for photos of the tagged class with it.
    tag_photos : int
        How many photos that is.
    tag_outside, tag_outside_area : float
        Outside the tagged class's boxes, over all its photos.
    background_outside, background_outside_area : float
        Outside the boxes of the class with the planted background.
    background_photos : int
        How many photos that is.
    """

    tag: float
    tag_area: float
    tag_photos: int
    tag_outside: float
    tag_outside_area: float
    background_outside: float
    background_outside_area: float
    background_photos: int

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _ShareTask:
    """Shares of one photo: on a rectangle (NaN without one) and outside the class's boxes."""

    classifier: Classifier
    class_name: str
    places: Mapping[str, tuple[int, int, int, int]]
    options: Mapping[str, Any]

    def __call__(self, record: Record) -> NDArray[np.float64]:
        explanation = self.classifier.explain(
            decode(record.path), self.class_name, image_id=record.id, **self.options
        )
        positive = np.maximum(explanation.relevance, 0.0)
        outside = ~box_mask(record.boxes_of(self.class_name), *positive.shape)
        place = self.places.get(record.id)
        on_tag, tag_area = float("nan"), float("nan")
        if place is not None:
            tag = box_mask((_box(self.class_name, place),), *positive.shape)
            on_tag, tag_area = _share(positive, tag), float(tag.mean())
        return np.array([on_tag, tag_area, _share(positive, outside), outside.mean()])


def measure_shares(
    classifier: Classifier,
    dataset: DataSet,
    notes: SceneNotes,
    options: Mapping[str, Any],
    *,
    workers: int = 1,
    progress: Progress = silent,
) -> FlawShares:
    """Explain every photo that shows one of the two flawed classes and measure where the relevance lies."""
    tagged = _table(classifier, dataset, notes.tag.class_name, notes.tag.boxes, options, workers, progress)
    placed = _table(classifier, dataset, notes.background.class_name, {}, options, workers, progress)
    return FlawShares(
        tag=_mean(tagged[:, 0]),
        tag_area=_mean(tagged[:, 1]),
        tag_photos=int(np.isfinite(tagged[:, 1]).sum()),
        tag_outside=_mean(tagged[:, 2]),
        tag_outside_area=_mean(tagged[:, 3]),
        background_outside=_mean(placed[:, 2]),
        background_outside_area=_mean(placed[:, 3]),
        background_photos=len(placed),
    )


def _table(  # noqa: PLR0917 - private, one caller
    classifier: Classifier,
    dataset: DataSet,
    class_name: str,
    places: Mapping[str, tuple[int, int, int, int]],
    options: Mapping[str, Any],
    workers: int,
    progress: Progress,
) -> NDArray[np.float64]:
    records: Sequence[Record] = [record for record in dataset if record.label(class_name) > 0]
    task = _ShareTask(classifier=classifier, class_name=class_name, places=dict(places), options=options)
    outcomes = map_items(task, records, workers=workers, progress=progress, stage=f"heatmaps {class_name}")
    rows = [outcome.unwrap() for outcome in outcomes]
    return np.array(rows).reshape(-1, 4)


def _box(class_name: str, place: tuple[int, int, int, int]) -> Box:
    left, top, right, bottom = place
    return Box(class_name=class_name, left=left, top=top, right=right, bottom=bottom)


def _share(positive: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Share of positive relevance within the mask; NaN where there is no positive relevance."""
    total = positive.sum()
    return float(positive[mask].sum() / total) if total > 0 else float("nan")


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
