import numpy as np
import pytest

from pfungst.images import VOC_CLASSES
from pfungst.paper import tables
from pfungst.paper.published import FISHER_AP, FISHER_MEAN_AP


def table(values):
    classes = {name: {"ap": v, "ap_11pt": v - 0.1, "positives": 4} for name, v in values.items()}
    return {"classes": classes, "map": 0.5, "map_11pt": 0.4}


def evaluated(values):
    return dict.fromkeys(("fisher", "network", "network, sliding"), table(values))


def test_the_published_row_has_its_published_mean():
    assert tuple(FISHER_AP) == VOC_CLASSES
    assert round(float(np.mean(list(FISHER_AP.values()))), 2) == FISHER_MEAN_AP


def test_precision_beside_the_published_figures():
    rows = tables.precision_rows(evaluated(dict.fromkeys(VOC_CLASSES, 0.9)), compared=True)
    horse, mean = rows[VOC_CLASSES.index("horse")], rows[-1]
    assert horse["fisher"] == pytest.approx(80)
    assert horse["published_fisher"] == 80.45
    assert tables.difference(horse) == pytest.approx(-0.45)
    assert (mean["published_fisher"], mean["published_network"]) == (59.99, 72.12)
    header, cells = tables.precision_cells(rows, "CaffeNet")
    assert header == ["class", "Fisher vectors", "published", "difference", "CaffeNet", "published",
                      "CaffeNet, sliding", "published", "positives"]  # fmt: skip
    assert cells[-1] == ["mean", "40.00", "59.99", "−19.99", "40.00", "72.12", "40.00", "75.90", "–"]


def test_a_mean_of_other_classes_is_not_compared():
    rows = tables.precision_rows(evaluated({"horse": 0.5, "dog": 0.6}), compared=True)
    assert rows[0]["published_fisher"] == 80.45
    assert rows[-1]["published_fisher"] is None


def test_without_published_figures_there_are_no_empty_columns():
    rows = tables.precision_rows(evaluated({"horse": 0.5, "zebra": 0.6}), compared=False)
    header, cells = tables.precision_cells(rows, "net")
    assert header == ["class", "Fisher vectors", "net", "net, sliding", "positives"]
    assert cells[0] == ["horse", "40.00", "40.00", "40.00", "4"]


def estimate(mean, low=None, high=None):
    return {"mean": mean, "low": low, "high": high, "n_images": 5, "n_values": 7}


def test_quality_rows_are_those_of_all_classes_and_most_steps():
    def row(name, rule, order, steps, a):
        return {"class": name, "rule": rule, "order": order, "steps": steps, "operator": "mixture",
                "n_true_positives": 7, "n_images": 5,
                "A": estimate(a, a - 1, a + 1), "V": estimate(0.5)}  # fmt: skip

    curves = [row("all", "naive", "morf", 9, 0.2), row("all", "default", "random", 9, 0.3),
              row("all", "epsilon=1", "morf", 9, 0.8), row("horse", "naive", "morf", 9, 2.0),
              row("all", "naive", "morf", 4, 3.0)]  # fmt: skip
    rows = tables.quality_rows({"curves": curves})
    _, cells = tables.quality_cells(rows)
    assert [line[0] for line in cells] == ["epsilon=1", "naive", "control"]
    assert cells[0][1:] == ["most relevant first", "0.80 [−0.20, 1.80]", "0.50", "7"]


def test_cost_of_a_photo():
    local = {"seconds": 30.0, "processor_seconds": 50.0, "workers": 2}
    cluster = {"seconds": 3.0, "processor_seconds": 1.0, "workers": None}
    rows = tables.cost_rows({"train": (local, 20), "score": (cluster, 20)})
    assert [row["processor_seconds_per_photo"] for row in rows] == [2.5, None]
    assert tables.cost_cells(rows)[1][1] == ["score", "20", "3.0", "–", "–", "–"]


def test_context_marks_dependent_classes():
    rows = [{"class": "boat", "fisher": estimate(1.5, 1.0, 2.0) | {"dependent": True}, "network": None}]
    assert tables.context_cells(rows, "net")[1] == [["boat", "1.50 [1.00, 2.00] *", "–"]]
