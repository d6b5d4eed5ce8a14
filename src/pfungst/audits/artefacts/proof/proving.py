"""Proof by editing: take a suspect out, put it in elsewhere, and do the same with a control beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.suspects import Carrier, Edits, Occurrence, Stamp, Suspect
from pfungst.audits.survey.kept import KeptPhotos
from pfungst.contract.classifier import ImageArray
from pfungst.contract.look import Look, Looking
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


@dataclass(frozen=True, kw_only=True, eq=False)
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
            suspect = self.suspects[position]
            generator = generator_for(self.random_state, trial.record.id, suspect.id, "insertion")
            pasted = self.stamps[position].pasted(image, generator)
            if pasted is not None:
                found.append(
                    Attempt(
                        position=position,
                        kind="insertion",
                        edits=pasted[0],
                        control=pasted[1],
                        seen=seen_share(pasted[0], view),
                    )
                )
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


def view_of(look: Look) -> NDArray[np.bool_]:
    """What of the first photo the model sees, ``(height, width)``.

    What its picture is made of; all of the photo where scores look at more than the picture.
    """
    photo, picture = look.images[0], look.pictures[0]
    if picture.shape == photo.shape or not np.array_equal(look.scores[0], look.picture_scores[0]):
        return np.ones(photo.shape[:2], dtype=bool)
    return np.asarray(look.on_photo(np.ones(picture.shape[:2]))) > 0


def seen_share(edits: Edits, view: NDArray[np.bool_]) -> float:
    """Share of the edited pixels that lie in a view; 0 of nothing."""
    touched = np.zeros(view.shape, dtype=bool)
    for edit in edits:
        height, width = edit.pixels.shape[:2]
        touched[edit.top : edit.top + height, edit.left : edit.left + width] = True
    return float(view[touched].mean()) if touched.any() else 0.0


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
