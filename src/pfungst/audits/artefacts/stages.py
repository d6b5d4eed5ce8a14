"""The stages of a search, each a run of its own: what is looked at, looked up, edited and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pfungst import __version__
from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.detectors import chosen_detectors
from pfungst.audits.artefacts.proof.judging import Findings, Scale, judged
from pfungst.audits.artefacts.proof.pictures import Album, save_crop, save_stamp
from pfungst.audits.artefacts.proof.proving import Trial, TryEdits, carrier_of, edit_rows, insertable
from pfungst.audits.artefacts.proof.views import Views
from pfungst.audits.artefacts.reporting import Searched
from pfungst.audits.artefacts.search.proposals import Blob, find_blobs
from pfungst.audits.artefacts.suspects import Carrier, Occurrence, Stamp, Suspect
from pfungst.audits.artefacts.tasks import (
    ClassSearch,
    FindSuspects,
    Photo,
    PlaceSuspects,
    Wanted,
    occurrence,
    restored_suspects,
)
from pfungst.audits.schema import Artefact
from pfungst.audits.survey import Survey
from pfungst.contract.look import Looking
from pfungst.errors import Failure
from pfungst.evaluation.orders import generator_for
from pfungst.images.dataset import NEGATIVE, POSITIVE, Record
from pfungst.images.rectangles import mask_of
from pfungst.progress import Progress
from pfungst.runs.executor import Workers
from pfungst.runs.identity import data_identity
from pfungst.runs.recorded import Run, run_items

_BLOB = 4 / 3
_CARRIERS_FOR_STAMP = 16


@dataclass(frozen=True, kw_only=True)
class Carriers:
    """The photos of the class that carry a suspect, and the photos without the class that were looked at."""

    shown: list[Occurrence] = field(default_factory=list)
    others: list[Occurrence] = field(default_factory=list)
    free: list[str] = field(default_factory=list)

    @property
    def elsewhere(self) -> tuple[int, int]:
        """Photos without the class that carry it, and how many were looked at."""
        return len(self.others), len(self.others) + len(self.free)


class Search:
    """The stages, each a run of its own."""

    def __init__(  # noqa: PLR0917 - private, one caller
        self,
        classifier: Looking,
        survey: Survey,
        config: ArtefactConfig,
        identity: Mapping[str, Any] | None,
        out: str | Path | None,
        workers: Workers,
        progress: Progress,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.classifier, self.survey, self.config = classifier, survey, config
        self.detectors, self.kept = chosen_detectors(config.detectors), survey.kept
        self.identity, self.out = dict(identity or {}), None if out is None else Path(out)
        self.workers, self.progress = workers, progress
        usable = set(survey.ids)
        self.records = {record.id: record for record in survey.data if record.id in usable}
        self.more = dict(more or {})
        self.failures: list[Failure] = []
        self.views: Views | None = None
        self.mined_counts: dict[str, tuple[int, int]] = {}

    # what is looked at

    def shown(self, name: str) -> list[Record]:
        """Photos of the class."""
        return [record for record in self.records.values() if record.label(name) == POSITIVE]

    def others(self, name: str) -> list[Record]:
        """Photos without the class; a seeded sample if there are many."""
        rest = [record for record in self.records.values() if record.label(name) == NEGATIVE]
        return self._sample(rest, 2 * self.config.max_photos, name, "others")

    def searched(self, name: str) -> Searched:
        """How many photos were mined for marks of a class, and looked at for each."""
        return Searched(*self.mined_counts[name], len(self.shown(name)), len(self.others(name)))

    def _sample(self, records: Sequence[Any], count: int, *parts: str) -> list[Any]:
        if len(records) <= count:
            return list(records)
        generator = generator_for(self.config.random_state, *parts)
        return [records[index] for index in np.sort(generator.choice(len(records), count, replace=False))]

    def _photo(self, record: Record, blobs: Sequence[Blob] = ()) -> Photo:
        return Photo(record=record, size=self.survey.size(record.id), blobs=tuple(blobs))

    @property
    def scale(self) -> float:
        """Working pixels in one of the photos'."""
        sides = [max(self.survey.size(image)) for image in self.records]
        return min(1.0, self.config.working_side / float(np.median(sides))) if sides else 1.0

    # the stages

    def mined(self, names: Sequence[str]) -> list[Suspect]:
        """The suspects of some classes."""
        scale = self.scale
        items = [self._class_search(name, scale) for name in names]
        self.mined_counts = {item.class_name: (len(item.shown), len(item.others)) for item in items}
        items = [item for item in items if len(item.shown) >= self.config.min_photos]
        task = FindSuspects(detectors=self.detectors, config=self.config, kept=self.kept, scale=scale)
        run = self._run("search", task, items, [item.class_name for item in items], {"scale": scale})
        return [
            suspect
            for row in run.records()
            for suspect in restored_suspects(row, run.arrays(row["image"]), self.detectors)
        ]

    def _class_search(self, name: str, scale: float) -> ClassSearch:
        explained: dict[str, list[str]] = {}
        for seen in self.survey.seen(label=POSITIVE):
            explained.setdefault(seen.image, []).append(seen.class_name)
        candidates = [record for record in self.shown(name) if name in explained.get(record.id, ())]
        shown = self._sample(candidates, self.config.max_photos, name, "shown")
        others = self._sample(self.others(name), self.config.max_photos, name, "compared")
        return ClassSearch(
            class_name=name,
            shown=tuple(self._photo(record, self._blobs(record, [name], scale)) for record in shown),
            others=tuple(
                self._photo(record, self._blobs(record, explained.get(record.id, ()), scale))
                for record in others
            ),
        )

    def _blobs(self, record: Record, names: Sequence[str], scale: float) -> list[Blob]:
        """Dense relevance of some classes, the first ones' first."""
        count = self.config.blobs_per_photo
        found: list[Blob] = []
        for name in names:
            found += find_blobs(
                record.id,
                self.survey.heatmap(record.id, name),
                record.known_boxes_of(name),
                self.survey.size(record.id),
                scale,
                side=round(_BLOB * self.config.window),
                count=count,
            )
        return found[:count]

    def looked_up(self, suspects: Sequence[Suspect]) -> list[Carriers]:
        """Which photos carry each suspect."""
        wanted: dict[str, list[int]] = {}
        for position, suspect in enumerate(suspects):
            for record in (*self.shown(suspect.class_name), *self.others(suspect.class_name)):
                wanted.setdefault(record.id, []).append(position)
        items = [
            Wanted(photo=self._photo(self.records[key]), suspects=tuple(wanted[key]))
            for key in self.records
            if key in wanted
        ]
        task = PlaceSuspects(suspects=tuple(suspects), kept=self.kept)
        run = self._run("carriers", task, items, [item.photo.record.id for item in items])
        found = [Carriers() for _ in suspects]
        for photo in run.records():
            for row in photo["found"]:
                self._file(found[row["suspect"]], suspects[row["suspect"]], occurrence(photo["image"], row))
        return found

    def _file(self, carriers: Carriers, suspect: Suspect, item: Occurrence) -> None:
        shown = self.records[item.image].label(suspect.class_name) == POSITIVE
        if item.similarity > suspect.level:
            (carriers.shown if shown else carriers.others).append(item)
        elif not shown:
            carriers.free.append(item.image)

    def grown(
        self, suspects: Sequence[Suspect], carriers: Sequence[Carriers]
    ) -> tuple[list[Suspect], list[Carriers]]:
        """Suspects as far as they reach, and likewise where photos of the class carry them."""
        made: list[tuple[Suspect, Carriers]] = []
        for suspect, found in zip(suspects, carriers, strict=True):
            if len(found.shown) < self.config.min_photos:
                made.append((suspect, found))
                continue
            wider = suspect.grown(self._clearest(suspect, found.shown), 2 * self.config.largest)
            shown = [wider.whole(item, self.survey.size(item.image)) for item in found.shown]
            made.append((wider, replace(found, shown=shown)))
        return [suspect for suspect, _ in made], [found for _, found in made]

    def tried(
        self, suspects: Sequence[Suspect], carriers: Sequence[Carriers]
    ) -> tuple[TryEdits, dict[str, Trial], Run]:
        """Suspects taken out of photos and put into others: the task, what is tried by photo, the run."""
        stamps: dict[int, Stamp] = {}
        removals: dict[str, list[tuple[int, Occurrence]]] = {}
        insertions: dict[str, list[int]] = {}
        for position, (suspect, found) in enumerate(zip(suspects, carriers, strict=True)):
            if len(found.shown) < self.config.min_photos and not suspect.given:
                continue
            removable = [item for item in found.shown if self._is_removable(suspect, item)]
            clearest = self._clearest(suspect, removable or found.shown)
            stamps[position] = suspect.stamp(clearest, self.config.random_state)
            for item in self._sample(removable, self.config.max_photos, suspect.id, "removal"):
                removals.setdefault(item.image, []).append((position, item))
            for image in self._to_insert_into(suspect, stamps[position], found):
                insertions.setdefault(image, []).append(position)
        task = TryEdits(
            classifier=self.classifier,
            suspects=tuple(suspects),
            stamps=stamps,
            kept=self.kept,
            random_state=self.config.random_state,
        )
        trials = {
            key: Trial(
                record=record,
                removals=tuple(removals.get(key, ())),
                insertions=tuple(insertions.get(key, ())),
            )
            for key, record in self.records.items()
            if key in removals or key in insertions
        }
        return task, trials, self._run("edits", task, list(trials.values()), list(trials))

    def _to_insert_into(self, suspect: Suspect, stamp: Stamp, found: Carriers) -> list[str]:
        """A sample of the photos without the class and without it in which the model would see it."""
        if self.views is None:
            self.views = Views(self.classifier, self.kept.whole(next(iter(self.records.values()))))
        free = [(self.records[image], self.survey.size(image)) for image in found.free]
        return insertable(stamp, suspect, free, self.views, self.config)

    def _is_removable(self, suspect: Suspect, item: Occurrence) -> bool:
        boxes = self.records[item.image].known_boxes_of(suspect.class_name)
        return suspect.is_removable(item, mask_of(boxes, *self.survey.size(item.image)))

    def _clearest(self, suspect: Suspect, found: Sequence[Occurrence]) -> list[Carrier]:
        """The photos that show it best."""
        like = sorted(found, key=lambda item: (-item.similarity, item.image))[:_CARRIERS_FOR_STAMP]
        records = [self.records[item.image] for item in like]
        return [
            carrier_of(record, self.kept.whole(record), suspect.class_name, item)
            for record, item in zip(records, like, strict=True)
        ]

    def judged(self, suspect: Suspect, records: Sequence[Mapping[str, Any]], position: int) -> Findings:
        """What the edits of a suspect showed."""
        column = self.survey.classes.index(suspect.class_name)
        return judged(
            edit_rows(records, position, "removal"),
            edit_rows(records, position, "insertion"),
            Scale.of(
                self.survey.scores()[:, column],
                self.survey.labels()[:, column],
                self.survey.thresholds[suspect.class_name],
            ),
            self.config,
            remains=suspect.remains,
        )

    def pictured(self, artefact: Artefact, album: Album) -> Artefact:
        """With its pictures written."""
        stamp = album.task.stamps[album.position]
        record = self.records.get(stamp.image) or next(iter(self.records.values()))
        image, seed = self.kept.whole(record), self.config.random_state
        size = image.shape[0], image.shape[1]
        drawn = save_stamp(album.folder, album.name, stamp, size, random_state=seed)
        shown = save_crop(album.folder, album.name, image, stamp.regions) if stamp.image else drawn
        return replace(artefact, crop=shown, stamp=drawn, pairs=album.pairs(self.config.pairs))

    def _run(
        self,
        stage: str,
        task: Any,
        items: Sequence[Any],
        keys: Sequence[str],
        more: Mapping[str, Any] | None = None,
    ) -> Run:
        settings = asdict(self.config) | {"detectors": [detector.name for detector in self.detectors]}
        run = run_items(
            task,
            items,
            keys=keys,
            configuration={
                "version": __version__,
                "stage": stage,
                "artefacts": settings,
                "data": data_identity(self.survey.data),
                "model": self.identity,
                **self.more,
                **(more or {}),
            },
            out=None if self.out is None else self.out / stage,
            workers=self.workers,
            progress=self.progress,
            stage=f"artefacts: {stage}",
        )
        self.failures += run.failures
        return run
