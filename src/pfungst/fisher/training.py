"""From a labelled photo set to a Fisher-vector classifier.

1. a seeded sample of descriptors from the training photos (memory-mapped) → PCA and mixture;
2. every training and validation photo → Fisher vector (memory-mapped, one row a photo);
3. Gram matrix → C by mean AP on validation, thresholds at the equal error rate on validation;
4. machines trained anew on training + validation photos with that C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.ranking import equal_error_thresholds, mean_average_precision
from pfungst.descriptors import fit_pca
from pfungst.errors import ConfigError, DataError, Failure
from pfungst.fisher.classifier import FisherClassifier
from pfungst.fisher.gathering import Gathering, encode_photos, opened_gathering, sample_descriptors
from pfungst.fisher.pipeline import FisherPipeline
from pfungst.fisher.settings import FisherTraining
from pfungst.fisher.svm import DualMachines, gram_matrix, require_both, train_machines
from pfungst.images import DataSet
from pfungst.images.seen import SeenPhotos
from pfungst.mixture import MixtureConfig, fit_mixture
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers, single_thread


@dataclass(frozen=True, kw_only=True)
class TrainedFisher:
    """A trained classifier and how it came about.

    Attributes
    ----------
    classifier : FisherClassifier
    c : float
        The chosen C.
    validation : mapping of float to float
        Mean average precision on validation for each C tried; None where no class has positives there.
    failures : tuple of Failure
        Photos that could not be used.
    """

    classifier: FisherClassifier
    c: float
    validation: dict[float, float | None]
    failures: tuple[Failure, ...]


def train_fisher(
    train: DataSet,
    validation: DataSet,
    config: FisherTraining | None = None,
    *,
    out: str | Path | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
) -> TrainedFisher:
    """Train a Fisher-vector classifier.

    Parameters
    ----------
    train, validation : DataSet
        With the same classes; photos are decoded one at a time. Photos that cannot be used are left out and
        listed in the result.
    config : FisherTraining, optional
    out : path, optional
        A folder for the descriptor sample and the Fisher vectors; a further call with the same photos and
        settings goes on there where it was interrupted. A cluster's workers must see it. Default: a temporary
        one.
    workers : int or Cluster
        Processes, or a Dask cluster.
    progress : Progress

    Raises
    ------
    DataError
        If a class has too few examples in a split, or no photo is usable.
    """
    config = config or FisherTraining()
    require_trainable(train, validation)
    with opened_gathering(out, workers) as gathering:
        pipeline, not_sampled = fit_pipeline(train, config, gathering=gathering, progress=progress)
        vectors, kept, not_encoded = encode_photos(
            pipeline, train, validation, gathering=gathering, progress=progress
        )
        labels = np.concatenate([train.labels(), validation.labels()])[kept]
        is_train = kept < len(train)
        machines, c, validated, thresholds = _select_and_train(
            vectors, labels, is_train, train.classes, c_values=config.c_values, progress=progress
        )
        weights = machines.primal(vectors)
    seen = SeenPhotos.of(train, validation, progress=progress)
    failures = _distinct([*not_sampled, *not_encoded])
    summary = {
        "config": config.as_dict(),
        "c": c,
        "validation_map": {f"{value:g}": score for value, score in validated.items()},
        "train": {"name": train.name, "images": int(is_train.sum())},
        "validation": {"name": validation.name, "images": int((~is_train).sum())},
        "failures": [str(error) for error in failures],
    }
    classifier = FisherClassifier(
        pipeline, train.classes, weights, machines.bias, thresholds=thresholds, training=summary, seen=seen
    )
    return TrainedFisher(classifier=classifier, c=c, validation=validated, failures=failures)


def require_trainable(train: DataSet, validation: DataSet) -> None:
    """Refuse data from which the machines could not learn, before any long work starts."""
    if train.classes != validation.classes:
        raise DataError(
            validation.root, "classes of training and validation differ", allowed=", ".join(train.classes)
        )
    labels = train.labels()
    for column, name in enumerate(train.classes):
        try:
            require_both(labels[:, column], name)
        except ConfigError as error:
            raise DataError(train.root, error.problem, allowed=error.allowed, hint=error.hint) from error
    if not len(validation):
        raise DataError(validation.root, f"no photos in {validation.name!r}", hint="another --val-split")


def fit_pipeline(
    train: DataSet,
    config: FisherTraining,
    *,
    gathering: Gathering,
    progress: Progress = silent,
) -> tuple[FisherPipeline, tuple[Failure, ...]]:
    """Sample descriptors and fit PCA and mixture to them; also what photos failed."""
    sample, failures = sample_descriptors(train, config, gathering=gathering, progress=progress)
    with single_thread():
        pca = fit_pca(sample, config.dims, workers=gathering.workers)
        mixture = fit_mixture(
            gathering.projected(sample, pca),
            MixtureConfig(
                n_components=config.n_components,
                init=config.mixture_init,
                max_iter=config.mixture_iterations,
                random_state=config.random_state,
            ),
            progress=progress,
            workers=gathering.workers,
        )
    return FisherPipeline(descriptor=config.descriptor, pca=pca, mixture=mixture), failures


def _select_and_train(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int8],
    is_train: NDArray[np.bool_],
    classes: tuple[str, ...],
    *,
    c_values: Sequence[float],
    progress: Progress,
) -> tuple[DualMachines, float, dict[float, float | None], NDArray[np.float64]]:
    """Machines on all photos with the C that is best on validation, and thresholds from validation."""
    with single_thread():
        gram = gram_matrix(vectors)
        tried: dict[float, float | None] = {}
        validation_scores: dict[float, NDArray[np.float64]] = {}
        train_gram = gram[np.ix_(is_train, is_train)]
        cross = gram[np.ix_(~is_train, is_train)]
        for step, c in enumerate(c_values):
            scores = train_machines(train_gram, labels[is_train], c, classes).scores(cross)
            validation_scores[c], tried[c] = scores, mean_average_precision(labels[~is_train], scores)
            progress("classifier", step + 1, len(c_values) + 1)
        best = max(tried, key=lambda c: (-1.0 if (score := tried[c]) is None else score, -c))
        undecided = equal_error_thresholds(labels[~is_train], validation_scores[best])
        thresholds = np.where(np.isnan(undecided), 0.0, undecided)
        machines = train_machines(gram, labels, best, classes)
        progress("classifier", len(c_values) + 1, len(c_values) + 1)
    return machines, best, tried, thresholds


def _distinct(failures: Sequence[Failure]) -> tuple[Failure, ...]:
    """One a reason, which names the file: a photo may fail in more than one pass, under another name."""
    return tuple({failure.reason: failure for failure in failures}.values())
