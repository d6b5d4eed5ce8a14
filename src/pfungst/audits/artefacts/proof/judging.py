"""From the scores before and after edits to a verdict: each effect's interval against zero and a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.proof.views import ENOUGH
from pfungst.audits.schema import EditTest, Verdict
from pfungst.evaluation.statistics import BootstrapConfig, Estimate, mean_over_images, share_over_images
from pfungst.images.dataset import POSITIVE

Rows = Sequence[Mapping[str, Any]]
Size = Literal["large", "small", "none", "unclear", "against"]
"""Of an effect: clear of zero and at the bar, or below it; within the bar; reaching zero; below zero."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What the effects on a class are held against.

    Attributes
    ----------
    threshold : float
        The class counts as predicted above it.
    spread : float
        Standard deviation of the class's scores over all photos.
    margin : float
        Median of f(x) − threshold over the recognised photos of the class; NaN where none is recognised.
    """

    threshold: float
    spread: float
    margin: float = float("nan")

    @classmethod
    def of(cls, scores: NDArray[np.float64], labels: NDArray[np.integer], threshold: float) -> Scale:
        """From the scores of all photos ``(n,)`` and their labels."""
        above = scores[(labels == POSITIVE) & (scores > threshold)] - threshold
        margin = float(np.median(above)) if above.size else float("nan")
        return cls(threshold=threshold, spread=float(scores.std()), margin=margin)

    def bar(self, config: ArtefactConfig) -> float:
        """From where on an effect counts: the smaller of its shares of the spread and of the margin."""
        bars = (config.least_effect * self.spread, config.least_margin * self.margin)
        return float(np.nanmin(bars))


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the edits of one suspect showed.

    Attributes
    ----------
    removal, control : EditTest or None
        The suspect filled in, and an equal area elsewhere in the same photos.
    insertion, insertion_control : EditTest or None
        The suspect pasted into photos without the class, and a piece from elsewhere in its photo.
    effect, insertion_effect : Estimate or None
        Fall of the score by removal, and rise by insertion, beyond that of the control; photo by photo.
    flips, insertion_flips : Estimate or None
        Decisions lost by removal, and won by insertion, beyond the control, as shares of the photos.
    bar, margin : float
        See :class:`Scale`.
    unseen : int
        Photos with the suspect in which it lies outside the model's view; they are not in the tests.
    verdict : {"proved", "read", "unclear", "harmless", "untestable"}
    reason : str
    """

    removal: EditTest | None
    control: EditTest | None
    insertion: EditTest | None
    insertion_control: EditTest | None
    effect: Estimate | None
    insertion_effect: Estimate | None
    flips: Estimate | None
    insertion_flips: Estimate | None
    bar: float
    margin: float
    unseen: int
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class _Effect:
    """One kind of edit beyond its control."""

    doing: str
    mean: Estimate | None
    flips: Estimate | None


def judged(
    removals: Rows, insertions: Rows, scale: Scale, config: ArtefactConfig, *, remains: bool = False
) -> Findings:
    """Edits of one suspect as tests with intervals, and the verdict.

    Parameters
    ----------
    removals, insertions : sequence of mapping
        ``image``, ``before``, ``after``, ``control`` (None where there was none) and ``seen``, the share of
        the edit that lies within the model's view. Where less than half does, the photo takes no part.
    scale : Scale
        Of the class.
    config : ArtefactConfig
    remains : bool
        Whether like looks remain beside what was taken out, so that no effect says nothing.
    """
    unseen = sum(row["seen"] < ENOUGH for row in removals)
    removals, insertions = ([row for row in rows if row["seen"] >= ENOUGH] for rows in (removals, insertions))
    out = _effect("taking it out", removals, -1.0, scale, config.bootstrap)
    put_in = _effect("putting it in", insertions, 1.0, scale, config.bootstrap)
    verdict, reason = _verdict(out, put_in, scale.bar(config), config)
    if verdict == "untestable" and unseen:
        reason += f"; in {unseen} others it lies outside what the model sees"
    if verdict == "harmless" and remains:
        verdict, reason = "unclear", "what looks alike goes on beside the part that was taken out"
    return Findings(
        removal=_test(removals, "after", scale.threshold, config.bootstrap),
        control=_test(removals, "control", scale.threshold, config.bootstrap),
        insertion=_test(insertions, "after", scale.threshold, config.bootstrap),
        insertion_control=_test(insertions, "control", scale.threshold, config.bootstrap),
        effect=out.mean,
        insertion_effect=put_in.mean,
        flips=out.flips,
        insertion_flips=put_in.flips,
        bar=scale.bar(config),
        margin=scale.margin,
        unseen=unseen,
        verdict=verdict,
        reason=reason,
    )


