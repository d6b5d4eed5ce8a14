"""Proof by editing: take a suspect out, put it in elsewhere, and do the same with a control beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.proof.views import ENOUGH, Views, seen_share, view_of
from pfungst.audits.artefacts.suspects import Carrier, Edits, Occurrence, Stamp, Suspect
from pfungst.audits.survey.kept import KeptPhotos
from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Looking
from pfungst.errors import about_photo
from pfungst.evaluation.orders import generator_for
from pfungst.images.dataset import Record
from pfungst.images.rectangles import mask_of
from pfungst.runs.recorded import Finished


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A photo with the suspects to take out, each where it lies, and those to put in; by position."""

    record: Record
    removals: tuple[tuple[int, Occurrence], ...] = ()
    insertions: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Attempt:
    """One suspect's edits of one photo and their control (empty where there is no room for one).

    ``seen`` is the share of what is edited that lies within the model's view.
    """

    position: int
    kind: str
    edits: Edits
    control: Edits
    seen: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class TryEdits:
    """A picklable task: the edits of one photo and its scores before and after each.

    Attributes
    ----------
    classifier : Looking
    suspects : sequence of Suspect
    stamps : mapping of int to Stamp
        By position of the suspect.
    kept : KeptPhotos
    random_state : int
        Seed of control places and of places of insertion.
    """

    classifier: Looking
    suspects: Sequence[Suspect]
    stamps: Mapping[int, Stamp]
    kept: KeptPhotos
    random_state: int

    def __call__(self, trial: Trial) -> Finished:
        """Edit and score one photo."""
        image = self.kept.whole(trial.record)
        attempts = self.attempts(trial, image)
        with about_photo(trial.record.path):
            scores = self._scores(image, attempts)
        rows = [
            {
                "suspect": item.position,
                "edit": item.kind,
                "before": before,
                "after": after,
                "control": None if np.isnan(control) else control,
                "seen": item.seen,
            }
            for item, (before, after, control) in zip(attempts, scores, strict=True)
            if not np.isnan(after)
        ]
        return Finished(record={"image": trial.record.id, "edits": rows})

    def attempts(self, trial: Trial, image: ImageArray) -> list[Attempt]:
        """The edits of a photo; the same at every call."""
        view = view_of(self.classifier.look([image]))
        found = [self._removal(trial.record, image, view, *removal) for removal in trial.removals]
        for position in trial.insertions:
            suspect, stamp = self.suspects[position], self.stamps[position]
            pasted = inserted(stamp, suspect, trial.record, image, self.random_state)
            if pasted is not None:
                seen = seen_share(pasted[0], view)
                found.append(Attempt(position, "insertion", pasted[0], pasted[1], seen))
        return found

    def _removal(
        self,
        record: Record,
        image: ImageArray,
        view: NDArray[np.bool_],
        position: int,
        found: Occurrence,
    ) -> Attempt:
        """Its control lies within the view: one that the model does not see would do nothing."""
        suspect = self.suspects[position]
        carrier = carrier_of(record, image, suspect.class_name, found)
        edits = suspect.removal(image, found)
        return Attempt(
            position=position,
            kind="removal",
            edits=edits,
            control=suspect.control(carrier._replace(on_object=carrier.on_object | ~view), self.random_state),
            seen=seen_share(edits, view),
        )

    def _scores(self, image: ImageArray, attempts: Sequence[Attempt]) -> list[NDArray[np.float64]]:
        """Before, after and control of each attempt, for the suspect's class."""
        look = self.classifier.look([image])
        before = look.scores[0]
        variants = [edits for item in attempts for edits in (item.edits, item.control) if edits]
        after = iter(look.after([[[edits] for edits in variants]])[0])
        nothing = np.full((1, len(before)), np.nan)
        rows = []
        for item in attempts:
            column = self.classifier.classes.index(self.suspects[item.position].class_name)
            edited, control = (next(after) if edits else nothing for edits in (item.edits, item.control))
            rows.append(np.array([before[column], edited[0, column], control[0, column]]))
        return rows


def inserted(
    stamp: Stamp, suspect: Suspect, record: Record, image: ImageArray, random_state: int
) -> tuple[Edits, Edits] | None:
    """Edits that put a suspect into a photo, and the control; their place depends on its size alone."""
    return stamp.pasted(image, generator_for(random_state, record.id, suspect.id, "insertion"))


def insertable(
    stamp: Stamp,
    suspect: Suspect,
    free: Sequence[tuple[Record, tuple[int, int]]],
    views: Views,
    config: ArtefactConfig,
) -> list[str]:
    """A sample of photos, each with its size, into which a suspect goes so that the model sees it."""
    chosen: list[str] = []
    generator = generator_for(config.random_state, suspect.id, "insertion")
    for index in generator.permutation(len(free)):
        record, size = free[index]
        blank = np.zeros((*size, 3), dtype=np.uint8)
        pasted = inserted(stamp, suspect, record, blank, config.random_state)
        if pasted is not None and seen_share(pasted[0], views.of(size)) >= ENOUGH:
            chosen.append(record.id)
        if len(chosen) == config.insertions:
            break
    return sorted(chosen)


def carrier_of(record: Record, image: ImageArray, class_name: str, found: Occurrence) -> Carrier:
    """A photo in which a suspect was found."""
    return Carrier(found, image, mask_of(record.known_boxes_of(class_name), *image.shape[:2]))


def edit_rows(records: Sequence[Mapping[str, Any]], position: int, kind: str) -> list[dict[str, Any]]:
    """What became of one suspect's edits, photo by photo."""
    return [
        {**row, "image": record["image"]}
        for record in records
        for row in record["edits"]
        if row["suspect"] == position and row["edit"] == kind
    ]
