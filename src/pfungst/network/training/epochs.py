"""Stochastic gradient descent with the multi-label hinge loss, epoch by epoch, with checkpoints."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pfungst.contract.storage import (
    ModelFolder,
    is_model_folder,
    read_description,
    read_model_folder,
    write_model_folder,
)
from pfungst.errors import ConfigError, ModelError
from pfungst.network.training.sources import Source
from pfungst.network.training.view_store import TRAINING_VIEWS
from pfungst.progress import Progress, silent

_KIND = "network-training"


@dataclass(frozen=True, kw_only=True)
class Descent:
    """Settings of stochastic gradient descent.

    Attributes
    ----------
    epochs : int
        Passes over all views.
    batch_size : int
        Views in a step.
    learning_rate : float
        At the start.
    momentum : float
    weight_decay : float
        Added to the gradient as ``weight_decay · w``, for weights but not for biases and norms.
    step_epochs : int
        After every so many epochs the learning rate is multiplied by ``step_factor``.
    step_factor : float
    random_state : int
        Epoch ``e`` draws its order and its dropout from ``(random_state, e)`` alone, so that a resumed
        training draws the same.
    evaluation_mode : bool
        Keep batch norm and dropout as in use: for frozen networks.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    step_epochs: int
    step_factor: float
    random_state: int
    evaluation_mode: bool

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        return float(self.learning_rate * self.step_factor ** (epoch // self.step_epochs))


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch came to: mean loss of a view, and mean average precision on the validation set."""

    loss: float
    mean_ap: float | None = None


@dataclass
class State:
    """Where a training stands after ``len(history)`` epochs."""

    weights: dict[str, Tensor]
    momentum: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """Index of the epoch with the largest mean AP, the first of equals; without validation the last."""
        values = [-math.inf if epoch.mean_ap is None else epoch.mean_ap for epoch in self.history]
        return int(np.argmax(values)) if max(values) > -math.inf else len(values) - 1


def hinge_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """``Σ_c |y_c| max(0, 1 − y_c f_c)``, averaged over the batch.

    Parameters
    ----------
    scores : (n, n_classes)
        f_c(x).
    labels : (n, n_classes)
        y_c: +1 shown, −1 not shown, 0 difficult (masked).
    """
    margins = torch.clamp(1.0 - labels * scores, min=0.0)
    return (labels.abs() * margins).sum(dim=1).mean()


def descend(
    model: nn.Module,
    source: Source,
    rows: NDArray[np.intp],
    labels: NDArray[np.int8],
    settings: Descent,
    *,
    validate: Callable[[], float | None] | None = None,
    folder: Path | None = None,
    identity: str = "",
    stage: str = "epochs",
    progress: Progress = silent,
) -> State:
    """Train ``model`` in place on all views of the photos in ``rows``.

    Parameters
    ----------
    model : torch.nn.Module
        Maps the source's inputs to scores; parameters with ``requires_grad`` are trained.
    source : Source
        Of the inputs.
    rows : (n,) int
        Photos of the source to train on.
    labels : (n, n_classes) int8
        Their labels.
    settings : Descent
    validate : callable, optional
        The current model's validation mean AP; decides which epoch's weights are kept as ``best``.
    folder : path, optional
        Where a checkpoint is written after each epoch, and read from at the start.
    identity : str
        What the numbers depend on; a checkpoint of another identity is not gone on with, and deleted.
    stage, progress
        Told after each epoch.

    Raises
    ------
    ConfigError
        If the loss is not finite.
    """
    state = (_read_checkpoint(folder, identity) if folder is not None else None) or State(_weights(model))
    model.load_state_dict(state.weights)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.SGD(
        [
            {"params": [p for p in parameters.values() if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in parameters.values() if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        momentum=settings.momentum,
    )
    _set_momentum(optimizer, parameters, state.momentum)
    progress(stage, len(state.history), settings.epochs)
    for epoch in range(len(state.history), settings.epochs):
        loss = _one_epoch(model, source, rows, labels, optimizer=optimizer, settings=settings, epoch=epoch)
        model.eval()
        state.history.append(Epoch(loss=loss, mean_ap=validate() if validate is not None else None))
        state.weights, state.momentum = _weights(model), _momentum(optimizer, parameters)
        if state.best_epoch == epoch:
            state.best = state.weights
        if folder is not None:
            _write_checkpoint(folder, state, identity)
        progress(stage, epoch + 1, settings.epochs)
    return state


def _one_epoch(
    model: nn.Module,
    source: Source,
    rows: NDArray[np.intp],
    labels: NDArray[np.int8],
    *,
    optimizer: torch.optim.Optimizer,
    settings: Descent,
    epoch: int,
) -> float:
    """One pass over all views in random order; the mean loss of a view."""
    for group in optimizer.param_groups:
        group["lr"] = settings.rate(epoch)
    order = np.random.default_rng([settings.random_state, epoch]).permutation(len(rows) * TRAINING_VIEWS)
    reference = next(model.parameters())
    total = 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.default_rng([settings.random_state, epoch, 1]).integers(2**62)))
        model.train(not settings.evaluation_mode)
        for start in range(0, order.size, settings.batch_size):
            photos, views = np.divmod(order[start : start + settings.batch_size], TRAINING_VIEWS)
            inputs = source.inputs(rows[photos], views).to(reference.device, reference.dtype)
            targets = torch.from_numpy(labels[photos]).to(reference.device, reference.dtype)
            loss = hinge_loss(model(inputs).flatten(1), targets)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise ConfigError(
                    f"the loss became {value} in epoch {epoch + 1}",
                    hint=f"a smaller learning rate than {settings.learning_rate:g}",
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += value * len(photos)
    return total / order.size


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _momentum(optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    buffers = {
        name: optimizer.state[parameter].get("momentum_buffer") for name, parameter in parameters.items()
    }
    return {name: buffer.detach().clone() for name, buffer in buffers.items() if buffer is not None}


def _set_momentum(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor], momentum: Mapping[str, Tensor]
) -> None:
    for name, buffer in momentum.items():
        optimizer.state[parameters[name]]["momentum_buffer"] = buffer.clone()


def _write_checkpoint(folder: Path, state: State, identity: str) -> None:
    """Write the newest checkpoint under a new name, then remove the older one: a kill leaves one of them."""
    arrays = {
        f"{part}.{name}": value.cpu().numpy()
        for part in ("weights", "momentum", "best")
        for name, value in getattr(state, part).items()
    }
    config = {"identity": identity, "history": [asdict(epoch) for epoch in state.history]}
    newest = folder / f"epoch-{len(state.history):05d}"
    write_model_folder(newest, ModelFolder(kind=_KIND, config=config, arrays=arrays))
    for older in _checkpoints(folder):
        if older != newest:
            shutil.rmtree(older)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("epoch-*") if is_model_folder(path))


def _read_checkpoint(folder: Path, identity: str) -> State | None:
    """The last checkpoint of this identity, if there is one."""
    own = [
        file for file in _checkpoints(folder) if read_description(file)["config"].get("identity") == identity
    ]
    if not own:
        return None
    content = read_model_folder(own[-1], kind=_KIND)
    parts: dict[str, dict[str, Tensor]] = {"weights": {}, "momentum": {}, "best": {}}
    try:
        for key, value in content.arrays.items():
            part, name = key.split(".", 1)
            parts[part][name] = torch.from_numpy(np.array(value))
        history = [Epoch(**_numbers(entry)) for entry in content.config["history"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(own[-1], f"is not a checkpoint ({error})", hint="training anew") from error
    return State(**parts, history=history)


def _numbers(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value is None else float(value) for name, value in entry.items()}
