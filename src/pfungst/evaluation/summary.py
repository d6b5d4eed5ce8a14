"""From records of single photos to tables: A, AOPC, V, ABPC, curves, localisation, all with intervals.

Only traces with the same number of steps are averaged; each number of steps has rows of its own. Repetitions
were averaged within each photo and class before; intervals resample photos.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pfungst.errors import PfungstError
from pfungst.evaluation.curves import abpc
from pfungst.evaluation.measuring import CONTROL, Row
from pfungst.evaluation.statistics import (
    BootstrapConfig,
    curve_over_images,
    mean_over_images,
    share_over_images,
)

ALL = "all"
"""Stands for all classes together, every true positive counting the same, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The result of :func:`pfungst.evaluation.quality.measure_quality`: tables of plain numbers.

    Attributes
    ----------
    classes : dict
        By class: positives, true positives, threshold and, where nothing could be measured, why.
    curves : list of dict
        One per method, operator, class (and ``all``), rule, order and number of steps: A, AOPC and V with
        intervals, mean drop with band, share of changed predictions at each step.
    between : list of dict
        One per method, operator, class, rule and number of steps: ABPC = LeRF − MoRF, and A over that of the
        random order, both as differences within a photo.
    localisation : list of dict
        One per class (and ``all``) and rule.
    failed : list of dict
        Photos that could not be measured, and why.
    manifest : dict
        What was measured, on what, with which seed.
    """

    classes: dict[str, dict[str, Any]]
    curves: list[dict[str, Any]]
    between: list[dict[str, Any]]
    localisation: list[dict[str, Any]]
    failed: list[dict[str, str]]
    manifest: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain content for JSON; numbers may be NaN."""
        return dict(self.__dict__)

    def find(self, **wanted: Any) -> list[dict[str, Any]]:
        """The rows of ``curves`` with the given values, such as ``rule="epsilon=100", order="morf"``."""
        return [row for row in self.curves if all(row.get(key) == value for key, value in wanted.items())]


class _Key(NamedTuple):
    method: str
    operator: str
    class_name: str
    rule: str
    order: str
    steps: int


Group = list[tuple[str, str, Row]]
"""Image, class and row of each trace of a group."""


def summarise(
    records: Sequence[Mapping[str, Any]],
    *,
    classes: Sequence[str],
    thresholds: Mapping[str, float],
    failed: Sequence[tuple[str, PfungstError]] = (),
    manifest: Mapping[str, Any] | None = None,
    bootstrap: BootstrapConfig | None = None,
) -> Quality:
    """Average the records of :class:`~pfungst.evaluation.measuring.MeasureImage`.

    Parameters
    ----------
    records : sequence of mapping
        One per photo.
    classes : sequence of str
        Their order in the tables.
    thresholds : mapping of str to float
        Decision thresholds; NaN where validation gave none.
    failed : sequence of (image id, error)
    manifest : mapping, optional
        Passed on.
    bootstrap : BootstrapConfig, optional
        Of the intervals.
    """
    bootstrap = bootstrap or BootstrapConfig()
    order = {name: index for index, name in enumerate([ALL, *classes])}
    groups, places = _grouped(records)
    ranked = sorted(groups, key=lambda key: (key.method, key.operator, order[key.class_name]))
    return Quality(
        classes=_class_table(records, classes, thresholds),
        curves=[_curve_row(key, groups[key], bootstrap) for key in ranked],
        between=[row for key in ranked for row in _between_rows(key, groups, bootstrap)],
        localisation=_localisation_table(places, order, bootstrap),
        failed=[{"image": image, "reason": str(error)} for image, error in failed],
        manifest=dict(manifest or {}),
    )


def _grouped(
    records: Iterable[Mapping[str, Any]],
) -> tuple[dict[_Key, Group], dict[tuple[str, str], Group]]:
    """Curve rows and localisation rows by what they are, for each class and for all together."""
    curves: dict[_Key, Group] = defaultdict(list)
    places: dict[tuple[str, str], Group] = defaultdict(list)
    for record in records:
        for row in record["rows"]:
            member = (record["image"], row["class"], row)
            for name in (row["class"], ALL):
                if row["method"] == "localisation":
                    places[name, row["rule"]].append(member)
                else:
                    fields = (row["method"], row["operator"], name, row["rule"], row["order"], row["steps"])
                    curves[_Key(*fields)].append(member)
    return curves, places


