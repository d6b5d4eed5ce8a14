"""Suspects and their tests as finished records, with sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pfungst.audits.artefacts.proof.judging import Findings
from pfungst.audits.artefacts.search.proposals import cells_of
from pfungst.audits.artefacts.suspects import Occurrence, Suspect
from pfungst.audits.schema import Artefact, EditTest
from pfungst.audits.survey import Survey


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
    boxes = {item.image: suspect.box(item, survey.size(item.image)) for item in carriers}
    return Artefact(
        id=suspect.id,
        kind=suspect.kind,
        where=suspect.words(),
        crop="",
        n_images=n_shown,
        boxes={image: box for image, box in boxes.items() if box is not None},
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
        hollow=suspect.hollow,
    )


def _shares(suspect: Suspect, carriers: Sequence[Occurrence], survey: Survey) -> tuple[float, float]:
    """Mean share of positive relevance on the suspect, and of the area; of the whole photo it is no news."""
    if not any(item.regions for item in carriers):
        return float("nan"), 1.0
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
