"""Suspects and their tests as finished records, with sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isfinite
from typing import NamedTuple

import numpy as np

from pfungst.audits.artefacts.proof.judging import Findings
from pfungst.audits.artefacts.recurrence import chance_of_recurrence, recurs
from pfungst.audits.artefacts.search.proposals import cells_of
from pfungst.audits.artefacts.suspects import Occurrence, Suspect
from pfungst.audits.schema import Artefact, EditTest
from pfungst.audits.survey import Survey
from pfungst.audits.words import VERDICTS, counted, lost_words, won_words
from pfungst.evaluation.statistics import Estimate


class Searched(NamedTuple):
    """How many photos of a class and without it were mined for marks, and how many were then looked at."""

    mined: int
    mined_others: int
    shown: int
    others: int


def artefact_of(
    suspect: Suspect,
    result: Findings,
    carriers: Sequence[Occurrence],
    *,
    survey: Survey,
    n_shown: int,
    elsewhere: tuple[int, int],
) -> Artefact:
    """The record of a suspect; ``elsewhere`` counts photos without the class that carry it, of how many."""
    chance = chance_of_recurrence(len(carriers), n_shown, *elsewhere, suspect.tried)
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
        share_elsewhere=elsewhere[0] / elsewhere[1] if elsewhere[1] else float("nan"),
        relevance_share=relevance,
        area_share=area,
        removal=result.removal,
        control=result.control,
        insertion=result.insertion,
        insertion_control=result.insertion_control,
        effect=result.effect,
        insertion_effect=result.insertion_effect,
        verdict=result.verdict,
        flips=result.flips,
        insertion_flips=result.insertion_flips,
        bar=result.bar,
        margin=result.margin,
        unseen=result.unseen,
        chance=chance,
        sentence=_sentence(suspect, result, _recurrence_words(len(carriers), n_shown, chance)),
        hollow=suspect.hollow,
    )


_ORDER = ("proved", "read", "unclear", "untestable", "harmless")


def rank(artefact: Artefact) -> tuple[int, float]:
    """Proved ones first, those with the largest effect before others; without one, in the search's order."""
    known = [item.mean for item in (artefact.effect, artefact.insertion_effect) if item is not None]
    effect = min(known, default=-inf)  # what both edits bear out
    return _ORDER.index(artefact.verdict), -effect if isfinite(effect) else inf


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


def _sentence(suspect: Suspect, result: Findings, recurrence: str) -> str:
    """Plain words first, then figures."""
    name = suspect.class_name
    start = {
        "proved": f"The model reads it{_plainly(name, result)}",
        "read": f"The model reads it, with a small effect{_plainly(name, result)}; {result.reason}",
        "unclear": f"Whether the model reads it is unclear: {result.reason}",
        "harmless": f"The model does not depend on it: {result.reason}",
        "untestable": f"It cannot be tested: {result.reason}",
    }[result.verdict]
    outside = (
        f"In {counted(result.unseen)} it lies outside what the model sees; they take no part."
        if result.unseen and result.verdict != "untestable"
        else ""
    )
    parts = (f"{start}.", _removal_words(result), _insertion_words(result), outside, recurrence)
    return " ".join(part for part in parts if part)


def _plainly(class_name: str, result: Findings) -> str:
    """What became of decisions."""
    told = (lost_words(class_name, result.removal), won_words(class_name, result.insertion))
    return "".join(f"{sign}{text}" for sign, text in zip((": ", "; "), filter(None, told), strict=False))


def _removal_words(result: Findings) -> str:
    return _moved(f"Taken out of {_photos(result.removal)}", result.removal, result.effect, -1, result.margin)


def _insertion_words(result: Findings) -> str:
    start = f"Put into {_photos(result.insertion)} without the class"
    return _moved(start, result.insertion, result.insertion_effect, 1, result.margin)


def _photos(test: EditTest | None) -> str:
    return counted(test.n_images if test is not None else 0)


def _moved(start: str, test: EditTest | None, effect: Estimate | None, sign: int, margin: float) -> str:
    """Such as "Taken out of 12 photos: score 1.13 to 0.40, −0.63 [−0.76, −0.50] beyond the control"."""
    if test is None or effect is None:
        return ""
    moved = effect if sign > 0 else replace(effect, mean=-effect.mean, low=-effect.high, high=-effect.low)
    share = f", {abs(effect.mean) / margin:.0%} of the margin" if margin > 0 else ""
    flips = f"; {test.flipped.mean:.0%} of the decisions flip" if test.flipped is not None else ""
    figures = f"score {test.before:.2f} to {test.after:.2f}, {moved} beyond the control{share}{flips}"
    return f"{start}: {figures}."


def _recurrence_words(carriers: int, n_shown: int, chance: float) -> str:
    where = f"in {carriers} of {counted(n_shown)} of the class"
    if recurs(carriers, chance):
        return f"It recurs, {where}; by chance with a probability of {chance:.2g}."
    return f"It may be alike by chance: {where}, which chance reaches with a probability of {chance:.2g}."


def note_of(artefacts: Sequence[Artefact], searched: Searched) -> str:
    """What was searched and what came of it, for one class."""
    text = (
        f"Looked for marks in {counted(searched.mined)} of the class and {searched.mined_others} without it, "
        f"then for each mark in {searched.shown} and {searched.others}"
    )
    if not artefacts:
        return f"No artefact found. {text}: nothing recurs."
    counts = {word: sum(item.verdict == word for item in artefacts) for word in VERDICTS}
    told = ", ".join(f"{count} {VERDICTS[word]}" for word, count in counts.items() if count)
    start = f"{counts['proved']} proved" if counts["proved"] else "No artefact proved"
    return f"{start}. {text}: {counted(len(artefacts), 'suspect')}, {told}."


def mark_note(artefacts: Sequence[Artefact], n_shown: int, n_others: int) -> str:
    """Where a given mark was looked for, for one class."""
    carriers = sum(len(item.boxes) for item in artefacts)
    looked = f"{counted(n_shown)} of the class and {n_others} without it"
    return f"Looked for the mark in {looked}: {carriers} of the class have it."
