"""From finished records to the verdict: what is wrong, worst first, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from math import isfinite
from typing import Any

from pfungst.audits import words
from pfungst.audits.context.others import MIN_IMAGES
from pfungst.audits.examples import clearest
from pfungst.audits.schema import Artefact, ClassAudit, ContextRow, ModelAudit, Photo, Problem
from pfungst.evaluation.rows import ALL
from pfungst.evaluation.statistics import Estimate
from pfungst.images.rectangles import Rectangle

_KINDS = {"artefact": 0, "photo": 1, "context": 2, "default": 3, "heatmap": 4, "data": 5}
_SAME_PLACE = 0.3
"""Intersection over union from which two models' artefacts count as one."""
BY_CHANCE = 0.05
"""Share of random orders from which on a class's average precision counts as one that chance reaches."""


def find_problems(models: Sequence[ModelAudit], photos: Sequence[Photo] = ()) -> tuple[Problem, ...]:
    """The problems of all models, the same flaw in two models as one entry.

    1. artefacts that an edit has proved: marks, and then properties of whole photos;
    2. classes that live off their context, unless an artefact of that class and model accounts for it;
    3. classes that are predicted where nothing is there;
    4. heatmaps that are no better than a random order;
    5. classes about which nothing can be said: none is recognised, chance ranks as well, too few photos.

    Parameters
    ----------
    models : sequence of ModelAudit
    photos : sequence of Photo
        Of the audit; the clearest of a problem's photos becomes its example.
    """
    by_id = {photo.id: photo for photo in photos}
    found = [
        *_artefact_problems(models, by_id),
        *_context_problems(models, by_id),
        *_default_problems(models),
        *_heatmap_problems(models),
        *_data_problems(models, photos),
    ]
    found.sort(key=lambda item: (_KINDS[item.kind], -item.severity if isfinite(item.severity) else 0.0))
    return tuple(found)


def _artefact_problems(models: Sequence[ModelAudit], photos: Mapping[str, Photo]) -> list[Problem]:
    recognised = {
        row.name: set(row.context.ratios) for model in models for row in model.classes if row.context
    }
    proved = [
        (model.name, row.name, artefact)
        for model in models
        for row in model.classes
        for artefact in row.artefacts
        if artefact.proved
    ]
    groups: list[list[tuple[str, str, Artefact]]] = []
    for item in proved:
        _, class_name, artefact = item
        home = next(
            (group for group in groups if group[0][1] == class_name and same_artefact(group[0][2], artefact)),
            None,
        )
        if home is None:
            groups.append([item])
        else:
            home.append(item)
    return [_artefact_problem(group, photos, recognised.get(group[0][1], set())) for group in groups]


def same_artefact(first: Artefact, second: Artefact) -> bool:
    """Whether two findings of one class are one flaw: at the same places in the photos that both name.

    Of what is a property of whole photos and has no place: the same in words.
    """
    if not first.boxes and not second.boxes:
        return (first.kind, first.where) == (second.kind, second.where)
    shared = first.boxes.keys() & second.boxes.keys()
    if not shared:
        return False
    overlaps = [Rectangle.of(first.boxes[image]).iou(Rectangle.of(second.boxes[image])) for image in shared]
    return sum(overlaps) / len(overlaps) >= _SAME_PLACE


def _artefact_problem(
    group: Sequence[tuple[str, str, Artefact]], photos: Mapping[str, Photo], recognised: Set[str]
) -> Problem:
    strongest = max(group, key=lambda item: words.mean_of(item[2].effect))
    _, class_name, artefact = strongest
    carriers = tuple(dict.fromkeys(image for _, _, item in (strongest, *group) for image in item.boxes))
    return Problem(
        kind="photo" if artefact.kind == "photo" else "artefact",
        class_name=class_name,
        models=tuple(dict.fromkeys(name for name, _, _ in group)),
        title=words.artefact_title(class_name, artefact),
        sentence=words.artefact_sentence(class_name, artefact),
        numbers=words.joined((name, words.artefact_numbers(item)) for name, _, item in group),
        advice=words.artefact_advice(artefact, len(carriers)),
        photos=carriers,
        example=clearest(sorted(carriers, key=lambda image: image not in recognised), class_name, photos),
        picture=artefact.crop,
        reference=artefact.id,
        severity=words.mean_of(artefact.effect),
    )