def _test(rows: Rows, outcome: str, threshold: float, bootstrap: BootstrapConfig) -> EditTest | None:
    done = [row for row in rows if row[outcome] is not None]
    if not done:
        return None
    images = [row["image"] for row in done]
    before, after = (np.array([row[name] for row in done], dtype=np.float64) for name in ("before", outcome))
    flipped = ((before > threshold) != (after > threshold)).astype(np.float64)
    return EditTest(
        n_images=len(done),
        before=float(before.mean()),
        after=float(after.mean()),
        change=mean_over_images(images, after - before, bootstrap),
        flipped=share_over_images(images, flipped, bootstrap),
        predicted_before=int((before > threshold).sum()),
        lost=int(((before > threshold) & (after <= threshold)).sum()),
        won=int(((before <= threshold) & (after > threshold)).sum()),
    )


def _effect(doing: str, rows: Rows, sign: float, scale: Scale, bootstrap: BootstrapConfig) -> _Effect:
    """``sign`` times the change by the edit beyond that by the control, over photos that have both."""
    done = [row for row in rows if row["control"] is not None]
    if not done:
        return _Effect(doing, None, None)
    images = [row["image"] for row in done]
    after, control = (np.array([row[name] for row in done]) for name in ("after", "control"))
    decisions = (after > scale.threshold).astype(np.float64) - (control > scale.threshold)
    return _Effect(
        doing,
        mean_over_images(images, sign * (after - control), bootstrap),
        mean_over_images(images, sign * decisions, bootstrap),
    )


def _verdict(out: _Effect, put_in: _Effect, bar: float, config: ArtefactConfig) -> tuple[Verdict, str]:
    untested = _untested(out, put_in, config)
    if untested:
        return "untestable", untested
    sizes = [_size(effect, bar, config) for effect in (out, put_in)]
    if set(sizes) == {"large"}:
        return "proved", "taking it out lowers the score and putting it in raises it, beyond the controls"
    if set(sizes) <= {"large", "small"}:
        small = " and ".join(e.doing for e, size in zip((out, put_in), sizes, strict=True) if size == "small")
        return "read", f"its effect is clear of zero, but that of {small} is below {bar:.2g}"
    if set(sizes) == {"none"}:
        return "harmless", f"both effects lie within ±{bar:.2g}"
    open_ones = zip((out, put_in), sizes, strict=True)
    told = [_words(effect, size) for effect, size in open_ones if size not in {"large", "small"}]
    return "unclear", "; ".join(told)


def _untested(out: _Effect, put_in: _Effect, config: ArtefactConfig) -> str:
    """Why it cannot be tested; empty where it can."""
    where = (
        "photos in which it lies off the object, the model sees it and there is room for a control",
        "photos without the class that it fits into with a control",
    )
    short = [
        f"only {count} of {config.min_proof} needed {place}"
        for effect, place in zip((out, put_in), where, strict=True)
        if (count := 0 if effect.mean is None else effect.mean.n_images) < config.min_proof
    ]
    return " and ".join(short)


def _size(effect: _Effect, bar: float, config: ArtefactConfig) -> Size:
    mean, flips = effect.mean, effect.flips
    if mean is None or flips is None:
        return "unclear"
    if mean.low > 0:
        turns = flips.low > 0 and flips.mean >= config.least_flips
        return "large" if turns or mean.mean >= bar else "small"
    if -bar <= mean.low and mean.high <= bar:
        return "none"
    return "against" if mean.high < 0 else "unclear"


def _words(effect: _Effect, size: Size) -> str:
    if size == "none":
        return f"{effect.doing} does next to nothing, {effect.mean}"
    if size == "against":
        moves = "raises" if effect.doing == "taking it out" else "lowers"
        return f"{effect.doing} {moves} the score: it speaks against the class"
    return f"the interval of {effect.doing} reaches zero, {effect.mean}"
