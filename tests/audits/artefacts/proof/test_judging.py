import numpy as np
import pytest

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.proof.judging import judged
from pfungst.errors import ConfigError

CONFIG = ArtefactConfig()


def rows(change, control=0.0, *, count=12, before=1.0, spread=0.1, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {
            "image": f"p{index}",
            "before": before,
            "after": before + change + spread * rng.normal(),
            "control": None if control is None else before + control + spread * rng.normal(),
        }
        for index in range(count)
    ]


def to_and_fro(count=12):
    """Removal lowers the score of every second photo and raises that of the others."""
    return [
        {"image": f"p{index}", "before": 1.0, "after": 1.0 + 2.0 * (-1) ** index, "control": 1.0}
        for index in range(count)
    ]


def test_an_effect_at_both_ends_is_an_artefact():
    found = judged(rows(-1.2), rows(0.9, before=-1.0), 0.0, 1.0, CONFIG)
    assert found.verdict == "artefact"
    assert found.effect.mean == pytest.approx(1.2, abs=0.1)
    assert found.insertion_effect.mean == pytest.approx(0.9, abs=0.1)
    assert found.removal.change.mean == pytest.approx(-1.2, abs=0.1)
    assert found.removal.flipped.mean > 0.8
    assert found.control.flipped.mean == 0


@pytest.mark.parametrize(
    ("removals", "insertions", "verdict"),
    [
        (rows(-1.0, -1.0), rows(0.9), "harmless"),  # the control does as much
        (rows(-1.0), rows(0.0), "harmless"),  # putting it in does nothing
        (rows(-0.05, spread=0.01), rows(0.05, spread=0.01), "harmless"),  # too small to matter
        (rows(-1.0, None), rows(0.9), "unclear"),  # no room for a control
        (rows(-1.0, count=2), rows(0.9), "unclear"),  # too few photos
        (rows(-1.0), [], "unclear"),
        (to_and_fro(), rows(0.9), "unclear"),  # the interval holds zero
    ],
)
def test_anything_less_is_not(removals, insertions, verdict):
    assert judged(removals, insertions, 0.0, 1.0, CONFIG).verdict == verdict


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="a window of 8 or more"):
        ArtefactConfig(window=4)
    with pytest.raises(ConfigError, match="max_suspects = 0"):
        ArtefactConfig(max_suspects=0)
    with pytest.raises(ConfigError, match="min_photos of 2 or more"):
        ArtefactConfig(min_photos=1)
    with pytest.raises(ConfigError, match="alike between 0 and 1"):
        ArtefactConfig(alike=1.5)
