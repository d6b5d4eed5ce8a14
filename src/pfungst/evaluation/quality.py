"""Quality measurements over a data set: true positives, their traces and localisation, then statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pfungst.contract.classifier import Classifier
from pfungst.contract.look import looking
from pfungst.contract.plain import to_plain
from pfungst.errors import ConfigError
from pfungst.evaluation.attributions import Attribution, checked_attributions
from pfungst.evaluation.config import QualityConfig, check_methods, default_methods, default_rules
from pfungst.evaluation.measuring import MeasurePhotos
from pfungst.evaluation.rows import PhotoRecord, Quality
from pfungst.evaluation.statistics import BootstrapConfig
from pfungst.evaluation.summary import summarise
from pfungst.images.dataset import POSITIVE, DataSet, Record
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.photos import run_photos


def measure_quality(
    classifier: Classifier,
    data: DataSet,
    config: QualityConfig | None = None,
    *,
    classes: Sequence[str] | None = None,
    attributions: Mapping[str, Attribution] | None = None,
    max_images: int | None = None,
    workers: Workers = 1,
    out: str | Path | None = None,
    identity: Mapping[str, Any] | None = None,
    bootstrap: BootstrapConfig | None = None,
    progress: Progress = silent,
) -> Quality:
    """Measure how well a classifier's heatmaps (and a user's) say what its scores rest on.

    Measured are the true positives: photos that show a class and whose f(x) is above the class's decision
    threshold, which training set at the equal error rate of the validation split.

    Parameters
    ----------
    classifier : Classifier
        Picklable unless ``workers`` is 1.
    data : DataSet
        Labelled photos, such as a test split.
    config : QualityConfig, optional
        Default: Algorithm 1 if the classifier has descriptors, else regions; localisation if there are boxes.
    classes : sequence of str, optional
        Default: all classes that both the classifier and the data have.
    attributions : mapping of str to callable, optional
        Heatmaps of a user's own, by name: ``f(image, class_name, image_id) -> array``.
    max_images : int, optional
        A seeded random sample of so many photos among those that show a class.
    workers : int or Cluster
        Processes, or a Dask cluster; the numbers do not depend on it.
    out : path, optional
        The run's folder. A further call with the same configuration goes on where it was interrupted.
    identity : mapping, optional
        What the records depend on beyond the configuration (the model's checksum); compared on resume.
    bootstrap : BootstrapConfig, optional
        Of the intervals.
    progress : Progress
        Told after each photo.

    Returns
    -------
    Quality
        Typed rows. Photos that could not be measured are listed in ``failures``.

    Raises
    ------
    ConfigError
        If the classifier cannot do what the configuration asks for, classes are unknown, or ``out`` was
        begun with another configuration.
    """
    config = config or QualityConfig(
        methods=default_methods(classifier, with_boxes=has_boxes(data)), rules=default_rules(classifier)
    )
    chosen = common_classes(classifier, data, classes)
    ranked = checked_attributions(attributions, config.rules)
    check_methods(classifier, config, tuple(ranked))
    records = sampled(data, chosen, max_images, config.random_state)
    task = MeasurePhotos(classifier=classifier, config=config, classes=chosen, attributions=ranked)
    thresholds = {name: task.threshold(name) for name in chosen}
    with run_photos(
        task,
        replace(data, records=records),
        settings={
            "classes": list(chosen),
            "thresholds": to_plain(list(thresholds.values())),
            "attributions": sorted(ranked),
            "config": to_plain(config),
        },
        identity=identity,
        batch_size=looking(classifier).batch_size,
        out=out,
        workers=workers,
        progress=progress,
        stage="heatmap quality",
    ) as run:
        return summarise(
            run.rows(PhotoRecord),
            classes=chosen,
            thresholds=thresholds,
            failures=run.failures,
            manifest=run.configuration,
            bootstrap=bootstrap or BootstrapConfig(random_state=config.random_state),
        )


def has_boxes(data: DataSet) -> bool:
    """Whether any photo has a box."""
    return any(record.boxes for record in data)


def common_classes(
    classifier: Classifier, data: DataSet, classes: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The classes to be measured, in the classifier's order.

    Raises
    ------
    ConfigError
        If a named class is unknown to the classifier or the data, or the two have none in common.
    """
    common = tuple(name for name in classifier.classes if name in data.classes)
    if classes is not None:
        for name in classes:
            if name not in common:
                raise ConfigError(
                    f"class {name!r} is not known to both the model and the data", allowed=", ".join(common)
                )
        common = tuple(name for name in common if name in classes)
    if not common:
        raise ConfigError(
            "the model and the data have no class in common",
            allowed=f"the model's classes: {', '.join(classifier.classes)}",
            hint=f"the data's classes: {', '.join(data.classes)}",
        )
    return common


def sampled(
    data: DataSet, classes: Sequence[str], max_images: int | None, random_state: int
) -> tuple[Record, ...]:
    """Photos that show one of the classes, in the data's order; a seeded sample of them if there are more."""
    if max_images is not None and max_images < 1:
        raise ConfigError(f"max_images = {max_images}", allowed="1 or more")
    shown = [record for record in data if any(record.label(name) == POSITIVE for name in classes)]
    if max_images is None or len(shown) <= max_images:
        return tuple(shown)
    drawn = np.random.default_rng(random_state).choice(len(shown), max_images, replace=False)
    return tuple(shown[index] for index in np.sort(drawn))
