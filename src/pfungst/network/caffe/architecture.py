"""Converted Caffe nets as a type of network that model folders describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pfungst.errors import ConfigError
from pfungst.network.architectures import Architecture, register_architecture
from pfungst.network.caffe.build import Description
from pfungst.network.caffe.net import CaffeNet

_ACTIVATIONS = ("relu", "prelu", "elu", "sigmoid", "tanh", "softmax")


def described_with_outputs(
    description: Sequence[Mapping[str, Any]], outputs: int, head: str
) -> list[dict[str, Any]]:
    """The same description with another number of outputs, for a new last layer to be trained.

    Activations after the last layer are dropped, since a score must be able to have both signs.

    Parameters
    ----------
    description : list of dict
        Of a network that ends in class scores.
    outputs : int
        The new number of classes.
    head : str
        The last layer with weights, as the module names it (``layers.fc8``).

    Raises
    ------
    ConfigError
        If there is no such layer, or it is not an inner product or ungrouped convolution.
    """
    net = CaffeNet(description)
    names = [net.module_name(str(entry["name"])) for entry in description[1:]]
    position = names.index(head) + 1 if head in names else 0
    entry = dict(description[position])
    size = {"inner_product": "out_features", "convolution": "out_channels"}.get(entry["type"])
    if size is None or entry["settings"].get("groups", 1) != 1:
        raise ConfigError(
            f"layer {head!r} cannot be given {outputs} outputs",
            allowed="an inner product or a convolution without groups",
        )
    entry["settings"] = {**entry["settings"], size: outputs, "bias": True}
    tail = _without_activations([dict(item) for item in description[position + 1 :]])
    return [*(dict(item) for item in description[:position]), entry, *tail]


def _without_activations(entries: Description) -> Description:
    renamed: dict[str, str] = {}
    kept = []
    for entry in entries:
        inputs = [renamed.get(name, name) for name in entry["inputs"]]
        if entry["type"] in _ACTIVATIONS:
            renamed[entry["outputs"][0]] = inputs[0]
            continue
        for name in entry["outputs"]:
            renamed.pop(name, None)
        kept.append({**entry, "inputs": inputs})
    return kept


def _description(architecture: Mapping[str, Any]) -> list[Any]:
    description = architecture.get("description")
    if not isinstance(description, list):
        raise ConfigError("architecture 'caffe' has no description", allowed="a list of layers")
    return description


def _with_outputs(architecture: Mapping[str, Any], outputs: int, head: str) -> dict[str, Any]:
    description = described_with_outputs(_description(architecture), outputs, head)
    return {**architecture, "description": description}


register_architecture(
    "caffe",
    Architecture(
        build=lambda architecture: CaffeNet.from_description(_description(architecture)),
        build_empty=lambda architecture: CaffeNet(_description(architecture)).eval(),
        with_outputs=_with_outputs,
    ),
)
