"""Proof by editing: take a suspect out, put it in elsewhere, and do the same with a control beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.audit.artefacts.proof.stamps import BorderStamp, Stamp
from pfungst.audit.artefacts.search.borders import pieces
from pfungst.audit.artefacts.search.suspects import Suspect
from pfungst.audit.editing import removal_edits, scores_after
from pfungst.audit.survey.surroundings import control_regions
from pfungst.contract.classifier import Classifier, ImageArray
from pfungst.contract.perturbation import Edit
from pfungst.errors import about_photo
from pfungst.evaluation.orders import generator_for
from pfungst.images.dataset import Record
from pfungst.images.decode import decode
from pfungst.images.rectangles import Region, mask_of
from pfungst.runs.recorded import Finished

_PAD = 4


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A photo with the suspects to take out, each where it lies, and those to put in; by position."""

    record: Record
    removals: tuple[tuple[int, tuple[Region, ...]], ...] = ()
    insertions: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Edits:
    """One suspect's edits of one photo and their control (empty where there is no room for one)."""

    position: int
    kind: str
    edits: tuple[Edit, ...]
    control: tuple[Edit, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class TryEdits:
    """A picklable task: the edits of one photo and its scores before and after each.

    Attributes
    ----------
    classifier : Classifier
    suspects : sequence of Suspect
    stamps : mapping of int to Stamp or BorderStamp
        By position of the suspect.
    random_state : int
        Seed of control places and of places of insertion.
    """

    classifier: Classifier
    suspects: Sequence[Suspect]
    stamps: Mapping[int, Stamp | BorderStamp]
    random_state: int

    def __call__(self, trial: Trial) -> Finished:
        """Edit and score one photo."""
        image = decode(trial.record.path)
        edits = self.edits(trial, image)
        with about_photo(trial.record.path):
            scores = self._scores(image, edits)
        rows = []
        for item, (before, after, control) in zip(edits, scores, strict=True):
            if np.isnan(after):
                continue
            rows.append(
                {
                    "suspect": item.position,
                    "edit": item.kind,
                    "before": before,
                    "after": after,
                    "control": None if np.isnan(control) else control,
                }
            )
        return Finished(record={"image": trial.record.id, "edits": rows})

    def edits(self, trial: Trial, image: ImageArray) -> list[Edits]:
        """The edits of a photo; the same at every call."""
        found = [self._removal(trial.record, image, *removal) for removal in trial.removals]
        for position in trial.insertions:
            suspect = self.suspects[position]
            generator = generator_for(self.random_state, trial.record.id, suspect.id, "insertion")
            pasted = self.stamps[position].pasted(image, generator)
            if pasted is not None:
                found.append(Edits(position=position, kind="insertion", edits=pasted[0], control=pasted[1]))
        return found

    def _removal(
        self, record: Record, image: ImageArray, position: int, regions: tuple[Region, ...]
    ) -> Edits:
        places = control_places(record, image.shape[:2], self.suspects[position], regions, self.random_state)
        return Edits(
            position=position,
            kind="removal",
            edits=removal_edits(image, regions),
            control=removal_edits(image, places),
        )

    def _scores(self, image: ImageArray, edits: Sequence[Edits]) -> list[NDArray[np.float64]]:
        """Before, after and control of each edit, for the suspect's class."""
        variants = [item.edits for item in edits]
        controls = [item.control for item in edits if item.control]
        scores = scores_after(self.classifier, image, [*variants, *controls])
        left = iter(scores[1 + len(variants) :])
        rows = []
        for item, after in zip(edits, scores[1:], strict=False):
            column = self.classifier.classes.index(self.suspects[item.position].class_name)
            control = next(left)[column] if item.control else float("nan")
            rows.append(np.array([scores[0, column], after[column], control]))
        return rows


def control_places(
    record: Record,
    size: Sequence[int],
    suspect: Suspect,
    regions: Sequence[Region],
    random_state: int,
) -> tuple[Region, ...]:
    """An equal area off the object and off the suspect: the same shapes, strips of a frame in short pieces;
    empty where there is no room.
    """
    taken = mask_of(record.boxes_of(suspect.class_name), size[0], size[1])
    for region in regions:
        rows = slice(max(region.top - _PAD, 0), region.bottom + _PAD)
        taken[rows, max(region.left - _PAD, 0) : region.right + _PAD] = True
    shapes = pieces(regions) if suspect.kind == "border" else regions
    return control_regions(shapes, taken, generator_for(random_state, record.id, suspect.id, "control"))


def edit_rows(records: Sequence[Mapping[str, Any]], position: int, kind: str) -> list[dict[str, Any]]:
    """What became of one suspect's edits, photo by photo."""
    return [
        {**row, "image": record["image"]}
        for record in records
        for row in record["edits"]
        if row["suspect"] == position and row["edit"] == kind
    ]
