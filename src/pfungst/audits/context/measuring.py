r"""How much a class lives off its context: relevance outside its boxes over relevance inside them.

The outside–inside ratio of a class over its true positives (Lapuschkin et al. 2016),

    μ = mean density of R⁺ outside all boxes of the class / mean density of R⁺ inside them,

a density being relevance per pixel. With o_j and i_j the shares of photo j's positive relevance outside and
inside the boxes, and a_j the share of its area inside, the densities relative to the photo's own mean are
``o_j / (1 − a_j)`` and ``i_j / a_j``, and

    μ = Σ_j o_j / (1 − a_j)  /  Σ_j i_j / a_j .

Every photo is divided by its own positive relevance, so that a high score does not count more, and both
densities are averaged before they are divided: a mean of per-photo ratios has no bound where a heatmap misses
its box. One over all photos means that a pixel off the object bears as much relevance as one on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pfungst.audits.context.others import (
    MIN_IMAGES,
    MOSTLY,
    Default,
    Other,
    beyond_chance,
    default_of,
    other_photos,
    without_known_object,
)
from pfungst.audits.schema import ContextRow
from pfungst.audits.survey import Seen, StoredSurvey, Surroundings, Survey, SurveyConfig, survey
from pfungst.audits.survey.surroundings import Amounts
from pfungst.contract.classifier import Classifier
from pfungst.errors import ConfigError, Failure
from pfungst.evaluation.quality import has_boxes
from pfungst.evaluation.statistics import (
    BootstrapConfig,
    Estimate,
    mean_over_images,
    ratio_over_images,
    share_over_images,
)
from pfungst.images.dataset import POSITIVE, DataSet

N_EXAMPLES = 5
"""Photos named as the most and the least context-dependent ones of a class."""

LOCALISATION = ("pointing", "mass", "rank", "near_area", "area")
"""Localisation scores and their chance levels, as in :mod:`pfungst.evaluation.localisation`."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The context of all classes of one model.

    Attributes
    ----------
    rows : dict of str to ContextRow
        By class.
    ranking : tuple of str
        The classes, most context-dependent first (:func:`ranked`).
    localisation : dict of str to dict
        By class: mean localisation scores and their chance levels.
    failures : tuple of Failure
        Photos that could not be measured, and why.
    """

    rows: dict[str, ContextRow]
    ranking: tuple[str, ...]
    localisation: dict[str, dict[str, Estimate | None]]
    failures: tuple[Failure, ...] = ()


def measure_context(
    classifier: Classifier,
    data: DataSet,
    config: SurveyConfig | None = None,
    *,
    classes: Sequence[str] | None = None,
    bootstrap: BootstrapConfig | None = None,
    **options: Any,
) -> Context:
    """Survey a data set and measure each class's context.

    Parameters
    ----------
    classifier : Classifier
    data : DataSet
        Photos with boxes, such as a test split.
    config : SurveyConfig, optional
        ``config.context`` says whether objects are edited away.
    classes : sequence of str, optional
        Default: all that both have.
    bootstrap : BootstrapConfig, optional
        Of the intervals; default with the seed of ``config.context``.
    **options
        ``identity``, ``out``, ``workers``, ``progress`` as for :func:`pfungst.audits.survey.survey`.

    Raises
    ------
    ConfigError
        If no photo has a box.
    """
    if not has_boxes(data):
        raise ConfigError(
            f"{data.name} has no boxes, so nothing is known to be on an object",
            allowed="VOC layout or COCO JSON with boxes",
        )
    config = config or SurveyConfig(errors=False)
    bootstrap = bootstrap or BootstrapConfig(random_state=config.context.random_state)
    found = survey(classifier, data, config, classes=classes, **options)
    rows = {name: context_row(found, name, bootstrap) for name in found.classes}
    return Context(
        rows=rows,
        ranking=ranked(rows),
        localisation={name: localisation_row(found, name, bootstrap) for name in found.classes},
        failures=found.failures,
    )


def context_row(found: Survey, class_name: str, bootstrap: BootstrapConfig | None = None) -> ContextRow:
    """The context of one class over its true positives; see :class:`~pfungst.audits.schema.ContextRow`."""
    others = other_photos(found, class_name)
    row = _row_of_shown(found, class_name, others, bootstrap)
    default = default_of(others, bootstrap)
    return replace(
        row,
        others_predicted=default.predicted,
        others_without_object=default.without_object,
        others_without_control=default.without_control,
        default=default.is_default,
        default_by=default.by_class,
        turned=default.photos,
        note="; ".join(filter(None, [_default_words(class_name, default), row.note])),
    )


def _default_words(class_name: str, default: Default) -> str:
    """Said only of a default."""
    if not default.is_default or default.without_object is None or default.predicted is None:
        return ""
    return (
        f"{class_name} is what is predicted where there is nothing else: "
        f"{_percent(default.without_object)} of {default.without_object.n_images} photos without it once "
        f"their own object is filled in, {_percent(default.predicted)} as they are"
    )


def _row_of_shown(
    found: Survey, class_name: str, others: Sequence[Other], bootstrap: BootstrapConfig | None
) -> ContextRow:
    """What the photos that show the class say of it."""
    positives = [seen for seen in found.seen(class_name, label=POSITIVE) if seen.true_positive]
    photos = [_Photo(seen.image, seen, seen.surroundings) for seen in positives if seen.surroundings]
    photos = [photo for photo in photos if photo.around.usable]
    notes = _left_out_notes(positives, len(photos))
    if not photos:
        return ContextRow(n_images=0, note="; ".join(notes) or "no true positives")
    signed, signed_note = _signed_ratio(photos, bootstrap)
    controlled = [photo for photo in photos if photo.around.control and photo.around.control.pixels]
    edited = [photo for photo in photos if np.isfinite(photo.around.without_object)]
    compared = [photo for photo in photos if np.isfinite(photo.around.without_control)]
    by_ratio = [photo.image for photo in sorted(photos, key=lambda photo: (-photo.around.ratio, photo.image))]
    row = ContextRow(
        n_images=len(photos),
        ratio=_ratio(photos, lambda around: around.outside, bootstrap),
        median_ratio=float(np.median([photo.around.ratio for photo in photos])),
        signed_ratio=signed,
        share_outside=_mean(photos, lambda p: p.around.outside.positive / p.around.whole.positive, bootstrap),
        area_outside=_mean(photos, lambda p: p.around.outside.pixels / p.around.whole.pixels, bootstrap),
        control_ratio=_ratio(controlled, lambda around: around.control, bootstrap),
        kept_without_object=_kept(edited, lambda around: around.without_object, bootstrap),
        kept_without_control=_kept(compared, lambda around: around.without_control, bootstrap),
        kept_beyond_chance=beyond_chance(found, class_name, others, bootstrap),
        drop_object=_mean(edited, lambda p: p.seen.score - p.around.without_object, bootstrap),
        drop_control=_mean(compared, lambda p: p.seen.score - p.around.without_control, bootstrap),
        most=tuple(by_ratio[:N_EXAMPLES]),
        least=tuple(by_ratio[: -N_EXAMPLES - 1 : -1]),
        ratios={photo.image: photo.around.ratio for photo in photos},
    )
    dependent, reason = judged(row)
    blank = without_known_object(others)
    if edited and blank:
        notes.append(
            f"in {blank} of {len(others)} other photos no object is known: an equal area is filled in"
        )
    unscored = len(photos) - len(edited)
    if edited and unscored:
        notes.append(f"left out of the edits: {unscored} with nothing to score without its object")
    notes = [reason, *notes, *signed_note]
    return replace(row, dependent=dependent, note="; ".join(note for note in notes if note))


def ranked(rows: Mapping[str, ContextRow]) -> tuple[str, ...]:
    """The classes, most context-dependent first.

    First those tested by editing, by what is certainly left without their object: the lower end of the
    interval of *kept beyond chance*. Then the others, by μ, which says less.
    """

    def key(name: str) -> tuple[float, float]:
        beyond, ratio = rows[name].kept_beyond_chance, rows[name].ratio
        return -np.inf if beyond is None else beyond.low, -np.inf if ratio is None else ratio.mean

    return tuple(sorted(rows, key=key, reverse=True))


def localisation_row(
    found: StoredSurvey, class_name: str, bootstrap: BootstrapConfig | None = None
) -> dict[str, Estimate | None]:
    """Mean localisation scores of a class over its true positives with boxes, by name."""
    scored = [
        (seen.image, seen.surroundings.localisation)
        for seen in found.seen(class_name, label=POSITIVE)
        if seen.true_positive and seen.surroundings
    ]
    if not scored:
        return dict.fromkeys(LOCALISATION)
    images = [image for image, _ in scored]
    return {
        name: share_over_images(images, [getattr(scores, name) for _, scores in scored], bootstrap)
        for name in LOCALISATION
    }


@dataclass(frozen=True)
class _Photo:
    image: str
    seen: Seen
    around: Surroundings


def _left_out_notes(positives: Sequence[Seen], n_used: int) -> list[str]:
    """Why true positives are not in the ratio, in words."""
    without = sum(seen.surroundings is None for seen in positives)
    full = sum(seen.surroundings is not None and not seen.surroundings.outside.pixels for seen in positives)
    zero = len(positives) - n_used - without - full
    reasons = (
        (without, "without a box"),
        (full, "filled by their boxes"),
        (zero, "without positive relevance"),
    )
    return [f"left out: {count} {reason}" for count, reason in reasons if count]


def _ratio(
    photos: Sequence[_Photo],
    part: Callable[[Surroundings], Amounts | None],
    bootstrap: BootstrapConfig | None,
) -> Estimate | None:
    """Mean density in a part over mean density on the object."""
    pairs = [(p, amounts) for p in photos if (amounts := part(p.around)) is not None]
    if not pairs or not any(p.around.inside.positive > 0 for p, _ in pairs):
        return None
    return ratio_over_images(
        [p.image for p, _ in pairs],
        [p.around.density(amounts) for p, amounts in pairs],
        [p.around.density(p.around.inside) for p, _ in pairs],
        bootstrap,
    )


def _signed_ratio(
    photos: Sequence[_Photo], bootstrap: BootstrapConfig | None
) -> tuple[Estimate | None, list[str]]:
    """μ of signed relevance, unless the interval of its denominator holds zero (Fieller's condition)."""
    images = [photo.image for photo in photos]
    inside = [photo.around.density(photo.around.inside, signed=True) for photo in photos]
    outside = [photo.around.density(photo.around.outside, signed=True) for photo in photos]
    mean = mean_over_images(images, inside, bootstrap)
    if not (mean.low > 0 or mean.high < 0):
        return None, [f"no signed ratio: mean signed density on the object is near zero, {mean}"]
    return ratio_over_images(images, outside, inside, bootstrap), []


def _mean(
    photos: Sequence[_Photo], value: Callable[[_Photo], float], bootstrap: BootstrapConfig | None
) -> Estimate | None:
    if not photos:
        return None
    return mean_over_images([photo.image for photo in photos], [value(photo) for photo in photos], bootstrap)


def _kept(
    photos: Sequence[_Photo], after: Callable[[Surroundings], float], bootstrap: BootstrapConfig | None
) -> Estimate | None:
    """Share still predicted after an edit."""
    if not photos:
        return None
    kept = [float(after(photo.around) > photo.seen.threshold) for photo in photos]
    return share_over_images([photo.image for photo in photos], kept, bootstrap)


def judged(row: ContextRow) -> tuple[bool, str]:
    """Whether a class lives off its context, and why (or why not), from its finished numbers.

    It does if more than :data:`MOSTLY` of what the model can tell about it is clearly left (by the lower end
    of the interval) when the object is filled in. What is predicted of other photos without *their* object
    is allowed for (:mod:`pfungst.audits.context.others`): a weak model predicts the class on any photo. μ
    alone is no ground: it varies with the size and texture of objects.
    """
    kept, beyond = row.kept_without_object, row.kept_beyond_chance
    if kept is None:
        return False, "not tested by editing"
    told = f"{_percent(kept)} of {kept.n_images} true positives are still predicted without their object"
    if kept.n_images < MIN_IMAGES:
        return False, f"{told}: too few to judge"
    if beyond is None:
        return False, f"{told}, but the model hardly tells its photos from others without their object"
    remains = (
        "allowing for what is predicted of other photos without their object, "
        f"{_percent(beyond)} of what tells the class is not its object"
    )
    return beyond.low > MOSTLY, f"{told}; {remains}"


def _percent(estimate: Estimate) -> str:
    return f"{estimate.mean:.0%} [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]"
