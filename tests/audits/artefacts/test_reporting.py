"""Words that follow the numbers."""

from dataclasses import dataclass

import pytest

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.proof.judging import Scale, judged
from pfungst.audits.artefacts.reporting import Searched, artefact_of, note_of
from pfungst.audits.artefacts.suspects import Occurrence
from pfungst.audits.words import artefact_numbers, artefact_sentence, lost_words, won_words

SCALE = Scale(threshold=0.0, spread=1.0, margin=2.0)


@dataclass(frozen=True)
class Whole:
    """A property of the whole photo."""

    class_name: str = "coin"
    id: str = "coin-1"
    kind: str = "dark"
    hollow: bool = False
    tried: int = 1

    def words(self):
        return "everywhere"

    def box(self, found, size):
        return None


class NoSurvey:
    def size(self, image):
        return 10, 10


def rows(before, after, control):
    return [
        {"image": f"p{i}", "before": b, "after": a, "control": c, "seen": 1.0}
        for i, (b, a, c) in enumerate(zip(before, after, control, strict=True))
    ]


def found(removals, insertions, carriers=9, shown=20, elsewhere=(0, 40)):
    seen = [Occurrence(image=f"p{i}", similarity=1.0, regions=()) for i in range(carriers)]
    result = judged(removals, insertions, SCALE, ArtefactConfig())
    return artefact_of(Whole(), result, seen, survey=NoSurvey(), n_shown=shown, elsewhere=elsewhere)


OUT = rows([1, 1, 1, 2, 2, 2, -1], [-0.1, -0.2, -0.1, 1, 1, 1, -2], [1, 1, 1, 2, 2, 2, -1])
IN = rows([-1, -1, -0.5, -0.5, -1, -1], [0.2, -0.1, 0.6, 0.7, 0.1, 0.1], [-1, -1, -0.5, -0.5, -1, -1])


def test_a_proved_mark_is_told_in_plain_words_first():
    artefact = found(OUT, IN)
    fall, rise = artefact.effect, artefact.insertion_effect
    assert artefact.sentence == (
        "The model reads it: take it out and 3 of 6 recognised coin photos are no longer recognised; put it "
        "into 6 other photos and 5 more are taken for coin. "
        f"Taken out of 7 photos: score 1.14 to 0.09, -1.06 [{-fall.high:.2f}, {-fall.low:.2f}] beyond the "
        "control, 53% of the margin; 43% of the decisions flip. "
        f"Put into 6 photos without the class: score -0.83 to 0.27, 1.10 [{rise.low:.2f}, {rise.high:.2f}] "
        "beyond the control, 55% of the margin; 83% of the decisions flip. "
        "It recurs, in 9 of 20 photos of the class; by chance with a probability of "
        f"{artefact.chance:.2g}."
    )
    assert artefact_sentence("coin", artefact).startswith(
        "The model reads this trait: take it out and 3 of 6 recognised coin photos are no longer recognised;"
    )
    assert "1.06" in artefact_numbers(artefact)
    assert "53% of the margin of recognised photos" in artefact_numbers(artefact)


def test_a_score_that_rises_is_not_said_to_fall_and_nothing_is_not_a_number():
    rising = rows([1.13] * 6, [1.26] * 6, [1.13] * 6)
    text = found(rising, IN).sentence
    assert "score 1.13 to 1.26, 0.13 [0.13, 0.13] beyond the control" in text
    assert "falls" not in text
    lonely = found(rows([1.0], [0.2], [1.0]), IN[:1], carriers=1).sentence
    assert lonely.startswith("It cannot be tested: only 1 of 5 needed photos in which it lies off")
    assert "Taken out of 1 photo: score 1.00 to 0.20, -0.80 beyond the control" in lonely
    for text in (lonely, found([], [], carriers=3).sentence):
        assert "nan" not in text
        assert "1 photos" not in text


def test_what_may_be_chance_is_said_so():
    assert "It may be alike by chance: in 3 of 20 photos of the class" in found([], [], carriers=3).sentence
    often = found([], [], carriers=9, elsewhere=(20, 40))
    assert often.chance > 0.3
    assert "It may be alike by chance" in often.sentence


def test_singular_and_silence():
    test = found(OUT, IN).removal
    assert (
        lost_words("coin", test) == "take it out and 3 of 6 recognised coin photos are no longer recognised"
    )
    assert won_words("coin", test) == ""
    assert lost_words("coin", None) == ""
    one = found(rows([1, 2], [-1, 2], [1, 2]), []).removal
    assert lost_words("coin", one) == "take it out and 1 of 2 recognised coin photos is no longer recognised"


@pytest.mark.parametrize(("artefacts", "expected"), [
    ([], "No artefact found. Looked for marks in 64 photos of the class and 60 without it, then for each "
     "mark in 192 and 128: nothing recurs."),
    ([found(OUT, IN), found([], [])], "1 proved. Looked for marks in 64 photos of the class and 60 without "
     "it, then for each mark in 192 and 128: 2 suspects, 1 proved, 1 not testable."),
])  # fmt: skip
def test_what_was_searched_is_counted_as_it_was(artefacts, expected):
    assert note_of(artefacts, Searched(64, 60, 192, 128)) == expected
