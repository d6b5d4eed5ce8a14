"""Pictures of a suspect: its crop, and photos before and after each edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from pfungst.audits.artefacts.proof.proving import Trial, TryEdits, edit_rows
from pfungst.audits.artefacts.suspects import Edits, Stamp
from pfungst.audits.editing import edited
from pfungst.audits.schema import PICTURES_FOLDER, EditPair
from pfungst.contract.classifier import ImageArray
from pfungst.evaluation.orders import generator_for
from pfungst.files import safe_name
from pfungst.images.rectangles import Region
from pfungst.writing import write_with

_SIDE, _AROUND, _LEAST = 480, 8, 160
_GREY, _DRAWS, _SHOWN = 128, 24, 4


def save_crop(folder: Path, name: str, image: ImageArray, regions: Sequence[Region]) -> str:
    """The suspect with a little of its surroundings, enlarged if it is small; the picture's name.

    Without regions it is the whole photo.
    """
    if not regions:
        return _saved(folder, f"{name}-crop.png", _small(image))
    top, left, bottom, right = (
        limit(getattr(region, edge) for region in regions)
        for limit, edge in ((min, "top"), (min, "left"), (max, "bottom"), (max, "right"))
    )
    rows = slice(max(top - _AROUND, 0), bottom + _AROUND)
    columns = slice(max(left - _AROUND, 0), right + _AROUND)
    return _saved(folder, f"{name}-crop.png", _enlarged(image[rows, columns]))


def save_stamp(folder: Path, name: str, stamp: Stamp, size: tuple[int, int], *, random_state: int = 0) -> str:
    """What is pasted into other photos, on plain grey; several side by side where it differs.

    ``size`` is that of a photo which it fits into; the picture's name, or empty if it does not fit.
    """
    grey = np.full((*size, 3), _GREY, dtype=np.uint8)
    drawn: dict[bytes, ImageArray] = {}
    generator = generator_for(random_state, name, "stamp")
    for _ in range(_DRAWS):
        pasted = stamp.pasted(grey, generator)
        if pasted is not None and pasted[0]:
            piece = _cropped(edited(grey, pasted[0]), pasted[0])
            drawn.setdefault(piece.tobytes(), piece)
            if piece.shape[:2] == size or len(drawn) == _SHOWN:
                break  # what covers the whole photo is one and the same
    pieces = list(drawn.values())
    if not pieces:
        return ""
    height = max(piece.shape[0] for piece in pieces)
    padded = [
        np.pad(
            piece,
            ((0, height - piece.shape[0]), (0, _AROUND), (0, 0)),
            constant_values=_GREY,
        )
        for piece in pieces
    ]
    return _saved(folder, f"{name}-stamp.png", _enlarged(np.concatenate(padded, axis=1)))


def _cropped(image: ImageArray, edits: Edits) -> ImageArray:
    """A photo around its edits."""
    top, left = (max(min(getattr(e, side) for e in edits) - _AROUND, 0) for side in ("top", "left"))
    bottom = max(edit.top + edit.pixels.shape[0] for edit in edits) + _AROUND
    right = max(edit.left + edit.pixels.shape[1] for edit in edits) + _AROUND
    return image[top:bottom, left:right]


def _enlarged(image: ImageArray) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(image))
    factor = max(1, round(_LEAST / max(picture.size)))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.BICUBIC)


@dataclass(frozen=True, kw_only=True, eq=False)
class Album:
    """Where the pictures of one suspect go, and what they show again.

    Attributes
    ----------
    folder : Path
        Gets ``pictures/``.
    name : str
        Start of the files' names.
    task : TryEdits
    trials : mapping of str to Trial
        By photo.
    records : sequence
        What became of them.
    position : int
        Of the suspect.
    """

    folder: Path
    name: str
    task: TryEdits
    trials: Mapping[str, Trial]
    records: Sequence[Mapping[str, Any]]
    position: int

    def pairs(self, count: int) -> tuple[EditPair, ...]:
        """The photos in which each kind of edit changed most, before and after."""
        pairs: list[EditPair] = []
        for kind in ("removal", "insertion"):
            rows = edit_rows(self.records, self.position, kind)
            rows.sort(key=lambda row: (-abs(row["after"] - row["before"]), row["image"]))
            for row in rows[:count]:
                pairs += self._photo_pairs(self.trials[row["image"]], row)
        return tuple(pairs)

    def _photo_pairs(self, trial: Trial, row: Mapping[str, Any]) -> list[EditPair]:
        image, kind = self.task.kept.whole(trial.record), row["edit"]
        item = next(
            found
            for found in self.task.attempts(trial, image)
            if found.position == self.position and found.kind == kind
        )
        before = self._saved(trial, "before", image)
        pairs = [
            self._pair(row, kind, before, row["after"], self._saved(trial, kind, edited(image, item.edits)))
        ]
        if kind == "removal" and item.control:
            control = self._saved(trial, "control", edited(image, item.control))
            pairs.append(self._pair(row, "control", before, row["control"], control))
        return pairs

    def _pair(
        self, row: Mapping[str, Any], kind: Literal["removal", "control", "insertion"], *pictures: Any
    ) -> EditPair:
        before, score, after = pictures
        return EditPair(
            image=row["image"],
            edit=kind,
            before_picture=before,
            after_picture=after,
            before=row["before"],
            after=score,
        )

    def _saved(self, trial: Trial, what: str, image: ImageArray) -> str:
        return _saved(self.folder, f"{self.name}-{safe_name(trial.record.id)}-{what}.jpg", _small(image))


def _small(image: ImageArray) -> Image.Image:
    picture = Image.fromarray(image)
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return picture


def _saved(folder: Path, file: str, picture: Image.Image) -> str:
    kind = "PNG" if file.endswith(".png") else "JPEG"
    write_with(folder / PICTURES_FOLDER / file, lambda stream: picture.save(stream, format=kind, quality=88))
    return f"{PICTURES_FOLDER}/{file}"
