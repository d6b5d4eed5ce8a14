"""A whole audit of one or more models, as it lies in ``audit.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pfungst.audits.schema.files import AUDIT_FILE, picture_file, survey_folder
from pfungst.audits.schema.parts import Artefact, ContextRow, Strategies
from pfungst.contract.plain import from_plain, to_json
from pfungst.contract.used import UsedPhotos
from pfungst.errors import DataError, Failure
from pfungst.evaluation.chance import Chance
from pfungst.evaluation.rows import Quality
from pfungst.evaluation.statistics import Estimate
from pfungst.files import parse_json, read_bounded, shown
from pfungst.images.rectangles import Box
from pfungst.showing import listed, table_html
from pfungst.writing import write_whole

FORMAT = "pfungst-audit"
FORMAT_VERSION = 3
_MAX_BYTES = 512 * 2**20


@dataclass(frozen=True, kw_only=True)
class ClassAudit:
    """All about one class of one model.

    Attributes
    ----------
    ap : Estimate or None
        Average precision (area) with its interval over photos.
    negatives : int
        Photos known not to show the class.
    chance : Chance or None
        What average precision a random order of the same photos reaches, and how often it reaches ``ap``.
    localisation : mapping of str to Estimate or None
        ``pointing``, ``mass``, ``rank`` and their chance levels ``near_area`` and ``area``.
    quality_a, quality_v : Estimate or None
        A and V of the model's default rule on the sample.
    artefacts : tuple of Artefact
        Most suspicious first; ``artefact_note`` says what was searched, "no artefact found" among it.
    """

    name: str
    positives: int
    true_positives: int
    false_positives: int
    threshold: float
    ap: Estimate | None = None
    ap_11pt: float = float("nan")
    negatives: int = 0
    chance: Chance | None = None
    context: ContextRow | None = None
    localisation: Mapping[str, Estimate | None] = field(default_factory=dict)
    quality_a: Estimate | None = None
    quality_v: Estimate | None = None
    strategies: Strategies | None = None
    artefacts: tuple[Artefact, ...] = ()
    artefact_note: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelAudit:
    """One model's part.

    Attributes
    ----------
    name : str
        Unique within the audit; a title and a part of anchors.
    kind : str
        ``fisher``, ``network`` or another word.
    rule : str
        The rule of its heatmaps.
    identity : mapping
        Checksums and the like.
    survey : str
        Folder of its survey, relative to the audit.
    mean_ap : float
        Over the classes with positives.
    quality : Quality or None
    quality_rule : str
        The name of the model's own rule in these tables.
    failures : tuple of Failure
        Photos that could not be used, and why.
    """

    name: str
    kind: str
    rule: str
    identity: Mapping[str, Any]
    survey: str
    mean_ap: float
    classes: tuple[ClassAudit, ...]
    quality: Quality | None = None
    quality_rule: str = ""
    failures: tuple[Failure, ...] = ()

    def by_name(self, name: str) -> ClassAudit | None:
        """The class of that name."""
        return next((item for item in self.classes if item.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Photo:
    """One photo of the audit; its thumbnail and heatmaps lie in the surveys under its id."""

    id: str
    height: int
    width: int
    positive: tuple[str, ...]
    difficult: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One entry of the verdict, worst first.

    Attributes
    ----------
    kind : {"artefact", "photo", "context", "default", "heatmap", "data"}
    models : tuple of str
        The models it was found in.
    sentence : str
        What is wrong, in plain words.
    numbers : tuple of str
        What was measured, a sentence for each model.
    advice : str
        The one thing to do next.
    photos : tuple of str
        Photos that it is about, those that tell most first; what ``advice`` speaks of.
    example : str
        The photo that shows it best, or empty.
    picture : str
        A picture file, or empty.
    reference : str
        The id of the artefact, for a link; or empty.
    """

    kind: Literal["artefact", "photo", "context", "default", "heatmap", "data"]
    class_name: str
    models: tuple[str, ...]
    title: str
    sentence: str
    numbers: tuple[str, ...] = ()
    advice: str = ""
    photos: tuple[str, ...] = ()
    example: str = ""
    picture: str = ""
    reference: str = ""
    severity: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class Audit:
    """A whole audit of one or more models on one data set.

    Attributes
    ----------
    problems : tuple of Problem
        The verdict; empty means that nothing was found by what ``ran`` names.
    ran, not_run : tuple of str
        What was examined, and what was not and why, in words.
    failures : tuple of Failure
        Photos that some model could not use, and why.
    settings : mapping
        Configuration and seeds.
    versions : mapping of str to str
        Of the program and its libraries.
    used : UsedPhotos or None
        What there is to tell of the photos: those that a model has learned from, classes that are not shared.
    """

    title: str
    data: str
    split: str
    classes: tuple[str, ...]
    n_photos: int
    photos: tuple[Photo, ...]
    models: tuple[ModelAudit, ...]
    problems: tuple[Problem, ...]
    ran: tuple[str, ...]
    not_run: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    used: UsedPhotos | None = None

    def __repr__(self) -> str:
        named = "; ".join(f"{item.kind}: {item.class_name}" for item in self.problems[:3])
        return (
            f"<Audit {self.title!r}: {self.n_photos} photos, {len(self.classes)} classes, models "
            f"{listed([model.name for model in self.models])}, {len(self.problems)} problems"
            f"{f' ({named})' if named else ''}>"
        )

    def _repr_html_(self) -> str:
        """In a notebook: the verdict, and a line for each class of each model."""
        lines = [f"{item.title}. {item.sentence}" for item in self.problems]
        rows = [
            (model.name, row.name, row.positives, row.true_positives, row.ap or "–",
             (row.context and row.context.kept_without_object) or "–",
             sum(item.proved for item in row.artefacts))
            for model in self.models
            for row in model.classes
        ]  # fmt: skip
        header = ("model", "class", "photos", "recognised", "AP", "kept without object", "artefacts")
        told = lines or ["No suspected problem was found by what was examined."]
        return table_html(self.title, told, header, rows)

    def save(self, folder: str | Path) -> Path:
        """Write ``audit.json`` in one move."""
        content = {"format": FORMAT, "version": FORMAT_VERSION, "audit": self}
        return write_whole(Path(folder) / AUDIT_FILE, to_json(content))

    @classmethod
    def load(cls, folder: str | Path) -> Audit:
        """Read ``audit.json`` of an audit's folder.

        Raises
        ------
        DataError
            If it is missing, of another format or version, or inconsistent; the message names the field.
        """
        file = Path(folder) / AUDIT_FILE
        try:
            if not file.exists():
                raise DataError(
                    folder, "is no audit: it has no audit.json", hint="a folder that `pfungst audit` wrote"
                )
            content = parse_json(read_bounded(file, _MAX_BYTES, error=DataError, what="an audit"))
        except ValueError as error:
            raise DataError(file, f"cannot be read ({error})", hint="run the audit again") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise DataError(file, "is not an audit of this library", hint="a folder of `pfungst audit`")
        if content.get("version") != FORMAT_VERSION:
            found = shown(content.get("version"))
            raise DataError(file, f"has format version {found}", allowed=str(FORMAT_VERSION))
        try:
            audit = from_plain(cls, content.get("audit"), "audit")
        except ValueError as error:
            raise DataError(file, str(error), hint="run the audit again") from error
        for name in audit.pictures():
            picture_file(folder, name)
        for model in audit.models:
            survey_folder(folder, model.survey)
        return audit

    def pictures(self) -> Iterator[str]:
        """Every picture file that the audit names."""
        named = [problem.picture for problem in self.problems]
        for row in (row for model in self.models for row in model.classes):
            named += [cluster.mean_map for cluster in row.strategies.clusters] if row.strategies else []
            for artefact in row.artefacts:
                named += [artefact.crop, artefact.stamp]
                named += [
                    name for pair in artefact.pairs for name in (pair.before_picture, pair.after_picture)
                ]
        yield from filter(None, dict.fromkeys(named))
