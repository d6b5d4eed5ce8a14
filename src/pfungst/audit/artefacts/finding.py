"""The whole search: relevance proposes, recurrence selects, edits prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pfungst import __version__
from pfungst.audit.artefacts.config import ArtefactConfig
from pfungst.audit.artefacts.proof.judging import Findings, judged
from pfungst.audit.artefacts.proof.pictures import Album, save_crop
from pfungst.audit.artefacts.proof.proving import Trial, TryEdits, control_places, edit_rows
from pfungst.audit.artefacts.proof.stamps import BorderStamp, Stamp, lifted
from pfungst.audit.artefacts.reporting import artefact_of, note_of
from pfungst.audit.artefacts.search.mining_task import ClassPhotos, MineClass
from pfungst.audit.artefacts.search.proposals import Blob, find_blobs
from pfungst.audit.artefacts.search.suspects import (
    BorderSuspect,
    FindSuspects,
    Lookup,
    Occurrence,
    Suspect,
    from_record,
    occurrence,
)
from pfungst.audit.schema import Artefact
from pfungst.audit.survey.surveying import Survey
from pfungst.contract.classifier import Classifier
from pfungst.errors import Failure
from pfungst.evaluation.orders import generator_for
from pfungst.files import safe_name
from pfungst.images.dataset import NEGATIVE, POSITIVE, Record
from pfungst.images.decode import decode
from pfungst.images.rectangles import mask_of
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.identity import data_identity
from pfungst.runs.recorded import Run, run_items

_BLOB = 4 / 3
_TOUCHES = 0.1
_CARRIERS_FOR_OPACITY = 16


@dataclass(frozen=True, kw_only=True)
class Artefacts:
    """What was found in all classes of one model.

    Attributes
    ----------
    by_class : dict of str to tuple of Artefact
        Most suspicious first: proved ones, and those that recur most clearly. Empty where nothing recurs.
    notes : dict of str to str
        What was searched, in words, "no artefact found" among it.
    failed : tuple of str
        Photos that could not be used, and why.
    """

    by_class: Mapping[str, tuple[Artefact, ...]]
    notes: Mapping[str, str]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Carriers:
    """The photos of the class that carry a suspect, and the photos without the class that were looked at."""

    shown: list[Occurrence] = field(default_factory=list)
    others: list[Occurrence] = field(default_factory=list)
    free: list[str] = field(default_factory=list)


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
    search = _Search(classifier, survey, config, identity, out, workers, progress)
    names = tuple(classes or survey.classes)
    suspects = search.mined(names)
    carriers = search.looked_up(suspects)
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
            share_elsewhere=_share(carriers[position]),
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
    ranked = {name: tuple(sorted(items, key=_rank)) for name, items in found.items()}
    return Artefacts(
        by_class=ranked,
        notes={
            name: note_of(items, len(search.shown(name)), len(search.others(name)))
            for name, items in ranked.items()
        },
        failed=tuple(f"{key}: {error}" for key, error in search.failures),
    )


def _rank(artefact: Artefact) -> tuple[bool, bool]:
    """Artefacts first, and frames first among the like; equals stay in the order of the search."""
    return artefact.verdict != "artefact", artefact.kind != "border"


def _share(carriers: _Carriers) -> float:
    looked_at = len(carriers.others) + len(carriers.free)
    return len(carriers.others) / looked_at if looked_at else float("nan")


class _Search:
    """The stages, each a run of its own."""

    def __init__(  # noqa: PLR0917 - private, one caller
        self,
        classifier: Classifier,
        survey: Survey,
        config: ArtefactConfig,
        identity: Mapping[str, Any] | None,
        out: str | Path | None,
        workers: Workers,
        progress: Progress,
    ) -> None:
        self.classifier, self.survey, self.config = classifier, survey, config
        self.identity, self.out = dict(identity or {}), None if out is None else Path(out)
        self.workers, self.progress = workers, progress
        self.records = {record.id: record for record in survey.data if record.id in set(survey.ids)}
        self.failures: list[Failure] = []

    # what is looked at

    def shown(self, name: str) -> list[Record]:
        return [record for record in self.records.values() if record.label(name) == POSITIVE]

    def others(self, name: str) -> list[Record]:
        """Photos without the class; a seeded sample if there are many."""
        rest = [record for record in self.records.values() if record.label(name) == NEGATIVE]
        return self._sample(rest, 2 * self.config.max_photos, name, "others")

    def _sample(self, records: Sequence[Any], count: int, *parts: str) -> list[Any]:
        if len(records) <= count:
            return list(records)
        generator = generator_for(self.config.random_state, *parts)
        return [records[index] for index in np.sort(generator.choice(len(records), count, replace=False))]

    @property
    def scale(self) -> float:
        """Working pixels in one of the photos'."""
        sides = [max(self.survey.size(image)) for image in self.records]
        return min(1.0, self.config.working_side / float(np.median(sides))) if sides else 1.0

    # the stages

    def mined(self, names: Sequence[str]) -> list[Suspect]:
        scale = self.scale
        items = [self._class_photos(name, scale) for name in names]
        items = [item for item in items if len(item.shown) >= self.config.min_photos]
        run = self._run(
            "search",
            MineClass(config=self.config, scale=scale),
            items,
            [item.class_name for item in items],
            {"scale": scale},
        )
        suspects = []
        for row in run.records():
            arrays = run.arrays(row["image"])
            suspects += [from_record(numbers, arrays) for numbers in row["suspects"]]
        return suspects

    def _class_photos(self, name: str, scale: float) -> ClassPhotos:
        explained: dict[str, list[str]] = {}
        for seen in self.survey.seen(label=POSITIVE):
            explained.setdefault(seen.image, []).append(seen.class_name)
        shown = self._sample(
            [r for r in self.shown(name) if name in explained.get(r.id, ())],
            self.config.max_photos,
            name,
            "shown",
        )
        others = self._sample(self.others(name), self.config.max_photos, name, "compared")
        count = self.config.blobs_per_photo
        return ClassPhotos(
            class_name=name,
            shown=tuple((record, self._blobs(record, name, scale)) for record in shown),
            others=tuple(
                (
                    record,
                    sum((self._blobs(record, other, scale) for other in explained.get(record.id, ())), ())[
                        :count
                    ],
                )
                for record in others
            ),
        )

    def _blobs(self, record: Record, name: str, scale: float) -> tuple[Blob, ...]:
        return tuple(
            find_blobs(
                record.id,
                self.survey.heatmap(record.id, name),
                record.boxes_of(name),
                self.survey.size(record.id),
                scale,
                side=round(_BLOB * self.config.window),
                count=self.config.blobs_per_photo,
            )
        )

    def looked_up(self, suspects: Sequence[Suspect]) -> list[_Carriers]:
        wanted: dict[str, list[int]] = {}
        for position, suspect in enumerate(suspects):
            for record in (*self.shown(suspect.class_name), *self.others(suspect.class_name)):
                wanted.setdefault(record.id, []).append(position)
        items = [
            Lookup(record=self.records[key], suspects=tuple(wanted[key]))
            for key in self.records
            if key in wanted
        ]
        task = FindSuspects(suspects=tuple(suspects))
        run = self._run("carriers", task, items, [item.record.id for item in items])
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

    def tried(
        self, suspects: Sequence[Suspect], carriers: Sequence[_Carriers]
    ) -> tuple[TryEdits, dict[str, Trial], Run]:
        stamps: dict[int, Stamp | BorderStamp] = {}
        removals: dict[str, list[tuple[int, Any]]] = {}
        insertions: dict[str, list[int]] = {}
        for position, (suspect, found) in enumerate(zip(suspects, carriers, strict=True)):
            if len(found.shown) < self.config.min_photos:
                continue
            free = [item for item in found.shown if self._off_object(suspect, item)]
            stamps[position] = self._stamp(suspect, free or found.shown)
            for item in self._sample(free, self.config.max_photos, suspect.id, "removal"):
                removals.setdefault(item.image, []).append((position, item.regions))
            for image in self._sample(found.free, self.config.insertions, suspect.id, "insertion"):
                insertions.setdefault(image, []).append(position)
        task = TryEdits(
            classifier=self.classifier,
            suspects=tuple(suspects),
            stamps=stamps,
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

    def _off_object(self, suspect: Suspect, item: Occurrence) -> bool:
        """Whether its removal takes nothing of the object away; of a frame, which meets many, it may."""
        if suspect.kind == "border":
            return True
        boxes = self.records[item.image].boxes_of(suspect.class_name)
        inside = mask_of(boxes, *self.survey.size(item.image))
        covered = sum(int(r.crop(inside).sum()) for r in item.regions)
        return covered <= _TOUCHES * item.area

    def _stamp(self, suspect: Suspect, found: Sequence[Occurrence]) -> Stamp | BorderStamp:
        """What is pasted elsewhere, from the photo that shows it best and has room for a control."""
        like = sorted(found, key=lambda item: (-item.similarity, item.image))[:_CARRIERS_FOR_OPACITY]
        if isinstance(suspect, BorderSuspect):
            return BorderStamp(frame=suspect.frame, image=like[0].image, regions=like[0].regions)
        photos = [(decode(self.records[item.image].path), item) for item in like]
        for image, item in photos:
            record = self.records[item.image]
            control = control_places(record, image.shape[:2], suspect, item.regions, self.config.random_state)
            if control:
                return lifted(suspect, image, item, control[0], photos)
        return lifted(suspect, photos[0][0], photos[0][1], None, photos)

    def judged(self, suspect: Suspect, records: Sequence[Mapping[str, Any]], position: int) -> Findings:
        column = self.survey.classes.index(suspect.class_name)
        return judged(
            edit_rows(records, position, "removal"),
            edit_rows(records, position, "insertion"),
            self.survey.thresholds[suspect.class_name],
            float(self.survey.scores()[:, column].std()),
            self.config,
        )

    def pictured(self, artefact: Artefact, album: Album) -> Artefact:
        stamp = album.task.stamps[album.position]
        image = decode(self.records[stamp.image].path)
        crop = save_crop(album.folder, album.name, image, stamp.regions)
        return replace(artefact, crop=crop, pairs=album.pairs(self.config.pairs))

    def _run(
        self,
        stage: str,
        task: Any,
        items: Sequence[Any],
        keys: Sequence[str],
        more: Mapping[str, Any] | None = None,
    ) -> Run:
        run = run_items(
            task,
            items,
            keys=keys,
            files=[self.records[key].path for key in keys] if stage != "search" else None,
            configuration={
                "version": __version__,
                "stage": stage,
                "artefacts": asdict(self.config),
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
