"""Published networks layer by layer against OpenCV's importer; real weights where they are present."""

# ruff: noqa: E501 - lines of prototxt stay whole

from __future__ import annotations

import gc
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pfungst.images.decode import decode
from pfungst.network.caffe import activations, build, describe, read_caffemodel, read_prototxt
from pfungst.network.caffe_conversion import convert
from pfungst.network.views import center_view

ILSVRC_INDEX = {
    "goldfinch": 11, "robin": 15, "bullfrog": 30, "tree_frog": 31, "golden_retriever": 207,
    "Labrador_retriever": 208, "timber_wolf": 269, "white_wolf": 270, "tabby": 281, "sorrel": 339, "airliner": 404,
    "cab": 468, "fireboat": 554, "moped": 665, "motor_scooter": 670, "palace": 698, "sombrero": 808,
    "speedboat": 814, "warplane": 895, "volcano": 980,
}  # fmt: skip
"""Position of the photos' classes among the 1,000 in the order of ILSVRC 2012."""


def relative_error(found: torch.Tensor, expected: np.ndarray) -> float:
    array = found.numpy().reshape(expected.shape)
    return float(np.abs(array - expected).max() / np.abs(expected).max())


def worst_layer(net: torch.nn.Module, oracle: cv2.dnn.Net, x: np.ndarray, renamed: dict[str, str]) -> float:
    found = activations(net, torch.from_numpy(x))
    oracle.setInput(x)
    outputs = oracle.forward([renamed.get(name, name) for name in found])
    errors = [relative_error(ours, theirs) for ours, theirs in zip(found.values(), outputs, strict=True)]
    return max(errors)


@pytest.mark.parametrize("form", ["", "_legacy"])
def test_squeezenet_on_real_photos(form, caffe_files, photos):
    prototxt = caffe_files / "squeezenet_v1.0_deploy.prototxt"
    caffemodel = caffe_files / f"squeezenet_v1.0{form}.caffemodel"
    model = convert(prototxt, caffemodel)
    net = build(read_prototxt(prototxt), read_caffemodel(caffemodel))
    oracle = cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel))
    for photo in photos[:: 2 if not form else 5]:
        crop = center_view(decode(photo), model.preprocess)[0]
        x = model.preprocess.values(crop[None])
        assert worst_layer(net, oracle, x, {}) < 1e-4
        scores = torch.from_numpy(model.forward.scores(crop[None])).float()
        assert relative_error(scores, oracle.forward()[:, :, 0, 0]) < 1e-4


def test_squeezenet_recognises_the_photos(caffe_files, photos):
    model = convert(
        caffe_files / "squeezenet_v1.0_deploy.prototxt", caffe_files / "squeezenet_v1.0.caffemodel"
    )
    scores = model.scores(decode(photo) for photo in photos)
    expected = [ILSVRC_INDEX[photo.stem.split("_", 1)[1]] for photo in photos]
    ranking = np.argsort(-scores, axis=1)
    first = np.mean(ranking[:, 0] == expected)
    fifth = np.mean([index in row[:5] for index, row in zip(expected, ranking, strict=True)])
    assert first >= 0.6
    assert fifth >= 0.8


def without_k(text: str) -> tuple[str, dict[str, str]]:
    """The same network for OpenCV, which reads no ``k`` of LRN: k becomes part of alpha and a factor.

    ``(k + a s)^-b = k^-b (1 + a/k s)^-b``, so a Power layer in place multiplies by ``k^-b``.
    """
    renamed = {}

    def replaced(match: re.Match[str]) -> str:
        name, size, alpha, beta, k = match.groups()
        renamed[name] = f"{name}_k"
        factor = float(k) ** -float(beta)
        head = match[0][: match[0].index("lrn_param")]
        return (
            f"{head} lrn_param {{ local_size: {size} alpha: {float(alpha) / float(k)} beta: {beta} }} }}\n"
            f'layer {{ name: "{name}_k" type: "Power" bottom: "{name}" top: "{name}" power_param {{ scale: {factor} }} }}'
        )

    pattern = r'layer \{ name: "(\w+)" type: "LRN"[^{]*lrn_param \{ local_size: (\S+) alpha: (\S+) beta: (\S+) k: (\S+) \} \}'
    return re.sub(pattern, replaced, text), renamed


@pytest.mark.parametrize("name", ["bvlc_reference_caffenet", "vgg_cnn_s", "bvlc_googlenet"])
def test_published_architectures_with_random_weights(
    name, caffe_files, tmp_path, random_blobs, write_caffemodel
):
    prototxt = caffe_files / f"{name}_deploy.prototxt"
    spec = read_prototxt(prototxt)
    file = tmp_path / "random.caffemodel"
    write_caffemodel(file, random_blobs(spec), {layer.name: layer.type for layer in spec.layers})
    text, renamed = without_k(prototxt.read_text())
    adapted: Path = tmp_path / "for_opencv.prototxt"
    adapted.write_text(re.sub(r"(input_dim|dim): 10\b", r"\1: 1", text, count=1))
    try:
        net = build(spec, read_caffemodel(file))
        oracle = cv2.dnn.readNetFromCaffe(str(adapted), str(file))
    finally:
        file.unlink()
    rng = np.random.default_rng(7)
    x = rng.uniform(-120, 130, (1, *net.input_shape)).astype(np.float32)
    assert len(net.description) - 1 == len(describe(spec)) - 1
    assert worst_layer(net, oracle, x, renamed) < 1e-4
    del net, oracle
    gc.collect()