def _class_table(
    records: Sequence[Mapping[str, Any]], classes: Sequence[str], thresholds: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    table = {}
    for name in classes:
        shown = [record["positives"][name] for record in records if name in record["positives"]]
        true = sum(1 for item in shown if item["true_positive"])
        note = None
        if not shown:
            note = "no photo shows this class"
        elif not np.isfinite(thresholds[name]):
            note = "no decision threshold: validation had no positives or no negatives"
        elif not true:
            note = "no true positives: nothing was measured"
        table[name] = {
            "positives": len(shown),
            "true_positives": true,
            "threshold": thresholds[name],
            "note": note,
        }
    return table


def _curve_row(key: _Key, group: Group, bootstrap: BootstrapConfig) -> dict[str, Any]:
    images = [image for image, _, _ in group]
    rows = [row for _, _, row in group]
    drop = curve_over_images(images, np.array([row["drop"] for row in rows]), bootstrap)
    changed = curve_over_images(images, np.array([row["changed"] for row in rows]), bootstrap)
    return {
        "method": key.method,
        "operator": key.operator,
        "class": key.class_name,
        "rule": key.rule,
        "order": key.order,
        "steps": key.steps,
        "repetitions": sorted({row["repetitions"] for row in rows}),
        "n_images": len(set(images)),
        "n_true_positives": len(rows),
        "n_traces": sum(row["repetitions"] for row in rows),
        "A": mean_over_images(images, [row["A"] for row in rows], bootstrap).as_dict(),
        "AOPC": mean_over_images(images, [row["AOPC"] for row in rows], bootstrap).as_dict(),
        "V": share_over_images(images, [row["V"] for row in rows], bootstrap).as_dict(),
        "drop": {name: getattr(drop, name).tolist() for name in ("mean", "low", "high")},
        "changed": changed.mean.tolist(),
    }


def _between_rows(
    key: _Key, groups: Mapping[_Key, Group], bootstrap: BootstrapConfig
) -> list[dict[str, Any]]:
    """What compares the MoRF traces of one rule with its LeRF traces and with the random order."""
    if key.order != "morf":
        return []
    row: dict[str, Any] = {
        "method": key.method,
        "operator": key.operator,
        "class": key.class_name,
        "rule": key.rule,
        "steps": key.steps,
    }
    lerf = groups.get(key._replace(order="lerf"))
    random = groups.get(key._replace(order="random", rule=CONTROL))
    if lerf:
        row["ABPC"] = _paired(groups[key], lerf, _area_between, bootstrap)
    if random:
        row["A_over_random"] = _paired(groups[key], random, _gap, bootstrap)
    return [row]


def _area_between(first: Row, second: Row) -> float:
    return abpc(np.array(first["drop"]), np.array(second["drop"]))


def _gap(first: Row, second: Row) -> float:
    return float(first["A"] - second["A"])


def _paired(
    first: Group, second: Group, difference: Any, bootstrap: BootstrapConfig
) -> dict[str, Any] | None:
    """Mean difference over the photos and classes that are in both groups; None if there are none."""
    others = {(image, name): row for image, name, row in second}
    pairs = [(image, row, others[image, name]) for image, name, row in first if (image, name) in others]
    if not pairs:
        return None
    values = [difference(row, other) for _, row, other in pairs]
    return mean_over_images([image for image, _, _ in pairs], values, bootstrap).as_dict()


def _localisation_table(
    places: Mapping[tuple[str, str], Group], order: Mapping[str, int], bootstrap: BootstrapConfig
) -> list[dict[str, Any]]:
    ranked = sorted(places, key=lambda key: order[key[0]])
    return [_localisation_row(name, rule, places[name, rule], bootstrap) for name, rule in ranked]


def _localisation_row(name: str, rule: str, group: Group, bootstrap: BootstrapConfig) -> dict[str, Any]:
    scored = [(image, row) for image, _, row in group if not row["empty_box"]]
    images = [image for image, _ in scored]
    row: dict[str, Any] = {
        "class": name,
        "rule": rule,
        "n_scored": len(scored),
        "n_empty_boxes": len(group) - len(scored),
        "n_zero_maps": sum(1 for _, item in scored if item["zero_map"]),
    }
    for measure in ("pointing", "mass", "rank", "area", "near_area"):
        values = [item[measure] for _, item in scored]
        row[measure] = share_over_images(images, values, bootstrap).as_dict() if values else None
    return row
