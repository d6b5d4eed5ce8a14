"""The experiment's results as tables of numbers, for JSON, the page and the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pfungst.contract.plain import from_plain
from pfungst.evaluation.statistics import Estimate
from pfungst.evaluation.wording import number, with_interval
from pfungst.paper.config import FISHER, NETWORK
from pfungst.paper.measuring import SLIDING
from pfungst.paper.published import FISHER_AP, FISHER_MEAN_AP, NETWORK_MEAN_AP

MEAN = "mean"


def precision_rows(tables: Mapping[str, Mapping[str, Any]], *, compared: bool) -> list[dict[str, Any]]:
    """Average precision in per cent: a row for each class and one for the mean.

    Parameters
    ----------
    tables : mapping
        Of :class:`pfungst.evaluation.scoring.Evaluation`, plain, by model.
    compared : bool
        Whether the published figures are of these photos; else their column is None.
    """
    rows = [
        _precision_row(name, {model: table["classes"][name] for model, table in tables.items()})
        | {"published_fisher": FISHER_AP.get(name) if compared else None, "published_network": None}
        for name in tables[FISHER]["classes"]
    ]
    means = {
        model: {"ap": table["map"], "ap_11pt": table["map_11pt"], "positives": None}
        for model, table in tables.items()
    }
    whole = compared and {row["class"] for row in rows} == set(FISHER_AP)
    last = {
        "published_fisher": FISHER_MEAN_AP if whole else None,
        "published_network": NETWORK_MEAN_AP["center"] if whole else None,
        "published_sliding": NETWORK_MEAN_AP["sliding"] if whole else None,
    }
    return [*rows, _precision_row(MEAN, means) | last]


def _precision_row(name: str, found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "class": name,
        "positives": found[FISHER]["positives"],
        "fisher": _per_cent(found[FISHER]["ap_11pt"]),
        "fisher_area": _per_cent(found[FISHER]["ap"]),
        "network": _per_cent(found[NETWORK]["ap_11pt"]),
        "network_area": _per_cent(found[NETWORK]["ap"]),
        "sliding": _per_cent(found[SLIDING]["ap_11pt"]),
        "sliding_area": _per_cent(found[SLIDING]["ap"]),
    }


def quality_rows(quality: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A and V over all classes, for the most steps that were measured: the legend of Figure 1."""
    rows = [row for row in quality["curves"] if row["class"] == "all"]
    steps = max((row["steps"] for row in rows), default=0)
    kept = ("rule", "order", "operator", "steps", "n_true_positives", "n_images", "A", "V")
    return [{name: row[name] for name in kept} for row in rows if row["steps"] == steps]


def cost_rows(stages: Mapping[str, tuple[Mapping[str, Any], int]]) -> list[dict[str, Any]]:
    """Wall and processor time of each stage, and processor time for each photo.

    Parameters
    ----------
    stages : mapping
        Name to the stage's record and the number of photos it went through. Processor time is that of this
        machine; a stage on a cluster has none.
    """
    return [
        {
            "stage": name,
            "photos": photos,
            "seconds": record["seconds"],
            "workers": record["workers"],
            "processor_seconds": _here(record, record["processor_seconds"]),
            "processor_seconds_per_photo": _here(record, record["processor_seconds"] / max(photos, 1)),
        }
        for name, (record, photos) in stages.items()
    ]


def _here(record: Mapping[str, Any], value: float) -> float | None:
    return None if record["workers"] is None else value


def difference(row: Mapping[str, Any]) -> float | None:
    """Measured minus published average precision of Fisher vectors, if both are known."""
    if row["fisher"] is None or row["published_fisher"] is None:
        return None
    return float(row["fisher"] - row["published_fisher"])


def _per_cent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def text(value: float | None, digits: int = 2) -> str:
    """A number for people, a count without decimals; a dash where there is none."""
    return str(value) if isinstance(value, int) else number(value, digits)


def interval(estimate: Mapping[str, Any] | None) -> str:
    """A mean with its interval."""
    if estimate is None:
        return with_interval(None)
    numbers = {name: value for name, value in estimate.items() if name != "dependent"}
    return with_interval(from_plain(Estimate, numbers))


def precision_cells(rows: Sequence[Mapping[str, Any]], network: str) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the table of average precision; columns without any number are left out."""
    columns = {
        "fisher": "Fisher vectors",
        "published_fisher": "published",
        "difference": "difference",
        "network": network,
        "published_network": "published",
        "sliding": f"{network}, sliding",
        "published_sliding": "published",
        "positives": "positives",
    }
    full = [{**row, "difference": difference(row)} for row in rows]
    kept = {key: title for key, title in columns.items() if any(row.get(key) is not None for row in full)}
    cells = [[row["class"], *(text(row.get(key)) for key in kept)] for row in full]
    return ["class", *kept.values()], cells


def quality_cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the table of heatmap quality, best first."""
    order = {"morf": "most relevant first", "lerf": "least relevant first", "random": "random order"}
    ranked = sorted(rows, key=lambda row: (row["order"] != "morf", -(row["A"]["mean"] or 0.0)))
    cells = [
        [row["rule"] if row["order"] != "random" else "control", order[row["order"]], interval(row["A"]),
         interval(row["V"]), str(row["n_true_positives"])]
        for row in ranked
    ]  # fmt: skip
    return ["rule", "order", "A", "V", "true positives"], cells


def context_cells(rows: Sequence[Mapping[str, Any]], network: str) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the table of context ratios."""
    cells = [[row["class"], *(_marked(row.get(model)) for model in (FISHER, NETWORK))] for row in rows]
    return ["class", "Fisher vectors", network], cells


def _marked(estimate: Mapping[str, Any] | None) -> str:
    """A ratio with its interval, and a mark where the class was found to live off its context."""
    return interval(estimate) + (" *" if estimate is not None and estimate["dependent"] else "")


def artefact_cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the table of suspects."""
    cells = [
        [row["model"], row["where"], f"{100 * row['share']:.0f} %", row["verdict"], row["sentence"]]
        for row in rows
    ]
    return ["model", "where", "share of photos", "verdict", "tests"], cells


def cost_cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the table of costs."""
    cells = [
        [row["stage"], str(row["photos"]), text(row["seconds"], 1), text(row["workers"]),
         text(row["processor_seconds"], 1), text(row["processor_seconds_per_photo"], 3)]
        for row in rows
    ]  # fmt: skip
    return ["stage", "photos", "seconds", "workers", "processor seconds", "per photo"], cells
