"""What is measured of one class, part by part: context, strategies, artefacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pfungst.evaluation.statistics import Estimate

Verdict = Literal["proved", "read", "unclear", "harmless", "untestable"]
"""Of a mark, by what edits did to the score."""


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
        ``(r₀ − φ₀) / (r − φ₀)``: of what the model can tell about the class, the part that is left without
        the object; r and r₀ are the shares of the class's photos predicted with and without it, φ₀ the share
        of the other photos predicted without *their* object. None where r is not clearly above φ₀.
    others_predicted, others_without_object, others_without_control : Estimate or None
        Shares of the photos without the class that are taken for it: as they are, with their own object
        filled in (φ₀), and with an equal area off it filled in.
    drop_object, drop_control : Estimate or None
        Mean fall of f(x) at these two edits.
    most, least : tuple of str
        Photos with the highest and the lowest μ.
    ratios : mapping of str to float
        μ of positive relevance of each of the ``n_images`` photos by its id.
    dependent : bool
        Whether the class is reported as living off its context; ``note`` says why or why not.
    default : bool
        Whether it is what the model says where it sees nothing else.
    default_by : mapping of str to float
        ``others_without_object`` by the class whose objects are filled in.
    turned : tuple of str
        Photos without the class that are taken for it only once their own object is filled in.
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
    others_predicted: Estimate | None = None
    others_without_object: Estimate | None = None
    others_without_control: Estimate | None = None
    drop_object: Estimate | None = None
    drop_control: Estimate | None = None
    most: tuple[str, ...] = ()
    least: tuple[str, ...] = ()
    ratios: Mapping[str, float] = field(default_factory=dict)
    dependent: bool = False
    default: bool = False
    default_by: Mapping[str, float] = field(default_factory=dict)
    turned: tuple[str, ...] = ()
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
    ``flipped`` is the share of photos whose decision changed. Of the ``predicted_before`` photos ``lost`` are
    predicted no longer, and ``won`` others are predicted afterwards.
    """

    n_images: int
    before: float
    after: float
    change: Estimate | None
    flipped: Estimate | None
    predicted_before: int = 0
    lost: int = 0
    won: int = 0


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
    kind : str
        What recurs, as its detector names it: ``place`` (at one place), ``look`` (with one look at any
        place), ``border`` (along the edges), ``photo`` (a property of the whole photo) ...
    where : str
        In words, such as "lower left corner".
    crop, stamp : str
        Picture files: how it looks in a photo, and what was pasted into others (on grey).
    n_images : int
        Photos of the class it was searched in.
    boxes : mapping of str to tuple
        Photo id to ``(left, top, right, bottom)``: where it occurs; empty for a property of whole photos.
    hollow : bool
        Whether it is what lies outside these boxes, such as a frame around the photo.
    share, share_elsewhere : float
        Share of the class's photos with it, and of photos without the class.
    relevance_share, area_share : float
        Mean share of positive relevance on it, and of the area, in the photos with it.
    removal, control, insertion, insertion_control : EditTest or None
        The suspect filled in and an equal area elsewhere; the suspect pasted into photos without the class
        and a piece from elsewhere.
    effect, insertion_effect : Estimate or None
        Fall of the score by removal, and rise by insertion, beyond that of the control, within photos.
    flips, insertion_flips : Estimate or None
        Share of decisions lost by removal, and won by insertion, beyond the control.
    bar, margin : float
        From where on an effect counts, and the median distance of recognised photos from the threshold.
    unseen : int
        Photos of the class that carry it outside what the model sees; they take no part in the tests.
    chance : float
        Probability that so many of its carriers are photos of the class by chance, all candidates counted.
    verdict : {"proved", "read", "unclear", "harmless", "untestable"}
        Both effects are clear of zero and at the bar; are clear of zero, but one is below the bar; one
        reaches zero; both lie within the bar; or there are too few photos to test it on.
    sentence : str
        The verdict in plain words, then effect, interval and number of photos.
    """

    id: str
    kind: str
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
    stamp: str = ""
    flips: Estimate | None = None
    insertion_flips: Estimate | None = None
    bar: float = float("nan")
    margin: float = float("nan")
    unseen: int = 0
    chance: float = float("nan")
    verdict: Verdict = "unclear"
    sentence: str = ""
    pairs: tuple[EditPair, ...] = ()
    hollow: bool = False

    @property
    def proved(self) -> bool:
        """Whether edits have proved it."""
        return self.verdict == "proved"
