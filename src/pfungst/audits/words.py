"""The verdict in words: for each problem what is wrong, what was measured, and the one thing to do next.

Plain words come first and use no term of the method; numbers follow in sentences of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pfungst.audits.context.others import MIN_IMAGES
from pfungst.audits.schema import Artefact, ClassAudit, ContextRow, EditTest
from pfungst.evaluation.statistics import Estimate

VERDICTS = {
    "proved": "proved",
    "read": "read, small effect",
    "unclear": "unclear",
    "harmless": "harmless",
    "untestable": "not testable",
}
"""Of a mark, in words."""
_TRUST = "What they show should not be relied on."


def counted(count: int, one: str = "photo") -> str:
    """``1 photo``, ``2 photos``."""
    return f"{count} {one}{'' if count == 1 else 's'}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """``a, b and c``; of many the first ones and how many more."""
    kept = list(names[:most]) + ([f"{len(names) - most} more"] if len(names) > most else [])
    return " and ".join(filter(None, [", ".join(kept[:-1]), *kept[-1:]]))


# a mark that the score depends on


def artefact_title(class_name: str, artefact: Artefact) -> str:
    """What the class is recognised by instead."""
    return f"“{class_name}” is recognised by {_thing(artefact)}, not by the object alone"


def artefact_sentence(class_name: str, artefact: Artefact) -> str:
    """What is wrong, without terms of the method."""
    lost = lost_words(class_name, artefact.removal) or "taken out, the model is less sure of what it sees"
    won = won_words(class_name, artefact.insertion)
    also = f"; {won}" if won else ""
    return (
        f"The model reads {_this(artefact)}: {lost}{also}. It is in {artefact.share:.0%} of the "
        f"{class_name} photos and in {artefact.share_elsewhere:.0%} of the others."
    )


def _this(artefact: Artefact) -> str:
    return artefact.where if artefact.kind == "photo" else f"this {_noun(artefact)}"


def lost_words(class_name: str, removal: EditTest | None) -> str:
    """Such as "take it out and 3 of 10 photos of coin are no longer recognised"; empty where none is lost."""
    if removal is None or not removal.lost:
        return ""
    verb = "is" if removal.lost == 1 else "are"
    recognised = counted(removal.predicted_before, f"recognised {class_name} photo")
    return f"take it out and {removal.lost} of {recognised} {verb} no longer recognised"


def won_words(class_name: str, insertion: EditTest | None) -> str:
    """Such as "put it into 16 other photos and 4 more are taken for coin"; empty where none is won."""
    if insertion is None or not insertion.won:
        return ""
    verb = "is" if insertion.won == 1 else "are"
    others = counted(insertion.n_images, "other photo")
    return f"put it into {others} and {insertion.won} more {verb} taken for {class_name}"


def _thing(artefact: Artefact) -> str:
    """In a title."""
    named = {
        "border": "a border around the photo",
        "look": "a mark anywhere in the photo",
        "place": f"a mark in the {artefact.where}",
        "photo": artefact.where,
    }
    return named.get(artefact.kind, f"something beside it ({artefact.where or artefact.kind})")


def _noun(artefact: Artefact) -> str:
    return {"border": "border", "look": "mark", "place": "mark"}.get(artefact.kind, "trait")


def artefact_numbers(artefact: Artefact) -> str:
    """What removal and insertion did, beyond their controls."""
    parts = [f"taking it out lowers the score by {artefact.effect}{_of_margin(artefact, artefact.effect)}"]
    if artefact.removal is not None and artefact.removal.flipped is not None:
        parts[0] += (
            f" beyond a control ({counted(artefact.removal.n_images)}, "
            f"{artefact.removal.flipped.mean:.0%} of the decisions flip)"
        )
    if artefact.insertion is not None and artefact.insertion_effect is not None:
        parts.append(
            f"putting it into {counted(artefact.insertion.n_images)} without the class raises it by "
            f"{artefact.insertion_effect}{_of_margin(artefact, artefact.insertion_effect)}"
        )
    return "; ".join(parts) + "."


def _of_margin(artefact: Artefact, effect: Estimate | None) -> str:
    """An effect against what recognised photos have to spare."""
    if effect is None or not artefact.margin > 0:
        return ""
    return f" ({effect.mean / artefact.margin:.0%} of the margin of recognised photos)"


def artefact_advice(artefact: Artefact, n_photos: int) -> str:
    """What to do about the photos that carry it."""
    if not n_photos:
        return (
            "Find out how the photos of this class come to have it, make the training photos alike in it, "
            "and train again."
        )
    photos = f"these {counted(n_photos)}" if n_photos != 1 else "this photo"
    ways = {
        "border": f"Crop the border off {photos}",
        "place": f"Crop or cover the {artefact.where} of {photos}",
        "look": f"Cover the mark in {photos}",
    }
    way = ways.get(artefact.kind, f"Take it out of {photos}")
    return (
        f"{way}, and look for it in the training photos: crop it there too, or leave out "
        "the photos that have it, and train again."
    )


# a class that lives off its surroundings


def context_title(class_name: str) -> str:
    """What the class is recognised by instead."""
    return f"“{class_name}” is recognised by its surroundings"


def context_sentence(class_name: str, rows: Sequence[ContextRow]) -> str:
    """What is wrong, without terms of the method."""
    kept = [row.kept_without_object for row in rows if row.kept_without_object is not None]
    share = f" in {max(item.mean for item in kept):.0%} of the photos" if kept else ""
    return (
        f"With the object itself painted over, the model still says “{class_name}”{share}: it has learned "
        "what lies around the object."
    )


def context_advice(class_name: str) -> str:
    """What to collect."""
    return (
        f"Collect photos of {class_name} in other surroundings, and photos of these surroundings without "
        f"{class_name}, then train again. The list has the photos that lean on them most first."
    )


# a class that is predicted where there is nothing


def default_title(class_name: str) -> str:
    """What the class means to the model."""
    return f"“{class_name}” is what the model says when nothing is there"


def default_sentence(class_name: str, rows: Sequence[ContextRow]) -> str:
    """What is wrong, without terms of the method."""
    row = max(rows, key=lambda item: mean_of(item.others_without_object))
    others = ", ".join(
        f"{share:.0%} of the {name} photos" for name, share in list(row.default_by.items())[:3]
    )
    return (
        f"Photos without {class_name} are called “{class_name}” as soon as their own object is painted over "
        f"({others}). The model has not learned what a {class_name} looks like so much as that nothing else "
        "is in sight."
    )


def default_numbers(row: ContextRow) -> str:
    """Shares of the other photos."""
    parts = (
        (row.others_predicted, "as they are"),
        (row.others_without_object, "with their object painted over"),
        (row.others_without_control, "with an equal area off it painted over"),
    )
    shares = [
        f"{estimate.mean:.0%} [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}] {how}"
        for estimate, how in parts
        if estimate is not None
    ]
    count = row.others_without_object.n_images if row.others_without_object else 0
    return f"of {counted(count)} without it, taken for it: {', '.join(shares)}."


def default_advice(class_name: str) -> str:
    """What to train with."""
    return (
        f"Train again with photos that show neither {class_name} nor any other class. Until then do not take "
        f"“{class_name}” for a sign that one is there. The list has the photos that turn to it."
    )


# heatmaps and data


def heatmap_words(rule: str, gain: Estimate) -> dict[str, str | tuple[str, ...]]:
    """Sentence, numbers and advice where heatmaps are no better than a random order."""
    return {
        "sentence": "Destroying what the heatmaps call important hurts the model no more than destroying "
        f"anything else. {_TRUST}",
        "numbers": (
            f"Destroyed in the order of its heatmaps (rule {rule}), the score falls by {gain.mean:.3g} "
            f"[{gain.low:.3g}, {gain.high:.3g}] more than in random order.",
        ),
        "advice": "Explain with another rule (--rule) and audit again.",
    }


def silent_words(names: Sequence[str]) -> dict[str, str | tuple[str, ...]]:
    """Of classes of which no photo is recognised."""
    return {
        "sentence": f"No photo of {listed(names)} is recognised, so what "
        f"{'this class relies' if len(names) == 1 else 'these classes rely'} on cannot be measured.",
        "advice": "Train longer or with more photos of these classes, or set their thresholds anew; "
        "the list has the photos that were missed.",
    }


def guessing_words(rows: Sequence[ClassAudit]) -> dict[str, str | tuple[str, ...]]:
    """Of classes that are told no better than by chance."""
    return {
        "sentence": f"For {listed([row.name for row in rows])} the model's ranking is one that pure chance "
        "reaches too, so there is nothing whose reasons could be examined.",
        "numbers": tuple(_by_chance(row) for row in rows),
        "advice": "Train with more photos of these classes before anything else is read off this report.",
    }


def _by_chance(row: ClassAudit) -> str:
    level = probability = float("nan")
    if row.chance is not None:
        level, probability = row.chance.level, row.chance.probability
    return (
        f"{row.name}: average precision {row.ap}, by chance {level:.2f} on {counted(row.positives)} of "
        f"{row.positives + row.negatives}; chance reaches it in {probability:.0%} of all orders."
    )


def few_words(rows: Sequence[ClassAudit]) -> dict[str, str | tuple[str, ...]]:
    """Of classes with too few photos."""
    return {
        "sentence": f"{listed([row.name for row in rows])}: with so few photos the examination can neither "
        "find a fault nor rule one out.",
        "numbers": (", ".join(f"{row.name} {counted(row.positives)}" for row in rows) + ".",),
        "advice": f"Add labelled photos that the model has not learned from, {MIN_IMAGES} or more of each "
        "class, and audit again.",
    }


def mean_of(estimate: Estimate | None) -> float:
    """The mean, or 0 where there is none."""
    return 0.0 if estimate is None or estimate.mean != estimate.mean else estimate.mean


def joined(parts: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """``model: sentence``, each once."""
    return tuple(dict.fromkeys(f"{name}: {text}" for name, text in parts))
