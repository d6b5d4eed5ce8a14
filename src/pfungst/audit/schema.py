"""The finished records of an audit: all that a report shows or a comparison compares, as plain numbers.

An audit is a folder. ``audit.json`` holds an :class:`Audit`; pictures that it names (crops, pairs) lie in
``pictures/``, a name such as ``pictures/tag.png`` (:func:`picture_file`); thumbnails of photos and heatmaps
lie in the arrays of each model's survey (:mod:`pfungst.audit.survey.surveying`). Nothing here computes;
every float may be NaN, which is null on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pfungst.contract.plain import from_plain, to_plain
from pfungst.errors import DataError
from pfungst.evaluation.chance import Chance
from pfungst.evaluation.statistics import Estimate
from pfungst.files import parse_json, read_bounded, shown

AUDIT_FILE = "audit.json"
FORMAT = "pfungst-audit"
FORMAT_VERSION = 1
PICTURES_FOLDER = "pictures"
_MAX_BYTES = 512 * 2**20
_LONGEST_NAME = 100


def picture_file(folder: str | Path, name: str) -> Path:
    """Where a picture that an audit names, such as ``pictures/tag.png``, lies.

    Raises
    ------
    DataError
        If the name leads out of the audit's folder of pictures.
    """
    try:
        file = (Path(folder) / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a zero byte, a loop of links
        raise DataError(folder, f"names the picture {name!r}, which cannot be a file") from error
    if not file.is_relative_to((Path(folder) / PICTURES_FOLDER).resolve()):
        raise DataError(folder, f"names the picture {name!r}, which is not in {PICTURES_FOLDER}/")
    return file


def safe_name(text: str) -> str:
    """The name of a model, class or photo as part of a file name.

    A long one is cut and told from others by a hash, so that two of them and an ending fit into the 255 bytes
    that file systems allow.
    """
    name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in text).strip(".")
    encoded = name.encode()
    if len(encoded) <= _LONGEST_NAME:
        return name or "_"
    mark = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{encoded[: _LONGEST_NAME - len(mark) - 1].decode(errors='ignore')}-{mark}"


def survey_folder(folder: str | Path, name: str) -> Path:
    """Where the survey that a model of an audit names lies.

    Raises
    ------
    DataError
        If the name leads out of the audit's folder.
    """
    root = Path(folder).resolve()
    try:
        place = (root / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(folder, f"names the survey {shown(name)}, which cannot be a folder") from error
    if not place.is_relative_to(root) or ".." in Path(name).parts or Path(name).is_absolute():
        raise DataError(folder, f"names the survey {shown(name)}, which leads out of the audit")
    return place


@dataclass(frozen=True, kw_only=True)
class ContextRow:
    """How much one class lives off its context: shares and ratios of relevance over its true positives.

    Attributes
    ----------
    n_images : int
        True positives with boxes and positive relevance.
    ratio : Estimate or None
        μ of positive relevance: mean density outside the class's boxes over mean density inside.
    median_ratio : float
        The median of the photos' own μ.
    signed_ratio : Estimate or None
        The same of signed relevance; None where its denominator is near zero (``note`` says so).
    share_outside, area_outside : Estimate or None
        Share of positive relevance outside the boxes, and of the photo's area.
    control_ratio : Estimate or None
        Density in a region off the object, of the boxes' size, over the density inside the boxes.
    kept_without_object, kept_without_control : Estimate or None
        Share of true positives still predicted when the object (an equal area off it) is filled in.
    kept_beyond_chance : Estimate or None
        ``(r₀ − φ) / (r − φ)``: of what the model can tell about the class, the part that is left without the
        object; r and r₀ are the shares of the class's photos predicted with and without it, φ the share of
        the other photos predicted. None where r is not clearly above φ.
    drop_object, drop_control : Estimate or None
        Mean fall of f(x) at these two edits.
    most, least : tuple of str
        Photos with the highest and the lowest μ.
    ratios : mapping of str to float
        μ of positive relevance of each of the ``n_images`` photos by its id.
    dependent : bool
        Whether the class is reported as living off its context; ``note`` says why or why not.
    note : str
    """

    n_images: int
    ratio: Estimate | None = None
    median_ratio: float = float("nan")
    signed_ratio: Estimate | None = None
    share_outside: Estimate | None = None
    area_outside: Estimate | None = None
    control_ratio: Estimate | None = None
    kept_without_object: Estimate | None = None
    kept_without_control: Estimate | None = None
    kept_beyond_chance: Estimate | None = None
    drop_object: Estimate | None = None
    drop_control: Estimate | None = None
    most: tuple[str, ...] = ()
    least: tuple[str, ...] = ()
    ratios: Mapping[str, float] = field(default_factory=dict)
    dependent: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One strategy of a class: photos whose heatmaps are alike.

    ``mean_map`` and ``exemplars`` are what a person looks at: a picture file, and photo ids, the most typical
    first. ``share_outside`` is the mean share of positive relevance outside the class's boxes; ``blend`` is
    the p-value of the hypothesis that the cluster and its nearest neighbour are one family, small where it
    stands apart.
    """

    index: int
    size: int
    share: float
    mean_map: str
    exemplars: tuple[str, ...]
    share_outside: float = float("nan")
    blend: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class StrategyPoint:
    """One photo in the embedding: place for the eye (t-SNE) and cluster."""

    image: str
    x: float
    y: float
    cluster: int


