"""From finished records to the verdict: what is wrong, worst first, each in a sentence with its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from pfungst.audit.schema import Artefact, ClassAudit, ModelAudit, Problem
from pfungst.evaluation.rows import ALL
from pfungst.evaluation.statistics import Estimate
from pfungst.images.rectangles import Rectangle

_KINDS = {"artefact": 0, "context": 1, "heatmap": 2, "data": 3}
_SAME_PLACE = 0.3
"""Intersection over union from which two models' artefacts count as one."""


def find_problems(models: Sequence[ModelAudit]) -> tuple[Problem, ...]:
    """The problems of all models, the same flaw in two models as one entry.

    1. artefacts that an edit has proved;
    2. classes that live off their context, unless an artefact of that class and model accounts for it;
    3. heatmaps that are no better than a random order;
    4. classes about which nothing can be said.
    """
    found = [
        *_artefact_problems(models),
        *_context_problems(models),
        *_heatmap_problems(models),
        *_data_problems(models),
    ]
    found.sort(key=lambda item: (_KINDS[item.kind], -item.severity if isfinite(item.severity) else 0.0))
    return tuple(found)


def _artefact_problems(models: Sequence[ModelAudit]) -> list[Problem]:
    proved = [
        (model.name, row.name, artefact)
        for model in models
        for row in model.classes
        for artefact in row.artefacts
        if artefact.verdict == "artefact"
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
    return [_artefact_problem(group) for group in groups]


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


def _artefact_problem(group: Sequence[tuple[str, str, Artefact]]) -> Problem:
    strongest = max(group, key=lambda item: _mean(item[2].effect))
    _, class_name, artefact = strongest
    names = tuple(dict.fromkeys(name for name, _, _ in group))
    effects = " ".join(f"{name}: {_effects(item)}" for name, _, item in group)
    return Problem(
        kind="artefact",
        class_name=class_name,
        models=names,
        title=f"“{class_name}” is read off an artefact ({artefact.where})",
        sentence=(
            f"The same mark is in {artefact.share:.0%} of the {class_name} photos and in "
            f"{artefact.share_elsewhere:.0%} of the others. {effects}"
        ),
        picture=artefact.crop,
        reference=artefact.id,
        severity=_mean(artefact.effect),
    )


def _effects(artefact: Artefact) -> str:
    """What removal and insertion did, beyond their controls, in one sentence."""
    parts = [f"taking it out lowers the score by {artefact.effect}"]
    if artefact.removal is not None and artefact.removal.flipped is not None:
        parts[0] += (
            f" beyond a control ({artefact.removal.n_images} photos, "
            f"{artefact.removal.flipped.mean:.0%} of the decisions flip)"
        )
    if artefact.insertion is not None and artefact.insertion_effect is not None:
        parts.append(
            f"putting it into {artefact.insertion.n_images} photos without the class raises it by "
            f"{artefact.insertion_effect}"
        )
    return "; ".join(parts) + "."


def _context_problems(models: Sequence[ModelAudit]) -> Iterable[Problem]:
    named: dict[str, list[tuple[str, ClassAudit]]] = {}
    for model in models:
        for row in model.classes:
            if row.context is not None and row.context.dependent and not _has_artefact(row):
                named.setdefault(row.name, []).append((model.name, row))
    for class_name, rows in named.items():
        yield Problem(
            kind="context",
            class_name=class_name,
            models=tuple(name for name, _ in rows),
            title=f"“{class_name}” is read off its surroundings",
            sentence=" ".join(f"{name}: {row.context.note}." for name, row in rows if row.context),
            severity=max(_mean(row.context.kept_without_object) for _, row in rows if row.context),
        )


def _has_artefact(row: ClassAudit) -> bool:
    return any(artefact.verdict == "artefact" for artefact in row.artefacts)


def _heatmap_problems(models: Sequence[ModelAudit]) -> Iterable[Problem]:
    for model in models:
        gain = _gain_over_random(model)
        if gain is not None and not gain.low > 0:
            yield Problem(
                kind="heatmap",
                class_name="",
                models=(model.name,),
                title=f"The heatmaps of {model.name} are not better than chance",
                sentence=(
                    f"Perturbed in the order of its heatmaps (rule {model.rule}), the score falls by "
                    f"{gain.mean:.3g} [{gain.low:.3g}, {gain.high:.3g}] more than in random order. "
                    "What they show should not be relied on; try another rule."
                ),
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


def _data_problems(models: Sequence[ModelAudit]) -> Iterable[Problem]:
    for model in models:
        silent = [row.name for row in model.classes if row.positives and not row.true_positives]
        if silent:
            yield Problem(
                kind="data",
                class_name=", ".join(silent),
                models=(model.name,),
                title=f"{model.name} recognises no photo of {', '.join(silent)}",
                sentence="Without true positives, what these classes rely on cannot be measured.",
                severity=float(len(silent)),
            )


def _mean(estimate: Estimate | None) -> float:
    return estimate.mean if estimate is not None and isfinite(estimate.mean) else 0.0
