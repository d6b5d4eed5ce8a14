"""From the scores before and after edits to a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.schema import EditTest
from pfungst.evaluation.statistics import BootstrapConfig, Estimate, mean_over_images, share_over_images

Verdict = Literal["artefact", "harmless", "unclear"]
Rows = Sequence[Mapping[str, Any]]


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
    verdict : {"artefact", "harmless", "unclear"}
    reason : str
    """

    removal: EditTest | None
    control: EditTest | None
    insertion: EditTest | None
    insertion_control: EditTest | None
    effect: Estimate | None
    insertion_effect: Estimate | None
    verdict: Verdict
    reason: str


def judged(
    removals: Rows, insertions: Rows, threshold: float, spread: float, config: ArtefactConfig
) -> Findings:
    """Edits of one suspect as tests with intervals, and the verdict.

    Parameters
    ----------
    removals, insertions : sequence of mapping
        ``image``, ``before``, ``after`` and ``control`` (None where there was none).
    threshold : float
        Of the class.
    spread : float
        Standard deviation of the class's scores over all photos.
    config : ArtefactConfig
    """
    effect = _difference(removals, -1.0, config.bootstrap)
    rise = _difference(insertions, 1.0, config.bootstrap)
    verdict, reason = _verdict(effect, rise, spread, config)
    return Findings(
        removal=_test(removals, "after", threshold, config.bootstrap),
        control=_test(removals, "control", threshold, config.bootstrap),
        insertion=_test(insertions, "after", threshold, config.bootstrap),
        insertion_control=_test(insertions, "control", threshold, config.bootstrap),
        effect=effect,
        insertion_effect=rise,
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
    )


def _difference(rows: Rows, sign: float, bootstrap: BootstrapConfig) -> Estimate | None:
    """``sign`` times the change by the edit beyond that by the control, over photos that have both."""
    done = [row for row in rows if row["control"] is not None]
    if not done:
        return None
    return mean_over_images(
        [row["image"] for row in done], [sign * (row["after"] - row["control"]) for row in done], bootstrap
    )


def _verdict(
    effect: Estimate | None, rise: Estimate | None, spread: float, config: ArtefactConfig
) -> tuple[Verdict, str]:
    least = config.least_effect * spread
    if effect is None or effect.n_images < config.min_proof:
        return "unclear", "too few photos in which it lies off the object and there is room for a control"
    if rise is None or rise.n_images < config.min_proof:
        return "unclear", "too few photos without the class to paste it into"
    if effect.low > 0 and rise.low > 0 and effect.mean >= least and rise.mean >= least:
        return "artefact", "taking it out lowers the score and putting it in raises it, beyond the controls"
    if effect.high < least or rise.high < least:
        return "harmless", "its effect is no larger than that of the controls, or too small to matter"
    return "unclear", "the effect is not clear of the controls"
