import numpy as np
import pytest

from pfungst.contract.plain import from_plain
from pfungst.errors import ConfigError
from pfungst.evaluation.rows import CurveRow
from pfungst.report.quality_figure import quality_figure, save_quality_figure

COUNTS = {"n_images": 8, "n_values": 9}


def row(rule, order, *, steps=20, height=1.0, operator="mixture"):
    drop = height * np.linspace(0.05, 1.0, steps)
    estimate = {"mean": height / 2, "low": height / 2 - 0.1, "high": height / 2 + 0.1} | COUNTS
    plain = {
        "method": "descriptors",
        "operator": operator,
        "class": "all",
        "rule": rule,
        "order": order,
        "steps": steps,
        "repetitions": [5],
        "n_images": 8,
        "n_true_positives": 9,
        "n_traces": 45,
        "A": estimate,
        "AOPC": estimate,
        "V": {"mean": min(height, 1.0), "low": None, "high": None} | COUNTS,
        "drop": {"mean": drop.tolist(), "low": (drop - 0.1).tolist(), "high": [None] * steps},
        "changed": np.linspace(0, min(height, 1.0), steps).tolist(),
    }
    return from_plain(CurveRow, plain)


ROWS = [
    row("naive", "morf", height=0.4),
    row("epsilon=100", "morf", height=1.4),
    row("-", "random", height=0.02),
    row("epsilon=100", "lerf", height=-1.0),
    row("naive", "morf", steps=7),
]


def test_curves_bars_and_legend():
    figure = quality_figure(ROWS, method="descriptors", operator="mixture", per_step=100)
    above, below = figure.axes
    labels = above.get_legend_handles_labels()[1]
    assert labels == [
        "epsilon=100, MoRF:  0.70 [0.60, 0.80]   1.00",
        "naive, MoRF:  0.20 [0.10, 0.30]   0.40",
        "random order:  0.01 [−0.09, 0.11]   0.02",
        "epsilon=100, LeRF:  −0.50 [−0.60, −0.40]   −1.00",
    ]
    line = above.get_lines()[0]
    assert line.get_xdata().tolist() == list(range(0, 2001, 100))
    assert line.get_ydata()[[0, -1]].tolist() == [0.0, 1.4]
    assert len(below.patches) == 3 * 10  # no bars for LeRF
    assert max(bar.get_height() for bar in below.patches) == pytest.approx(1.0)
    assert "9 true positives with fewer steps are not drawn" in below.get_xlabel()
    assert figure.legends
    title = above.get_title(loc="left")
    assert title.endswith("class all: 9 true positives in 8 photos, 5 repetitions")


def test_files_and_errors(tmp_path):
    path = save_quality_figure(
        tmp_path / "new" / "figure.png", ROWS, method="descriptors", operator="mixture"
    )
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match=r"no traces of method 'regions'.*descriptors mixture"):
        quality_figure(ROWS, method="regions", operator="noise")
