"""Where training starts: a network known by name, or a saved one, with a new last layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pfungst.contract.deciding import Decision
from pfungst.contract.storage import is_model_folder
from pfungst.errors import ConfigError, unknown_name
from pfungst.network import architectures
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.forward import Forward, squashing
from pfungst.network.opening import open_network
from pfungst.network.preprocess import Preprocess
from pfungst.network.sources import find_source, sources
from pfungst.network.state_files import read_state_dict

_SQUASHING = (
    nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.LogSigmoid, nn.Tanh,
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU,
)  # fmt: skip
SMALL_CNN_INPUT = Preprocess(
    input_size=(96, 96), resize_length=112, mean=(127.0, 127.0, 127.0), std=(64.0, 64.0, 64.0)
)
"""What ``small-cnn`` sees: quick to train, and small objects are still several pixels wide."""


RANDOM = "random"
"""In place of a file of weights: begin with random ones."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """A network's last layer with weights.

    Attributes
    ----------
    name : str
        Its path in the module.
    layer : Linear or Conv2d
        The layer.
    after : tuple of str
        Paths of activations that are called after it and would squash real-valued scores.
    """

    name: str
    layer: nn.Linear | nn.Conv2d
    after: tuple[str, ...]


def initial_network(
    init: str | Path | NetworkClassifier,
    classes: Sequence[str],
    *,
    weights: str | Path | None = None,
    random_state: int = 0,
) -> NetworkClassifier:
    """A network to train for ``classes``, its last layer new and random.

    Parameters
    ----------
    init : str, path or NetworkClassifier
        ``"efficientnet-lite0"`` (ImageNet weights), ``"small-cnn"`` (random weights), ``"timm:NAME"`` or
        ``"torchvision:NAME"``, a Hugging Face folder, the folder of a saved or converted network, or a
        classifier.
    classes : sequence of str
        The new classes.
    weights : path, optional
        A state dict (``.safetensors`` or ``.pth``) to begin with in place of the named network's own;
        ``"random"`` begins a network of timm or torchvision with random weights.
    random_state : int
        Seed of new weights.

    Raises
    ------
    ConfigError
        If the name is unknown or the network has no replaceable last layer.
    ModelError
        If a file cannot be read.
    """
    if isinstance(init, NetworkClassifier):
        return replace_head(init, classes, random_state=random_state)
    if str(init) in _NAMED:
        start = _NAMED[str(init)](weights, random_state)
        return replace_head(start, classes, random_state=random_state)
    if not is_model_folder(init) and find_source(str(init)) is not None:
        seed = random_state if str(weights) == RANDOM else None
        start = open_network(init, weights=None if seed is not None else weights, random_state=seed)
        return replace_head(start, classes, random_state=random_state)
    if not Path(init).exists():
        forms = [source.form for source in sources()]
        raise unknown_name("initial network", str(init), [*_NAMED, *forms, "the folder of a saved network"])
    if weights is not None:
        raise ConfigError("weights can only be given for a network known by name", allowed=", ".join(_NAMED))
    return replace_head(NetworkClassifier.load(init), classes, random_state=random_state)


def pretrained_network(
    name: str,
    classes: Sequence[str] | None = None,
    *,
    weights: str | Path | None = None,
    decision: Decision | None = None,
    random_state: int = 0,
) -> NetworkClassifier:
    """A network known by name as it comes, with its own outputs.

    It sees photos as ImageNet classifiers usually do: shortest side ``resize_length``, then the centre crop.

    Parameters
    ----------
    name : str
        ``"efficientnet-lite0"`` (ImageNet weights) or ``"small-cnn"`` (random weights), or what
        :func:`pfungst.network.opening.open_network` opens.
    classes : sequence of str, optional
        Names of its outputs; default ``output 0``, ``output 1`` …
    weights : path, optional
        A state dict (``.safetensors`` or ``.pth``) in place of the network's own.
    decision : {"thresholds", "highest"}, optional
        What it predicts; default ``highest``, as for networks trained on ImageNet.
    random_state : int
        Seed of random weights.

    Raises
    ------
    ConfigError
        If the name is unknown or the classes are not as many as the outputs.
    """
    if find_source(name) is not None:
        return open_network(name, weights=weights, classes=classes, decision=decision)
    if name not in _NAMED:
        raise unknown_name("network", name, [*_NAMED, *(source.form for source in sources())])
    network = _NAMED[name](weights, random_state)
    classes = network.classes if classes is None else classes
    if len(classes) != len(network.classes):
        raise ConfigError(
            f"{len(classes)} class names for {name}",
            allowed=f"as many as its outputs, {len(network.classes)}",
        )
    preprocess = network.preprocess.with_resize("shortest")
    return NetworkClassifier(
        network.module,
        classes,
        preprocess,
        architecture=network.architecture,
        decision=decision or "highest",
    )


def _start_efficientnet(weights: str | Path | None, random_state: int) -> NetworkClassifier:
    del random_state
    state = architectures.efficientnet_lite0_weights(weights)
    outputs = len(state["_fc.bias"]) if "_fc.bias" in state else 1000
    description = {"type": "efficientnet-lite0", "outputs": outputs}
    module = architectures.build(description)
    _load(module, state, weights or "efficientnet-lite0")
    return _unnamed(module, outputs, architectures.EFFICIENTNET_LITE0_INPUT, description)


def _start_small_cnn(weights: str | Path | None, random_state: int) -> NetworkClassifier:
    description = {"type": "small-cnn", "outputs": 2, "width": 16}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        module = architectures.build(description)
    if weights is not None:
        _load(module, read_state_dict(weights), weights)
    return _unnamed(module, 2, SMALL_CNN_INPUT, description)


_NAMED = {"efficientnet-lite0": _start_efficientnet, "small-cnn": _start_small_cnn}


def _unnamed(
    module: nn.Module, outputs: int, preprocess: Preprocess, description: Mapping[str, Any]
) -> NetworkClassifier:
    names = [f"output {index}" for index in range(outputs)]
    return NetworkClassifier(module, names, preprocess, architecture=description)


def _load(module: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise ConfigError(f"{source}: the weights do not fit the network ({reason})") from error


def find_head(module: nn.Module, preprocess: Preprocess) -> Head:
    """The layer with weights that is called last, found by one forward pass of an empty image.

    Raises
    ------
    ConfigError
        If there is none, it is grouped, or its outputs are not the network's.
    """
    called: list[str] = []
    handles = [
        part.register_forward_hook(lambda *_, path=path: called.append(path))
        for path, part in module.named_modules()
    ]
    try:
        output = dry_run(module, preprocess)
    finally:
        for handle in handles:
            handle.remove()
    parts = dict(module.named_modules())
    layers = [path for path in called if isinstance(parts[path], (nn.Linear, nn.Conv2d))]
    if not layers:
        raise ConfigError("the network calls no Linear or Conv2d layer", hint="a network with a last layer")
    layer = parts[layers[-1]]
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    _check_head(layers[-1], layer, output, called.count(layers[-1]))
    start = len(called) - called[::-1].index(layers[-1])
    after = tuple(path for path in called[start:] if isinstance(parts[path], _SQUASHING))
    shared = [path for path in after if path in called[:start]]
    if shared:
        raise ConfigError(
            f"the activation {shared[0]!r} after the last layer is used elsewhere too and cannot be dropped",
            hint="an activation module of its own at the end, or none",
        )
    return Head(name=layers[-1], layer=layer, after=after)


def _check_head(name: str, layer: nn.Linear | nn.Conv2d, output: Tensor, calls: int) -> None:
    width = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    grouped = isinstance(layer, nn.Conv2d) and layer.groups > 1
    if output.ndim != 2 or output.shape[1] != width or grouped or calls > 1:
        raise ConfigError(
            f"the network's last layer {name!r} cannot be replaced: its {width} outputs "
            f"{'are grouped' if grouped else f'do not become the network output {tuple(output.shape)}'}",
            allowed="an ungrouped Linear or Conv2d, called once, with one output a class",
        )


def dry_run(module: nn.Module, preprocess: Preprocess, *, noise: int | None = None) -> Tensor:
    """The output for one image: black, or noise of a seed."""
    reference = next(module.parameters(), torch.empty(0))
    shape = (1, preprocess.n_channels, *preprocess.input_size)
    if noise is None:
        x = torch.zeros(shape)
    else:
        x = torch.randn(shape, generator=torch.Generator().manual_seed(noise))
    with torch.inference_mode():
        output: Tensor = module.eval()(x.to(device=reference.device, dtype=reference.dtype))
    return output.flatten(1)  # of Caffe nets that end in pooling: (n, classes, 1, 1)


def replace_head(
    classifier: NetworkClassifier, classes: Sequence[str], *, random_state: int = 0
) -> NetworkClassifier:
    """The same network with a new last layer of one output per class; the given one is left as it is.

    The new weights are drawn from N(0, 2 / fan_in) (He initialisation), the bias is zero. A softmax or
    another squashing activation after the layer is dropped: a hinge loss needs real-valued scores.

    Raises
    ------
    ConfigError
        If the last layer cannot be replaced, or the outputs still are probabilities.
    """
    head = find_head(classifier.module, classifier.preprocess)
    layer = _new_layer(head.layer, len(classes), random_state)
    if classifier.architecture is None:
        architecture = None
        module = deepcopy(classifier.module)
        for name in head.after:
            module.set_submodule(name, nn.Identity())
        module.set_submodule(head.name, layer)
    else:
        architecture = architectures.with_outputs(classifier.architecture, len(classes), head.name)
        module = _rebuilt(architecture, classifier.module, head, layer)
    _check_real_scores(replace(classifier.forward, module=module.eval(), n_classes=len(classes)))
    return NetworkClassifier(
        module,
        classes,
        classifier.preprocess,
        architecture=architecture,
        device=classifier.device,
        dtype=classifier.dtype,
        seen=classifier.seen,
    )


def _rebuilt(architecture: Mapping[str, Any], old: nn.Module, head: Head, layer: nn.Module) -> nn.Module:
    """Build the architecture with its new number of outputs; all weights but the head's are the old ones."""
    module = architectures.build(architecture)
    kept = {key: value for key, value in old.state_dict().items() if not key.startswith(f"{head.name}.")}
    new = {f"{head.name}.{key}": value for key, value in layer.state_dict().items()}
    module.load_state_dict({**kept, **new})
    return module


