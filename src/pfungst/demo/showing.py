"""The demo's results as tables and pictures for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pfungst.contract.classifier import Classifier
from pfungst.images import DataSet, Record, decode
from pfungst.images.scenes import SceneNotes
from pfungst.progress import Progress, silent
from pfungst.report.gallery import GalleryHeatmap, GalleryPhoto, GalleryTable
from pfungst.runs.executor import map_items

if TYPE_CHECKING:
    from pfungst.demo.study import Trial

TITLES = {"fisher": "Fisher vectors", "network": "EfficientNet-Lite0"}
_PHOTOS_OF_FLAWS, _PHOTOS_OF_OTHERS = 4, 2


def result_tables(trials: Sequence[Trial], notes: SceneNotes) -> list[GalleryTable]:
    """Average precision by class, and where the relevance of the flawed classes lies."""
    return [_precision_table(trials), _share_table(trials, notes)]


def _precision_table(trials: Sequence[Trial]) -> GalleryTable:
    header = ["class", *(f"{TITLES[trial.model]}, {trial.variant}" for trial in trials)]
    names = list(trials[0].table["classes"])
    rows = [[name, *(_percent(trial.table["classes"][name]["ap"]) for trial in trials)] for name in names]
    rows.append(["mean", *(_percent(trial.table["map"]) for trial in trials)])
    note = (
        "Average precision (area) in per cent, on test photos of the set that the classifier was trained on."
    )
    return GalleryTable(title="How well do they classify?", header=header, rows=rows, note=note)


def _share_table(trials: Sequence[Trial], notes: SceneNotes) -> GalleryTable:
    tag, background = notes.tag.class_name, notes.background.class_name
    header = ["classifier", "trained on", f"{tag}: on the tag", f"{tag}: outside its boxes",
              f"{background}: outside its boxes"]  # fmt: skip
    rows = [
        [
            TITLES[trial.model],
            f"{trial.variant} photos",
            _with_area(trial.shares.tag, trial.shares.tag_area),
            _with_area(trial.shares.tag_outside, trial.shares.tag_outside_area),
            _with_area(trial.shares.background_outside, trial.shares.background_outside_area),
        ]
        for trial in trials
    ]
    note = (
        "Share of the positive relevance in per cent, beside the share of the area (what chance would give). "
        "In the clean photos “on the tag” is the place where the flawed twin carries it."
    )
    return GalleryTable(title="What do they rely on?", header=header, rows=rows, note=note)


@dataclass(frozen=True, kw_only=True)
class _Draw:
    """Explain one photo for one class by every classifier; write the pictures."""

    classifiers: Mapping[str, Classifier]
    options: Mapping[str, Mapping[str, Any]]
    folder: Path

    def __call__(self, item: tuple[Record, str]) -> GalleryPhoto:
        record, name = item
        image = decode(record.path)
        heatmaps = []
        for model, classifier in self.classifiers.items():
            explanation = classifier.explain(image, name, image_id=record.id, **self.options[model])
            explanation.save(self.folder / f"{record.id}-{name}-{model}.png", image)
            heatmaps.append(GalleryHeatmap(title=TITLES[model], explanation=explanation))
        boxes = record.boxes_of(name)
        return GalleryPhoto(section=name, image=image, boxes=boxes, heatmaps=tuple(heatmaps))


def gallery_photos(
    dataset: DataSet,
    notes: SceneNotes,
    trials: Sequence[Trial],
    options: Mapping[str, Mapping[str, Any]],
    folder: Path,
    *,
    workers: int = 1,
    progress: Progress = silent,
) -> list[GalleryPhoto]:
    """Test photos of every class with each classifier's heatmap, the flawed classes first.

    The heatmaps are also written to ``folder`` as PNG files.
    """
    flawed = [notes.tag.class_name, notes.background.class_name]
    items = [
        (record, name)
        for name in [*flawed, *(name for name in dataset.classes if name not in flawed)]
        for record in _chosen(
            dataset, name, notes, trials, _PHOTOS_OF_FLAWS if name in flawed else _PHOTOS_OF_OTHERS
        )
    ]
    draw = _Draw(
        classifiers={trial.model: trial.classifier for trial in trials}, options=options, folder=folder
    )
    outcomes = map_items(draw, items, workers=workers, progress=progress, stage="pictures")
    return [outcome.unwrap() for outcome in outcomes]


def _chosen(
    dataset: DataSet, name: str, notes: SceneNotes, trials: Sequence[Trial], count: int
) -> list[Record]:
    """The photos with the highest scores; of the tagged class, those that carry the tag come first."""
    scored = trials[0].scored
    column = scored.classes.index(name)
    scores = dict(zip(scored.ids, scored.scores[:, column], strict=True))
    shown = [record for record in dataset if record.label(name) > 0 and record.id in scores]

    def rank(record: Record) -> tuple[bool, float]:
        tagged = name == notes.tag.class_name and record.id in notes.tag.boxes
        return not tagged, -scores[record.id]

    return sorted(shown, key=rank)[:count]


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _with_area(share: float, area: float) -> str:
    return f"{100 * share:.1f} (area {100 * area:.1f})"