@dataclass(frozen=True, kw_only=True)
class Strategies:
    """Spectral clustering of a class's heatmaps (SpRAy).

    Attributes
    ----------
    eigenvalues : tuple of float
        Smallest eigenvalues of the normalised Laplacian, ascending.
    gap : float
        The largest gap, which chose the number of clusters.
    points : tuple of StrategyPoint
        A seeded sample where there are many photos.
    note : str
        Whether the clusters stand apart, and what was left out.
    """

    n_images: int
    n_clusters: int = 0
    eigenvalues: tuple[float, ...] = ()
    gap: float = float("nan")
    clusters: tuple[Cluster, ...] = ()
    points: tuple[StrategyPoint, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class EditTest:
    """What an edit did to the score: removal, insertion, or the control beside them.

    ``before`` and ``after`` are mean scores, ``change`` is after − before with its interval over photos;
    ``flipped`` is the share of photos whose decision changed.
    """

    n_images: int
    before: float
    after: float
    change: Estimate | None
    flipped: Estimate | None


@dataclass(frozen=True, kw_only=True)
class EditPair:
    """A photo before and after an edit, as picture files, with the scores."""

    image: str
    edit: Literal["removal", "control", "insertion"]
    before_picture: str
    after_picture: str
    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A suspect and the test of it.

    Attributes
    ----------
    id : str
        Unique within the model and class.
    kind : {"place", "look", "border"}
        Recurs at one place, with one look at any place, or along the edges.
    where : str
        In words, such as "lower left corner".
    crop : str
        A picture file.
    n_images : int
        Photos of the class it was searched in.
    boxes : mapping of str to tuple
        Photo id to ``(left, top, right, bottom)``: where it occurs. A border has the photo's inner frame.
    share, share_elsewhere : float
        Share of the class's photos with it, and of photos without the class.
    relevance_share, area_share : float
        Mean share of positive relevance on it, and of the area, in the photos with it.
    removal, control, insertion, insertion_control : EditTest or None
        The suspect filled in and an equal area elsewhere; the suspect pasted into photos without the class
        and a piece from elsewhere.
    effect, insertion_effect : Estimate or None
        Fall of the score by removal, and rise by insertion, beyond that of the control, within photos.
    verdict : {"artefact", "harmless", "unclear"}
        Proved by its effect; shown to have none; or not decided.
    sentence : str
        The verdict in words with effect, interval and number of photos.
    """

    id: str
    kind: Literal["place", "look", "border"]
    where: str
    crop: str
    n_images: int
    boxes: Mapping[str, tuple[float, float, float, float]]
    share: float
    share_elsewhere: float
    relevance_share: float
    area_share: float
    removal: EditTest | None = None
    control: EditTest | None = None
    insertion: EditTest | None = None
    insertion_control: EditTest | None = None
    effect: Estimate | None = None
    insertion_effect: Estimate | None = None
    verdict: Literal["artefact", "harmless", "unclear"] = "unclear"
    sentence: str = ""
    pairs: tuple[EditPair, ...] = ()


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
    quality : mapping or None
        The tables of :class:`pfungst.evaluation.summary.Quality`, plain.
    quality_rule : str
        The name of the model's own rule in these tables.
    """

    name: str
    kind: str
    rule: str
    identity: Mapping[str, Any]
    survey: str
    mean_ap: float
    classes: tuple[ClassAudit, ...]
    quality: Mapping[str, Any] | None = None
    quality_rule: str = ""
    failed: tuple[str, ...] = ()

    def by_name(self, name: str) -> ClassAudit | None:
        """The class of that name."""
        return next((item for item in self.classes if item.name == name), None)


@dataclass(frozen=True, kw_only=True)
class PhotoBox:
    """An object's box in the photo's pixels."""

    class_name: str
    left: float
    top: float
    right: float
    bottom: float
    difficult: bool = False


@dataclass(frozen=True, kw_only=True)
class Photo:
    """One photo of the audit; its thumbnail and heatmaps lie in the surveys under its id."""

    id: str
    height: int
    width: int
    positive: tuple[str, ...]
    difficult: tuple[str, ...] = ()
    boxes: tuple[PhotoBox, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One entry of the verdict, worst first.

    Attributes
    ----------
    kind : {"artefact", "context", "heatmap", "data"}
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

    kind: Literal["artefact", "context", "heatmap", "data"]
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
    settings : mapping
        Configuration and seeds.
    versions : mapping of str to str
        Of the program and its libraries.
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
    skipped: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: str | Path) -> Path:
        """Write ``audit.json`` in one move."""
        target = Path(folder) / AUDIT_FILE
        target.parent.mkdir(parents=True, exist_ok=True)
        content = {"format": FORMAT, "version": FORMAT_VERSION, "audit": to_plain(self)}
        part = target.with_suffix(".part")
        part.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(target)
        return target

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
                named.append(artefact.crop)
                named += [
                    name for pair in artefact.pairs for name in (pair.before_picture, pair.after_picture)
                ]
        yield from filter(None, dict.fromkeys(named))
