"""From Caffe's files to a classifier: prototxt, caffemodel, mean and class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError, ModelError
from pfungst.network.caffe.build import Description, build, describe, describe_input, prune
from pfungst.network.caffe.net import CaffeNet
from pfungst.network.caffe.prototxt import NetSpec, read_prototxt
from pfungst.network.caffe.transform import chosen_transform
from pfungst.network.caffe.weights import read_binaryproto, read_caffemodel
from pfungst.network.class_names import read_class_names
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.preprocess import ChannelOrder, Preprocess, ResizeRule
from pfungst.progress import Progress, silent

_SQUASHING = ("softmax", "sigmoid")


def convert(
    prototxt: str | Path,
    weights: str | Path,
    *,
    mean: Sequence[float] | str | Path | None = None,
    classes: Sequence[str] | str | Path | None = None,
    scale: float | None = None,
    channels: ChannelOrder = "BGR",
    resize: ResizeRule = "shortest",
    resize_length: int | None = None,
    crop: int | None = None,
    output: str | None = None,
    progress: Progress = silent,
) -> NetworkClassifier:
    """Convert a Caffe network into a classifier that can be saved, scored and explained.

    The score of a class is the raw value before a final softmax or sigmoid, which is dropped. The input is
    ``scale · (v − mean)`` of grey values v in 0–255.

    Parameters
    ----------
    prototxt : path
        The deploy (or train_val) prototxt.
    weights : path
        The ``.caffemodel``.
    mean : three floats or path, optional
        Mean pixel in the network's channel order, or a ``.binaryproto`` mean image; default what the
        prototxt's ``transform_param`` states, or ImageNet's. A warning names it where both are given and
        differ.
    classes : sequence of str or path, optional
        Class names in the order of the outputs, or a file with one a line (see :func:`read_class_names`);
        default ``class 0``, ``class 1`` ...
    scale : float, optional
        Factor after subtracting the mean; default what ``transform_param`` states, or 1.
    channels : {"BGR", "RGB"}
        Channel order of the input.
    resize : {"shortest", "longest+pad", "warp"}
        How a photo is fitted before its centre crop.
    resize_length : int, optional
        The side that ``resize`` aims at; default 256, or the crop's side if that is larger.
    crop : int, optional
        Side of the centre crop; default the input size of the prototxt. Only fully convolutional networks
        take another one.
    output : str, optional
        The blob with the class scores; default that of the last layer.
    progress : Progress
        Told after each of three steps.

    Returns
    -------
    NetworkClassifier
        Its ``architecture`` is ``{"type": "caffe", "description": [...]}``.

    Raises
    ------
    ModelError
        If a file is damaged, a layer unknown, the weights do not fit, or the output is not one number a
        class.
    ConfigError
        If an option cannot work.

    Examples
    --------
    >>> model = convert("deploy.prototxt", "weights.caffemodel", classes="words.txt")  # doctest: +SKIP
    >>> model.save("model")  # doctest: +SKIP
    """
    stated = read_prototxt(prototxt)
    mean, scale = chosen_transform(stated, mean, scale)
    spec = _with_crop(stated, crop)
    progress("converting", 1, 3)
    blobs = read_caffemodel(weights)
    progress("converting", 2, 3)
    description = score_description(describe(spec), output=output, path=str(prototxt))
    net = build(spec, blobs, weights_path=weights, description=description)
    progress("converting", 3, 3)
    _check_colour(net, str(prototxt))
    mean_pixel, mean_image = _mean(mean, scale)
    _, height, width = net.input_shape
    preprocess = Preprocess(
        input_size=(height, width),
        channels=channels,
        scale=scale,
        mean=mean_pixel,
        mean_image=mean_image,
        resize=resize,
        resize_length=resize_length or max(256, height, width),
    )
    return NetworkClassifier(
        net,
        _class_names(classes, net.output_shape[0]),
        preprocess,
        architecture={"type": "caffe", "description": net.description},
        info={"network": spec.name, "prototxt": Path(prototxt).name, "weights": Path(weights).name},
    )


def score_description(
    description: Description, *, output: str | None = None, path: str = "network description"
) -> Description:
    """The part of a description that makes raw class scores, ``(n, n_classes)``.

    Layers that the output does not need are dropped, and a final softmax or sigmoid; scores in a blob of
    1 × 1 pixels are flattened.

    Raises
    ------
    ModelError
        If the output is not one number a class.
    """
    wanted = prune(description, output or description[-1]["outputs"][0])
    while wanted[-1]["type"] in _SQUASHING:
        wanted = prune(wanted[:-1], wanted[-1]["inputs"][0])
    shape = CaffeNet(wanted, path=path).output_shape
    if len(shape) == 3 and shape[1:] == (1, 1):
        source, name = wanted[-1]["outputs"][0], _unused("scores", wanted)
        wanted.append(
            {"type": "flatten", "name": name, "inputs": [source], "outputs": [name],
             "settings": {"start": 1, "end": -1}}
        )  # fmt: skip
    elif len(shape) != 1:
        raise ModelError(
            path,
            f"its output {wanted[-1]['outputs'][0]!r} has the shape {shape}, not one number a class",
            allowed="(n_classes,) or (n_classes, 1, 1)",
            hint="naming the blob with the class scores (output)",
        )
    return wanted


def _unused(name: str, description: Sequence[Mapping[str, Any]]) -> str:
    taken = {entry["name"] for entry in description} | {
        blob for entry in description for blob in entry["outputs"]
    }
    while name in taken:
        name += "_"
    return name


def _with_crop(spec: NetSpec, crop: int | None) -> NetSpec:
    """The same network for an input of another size."""
    if crop is None:
        return spec
    if crop < 1:
        raise ConfigError(f"a crop of {crop} pixels", allowed="1 or more")
    start = describe_input(spec)
    size = (1, start["shape"][0], crop, crop)
    layers = tuple(layer for layer in spec.layers if start["name"] not in layer.tops or layer.bottoms)
    return replace(spec, inputs=((start["name"], size),), layers=layers)


def _check_colour(net: CaffeNet, path: str) -> None:
    if net.input_shape[0] != 3:
        raise ModelError(path, f"takes {net.input_shape[0]} channels", allowed="3: colour photos")


def _mean(
    mean: Sequence[float] | str | Path, scale: float
) -> tuple[tuple[float, float, float], NDArray[np.float32] | None]:
    """Mean pixel and mean image in scaled units; Caffe subtracts first and scales then."""
    if isinstance(mean, (str, Path)):
        return (0.0, 0.0, 0.0), read_binaryproto(mean) * np.float32(scale)
    if len(mean) != 3:
        raise ConfigError(f"a mean pixel of {len(mean)} values", allowed="three, in the network's order")
    return (mean[0] * scale, mean[1] * scale, mean[2] * scale), None


def _class_names(classes: Sequence[str] | str | Path | None, n_classes: int) -> Sequence[str]:
    if classes is None:
        return [f"class {index}" for index in range(n_classes)]
    source = classes if isinstance(classes, (str, Path)) else "classes"
    names = read_class_names(classes) if isinstance(classes, (str, Path)) else list(classes)
    if len(names) != n_classes:
        raise ModelError(
            source,
            f"names {len(names)} classes, the network has {n_classes} outputs",
            allowed="one name for each output, in their order",
        )
    return names
