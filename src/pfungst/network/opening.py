"""Any network that a source knows, opened as a classifier: what a command takes in a model folder's place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from pfungst.contract.deciding import Decision
from pfungst.contract.storage import checked_classes
from pfungst.errors import ConfigError, ModelError, PfungstError
from pfungst.network.class_names import read_class_names
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.outputs import class_scores
from pfungst.network.sources import Request, find_source, sources


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
        named_outputs(classes, opened.classes, opened.outputs, text),
        opened.preprocess,
        architecture=opened.architecture,
        decision=decision or opened.decision,
        info=opened.info,
    )
    check_runs(network, text)
    return network


def named_outputs(
    classes: Sequence[str] | str | Path | None, known: Sequence[str] | None, outputs: int, source: str
) -> tuple[str, ...]:
    """The names given, or those that the source knows, or ``output 0`` ...; one for each output.

    Raises
    ------
    ConfigError
        If there are not as many names as outputs.
    ModelError
        If the source's own names cannot be class names.
    """
    if isinstance(classes, (str, Path)):
        classes = read_class_names(classes)
    names = known if classes is None else tuple(classes)
    names = tuple(f"output {index}" for index in range(outputs)) if names is None else names
    if len(names) != outputs:
        raise ConfigError(
            f"{len(names)} class names for {source}", allowed=f"as many as its outputs, {outputs}"
        )
    try:
        return checked_classes(names)
    except ValueError as error:
        raise ModelError(source, str(error)) from error


def output_width(module: nn.Module, channels: int, size: tuple[int, int], source: str) -> int:
    """How many scores a network gives, by one pass of grey.

    Raises
    ------
    ModelError
        If it fails, or its output is not one score a class.
    """
    return _answer(module, torch.zeros(1, channels, *size), source).shape[1]


def _answer(module: nn.Module, inputs: Tensor, source: str) -> Tensor:
    try:
        with torch.inference_mode():
            return class_scores(module(inputs))
    except PfungstError as error:
        raise ModelError(source, error.problem, allowed=error.allowed, hint=error.hint) from error
    except Exception as error:  # a module raises what it likes
        reason = str(error).strip().split("\n", 1)[0][:200]
        raise ModelError(
            source,
            f"the network fails on an input of shape {tuple(inputs.shape)} ({reason})",
            hint="the preprocessing and the weights that belong to each other",
        ) from error


def check_runs(network: NetworkClassifier, source: str) -> None:
    """Run the network once on grey, so that what does not fit is said before any work is done.

    Raises
    ------
    ModelError
        If it fails, or its output is not one finite number a class.
    """
    size, channels = network.preprocess.input_size, network.preprocess.n_channels
    inputs = torch.zeros(1, channels, *size, dtype=network.dtype, device=network.device)
    output = _answer(network.module, inputs, source)
    if output.shape != (1, len(network.classes)):
        raise ModelError(
            source,
            f"the network answers with {tuple(output.shape)}, not with {len(network.classes)} scores a photo",
        )
    if not bool(torch.isfinite(output).all()):
        raise ModelError(source, "the network's scores are NaN or infinite", hint="its original weights")