def _context_problems(models: Sequence[ModelAudit], photos: Mapping[str, Photo]) -> Iterable[Problem]:
    named: dict[str, list[tuple[str, ClassAudit]]] = {}
    for model in models:
        for row in model.classes:
            if row.context is not None and row.context.dependent and not _has_artefact(row):
                named.setdefault(row.name, []).append((model.name, row))
    for class_name, rows in named.items():
        contexts = [row.context for _, row in rows if row.context is not None]
        first = contexts[0].ratios
        leaning = tuple(sorted(first, key=lambda image: (-first[image], image)))
        yield Problem(
            kind="context",
            class_name=class_name,
            models=tuple(name for name, _ in rows),
            title=words.context_title(class_name),
            sentence=words.context_sentence(class_name, contexts),
            numbers=words.joined((name, f"{row.context.note}.") for name, row in rows if row.context),
            advice=words.context_advice(class_name),
            photos=leaning,
            example=clearest(leaning, class_name, photos),
            severity=max(words.mean_of(context.kept_without_object) for context in contexts),
        )


def _default_problems(models: Sequence[ModelAudit]) -> Iterable[Problem]:
    named: dict[str, list[tuple[str, ContextRow]]] = {}
    for model in models:
        for row in model.classes:
            if row.context is not None and row.context.default:
                named.setdefault(row.name, []).append((model.name, row.context))
    for class_name, rows in named.items():
        contexts = [context for _, context in rows]
        turned = tuple(dict.fromkeys(image for context in contexts for image in context.turned))
        yield Problem(
            kind="default",
            class_name=class_name,
            models=tuple(name for name, _ in rows),
            title=words.default_title(class_name),
            sentence=words.default_sentence(class_name, contexts),
            numbers=words.joined((name, words.default_numbers(context)) for name, context in rows),
            advice=words.default_advice(class_name),
            photos=turned,
            severity=max(words.mean_of(context.others_without_object) for context in contexts),
        )


def _has_artefact(row: ClassAudit) -> bool:
    return any(artefact.proved for artefact in row.artefacts)


def _heatmap_problems(models: Sequence[ModelAudit]) -> Iterable[Problem]:
    for model in models:
        gain = _gain_over_random(model)
        if gain is not None and not gain.low > 0:
            yield _problem(
                "heatmap",
                "",
                model.name,
                f"The heatmaps of {model.name} are not better than chance",
                words.heatmap_words(model.rule, gain),
                severity=-gain.mean,
            )


def _gain_over_random(model: ModelAudit) -> Estimate | None:
    """A over that of the random order, all classes together, for the model's own rule."""
    if model.quality is None:
        return None
    known = [
        row.a_over_random
        for row in model.quality.between
        if row.class_name == ALL
        and row.rule == model.quality_rule
        and row.a_over_random is not None
        and isfinite(row.a_over_random.low)
    ]
    return max(known, key=lambda gain: gain.n_values) if known else None


def _data_problems(models: Sequence[ModelAudit], photos: Sequence[Photo]) -> Iterable[Problem]:
    """Each class in the first of these that holds of it."""
    for model in models:
        left = [row for row in model.classes if row.positives and not _has_artefact(row)]
        for holds, title, told in _UNSAYABLE:
            rows = [row for row in left if holds(row)]
            left = [row for row in left if row not in rows]
            if rows:
                names = words.listed([row.name for row in rows])
                yield _problem(
                    "data",
                    ", ".join(row.name for row in rows),
                    model.name,
                    title.format(model=model.name, names=names),
                    told(rows),
                    severity=float(len(rows)),
                    photos=_showing(rows, photos),
                )


def _showing(rows: Sequence[ClassAudit], photos: Sequence[Photo]) -> tuple[str, ...]:
    names = {row.name for row in rows}
    return tuple(photo.id for photo in photos if names & set(photo.positive))


def unrecognised(row: ClassAudit) -> bool:
    """Whether no photo of the class is recognised."""
    return row.positives > 0 and not row.true_positives


def guessed(row: ClassAudit) -> bool:
    """Whether chance ranks the class's photos as well, where a better score could have been told from it."""
    return row.chance is not None and row.chance.least <= BY_CHANCE < row.chance.probability


def too_few(row: ClassAudit) -> bool:
    """Whether there are too few photos to find a fault or rule one out."""
    indistinct = row.chance is not None and row.chance.least > BY_CHANCE and row.negatives > 0
    return indistinct or 0 < row.positives < MIN_IMAGES


_UNSAYABLE: tuple[tuple[Callable[[ClassAudit], bool], str, Callable[[Sequence[ClassAudit]], Any]], ...] = (
    (guessed, "{model} tells {names} no better than by chance", words.guessing_words),
    (unrecognised, "{model} recognises no photo of {names}",
     lambda rows: words.silent_words([row.name for row in rows])),
    (too_few, "{model}: too few photos of {names} to say anything", words.few_words),
)  # fmt: skip
"""Why nothing can be said about a class: the test, the title, the words."""


def _problem(  # noqa: PLR0917 - private, short
    kind: Any, class_name: str, model: str, title: str, told: Mapping[str, Any], severity: float, **more: Any
) -> Problem:
    return Problem(
        kind=kind, class_name=class_name, models=(model,), title=title, severity=severity, **told, **more
    )
