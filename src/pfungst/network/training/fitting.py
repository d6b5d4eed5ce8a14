"""The steps of one retraining: views, the descent that selects an epoch, the descent on all photos."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pfungst.contract.ranking import equal_error_thresholds, mean_average_precision
from pfungst.errors import DataError, Failure
from pfungst.images.dataset import DataSet
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.training.backbone import Backbone, linear_head
from pfungst.network.training.epochs import Descent, State, descend
from pfungst.network.training.initial import Head, find_head
from pfungst.network.training.sources import CanvasSource, FeatureSource, Source, unit_scale
from pfungst.network.training.view_store import (
    TRAINING_VIEWS,
    CanvasTask,
    FeatureTask,
    StoredViews,
    check_size,
    store_views,
)
from pfungst.progress import Progress
from pfungst.runs.executor import Workers, single_thread

_SCORE_BATCH = 64
_FEATURE_NORM = 10.0  # to which features are scaled, so that rate and decay mean the same for every network


class Fitting:
    """One retraining; :func:`~pfungst.network.training.train.train_network` describes what it does.

    Parameters
    ----------
    network : NetworkClassifier
        Trained in place.
    training, validation : DataSet
        Photos and labels.
    settings : Descent
        Of both descents.
    freeze : bool
        Train the last layer alone.
    score_only_validation : bool
        The validation photos are never trained on: their centre view suffices.
    max_cache_bytes : int
        Limit of the stored views.
    threads : int
        Of a whole network's descent.
    configuration : mapping
        Plain JSON: everything that the training depends on.
    folder : path
        Of views and checkpoints.
    workers : int or Cluster
        Processes for the views.
    progress : Progress
    """

    def __init__(
        self,
        network: NetworkClassifier,
        training: DataSet,
        validation: DataSet | None,
        settings: Descent,
        *,
        freeze: bool,
        score_only_validation: bool,
        max_cache_bytes: int,
        threads: int,
        configuration: Mapping[str, Any],
        folder: Path,
        workers: Workers,
        progress: Progress,
    ) -> None:
        self._network, self._settings = network, settings
        self._folder, self._workers, self._progress = folder, workers, progress
        self._n_threads, self._configuration = threads, configuration
        self._head = linear_head(network.module, network.preprocess) if freeze else None
        held_out = validation.records if validation is not None else ()
        scored_only = frozenset(record.id for record in held_out) if score_only_validation else frozenset()
        data = [training] if validation is None else [training, validation]
        stored = self._stored_views(data, scored_only, max_cache_bytes)
        self.failures: tuple[Failure, ...] = stored.failures
        self._labels = np.concatenate([part.labels() for part in data])
        rows = np.flatnonzero(stored.readable)
        self._identity = _fingerprint({**configuration, "readable": stored.readable.tolist()})
        self._train_rows, self._val_rows = rows[rows < len(training)], rows[rows >= len(training)]
        _check_positives(training, self._labels[self._train_rows])
        self._source: Source
        self._scale = 1.0
        if self._head is not None:
            self._scale = unit_scale(stored.array, rows, _FEATURE_NORM)
            self._source = FeatureSource(stored.array, self._scale)
        else:
            self._source = CanvasSource(stored.array, network.preprocess)
        self._model = self._trainable(freeze)
        self._start = {name: value.clone() for name, value in self._model.state_dict().items()}

    @property
    def has_validation(self) -> bool:
        """Whether any validation photo can be read."""
        return len(self._val_rows) > 0

    def _stored_views(self, data: list[DataSet], scored_only: frozenset[str], limit: int) -> StoredViews:
        """Features of all photos if only a linear last layer is trained, else their canvases."""
        both = replace(
            data[0],
            records=tuple(record for part in data for record in part.records),
            problems=tuple(text for part in data for text in part.problems),
        )
        preprocess = self._network.preprocess
        if self._head is None:
            side = preprocess.resize_length
            check_size(len(both), (side, side, 3), np.uint8, limit)
            return store_views(
                self._folder / "canvases", both, CanvasTask(preprocess), (side, side, 3), np.uint8,
                settings=self._configuration, workers=self._workers, progress=self._progress,
            )  # fmt: skip
        row = (TRAINING_VIEWS, self._head.layer.weight.shape[1])
        check_size(len(both), row, np.float32, limit)
        task = FeatureTask(Backbone(self._network.module, preprocess), scored_only)
        return store_views(
            self._folder / "features", both, task, row, np.float32,
            settings=self._configuration, workers=self._workers, progress=self._progress,
        )  # fmt: skip

    def _trainable(self, freeze: bool) -> nn.Module:
        """The last layer on its own, or the network with all or some of its parameters to be trained."""
        if self._head is not None:
            outputs, width = self._head.layer.weight.shape[:2]
            layer = nn.Linear(width, outputs, bias=self._head.layer.bias is not None)
            layer.load_state_dict(_linear_weights(self._head, self._scale))
            return layer
        module = self._network.module.requires_grad_(not freeze)
        if freeze:
            find_head(module, self._network.preprocess).layer.requires_grad_(True)
        return module

    def select(self) -> tuple[State, NDArray[np.float64]]:
        """Train on the training set; best epoch and thresholds come from the validation set.

        Returns
        -------
        state : State
            The model is left at its best weights.
        thresholds : (n_classes,) float64
            At the equal error rate; NaN where undefined, 0 without validation.
        """
        labels = self._labels[self._val_rows]

        def validate() -> float | None:
            return mean_average_precision(labels, self._center_scores(self._val_rows))

        state = self._descend("select", self._train_rows, self._settings, validate)
        self._model.load_state_dict(state.best)
        if not self.has_validation:
            return state, np.zeros(self._labels.shape[1])
        scores = self._center_scores(self._val_rows)
        return state, equal_error_thresholds(labels, scores)

    def refit(self, *, epochs: int) -> None:
        """Train from the start again, on training and validation set, for so many epochs of the schedule."""
        self._model.load_state_dict(self._start)
        rows = np.concatenate([self._train_rows, self._val_rows])
        state = self._descend("refit", rows, replace(self._settings, epochs=epochs), None)
        self._model.load_state_dict(state.weights)

    def _descend(
        self,
        name: str,
        rows: NDArray[np.intp],
        settings: Descent,
        validate: Callable[[], float | None] | None,
    ) -> State:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        with self._threads():
            return descend(
                self._model, self._source, rows, self._labels[rows], settings,
                validate=validate if self.has_validation else None,
                folder=folder, identity=self._identity,
                stage=f"epochs ({name})", progress=self._progress,
            )  # fmt: skip

    def _center_scores(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Scores of the centre view of some photos, ``(len(rows), n_classes)``."""
        reference = next(self._model.parameters())
        parts = []
        with torch.inference_mode(), self._threads():
            for start in range(0, len(rows), _SCORE_BATCH):
                inputs = self._source.center_inputs(rows[start : start + _SCORE_BATCH])
                output = self._model(inputs.to(reference.device, reference.dtype)).flatten(1)
                parts.append(output.double().cpu().numpy())
        return np.concatenate(parts)

    def _threads(self) -> contextlib.AbstractContextManager[None]:
        """One thread for a last layer, a stated number for a network, whatever ``workers`` is."""
        return single_thread() if self._head is not None else _threads(self._n_threads)

    def install(self) -> None:
        """Put the trained last layer into the network (a network trained whole is in place already)."""
        if self._head is None:
            self._network.module.requires_grad_(True).eval()
            return
        state = self._model.state_dict()
        shape = self._head.layer.weight.shape
        self._head.layer.load_state_dict({**state, "weight": state["weight"].reshape(shape) * self._scale})


def _fingerprint(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _linear_weights(head: Head, scale: float) -> dict[str, Tensor]:
    """The head's weights as those of a linear layer on scaled features.

    A 1 x 1 convolution loses its two last axes.
    """
    state = {name: value.detach().float().cpu() for name, value in head.layer.state_dict().items()}
    return {**state, "weight": state["weight"].flatten(1) / scale}


def _check_positives(training: DataSet, labels: NDArray[np.int8]) -> None:
    if not len(labels):
        raise DataError(training.root, f"no photo of {training.name!r} can be read")
    missing = [name for name, column in zip(training.classes, labels.T, strict=True) if column.max() < 1]
    if missing:
        raise DataError(
            training.root,
            f"no training photo of {training.name!r} shows {', '.join(missing)}",
            hint="only the classes that are shown (--classes)",
        )


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