def _new_layer(old: nn.Linear | nn.Conv2d, outputs: int, random_state: int) -> nn.Module:
    layer: nn.Linear | nn.Conv2d
    if isinstance(old, nn.Linear):
        layer = nn.Linear(old.in_features, outputs)
    else:
        if isinstance(old.padding, str):
            raise ConfigError("the last layer has a padding by name", allowed="padding in pixels")
        layer = nn.Conv2d(
            old.in_channels,
            outputs,
            old.kernel_size,  # type: ignore[arg-type]
            old.stride,  # type: ignore[arg-type]
            old.padding,  # type: ignore[arg-type]
            old.dilation,  # type: ignore[arg-type]
        )
    generator = torch.Generator().manual_seed(random_state)
    fan_in = layer.weight[0].numel()
    with torch.no_grad():
        layer.weight.normal_(0.0, math.sqrt(2.0 / fan_in), generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
    return layer.to(device=old.weight.device, dtype=old.weight.dtype)


def _check_real_scores(forward: Forward) -> None:
    """Refuse outputs that are squashed: a softmax called as a function cannot be taken out."""
    left_out = squashing(forward)
    if left_out:
        raise ConfigError(
            f"the network ends in {' after '.join(left_out)}, called as a function and not as a module",
            hint="a network that returns its raw class scores",
        )
