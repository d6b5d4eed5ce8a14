"""The whole search: relevance proposes, recurrence selects, edits prove."""

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
from pfungst.audits.artefacts.reporting import Searched, artefact_of, note_of, rank
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
from pfungst.contract.classifier import Classifier
from pfungst.contract.look import Looking, looking
from pfungst.errors import Failure
from pfungst.evaluation.orders import generator_for
from pfungst.files import safe_name
from pfungst.images.dataset import NEGATIVE, POSITIVE, Record
from pfungst.images.rectangles import mask_of
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.identity import data_identity
from pfungst.runs.recorded import Run, run_items

_BLOB = 4 / 3
_CARRIERS_FOR_STAMP = 16


@dataclass(frozen=True, kw_only=True)
class Artefacts:
    """What was found in all classes of one model.

    Attributes
    ----------
    by_class : dict of str to tuple of Artefact
        Most suspicious first: proved ones, and those that recur most clearly. Empty where nothing recurs.
    notes : dict of str to str
        What was searched, in words, "no artefact found" among it.
    failures : tuple of Failure
        Photos that could not be used, and why.
    """

    by_class: Mapping[str, tuple[Artefact, ...]]
    notes: Mapping[str, str]
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Carriers:
    """The photos of the class that carry a suspect, and the photos without the class that were looked at."""

    shown: list[Occurrence] = field(default_factory=list)
    others: list[Occurrence] = field(default_factory=list)
    free: list[str] = field(default_factory=list)

    @property
    def elsewhere(self) -> tuple[int, int]:
        """Photos without the class that carry it, and how many were looked at."""
        return len(self.others), len(self.others) + len(self.free)


def find_artefacts(
    classifier: Classifier,
    survey: Survey,
    config: ArtefactConfig | None = None,
    *,
    classes: Sequence[str] | None = None,
    identity: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    pictures: str | Path | None = None,
    prefix: str = "artefact",
    workers: Workers = 1,
    progress: Progress = silent,
) -> Artefacts:
    """Search the photos of each class for marks that recur, and test what they do to the score.

    Parameters
    ----------
    classifier : Classifier
    survey : Survey
        Its pass over the same photos.
    config : ArtefactConfig, optional
    classes : sequence of str, optional
        Default: all of the survey.
    identity : mapping, optional
        What tells this model from another, compared when a run is taken up again.
    out : path, optional
        Folder of the records, to go on after an interrupt.
    pictures : path, optional
        Folder that gets ``pictures/`` with crops and photos before and after; none are made without it.
    prefix : str
        Start of the pictures' names.
    workers, progress
        As everywhere; the numbers do not depend on the number of workers.
    """
    config = config or ArtefactConfig()
    search = _Search(looking(classifier), survey, config, identity, out, workers, progress)
    names = tuple(classes or survey.classes)
    suspects = search.mined(names)
    suspects, carriers = search.grown(suspects, search.looked_up(suspects))
    task, trials, run = search.tried(suspects, carriers)
    records = run.records()
    found: dict[str, list[Artefact]] = {name: [] for name in names}
    for position, suspect in enumerate(suspects):
        if position not in task.stamps:
            continue
        result = search.judged(suspect, records, position)
        artefact = artefact_of(
            suspect,
            result,
            carriers[position].shown,
            survey=survey,
            n_shown=len(search.shown(suspect.class_name)),
            elsewhere=carriers[position].elsewhere,
        )
        if pictures is not None:
            album = Album(
                folder=Path(pictures),
                name=safe_name(f"{prefix}-{artefact.id}"),
                task=task,
                trials=trials,
                records=records,
                position=position,
            )
            artefact = search.pictured(artefact, album)
        found[suspect.class_name].append(artefact)
    ranked = {name: tuple(sorted(items, key=rank)) for name, items in found.items()}
    return Artefacts(
        by_class=ranked,
        notes={name: note_of(items, search.searched(name)) for name, items in ranked.items()},
        failures=tuple(search.failures),
    )


class _Search:
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
    ) -> None:
        self.classifier, self.survey, self.config = classifier, survey, config
        self.detectors, self.kept = chosen_detectors(config.detectors), survey.kept
        self.identity, self.out = dict(identity or {}), None if out is None else Path(out)
        self.workers, self.progress = workers, progress
        usable = set(survey.ids)
        self.records = {record.id: record for record in survey.data if record.id in usable}
        self.failures: list[Failure] = []
        self.views: Views | None = None
        self.mined_counts: dict[str, tuple[int, int]] = {}

    # what is looked at

    def shown(self, name: str) -> list[Record]:
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

    def looked_up(self, suspects: Sequence[Suspect]) -> list[_Carriers]:
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
        found = [_Carriers() for _ in suspects]
        for photo in run.records():
            for row in photo["found"]:
                self._file(found[row["suspect"]], suspects[row["suspect"]], occurrence(photo["image"], row))
        return found

    def _file(self, carriers: _Carriers, suspect: Suspect, item: Occurrence) -> None:
        shown = self.records[item.image].label(suspect.class_name) == POSITIVE
        if item.similarity > suspect.level:
            (carriers.shown if shown else carriers.others).append(item)
        elif not shown:
            carriers.free.append(item.image)

    def grown(
        self, suspects: Sequence[Suspect], carriers: Sequence[_Carriers]
    ) -> tuple[list[Suspect], list[_Carriers]]:
        """Suspects as far as they reach, and likewise where photos of the class carry them."""
        made: list[tuple[Suspect, _Carriers]] = []
        for suspect, found in zip(suspects, carriers, strict=True):
            if len(found.shown) < self.config.min_photos:
                made.append((suspect, found))
                continue
            wider = suspect.grown(self._clearest(suspect, found.shown), 2 * self.config.largest)
            shown = [wider.whole(item, self.survey.size(item.image)) for item in found.shown]
            made.append((wider, replace(found, shown=shown)))
        return [suspect for suspect, _ in made], [found for _, found in made]

    def tried(
        self, suspects: Sequence[Suspect], carriers: Sequence[_Carriers]
    ) -> tuple[TryEdits, dict[str, Trial], Run]:
        stamps: dict[int, Stamp] = {}
        removals: dict[str, list[tuple[int, Occurrence]]] = {}
        insertions: dict[str, list[int]] = {}
        for position, (suspect, found) in enumerate(zip(suspects, carriers, strict=True)):
            if len(found.shown) < self.config.min_photos:
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

    def _to_insert_into(self, suspect: Suspect, stamp: Stamp, found: _Carriers) -> list[str]:
        """A sample of the photos without the class and without it in which the model would see it."""
        if self.views is None:
            self.views = Views(self.classifier, self.kept.whole(self.records[found.shown[0].image]))
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
        stamp = album.task.stamps[album.position]
        image = self.kept.whole(self.records[stamp.image])
        crop = save_crop(album.folder, album.name, image, stamp.regions)
        size = image.shape[0], image.shape[1]
        return replace(
            artefact,
            crop=crop,
            stamp=save_stamp(album.folder, album.name, stamp, size, random_state=self.config.random_state),
            pairs=album.pairs(self.config.pairs),
        )

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
                **(more or {}),
            },
            out=None if self.out is None else self.out / stage,
            workers=self.workers,
            progress=self.progress,
            stage=f"artefacts: {stage}",
        )
        self.failures += run.failures
        return run
