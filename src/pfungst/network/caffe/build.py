"""Join a network's description (prototxt) and its weights (caffemodel) to a module that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pfungst.errors import ModelError
from pfungst.network.caffe.net import CaffeNet, Tracer
from pfungst.network.caffe.planners import MANY_BOTTOMS, PLANNERS, SINKS, SOURCES, PlanError
from pfungst.network.caffe.prototxt import LayerSpec, NetSpec
from pfungst.network.caffe.transform import transform_fields
from pfungst.network.caffe.weights import Blob

Description = list[dict[str, Any]]


def describe(spec: NetSpec) -> Description:
    """The plain description of a network, every default and size resolved (see ``net`` for its form).

    Layers that read data or measure losses are left out; the input is what ``input:``, an Input layer or a
    data layer's crop size states.

    Raises
    ------
    ModelError
        If a layer's type is unknown (named, with what is allowed) or its fields, or its sizes do not fit.
    """
    description = [describe_input(spec)]
    names: set[str] = set()
    path = str(spec.path)
    tracer = Tracer(description[0]["outputs"][0], description[0]["shape"], path=path)
    for layer in spec.layers:
        if layer.type in (*SOURCES, *SINKS, "Input"):
            continue
        if layer.name in names:
            raise ModelError(path, f"has two layers of the name {layer.name!r}", hint="renaming one of them")
        entry = _entry(path, layer, tracer)
        tracer.add(entry)
        names.add(layer.name)
        description.append(entry)
    if len(description) == 1:
        raise ModelError(path, "has no layer to execute", allowed=", ".join(PLANNERS))
    return description


def _entry(path: str, layer: LayerSpec, tracer: Tracer) -> dict[str, Any]:
    label = f"layer {layer.name!r} ({layer.type})"
    if layer.type not in PLANNERS:
        raise ModelError(
            path,
            f"layer {layer.name!r} is of type {layer.type!r}, which this reader does not know",
            allowed=", ".join((*PLANNERS, "Input")),
        )
    if layer.unknown:
        raise ModelError(
            path,
            f"{label} has fields that this reader does not know and that may change its result: "
            + ", ".join(layer.unknown),
            hint="removing them if they do not matter",
        )
    shapes = tracer.shapes(layer.bottoms, label)
    if not shapes or not layer.tops:
        raise ModelError(path, f"{label} lacks bottom or top")
    try:
        kind, settings = PLANNERS[layer.type](layer, shapes)
    except PlanError as error:
        raise ModelError(path, f"{label} {error}") from error
    if (kind not in MANY_BOTTOMS and len(shapes) != 1) or (kind == "multiply" and len(shapes) != 2):
        raise ModelError(path, f"{label} reads {len(shapes)} blobs", allowed="one")
    return {
        "type": kind,
        "name": layer.name,
        "inputs": list(layer.bottoms),
        "outputs": list(layer.tops),
        "settings": settings,
    }


def describe_input(spec: NetSpec) -> dict[str, Any]:
    """The first entry of the description: name and shape of the one input."""
    found = [(name, shape) for name, shape in spec.inputs]
    for layer in spec.layers:
        if layer.type == "Input":
            shapes = [tuple(item.get("dim", ())) for item in
                      layer.settings.get("input_param", {}).get("shape", [])]  # fmt: skip
            shapes *= len(layer.tops) if len(shapes) == 1 else 1
            found += zip(layer.tops, shapes, strict=False)
        elif layer.type in SOURCES and layer.tops:
            found.append((layer.tops[0], _data_shape(spec, layer)))
    if len(found) != 1:
        raise ModelError(
            spec.path,
            f"has {len(found)} inputs ({', '.join(name for name, _ in found)})",
            allowed="one input with input_dim, input_shape or an Input layer",
        )
    name, shape = found[0]
    if len(shape) != 4 or min(shape) < 1:
        raise ModelError(
            spec.path, f"has the input shape {tuple(shape)}", allowed="(n, channels, height, width)"
        )
    return {"type": "input", "name": name, "outputs": [name], "shape": [int(size) for size in shape[1:]]}


def _data_shape(spec: NetSpec, layer: LayerSpec) -> tuple[int, ...]:
    transform = transform_fields(layer)
    crop = transform.get("crop_size", 0)
    if crop < 1:
        raise ModelError(
            spec.path,
            f"layer {layer.name!r} ({layer.type}) does not state the size of its photos",
            allowed="transform_param { crop_size: ... }",
            hint="the deploy prototxt",
        )
    return 1, 1 if transform.get("force_gray", False) else 3, crop, crop


def prune(description: Sequence[Mapping[str, Any]], output: str) -> Description:
    """Only the layers that the last value of blob ``output`` depends on.

    Raises
    ------
    ModelError
        If no layer makes that blob.
    """
    wanted, kept = {output}, []
    for entry in reversed(description[1:]):
        if wanted & set(entry["outputs"]):
            kept.append(dict(entry))
            wanted = (wanted - set(entry["outputs"])) | set(entry["inputs"])
    if not kept:
        made = [name for entry in description[1:] for name in entry["outputs"]]
        raise ModelError(
            "network description",
            f"no layer makes the blob {output!r}",
            allowed=", ".join(dict.fromkeys(made)),
        )
    return [dict(description[0]), *reversed(kept)]


def build(
    spec: NetSpec,
    blobs: Mapping[str, Sequence[Blob]],
    *,
    weights_path: str | Path | None = None,
    description: Description | None = None,
) -> CaffeNet:
    """The network with its weights, in evaluation mode.

    Parameters
    ----------
    spec : NetSpec
        From :func:`read_prototxt`.
    blobs : mapping
        Layer name to its blobs, from :func:`read_caffemodel`; layers that the prototxt lacks are ignored.
    weights_path : path, optional
        For messages.
    description : list of dict, optional
        A part of ``describe(spec)``, such as :func:`prune` gives.

    Raises
    ------
    ModelError
        If the prototxt cannot be executed, or weights are missing or of another shape than it asks for.

    Examples
    --------
    >>> net = build(read_prototxt("deploy.prototxt"), read_caffemodel("w.caffemodel"))  # doctest: +SKIP
    >>> net(torch.zeros(1, *net.input_shape)).shape  # doctest: +SKIP
    torch.Size([1, 1000])
    """
    net = CaffeNet(describe(spec) if description is None else description, path=str(spec.path))
    source = str(weights_path or "weights")
    state: dict[str, torch.Tensor] = {}
    layers = {layer.name: layer for layer in spec.layers}
    for entry in net.description[1:]:
        if entry["name"] not in layers:
            continue  # added behind the file's own layers, without weights
        prefix = net.module_name(entry["name"])
        parameters = net.get_submodule(prefix).state_dict()
        expected = {name: tuple(tensor.shape) for name, tensor in parameters.items()}
        arrays = _layer_arrays(source, layers[entry["name"]], blobs, expected)
        state.update({f"{prefix}.{name}": torch.from_numpy(array) for name, array in arrays.items()})
    net.load_state_dict(state, assign=True)
    return net.eval()


def _layer_arrays(
    source: str,
    layer: LayerSpec,
    blobs: Mapping[str, Sequence[Blob]],
    expected: Mapping[str, tuple[int, ...]],
) -> dict[str, Blob]:
    """The layer's blobs under the names and in the shapes of its module's parameters."""
    label, given = f"layer {layer.name!r} ({layer.type})", list(blobs.get(layer.name, ()))
    if layer.type == "BatchNorm" and len(given) == 3:
        given = _moments(source, label, given)
    if len(given) != len(expected):
        what = f"has {len(given)} blobs" if given else "has no weights"
        raise ModelError(
            source,
            f"{label} {what}, the prototxt asks for {len(expected)}",
            hint="the prototxt and caffemodel that belong together",
        )
    transposed = layer.settings.get("inner_product_param", {}).get("transpose", False)
    arrays = {}
    for (name, shape), blob in zip(expected.items(), given, strict=True):
        wanted = shape[::-1] if transposed and name == "weight" else shape
        if _without_ones(blob.shape) != _without_ones(wanted):
            raise ModelError(
                source,
                f"{label}: {name} has the shape {_text(blob.shape)}, the prototxt asks for {_text(wanted)}",
                hint="the prototxt and caffemodel that belong together",
            )
        array = blob.reshape(wanted)
        arrays[name] = np.array(array.T if wanted is not shape else array, order="C")
    return arrays


def _moments(source: str, label: str, given: Sequence[Blob]) -> list[Blob]:
    """Mean and variance divided by the third blob, the weight of their running sums (0 means all zero)."""
    mean, variance, weight = given
    if weight.size != 1:
        raise ModelError(
            source, f"{label}: the scale factor has the shape {_text(weight.shape)}", allowed="1"
        )
    factor = np.float32(0.0 if weight.item() == 0 else 1.0 / weight.item())
    return [mean * factor, variance * factor]


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    """Legacy blobs have four axes, padded in front with ones."""
    sizes = list(shape)
    while sizes and sizes[0] == 1:
        sizes.pop(0)
    return tuple(sizes)


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "()"
