"""Retraining of a network for several labels a photo: the set-up of the paper on any network and data set."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from pfungst.errors import ConfigError, DataError, Failure, FileError, unknown_name
from pfungst.images.dataset import DataSet
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.training.epochs import Descent, Epoch, State
from pfungst.network.training.fitting import Fitting
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.runs.identity import data_identity
from pfungst.runs.lock import LOCK_FILE, locked
from pfungst.writing import make_folder

Geometry = Literal["longest+pad", "warp"]
GEOMETRIES: tuple[str, ...] = get_args(Geometry)


@dataclass(frozen=True, kw_only=True)
class NetworkTraining:
    """Settings of :func:`train_network`.

    Attributes
    ----------
    freeze : bool
        Train the last layer alone, on features computed once; else the whole network.
    epochs : int, optional
        Passes over the ten views of all photos; default 15 frozen, 10 whole.
    batch_size : int
        Views in a step.
    learning_rate : float, optional
        At the start; default 0.01 frozen, 0.001 whole. Frozen features are scaled to a root mean square norm
        of 10, and the scale goes into the trained weights, so that rate and decay suit every network.
    momentum : float
        Of stochastic gradient descent.
    weight_decay : float, optional
        Of weights, not of biases; default 0.1 frozen, 0.0005 whole.
    step_epochs : int, optional
        After every so many epochs the learning rate is multiplied by ``step_factor``; default a third of
        ``epochs``, rounded up.
    step_factor : float
        See ``step_epochs``.
    geometry : {"longest+pad", "warp"}
        Canvas of training and of the centre view: longest side 256 with padding as in the paper, or warped to
        a square.
    refit : bool
        Once the best epoch is known from the validation set, train again from the start for that many epochs
        on training and validation set together. The thresholds are those of the first training.
    max_cache_bytes : int
        Limit of the stored views on disk.
    threads : int
        Of the descent if the whole network is trained. The last digits depend on it, so it is a setting of
        the training and not the machine's number of processors.
    random_state : int
        Seed of the order of the views, and of dropout.
    """

    freeze: bool = True
    epochs: int | None = None
    batch_size: int = 64
    learning_rate: float | None = None
    momentum: float = 0.9
    weight_decay: float | None = None
    step_epochs: int | None = None
    step_factor: float = 0.1
    geometry: Geometry = "longest+pad"
    refit: bool = True
    max_cache_bytes: int = 8 * 2**30
    threads: int = 1
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.geometry not in GEOMETRIES:
            raise unknown_name("geometry", str(self.geometry), GEOMETRIES)
        settings = self.descent()
        if min(settings.epochs, settings.batch_size, settings.step_epochs, self.threads) < 1:
            raise ConfigError(
                f"epochs {settings.epochs}, batch_size {settings.batch_size}, "
                f"step_epochs {settings.step_epochs}, threads {self.threads}",
                allowed="1 or more each",
            )
        if settings.learning_rate <= 0 or not 0 <= self.momentum < 1 or settings.weight_decay < 0:
            raise ConfigError(
                f"learning_rate {settings.learning_rate}, momentum {self.momentum}, "
                f"weight_decay {settings.weight_decay}",
                allowed="learning_rate > 0, 0 ≤ momentum < 1, weight_decay ≥ 0",
            )

    def descent(self) -> Descent:
        """The settings of gradient descent with all defaults filled in."""
        epochs, rate, decay = (15, 0.01, 0.1) if self.freeze else (10, 0.001, 5e-4)
        epochs = epochs if self.epochs is None else self.epochs
        return Descent(
            epochs=epochs,
            batch_size=self.batch_size,
            learning_rate=rate if self.learning_rate is None else self.learning_rate,
            momentum=self.momentum,
            weight_decay=decay if self.weight_decay is None else self.weight_decay,
            step_epochs=-(-epochs // 3) if self.step_epochs is None else self.step_epochs,
            step_factor=self.step_factor,
            random_state=self.random_state,
            evaluation_mode=self.freeze,
        )


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """What :func:`train_network` returns.

    Attributes
    ----------
    classifier : NetworkClassifier
        With thresholds at the equal error rate of the validation set.
    history : tuple of Epoch
        Loss and validation mean AP of each epoch of the first training.
    best_epoch : int
        Its best one, counted from 0.
    failures : tuple of Failure
        Photos that could not be read, and why.
    undefined_thresholds : tuple of str
        Classes without positives or negatives in the validation set; their threshold is 0.
    """

    classifier: NetworkClassifier
    history: tuple[Epoch, ...]
    best_epoch: int
    failures: tuple[Failure, ...]
    undefined_thresholds: tuple[str, ...]


def train_network(
    initial: NetworkClassifier,
    training: DataSet,
    validation: DataSet | None = None,
    config: NetworkTraining | None = None,
    *,
    out: str | Path | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
) -> TrainedNetwork:
    """Train a network for several labels a photo with the sum over classes of hinge losses.

    Each photo gives ten views: on a canvas with its longest side 256, padded by the nearest edge pixels, the
    four corner crops and the centre crop at the network's input size, and their mirror images. The loss of a
    view is ``Σ_c max(0, 1 − y_c f_c(x))`` over the classes whose label is not difficult.

    Parameters
    ----------
    initial : NetworkClassifier
        Where to start, with the data set's classes
        (:func:`~pfungst.network.training.initial.initial_network`). It is left as it is.
    training : DataSet
        Photos to train on.
    validation : DataSet, optional
        Decides the best epoch, by mean area AP of the centre view, and the thresholds. Without it the last
        epoch is taken and thresholds are 0.
    config : NetworkTraining, optional
        Settings.
    out : path, optional
        Where views and checkpoints are kept, so that a stopped training goes on to the same numbers; by
        default a temporary folder. Photos that could not be read are tried again, and if one can be now, the
        descent begins anew with it.
    workers : int or Cluster
        Processes or a Dask cluster that decode photos and compute frozen features; the numbers do not depend
        on it.
    progress : Progress
        Told of photos and epochs.

    Raises
    ------
    ConfigError
        If classes do not match, a setting cannot work, the loss is not finite, or ``out`` holds another
        training: other photos, labels, settings or first weights, or another version of this library.
    DataError
        If no photo can be read, a class has no positive photo, or a photo has changed since the training was
        begun.
    FileError
        If ``out`` holds something else, another process is at work there, or the disk is full.

    Examples
    --------
    Train the last layer of EfficientNet-Lite0 and save the model::

        start = initial_network("efficientnet-lite0", data.classes)
        trained = train_network(start, data.split("train"), data.split("val"), workers=2)
        trained.classifier.save("model")
    """
    settings = config or NetworkTraining()
    _check(initial, training, validation)
    network = NetworkClassifier(
        deepcopy(initial.module),
        training.classes,
        initial.preprocess.with_resize(settings.geometry),
        architecture=initial.architecture,
        device=initial.device,
        dtype=initial.dtype,
    )
    with _kept_or_temporary(out) as place, locked(place):
        _refuse_strangers(place)
        fitting = Fitting(
            network, training, validation, settings.descent(),
            freeze=settings.freeze, score_only_validation=not settings.refit,
            max_cache_bytes=settings.max_cache_bytes, threads=settings.threads,
            configuration=_configuration(network, training, validation, settings),
            folder=place, workers=workers, progress=progress,
        )  # fmt: skip
        selected, thresholds = fitting.select()
        if settings.refit and fitting.has_validation:
            fitting.refit(epochs=selected.best_epoch + 1)
        fitting.install()
    undefined = np.isnan(thresholds)
    network = network.with_thresholds(np.where(undefined, 0.0, thresholds))
    network.info = _info(training, validation, settings, selected)
    return TrainedNetwork(
        classifier=network,
        history=tuple(selected.history),
        best_epoch=selected.best_epoch,
        failures=fitting.failures,
        undefined_thresholds=tuple(np.array(training.classes)[undefined].tolist()),
    )


def _check(initial: NetworkClassifier, training: DataSet, validation: DataSet | None) -> None:
    if initial.left_out:
        raise ConfigError(
            f"the network ends in {' after '.join(initial.left_out)}: a hinge loss needs raw scores",
            hint="a network without it, or a new last layer: initial_network(network, classes)",
        )
    for data in (training, validation):
        if data is not None and data.classes != initial.classes:
            raise ConfigError(
                f"data set {data.name!r} has the classes {', '.join(data.classes)}",
                allowed=f"those of the network: {', '.join(initial.classes)}",
                hint="initial_network(..., classes=data.classes)",
            )
    if validation is not None:
        both = {record.id for record in training} & {record.id for record in validation}
        if both:
            raise DataError(
                training.root,
                f"{len(both)} photos are both in {training.name!r} and in {validation.name!r}, among them "
                f"{min(both)}",
                allowed="disjoint training and validation sets",
            )


def _info(
    training: DataSet, validation: DataSet | None, config: NetworkTraining, selected: State
) -> dict[str, Any]:
    """What the model folder tells of the training."""
    return {
        "training": training.name,
        "validation": validation.name if validation is not None else None,
        "settings": asdict(config),
        "best_epoch": selected.best_epoch + 1,
        "history": [asdict(epoch) for epoch in selected.history],
    }


def _configuration(
    network: NetworkClassifier, training: DataSet, validation: DataSet | None, config: NetworkTraining
) -> dict[str, Any]:
    """All that the result depends on, but for version and files, which the run of views identifies."""
    return {
        "training": data_identity(training),
        "validation": data_identity(validation) if validation is not None else None,
        "first_weights_sha256": _weights_sha256(network),
        "preprocess": network.preprocess.as_dict(),
        "settings": asdict(config),
    }


def _weights_sha256(network: NetworkClassifier) -> str:
    digest = hashlib.sha256(network.preprocess.offset().tobytes())
    for name, value in network.module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _kept_or_temporary(out: str | Path | None) -> Iterator[Path]:
    if out is not None:
        make_folder(Path(out))
        yield Path(out)
    else:
        with tempfile.TemporaryDirectory(prefix="pfungst-training-") as name:
            yield Path(name)


_OWN = frozenset({LOCK_FILE, "features", "features.dat", "canvases", "canvases.dat", "select", "refit"})


def _refuse_strangers(folder: Path) -> None:
    """Refuse a folder that holds anything but a training."""
    others = sorted(item.name for item in folder.iterdir() if item.name not in _OWN)
    if others:
        raise FileError(
            folder, f"holds {others[0]!r}, which is no part of a training", hint="another or an empty folder"
        )
