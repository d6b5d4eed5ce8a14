"""Any network that a source knows, opened as a classifier: what a command takes where it takes a model folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pfungst.contract.deciding import Decision
from pfungst.contract.storage import checked_classes
from pfungst.errors import ConfigError, ModelError
from pfungst.network.class_names import read_class_names
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.sources import Opened, Request, find_source, sources


def open_network(
    spec: str | Path,
    *,
    weights: str | Path | None = None,
    classes: Sequence[str] | str | Path | None = None,
    decision: Decision | None = None,
    random_state: int | None = None,
) -> NetworkClassifier:
    """Open a network of torchvision, timm or Hugging Face as a classifier; nothing is executed or fetched.

    Parameters
    ----------
    spec : str or path
        ``torchvision:NAME``, ``timm:NAME``, or a folder with ``config.json`` and ``model.safetensors``.
    weights : path, optional
        ``.safetensors``, or a state dict in ``.pth``, for a network known by name.
    classes : sequence of str or path, optional
        Names of the outputs, or a file with one a line; default those of the source, or ``output 0`` ...
    decision : {"thresholds", "highest"}, optional
        What is predicted (see :class:`NetworkClassifier`); default what the source knows, and ``highest``
        where it does not, as nearly all published networks are trained with a softmax.
    random_state : int, optional
        Begin with random weights of this seed, if there are no ``weights``.

    Raises
    ------
    ConfigError
        If the spec, an option or a package is wrong.
    ModelError
        If a file is damaged, does not fit, or would have to be executed.

    Examples
    --------
    >>> model = open_network("timm:resnet18", weights="resnet18.safetensors")  # doctest: +SKIP
    >>> model.save("model")  # doctest: +SKIP
    """
    text = str(spec)
    source = find_source(text)
    if source is None:
        raise ConfigError(
            f"{text!r} is no network that can be opened",
            allowed="a model folder, " + ", ".join(item.form for item in sources()),
        )
    if weights is not None and source.files(text):
        raise ConfigError(f"--weights for {text}, which has weights of its own", hint="one of the two")
    file = Path(weights) if weights is not None else None
    opened = source.load(Request(spec=text, weights=file, random_state=random_state))
    network = NetworkClassifier(
        opened.module,
        _names(opened, classes, text),
        opened.preprocess,
        architecture=opened.architecture,
        decision=decision or opened.decision,
        info=opened.info,
    )
    check_runs(network, text)
    return network


def _names(opened: Opened, classes: Sequence[str] | str | Path | None, source: str) -> Sequence[str]:
    """The names given, or those of the source; one for each output."""
    if isinstance(classes, (str, Path)):
        classes = read_class_names(classes)
    names = opened.classes if classes is None else tuple(classes)
    names = tuple(f"output {index}" for index in range(opened.outputs)) if names is None else names
    if len(names) != opened.outputs:
        raise ConfigError(
            f"{len(names)} class names for {source}", allowed=f"as many as its outputs, {opened.outputs}"
        )
    try:
        return checked_classes(names)
    except ValueError as error:
        raise ModelError(source, str(error)) from error


def check_runs(network: NetworkClassifier, source: str) -> None:
    """Run the network once on grey, so that what does not fit is said before any work is done.

    Raises
    ------
    ModelError
        If it fails, or its output is not one finite number a class.
    """
    height, width = network.preprocess.input_size
    inputs = torch.zeros(1, network.preprocess.n_channels, height, width, dtype=network.dtype)
    try:
        with torch.inference_mode():
            output = network.module(inputs.to(network.device))
    except Exception as error:  # a module raises what it likes
        reason = str(error).strip().split("\n", 1)[0][:200]
        raise ModelError(
            source,
            f"the network fails on an input of shape {tuple(inputs.shape)} ({reason})",
            hint="the preprocessing and the weights that belong to each other",
        ) from error
    if not isinstance(output, Tensor) or tuple(output.shape[:2]) != (1, len(network.classes)):
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(
            source, f"the network answers with {found}, not with {len(network.classes)} scores a photo"
        )
    if not bool(torch.isfinite(output).all()):
        raise ModelError(source, "the network's scores are NaN or infinite", hint="its original weights")
