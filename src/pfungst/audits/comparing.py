r"""What changed between two audits: precision, context, artefacts, with intervals.

Average precision of two audits of the same photos is compared on the same resamples (paired). Everything else
is compared from the two intervals alone, as if the photos were independent: with estimates a and b and
intervals ``[l_a, u_a]``, ``[l_b, u_b]`` the difference ``d = b − a`` lies within

    ``[d − sqrt((b − l_b)² + (u_a − a)²),  d + sqrt((u_b − b)² + (a − l_a)²)]``

(method of variance estimates recovery). On the same photos that is wider than need be, never bolder.

References
----------
Zou and Donner 2008.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import hypot, isfinite
from pathlib import Path
from typing import Literal

import numpy as np

from pfungst.audits.schema import Artefact, Audit, ClassAudit, ModelAudit, survey_folder
from pfungst.audits.survey import StoredSurvey, open_survey
from pfungst.audits.verdict import same_artefact
from pfungst.contract.plain import to_json
from pfungst.errors import ConfigError
from pfungst.evaluation.precision import precision_difference
from pfungst.evaluation.statistics import BootstrapConfig, Estimate
from pfungst.images.dataset import DIFFICULT, NEGATIVE, POSITIVE
from pfungst.writing import write_whole

COMPARISON_FILE = "comparison.json"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One measure of one class in both audits.

    Attributes
    ----------
    model : str
        The model's name; ``a → b`` where it differs.
    measure : str
        Such as "average precision".
    before, after : Estimate or None
    difference : Estimate or None
        after − before; None where one of them is missing.
    paired : bool
        Whether the interval of the difference rests on the same photos in both.
    changed : bool
        Whether that interval leaves out zero.
    """

    class_name: str
    model: str
    measure: str
    before: Estimate | None
    after: Estimate | None
    difference: Estimate | None
    paired: bool
    changed: bool


