"""Suspects and their tests as finished records, with sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pfungst.audit.artefacts.proof.judging import Findings
from pfungst.audit.artefacts.search.proposals import cells_of
from pfungst.audit.artefacts.search.suspects import BorderSuspect, Occurrence, Suspect
from pfungst.audit.schema import Artefact, EditTest
from pfungst.audit.survey.surveying import Survey

_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "", "right")


def artefact_of(
    suspect: Suspect,
    result: Findings,
    carriers: Sequence[Occurrence],
    *,
    survey: Survey,
    n_shown: int,
    share_elsewhere: float,
) -> Artefact:
    """The record of a suspect."""
    relevance, area = _shares(suspect, carriers, survey)
    return Artefact(
        id=suspect.id,
        kind=suspect.kind,
        where=place_in_words(suspect),
        crop="",
        n_images=n_shown,
        boxes={item.image: _box(suspect, item, survey) for item in carriers},
        share=len(carriers) / n_shown,
        share_elsewhere=share_elsewhere,
        relevance_share=relevance,
        area_share=area,
        removal=result.removal,
        control=result.control,
        insertion=result.insertion,
        insertion_control=result.insertion_control,
        effect=result.effect,
        insertion_effect=result.insertion_effect,
        verdict=result.verdict,
        sentence=_sentence(result),
    )


def _box(suspect: Suspect, found: Occurrence, survey: Survey) -> tuple[float, float, float, float]:
    """``(left, top, right, bottom)``; of a frame, what lies within it."""
    if isinstance(suspect, BorderSuspect):
        height, width = survey.size(found.image)
        strips = found.regions
        above = max((s.bottom for s in strips if s.top == 0 and s.right - s.left == width), default=0)
        below = min(
            (s.top for s in strips if s.bottom == height and s.right - s.left == width), default=height
        )
        left = max((s.right for s in strips if s.left == 0 and s.right < width), default=0)
        right = min((s.left for s in strips if s.right == width and s.left > 0), default=width)
        return left, above, right, below
    region = found.regions[0]
    return region.left, region.top, region.right, region.bottom


def place_in_words(suspect: Suspect) -> str:
    """Such as "lower left corner"."""
    if isinstance(suspect, BorderSuspect):
        return "along the sides"
    if suspect.kind == "look":
        return "anywhere in the photo"
    patch = suspect.patch
    thirds = [
        int(np.clip(3 * (start + side / 2) / whole, 0, 2))
        for start, side, whole in zip((patch.top, patch.left), patch.shape, patch.size, strict=True)
    ]
    row, column = _ROWS[thirds[0]], _COLUMNS[thirds[1]]
    if row and column:
        return f"{row} {column} corner"
    return f"{row or column} side" if row or column else "middle of the photo"


def _shares(suspect: Suspect, carriers: Sequence[Occurrence], survey: Survey) -> tuple[float, float]:
    """Mean share of positive relevance on the suspect, and of the area."""
    relevance, area = [], []
    for item in carriers:
        positive = np.maximum(survey.heatmap(item.image, suspect.class_name), 0)
        height, width = survey.size(item.image)
        inside = sum(cells_of(region, positive.shape, (height, width)) for region in item.regions)
        total = float(positive.sum())
        if total > 0:
            relevance.append(float((positive * inside).sum()) / total)
        area.append(item.area / (height * width))
    return (float(np.mean(relevance)) if relevance else float("nan")), float(np.mean(area))


def _sentence(result: Findings) -> str:
    parts = [_removal_words(result), _insertion_words(result)]
    start = {
        "artefact": "It is an artefact",
        "harmless": "It recurs, but is harmless",
        "unclear": "It recurs; what it does is unclear",
    }[result.verdict]
    return " ".join([f"{start}: {result.reason}.", *(part for part in parts if part)])


def _removal_words(result: Findings) -> str:
    if result.effect is None or result.removal is None:
        return ""
    return (
        f"Removed from {result.removal.n_images} photos the score falls from {result.removal.before:.2f} to "
        f"{result.removal.after:.2f}, {result.effect} more than when an equal area elsewhere is filled in"
        f"{_flips(result.removal)}."
    )


def _insertion_words(result: Findings) -> str:
    if result.insertion_effect is None or result.insertion is None:
        return ""
    return (
        f"Pasted into {result.insertion.n_images} photos without the class the score rises from "
        f"{result.insertion.before:.2f} to {result.insertion.after:.2f}, {result.insertion_effect} more than "
        f"by a piece from elsewhere{_flips(result.insertion)}."
    )


def _flips(test: EditTest) -> str:
    return f"; {test.flipped.mean:.0%} of the decisions flip" if test.flipped is not None else ""


def note_of(artefacts: Sequence[Artefact], n_shown: int, n_others: int) -> str:
    """What was searched and what came of it, for one class."""
    searched = f"Searched {n_shown} photos of the class and {n_others} without it for marks that recur"
    if not artefacts:
        return f"No artefact found. {searched}: none does."
    proved = sum(artefact.verdict == "artefact" for artefact in artefacts)
    tested = f"{len(artefacts)} recur and were tested by editing"
    return f"{f'{proved} proved' if proved else 'No artefact found'}. {searched}: {tested}."
