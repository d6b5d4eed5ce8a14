import numpy as np
import pytest

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.proof.judging import Scale, judged
from pfungst.errors import ConfigError

CONFIG = ArtefactConfig()


def rows(change, control=0.0, *, count=12, before=1.0, spread=0.1, seed=0, seen=1.0):
    rng = np.random.default_rng(seed)
    return [
        {
            "image": f"p{index}",
            "before": before,
            "after": before + change + spread * rng.normal(),
            "control": None if control is None else before + control + spread * rng.normal(),
            "seen": seen,
        }
        for index in range(count)
    ]


def to_and_fro(size=2.0, count=12):
    """The edit lowers the score of every second photo and raises that of the others."""
    return [
        {
            "image": f"p{index}",
            "before": 1.0,
            "after": 1.0 + size * (-1) ** index,
            "control": 1.0,
            "seen": 1.0,
        }
        for index in range(count)
    ]


SCALE = Scale(threshold=0.0, spread=1.0, margin=3.0)


def test_an_effect_at_both_ends_is_proved():
    found = judged(rows(-1.2), rows(0.9, before=-1.0), SCALE, CONFIG)
    assert found.verdict == "proved"
    assert found.effect.mean == pytest.approx(1.2, abs=0.1)
    assert found.insertion_effect.mean == pytest.approx(0.9, abs=0.1)
    assert found.removal.change.mean == pytest.approx(-1.2, abs=0.1)
    assert found.removal.flipped.mean > 0.8
    assert found.control.flipped.mean == 0
    assert found.removal.predicted_before == 12
    assert found.removal.lost == round(12 * found.removal.flipped.mean)
    assert found.flips.mean == pytest.approx(found.removal.flipped.mean)
    assert found.insertion.won == sum(row["after"] > 0 for row in rows(0.9, before=-1.0))


SMALL = {"spread": 0.02}


@pytest.mark.parametrize(
    ("removals", "insertions", "verdict", "reason"),
    [
        (rows(-1.0), rows(0.1, **SMALL), "read", "that of putting it in is below 0.2"),
        (rows(-0.1, **SMALL), rows(0.1, **SMALL), "read", "that of taking it out and putting it in is below"),
        (to_and_fro(0.02), to_and_fro(0.02), "harmless", "both effects lie within ±0.2"),
        (rows(-1.0), to_and_fro(0.02), "unclear", "putting it in does next to nothing, 0.00 [-0.01, 0.01]"),
        (rows(-1.0), to_and_fro(), "unclear", "the interval of putting it in reaches zero"),
        (to_and_fro(), rows(0.9), "unclear", "the interval of taking it out reaches zero"),
        (rows(1.0), rows(0.9), "unclear", "taking it out raises the score: it speaks against the class"),
        (rows(-1.0), rows(-1.0), "unclear", "putting it in lowers the score: it speaks against the class"),
        (
            rows(-1.0, None),
            rows(0.9),
            "untestable",
            "only 0 of 5 needed photos in which it lies",
        ),
        (rows(-1.0, count=2), rows(0.9), "untestable", "only 2 of 5 needed photos"),
        (rows(-1.0), [], "untestable", "only 0 of 5 needed photos without the class"),
    ],
)
def test_each_verdict_has_its_reason(removals, insertions, verdict, reason):
    found = judged(removals, insertions, SCALE, CONFIG)
    assert found.verdict == verdict
    assert reason in found.reason


@pytest.mark.parametrize("seed", range(30))
def test_the_words_never_contradict_the_intervals(seed):
    rng = np.random.default_rng(seed)
    changes = rng.normal(0, 0.4, 2)
    found = judged(
        rows(changes[0], spread=rng.uniform(0, 0.3), seed=seed),
        rows(changes[1], before=-0.5, spread=rng.uniform(0, 0.3), seed=seed + 99),
        Scale(threshold=0.0, spread=1.0, margin=rng.uniform(0.2, 5)),
        CONFIG,
    )
    both = (found.effect, found.insertion_effect)
    clear, within = (
        all(e.low > 0 for e in both),
        all(-found.bar <= e.low and e.high <= found.bar for e in both),
    )
    assert (found.verdict in {"proved", "read"}) == clear
    if found.verdict == "harmless":
        assert within
    if within and not any(e.low > 0 for e in both):
        assert found.verdict == "harmless"
    if clear and all(e.mean >= found.bar for e in both):
        assert found.verdict == "proved"


def test_the_bar_is_the_smaller_share_of_spread_and_margin():
    assert SCALE.bar(CONFIG) == pytest.approx(0.2)
    assert Scale(threshold=0.0, spread=5.0, margin=1.5).bar(CONFIG) == pytest.approx(0.15)
    assert Scale(threshold=0.0, spread=5.0).bar(CONFIG) == pytest.approx(1.0)
    scores, labels = np.array([3.0, 2.0, 0.5, -1.0, 4.0]), np.array([1, 1, 1, -1, -1])
    scale = Scale.of(scores, labels, 1.0)
    assert scale.spread == pytest.approx(np.std(scores))
    assert scale.margin == pytest.approx(1.5)  # recognised: 3 and 2, above 1 by 2 and by 1
    assert np.isnan(Scale.of(scores, labels, 9.0).margin)


def test_nothing_is_harmless_while_a_like_look_remains():
    nothing = to_and_fro(0.02)
    assert judged(nothing, nothing, SCALE, CONFIG).verdict == "harmless"
    found = judged(nothing, nothing, SCALE, CONFIG, remains=True)
    assert (found.verdict, found.reason) == (
        "unclear",
        "what looks alike goes on beside the part that was taken out",
    )


def test_turned_decisions_count_whatever_the_size_of_the_effect():
    narrow = [{**row, "before": 0.04} for row in rows(-0.08, before=0.04, spread=0.005)]
    pasted = rows(0.08, before=-0.04, spread=0.005)
    found = judged(narrow, pasted, SCALE, CONFIG)
    assert found.effect.mean < found.bar
    assert found.flips.low > 0
    assert found.verdict == "proved"
    high = Scale(threshold=-9.0, spread=1.0, margin=3.0)  # nothing is near this threshold
    assert judged(narrow, pasted, high, CONFIG).verdict == "read"


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="a window of 8 or more"):
        ArtefactConfig(window=4)
    with pytest.raises(ConfigError, match="max_suspects = 0"):
        ArtefactConfig(max_suspects=0)
    with pytest.raises(ConfigError, match="min_photos of 2 or more"):
        ArtefactConfig(min_photos=1)
    with pytest.raises(ConfigError, match="alike between 0 and 1"):
        ArtefactConfig(alike=1.5)