@dataclass(frozen=True, kw_only=True)
class ArtefactChange:
    """A proved artefact that is gone, new, or still there; ``before`` and ``after`` are its sentences."""

    class_name: str
    model: str
    status: Literal["gone", "new", "kept"]
    where: str
    before: str
    after: str
    difference: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two audits side by side.

    Attributes
    ----------
    before, after : str
        Titles of the audits.
    same_photos : bool
        Whether both looked at the same photos.
    only_before, only_after : tuple of str
        Classes and models that the other one lacks.
    """

    before: str
    after: str
    same_photos: bool
    changes: tuple[Change, ...]
    artefacts: tuple[ArtefactChange, ...]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()

    def save(self, folder: str | Path) -> Path:
        """Write ``comparison.json``."""
        return write_whole(Path(folder) / COMPARISON_FILE, to_json(self))


def compare_audits(
    before: str | Path, after: str | Path, *, bootstrap: BootstrapConfig | None = None
) -> Comparison:
    """Compare two finished audits, model by model and class by class.

    Models are matched by name; those left over by kind, then by order.

    Parameters
    ----------
    before, after : path
        Folders that :func:`pfungst.audits.auditing.audit_models` wrote.
    bootstrap : BootstrapConfig, optional
        Of the paired intervals.

    Raises
    ------
    DataError
        If a folder is no audit, or lacks the survey of a model.
    ConfigError
        If they have no class in common.
    """
    first, second = Audit.load(before), Audit.load(after)
    pairs = match_models(first.models, second.models)
    if not set(first.classes) & set(second.classes) or not pairs:
        raise ConfigError(
            f"the audits {before} and {after} have no class in common",
            allowed="two audits with a class in common",
            hint=f"classes: {', '.join(first.classes)} | {', '.join(second.classes)}",
        )
    same = _labelled(first) == _labelled(second)
    changes, artefacts = [], []
    for a, b in pairs:
        name = a.name if a.name == b.name else f"{a.name} → {b.name}"
        scores = _Scores(first, _survey(before, a), _survey(after, b), bootstrap) if same else None
        for one, other in _common(a, b):
            changes += list(_changes(one, other, name, scores))
            artefacts += list(_artefact_changes(one, other, name))
    return Comparison(
        before=first.title,
        after=second.title,
        same_photos=same,
        changes=tuple(changes),
        artefacts=tuple(artefacts),
        only_before=_left_over(first, second, [a.name for a, _ in pairs]),
        only_after=_left_over(second, first, [b.name for _, b in pairs]),
    )


def match_models(
    first: Sequence[ModelAudit], second: Sequence[ModelAudit]
) -> list[tuple[ModelAudit, ModelAudit]]:
    """Pairs of models: the same name, else the same kind, else the next one left."""
    pairs: dict[str, ModelAudit] = {}
    left = list(second)
    for same in (
        lambda a, b: a.name == b.name,
        lambda a, b: a.kind == b.kind,
        lambda _a, _b: True,
    ):
        for a in first:
            found = next((b for b in left if a.name not in pairs and same(a, b)), None)
            if found is not None:
                pairs[a.name] = found
                left.remove(found)
    return [(a, pairs[a.name]) for a in first if a.name in pairs]


def difference(before: Estimate | None, after: Estimate | None) -> Estimate | None:
    """after − before with an interval from both intervals (see the module's equation)."""
    if before is None or after is None or not (isfinite(before.mean) and isfinite(after.mean)):
        return None
    mean = after.mean - before.mean
    down = hypot(after.mean - after.low, before.high - before.mean)
    up = hypot(after.high - after.mean, before.mean - before.low)
    return Estimate(
        mean=mean,
        low=mean - down,
        high=mean + up,
        n_images=min(before.n_images, after.n_images),
        n_values=min(before.n_values, after.n_values),
    )


class _Scores:
    """Scores of one model of each audit for the photos that both could score."""

    def __init__(
        self, audit: Audit, first: StoredSurvey, second: StoredSurvey, bootstrap: BootstrapConfig | None
    ) -> None:
        self._surveys, self._bootstrap = (first, second), bootstrap
        self._tables = [dict(zip(found.ids, found.scores(), strict=True)) for found in self._surveys]
        both = self._tables[0].keys() & self._tables[1].keys()
        self._photos = [photo for photo in audit.photos if photo.id in both]

    def difference(self, name: str) -> Estimate | None:
        """Paired difference of the average precision of one class."""
        labels = [
            POSITIVE if name in photo.positive else DIFFICULT if name in photo.difficult else NEGATIVE
            for photo in self._photos
        ]
        before, after = (
            np.array([table[photo.id][found.classes.index(name)] for photo in self._photos])
            for table, found in zip(self._tables, self._surveys, strict=True)
        )
        return precision_difference(np.array(labels), before, after, self._bootstrap)


def _survey(folder: str | Path, model: ModelAudit) -> StoredSurvey:
    return open_survey(survey_folder(folder, model.survey))


def _labelled(audit: Audit) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    return {photo.id: (photo.positive, photo.difficult) for photo in audit.photos}


def _common(a: ModelAudit, b: ModelAudit) -> Iterator[tuple[ClassAudit, ClassAudit]]:
    for one in a.classes:
        other = b.by_name(one.name)
        if other is not None:
            yield one, other


def _changes(one: ClassAudit, other: ClassAudit, model: str, scores: _Scores | None) -> Iterator[Change]:
    paired = scores.difference(one.name) if scores is not None else None
    yield _change(one.name, model, "average precision", one.ap, other.ap, paired)
    for measure, field in (
        ("context ratio μ", "ratio"),
        ("positive relevance outside the boxes", "share_outside"),
        ("still predicted without the object", "kept_without_object"),
        ("others taken for it without their object", "others_without_object"),
    ):
        values = [getattr(row.context, field) if row.context is not None else None for row in (one, other)]
        if any(value is not None for value in values):
            yield _change(one.name, model, measure, *values)
    if one.quality_a is not None or other.quality_a is not None:
        yield _change(one.name, model, "heatmap quality A", one.quality_a, other.quality_a)


def _change(  # noqa: PLR0917 - private, short
    class_name: str,
    model: str,
    measure: str,
    before: Estimate | None,
    after: Estimate | None,
    paired: Estimate | None = None,
) -> Change:
    found = paired if paired is not None else difference(before, after)
    return Change(
        class_name=class_name,
        model=model,
        measure=measure,
        before=before,
        after=after,
        difference=found,
        paired=paired is not None,
        changed=found is not None and (found.low > 0 or found.high < 0),
    )


def _artefact_changes(one: ClassAudit, other: ClassAudit, model: str) -> Iterator[ArtefactChange]:
    gone, new = _proved(one), _proved(other)
    for artefact in gone:
        twin = next((item for item in new if _matches(artefact, item)), None)
        if twin is not None:
            new.remove(twin)
        yield ArtefactChange(
            class_name=one.name,
            model=model,
            status="kept" if twin is not None else "gone",
            where=artefact.where,
            before=artefact.sentence,
            after=twin.sentence if twin is not None else "",
            difference=difference(artefact.effect, twin.effect) if twin is not None else None,
        )
    for artefact in new:
        yield ArtefactChange(
            class_name=one.name,
            model=model,
            status="new",
            where=artefact.where,
            before="",
            after=artefact.sentence,
        )


def _proved(row: ClassAudit) -> list[Artefact]:
    return [artefact for artefact in row.artefacts if artefact.proved]


def _matches(first: Artefact, second: Artefact) -> bool:
    """The same places in shared photos; of different photos, the same kind at the same place in words."""
    if first.boxes.keys() & second.boxes.keys():
        return same_artefact(first, second)
    return (first.kind, first.where) == (second.kind, second.where)


def _left_over(audit: Audit, other: Audit, matched: Sequence[str]) -> tuple[str, ...]:
    classes = [f"class {name}" for name in audit.classes if name not in other.classes]
    models = [f"model {model.name}" for model in audit.models if model.name not in matched]
    return (*models, *classes)
