"""Words of the report that a reader need not know: each explains itself on the page where it stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word and what it means, in a sentence or two without other such words."""

    name: str
    meaning: str


WORDS = {
    "heatmap": Word(
        "heatmap",
        "A picture of which parts of a photo spoke for a class (red) and which against it (blue). White "
        "parts did not matter.",
    ),
    "relevance": Word(
        "relevance",
        "How much a pixel contributed to a score. The method (layer-wise relevance propagation, LRP) "
        "divides the score among the pixels, so that their shares add up to it as far as the method can "
        "place it.",
    ),
    "score": Word(
        "score, f(x)",
        "The number a model gives a photo for a class: the higher, the surer it is. It has no unit and is"
        " not a probability; compare it with the threshold.",
    ),
    "threshold": Word(
        "threshold",
        "The score above which the model says that the photo shows the class. It was set on other photos,"
        " where missing and wrongly seeing the class are equally frequent (equal error rate).",
    ),
    "recognised": Word(
        "recognised",
        "The photo shows the class and its score is above the threshold: a true positive.",
    ),
    "ap": Word(
        "AP, average precision",
        "How well the score ranks the photos of a class before all others: 1 is perfect. The upright line"
        " is what a random order of the same photos reaches.",
    ),
    "mu": Word(
        "context μ",
        "How much positive relevance a pixel outside the object's box carries, compared with one inside. "
        "At 1 the surroundings count as much as the object; small values mean that the heatmap is on the "
        "object.",
    ),
    "kept": Word(
        "recognised without the object",
        "Share of the recognised photos that are still recognised when the object is painted over. High: "
        "the model does not need the object. This number, not μ, decides whether a class lives off its "
        "surroundings.",
    ),
    "beyond": Word(
        "beyond chance",
        "Of what the model can tell about a class, the part that is left without the object. A model that"
        " sees the class everywhere would also see it in a photo without the object, so what it says of "
        "other photos with their own object painted over is taken off first.",
    ),
    "others": Word(
        "others without their object",
        "Share of the photos that do not show the class, but are taken for it once their own object is "
        "painted over. High: the class is what the model says where it sees nothing else.",
    ),
    "mass": Word(
        "on the object",
        "Share of the positive relevance that lies inside the object's box. The upright line is the box's"
        " share of the photo: what a heatmap by chance would reach.",
    ),
    "a": Word(
        "A",
        "How far the score falls on average while parts of the photo are destroyed, the most relevant "
        "first. Large: the heatmap names what matters to the model.",
    ),
    "v": Word("V", "Share of these runs of destruction in which the decision changed."),
    "morf": Word(
        "MoRF and LeRF",
        "Orders in which parts of a photo are destroyed: most relevant first, and least relevant first. A"
        " right heatmap makes the score fall fast in the first and slowly in the second.",
    ),
    "rule": Word(
        "rule",
        "How a layer's relevance is handed on to the layer before, with its settings: epsilon damps small"
        " contributions; plus (alpha, beta, gamma) favours those that support; flat spreads evenly; "
        "absolute divides by the size of contributions.",
    ),
    "strategy": Word(
        "group, strategy",
        "Photos of a class with like heatmaps: one way in which the model recognises it. Heatmaps are "
        "compared with their nearest neighbours and divided by spectral clustering.",
    ),
    "eigenvalues": Word(
        "eigenvalues of the Laplacian",
        "Numbers that tell into how many groups the heatmaps fall: as many as there are values near zero "
        "before the first large step (the gap).",
    ),
    "artefact": Word(
        "artefact",
        "Something that is not the object but in its photos, such as a watermark, a date or a border, and"
        " on which the score was shown to depend.",
    ),
    "control": Word(
        "control",
        "The same edit at a place that should not matter. Any painting over changes a score a little; "
        "only what goes beyond the control counts.",
    ),
    "decisions": Word(
        "decisions flip",
        "The score crosses the threshold: what was recognised no longer is, or the other way round.",
    ),
    "interval": Word(
        "interval",
        "Where the number would lie in 95 of 100 repetitions with other photos of the same kind. Wide: "
        "few photos.",
    ),
}  # fmt: skip
"""By the name that pages use."""
