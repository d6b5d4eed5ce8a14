"""What was examined and what was not, class by class, told from what was measured and never from the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pfungst.audits import words
from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.context.others import MIN_IMAGES
from pfungst.audits.schema import ClassAudit, ModelAudit
from pfungst.evaluation.rows import ALL

ENOUGH_TO_PROVE = ArtefactConfig().min_proof
"""Photos of a class below which no mark can be proved."""


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One thing that an audit examines.

    Attributes
    ----------
    name : str
        As in :data:`pfungst.audits.config.PARTS`; empty for what every audit does.
    title : str
        In words.
    lacking : callable
        Why it says nothing about a class; empty where it does.
    """

    name: str
    title: str
    lacking: Callable[[ClassAudit], str]


def _no_score(row: ClassAudit) -> str:
    return "" if row.positives else "no photo shows it"


def _no_quality(row: ClassAudit) -> str:
    return "" if row.quality_a is not None else "no recognised photo of it in the sample"


def _no_context(row: ClassAudit) -> str:
    if row.context is None:
        return "no boxes around its objects"
    kept = row.context.kept_without_object
    if kept is None:
        return row.context.note or "not tested by editing"
    few = f"{words.counted(kept.n_images, 'recognised photo')} with boxes, {MIN_IMAGES} needed"
    return few if kept.n_images < MIN_IMAGES else ""


def _no_strategies(row: ClassAudit) -> str:
    if row.strategies is not None and row.strategies.n_clusters:
        return ""
    return f"{words.counted(row.strategies.n_images if row.strategies else 0, 'heatmap')}, too few to divide"


def _no_artefacts(row: ClassAudit) -> str:
    return (
        ""
        if row.positives >= ENOUGH_TO_PROVE
        else (f"{words.counted(row.positives)}, {ENOUGH_TO_PROVE} needed")
    )


PARTS = (
    _Part(
        name="",
        title="scores, and a heatmap of every class shown or wrongly predicted",
        lacking=_no_score,
    ),
    _Part(name="quality", title="whether the heatmaps are right", lacking=_no_quality),
    _Part(name="context", title="whether a class lives off its surroundings", lacking=_no_context),
    _Part(name="strategies", title="groups of photos that are recognised alike", lacking=_no_strategies),
    _Part(name="artefacts", title="marks that recur, tested by taking them out and putting them in",
          lacking=_no_artefacts),
)  # fmt: skip


def examined(models: Sequence[ModelAudit], asked: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Two lists in words: what was examined, and what was not and why.

    Parameters
    ----------
    models : sequence of ModelAudit
        Finished.
    asked : sequence of str
        The parts that were asked for.
    """
    done: list[str] = []
    left: list[str] = []
    for part in PARTS:
        if part.name and part.name not in asked:
            left.append(f"{part.title}: not asked for")
            continue
        for model in models:
            name = f"{model.name}: " if len(models) > 1 else ""
            lacking = {row.name: part.lacking(row) for row in model.classes}
            told = [row for row, reason in lacking.items() if not reason]
            if told:
                done.append(f"{name}{part.title}{_extent(part, model, told)}")
            left += [f"{name}{part.title}: {text}" for text in _reasons(lacking)]
    return tuple(done), tuple(left)


def _extent(part: _Part, model: ModelAudit, told: Sequence[str]) -> str:
    classes = f"{len(told)} of {len(model.classes)} classes" if len(model.classes) > 1 else told[0]
    if len(told) == len(model.classes) > 1:
        classes = f"all {len(told)} classes"
    photos = _quality_photos(model) if part.name == "quality" else 0
    return f", {classes}" + (f", on {words.counted(photos)}" if photos else "")


def _quality_photos(model: ModelAudit) -> int:
    """Photos that heatmap quality rests on."""
    rows = model.quality.curves if model.quality is not None else ()
    counts = [row.n_images for row in rows if row.class_name == ALL and row.rule == model.quality_rule]
    return max(counts, default=0)


def _reasons(lacking: dict[str, str]) -> list[str]:
    """Classes with the same reason in one line."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in lacking.items():
        if reason:
            by_reason.setdefault(reason, []).append(name)
    return [f"{words.listed(names, 8)} ({reason})" for reason, names in by_reason.items()]
