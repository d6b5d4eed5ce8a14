"""From records of single photos to tables: A, AOPC, V, ABPC, curves, localisation, all with intervals.

Only traces with the same number of steps are averaged; each number of steps has rows of its own. Repetitions
were averaged within each photo and class before; intervals resample photos.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import Failure
from pfungst.evaluation.curves import abpc
from pfungst.evaluation.localisation import MEASURES, Localisation
from pfungst.evaluation.orders import Order
from pfungst.evaluation.rows import (
    ALL,
    CONTROL,
    Band,
    BetweenRow,
    ClassRow,
    CurveRow,
    LocalisationRow,
    PhotoRecord,
    Quality,
    TraceRow,
)
from pfungst.evaluation.statistics import (
    BootstrapConfig,
    Estimate,
    curve_over_images,
    mean_over_images,
    share_over_images,
)


class _Key(NamedTuple):
    method: str
    operator: str
    class_name: str
    rule: str
    order: Order
    steps: int


Traces = list[tuple[str, TraceRow]]
"""Image and row of each trace of a group."""
Places = list[tuple[str, Localisation]]


def summarise(
    records: Sequence[PhotoRecord],
    *,
    classes: Sequence[str],
    thresholds: Mapping[str, float],
    failures: Sequence[Failure] = (),
    manifest: Mapping[str, Any] | None = None,
    bootstrap: BootstrapConfig | None = None,
) -> Quality:
    """Average the records of :class:`~pfungst.evaluation.measuring.MeasurePhotos`.

    Parameters
    ----------
    records : sequence of PhotoRecord
    classes : sequence of str
        Their order in the tables.
    thresholds : mapping of str to float
        Decision thresholds; NaN where validation gave none.
    failures : sequence of Failure
    manifest : mapping, optional
        Passed on.
    bootstrap : BootstrapConfig, optional
        Of the intervals.
    """
    bootstrap = bootstrap or BootstrapConfig()
    order = {name: index for index, name in enumerate([ALL, *classes])}
    groups, places = _grouped_traces(records), _grouped_places(records)
    ranked = sorted(groups, key=lambda key: (key.method, key.operator, order[key.class_name]))
    return Quality(
        classes={name: _class_row(records, name, thresholds[name]) for name in classes},
        curves=tuple(_curve_row(key, groups[key], bootstrap) for key in ranked),
        between=tuple(_between_row(key, groups, bootstrap) for key in ranked if key.order == "morf"),
        localisation=tuple(
            _localisation_row(name, rule, places[name, rule], bootstrap)
            for name, rule in sorted(places, key=lambda key: order[key[0]])
        ),
        failures=tuple(failures),
        manifest=dict(manifest or {}),
    )


def _grouped_traces(records: Iterable[PhotoRecord]) -> dict[_Key, Traces]:
    """Traces by what they are, for each class and for all together."""
    groups: dict[_Key, Traces] = defaultdict(list)
    for record in records:
        for row in record.traces:
            for name in (row.class_name, ALL):
                key = _Key(row.method, row.operator, name, row.rule, row.order, row.steps)
                groups[key].append((record.image, row))
    return groups


def _grouped_places(records: Iterable[PhotoRecord]) -> dict[tuple[str, str], Places]:
    """Localisation by class (and all together) and rule."""
    groups: dict[tuple[str, str], Places] = defaultdict(list)
    for record in records:
        for row in record.places:
            for name in (row.class_name, ALL):
                groups[name, row.rule].append((record.image, row.found))
    return groups


def _class_row(records: Sequence[PhotoRecord], name: str, threshold: float) -> ClassRow:
    shown = [record.positives[name] for record in records if name in record.positives]
    true = sum(item.true_positive for item in shown)
    note = None
    if not shown:
        note = "no photo shows this class"
    elif not np.isfinite(threshold):
        note = "no decision threshold: validation had no positives or no negatives"
    elif not true:
        note = "no true positives: nothing was measured"
    return ClassRow(positives=len(shown), true_positives=true, threshold=threshold, note=note)


def _curve_row(key: _Key, group: Traces, bootstrap: BootstrapConfig) -> CurveRow:
    images = [image for image, _ in group]
    rows = [row for _, row in group]
    drop = curve_over_images(images, np.array([row.drop for row in rows]), bootstrap)
    changed = curve_over_images(images, np.array([row.changed for row in rows]), bootstrap)
    return CurveRow(
        method=key.method,
        operator=key.operator,
        class_name=key.class_name,
        rule=key.rule,
        order=key.order,
        steps=key.steps,
        repetitions=tuple(sorted({row.repetitions for row in rows})),
        n_images=len(set(images)),
        n_true_positives=len(rows),
        n_traces=sum(row.repetitions for row in rows),
        a=mean_over_images(images, [row.a for row in rows], bootstrap),
        aopc=mean_over_images(images, [row.aopc for row in rows], bootstrap),
        v=share_over_images(images, [row.v for row in rows], bootstrap),
        drop=Band(mean=_numbers(drop.mean), low=_numbers(drop.low), high=_numbers(drop.high)),
        changed=_numbers(changed.mean),
    )


def _numbers(curve: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(curve.tolist())


def _between_row(key: _Key, groups: Mapping[_Key, Traces], bootstrap: BootstrapConfig) -> BetweenRow:
    """What compares the MoRF traces of one rule with its LeRF traces and with the random order."""
    lerf = groups.get(key._replace(order="lerf"), [])
    random = groups.get(key._replace(order="random", rule=CONTROL), [])
    return BetweenRow(
        method=key.method,
        operator=key.operator,
        class_name=key.class_name,
        rule=key.rule,
        steps=key.steps,
        abpc=_paired(groups[key], lerf, _area_between, bootstrap),
        a_over_random=_paired(groups[key], random, _gap, bootstrap),
    )


def _area_between(first: TraceRow, second: TraceRow) -> float:
    return abpc(np.array(first.drop), np.array(second.drop))


def _gap(first: TraceRow, second: TraceRow) -> float:
    return first.a - second.a


def _paired(
    first: Traces,
    second: Traces,
    difference: Callable[[TraceRow, TraceRow], float],
    bootstrap: BootstrapConfig,
) -> Estimate | None:
    """Mean difference over the photos and classes that are in both groups; None if there are none."""
    others = {(image, row.class_name): row for image, row in second}
    pairs = [
        (image, row, others[image, row.class_name])
        for image, row in first
        if (image, row.class_name) in others
    ]
    if not pairs:
        return None
    values = [difference(row, other) for _, row, other in pairs]
    return mean_over_images([image for image, _, _ in pairs], values, bootstrap)


def _localisation_row(name: str, rule: str, group: Places, bootstrap: BootstrapConfig) -> LocalisationRow:
    scored = [(image, found) for image, found in group if not found.empty_box]
    images = [image for image, _ in scored]
    measures = {
        measure: share_over_images(images, [getattr(found, measure) for _, found in scored], bootstrap)
        for measure in (MEASURES if scored else ())
    }
    return LocalisationRow(
        class_name=name,
        rule=rule,
        n_scored=len(scored),
        n_empty_boxes=len(group) - len(scored),
        n_zero_maps=sum(found.zero_map for _, found in scored),
        **measures,
    )
