"""Hostile model folders of both kinds of classifier."""

from __future__ import annotations

import hashlib
import json
import struct
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzzing.mutation import INTEGERS, TEXTS, integer, json_bytes, mutate_bytes, mutate_json, pick, value
from fuzzing.target import Case, Target
from pfungst.descriptors import PCA, SiftConfig
from pfungst.fisher.classifier import FisherClassifier, FisherPipeline
from pfungst.mixture import GaussianMixture
from pfungst.models import load
from pfungst.network import architectures
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.preprocess import Preprocess

_DTYPES = (
    "F32",
    "F64",
    "F16",
    "BF16",
    "I64",
    "I32",
    "U8",
    "BOOL",
    "F8_E4M3",
    "C64",
    "I8",
    "U64",
    "F4",
    "x",
    "",
)
_SIZES = {
    "F32": 4,
    "F64": 8,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "U8": 1,
    "BOOL": 1,
    "I8": 1,
    "U64": 8,
    "C64": 8,
}
_NAMES = {"float32": "F32", "float64": "F64", "int64": "I64"}


class Models(Target):
    """``model.json`` and ``arrays.safetensors``, loaded and, if accepted, used on a photo."""

    name = "models"

    def prepare(self) -> None:
        """Three tiny good models to start from."""
        self.photo = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
        fisher, small, caffe = (
            self._base(model) for model in (_fisher(), _small_network(), _caffe_network())
        )
        self.bases = [fisher, fisher, small, caffe]  # in inverse proportion to what a case costs
        self.root = self.folder / "model"

    @staticmethod
    def _base(model: Any) -> tuple[str, dict[str, np.ndarray]]:
        from safetensors.numpy import load_file

        with tempfile.TemporaryDirectory() as place:
            folder = model.save(Path(place) / "m")
            return (folder / "model.json").read_text(), load_file(folder / "arrays.safetensors")

    def make(self, rng: Random) -> Case:
        """Damage to the description, the arrays, the header of the array file, or bytes of either."""
        text, arrays = pick(rng, self.bases)
        kind = rng.random()
        content = _safetensors(rng, arrays, damage=0.0 if kind < 0.5 else 0.12)
        if kind > 0.9:
            content = mutate_bytes(rng, content, (b"{", b"}", b'"F32"', b"[0,0]", b"\xff" * 8, b"\0" * 8))
        tree = json.loads(text) if 0.5 < kind < 0.85 else mutate_json(rng, text)
        if isinstance(tree, dict) and rng.random() < 0.97:
            tree["arrays_sha256"] = hashlib.sha256(content).hexdigest()
        if rng.random() < 0.05 and isinstance(tree, dict):
            tree["config"] = value(rng, 4)
        description = json_bytes(tree)
        if rng.random() < 0.03:
            description = mutate_bytes(rng, description)
        return {"model.json": description, "arrays.safetensors": content}

    def run(self, case: Case) -> bool:
        """Load; a model that loads must score a photo, or say why not."""
        self.write(self.root, case)
        model = load(self.root)
        scores = model.scores([self.photo])
        assert scores.shape == (1, len(model.classes))
        assert model.thresholds.shape == (len(model.classes),)
        assert len(set(model.classes)) == len(model.classes)
        for name in model.classes:
            name.encode()
        return True


def _fisher() -> FisherClassifier:
    rng = np.random.default_rng(1)
    pipeline = FisherPipeline(
        descriptor=SiftConfig(step=8, bin_sizes=(4,)),
        pca=PCA(mean=np.zeros(128), components=rng.normal(size=(2, 128)), explained_variance=np.ones(2)),
        mixture=GaussianMixture(
            weights=np.array([0.4, 0.6]), means=rng.normal(size=(2, 2)), variances=np.ones((2, 2))
        ),
    )
    return FisherClassifier(pipeline, ["cat", "dog"], rng.normal(size=(2, 10)), np.zeros(2))


def _small_network() -> NetworkClassifier:
    settings = {"type": "small-cnn", "outputs": 2, "width": 1}
    preprocess = Preprocess(input_size=(16, 16), resize_length=16)
    return NetworkClassifier(architectures.build(settings), ["cat", "dog"], preprocess, architecture=settings)


def _caffe_network() -> NetworkClassifier:
    layer = lambda kind, name, source, **settings: {  # noqa: E731
        "type": kind, "name": name, "inputs": [source], "outputs": [name], "settings": settings,
    }  # fmt: skip
    description = [
        {"type": "input", "name": "data", "outputs": ["data"], "shape": [3, 8, 8]},
        layer("convolution", "c", "data", in_channels=3, out_channels=2, kernel=[3, 3], stride=[2, 2],
        pad=[1, 1],
              dilation=[1, 1], groups=1, bias=True),
        layer("relu", "r", "c", slope=0.0),
        layer("pooling", "p", "r", method="max", kernel=[2, 2], stride=[2, 2], pad=[0, 0], ceil=True),
        layer("split", "s", "p", copies=1),
        layer("reshape", "h", "s", shape=[8]),
        layer("inner_product", "f", "h", in_features=8, out_features=2, bias=True, axis=1),
    ]  # fmt: skip
    settings = {"type": "caffe", "description": description}
    preprocess = Preprocess(input_size=(8, 8), channels="BGR", resize_length=8)
    return NetworkClassifier(architectures.build(settings), ["cat", "dog"], preprocess, architecture=settings)


def _safetensors(rng: Random, arrays: dict[str, np.ndarray], damage: float) -> bytes:
    """The array file by hand, its header damaged with some probability per entry."""
    header: dict[str, Any] = {}
    body = bytearray()
    for name, array in arrays.items():
        dtype, shape, data = _NAMES[str(array.dtype)], list(array.shape), array.tobytes()
        if rng.random() < damage:
            dtype, shape, data = _other_array(rng, dtype, shape, data)
        offsets = [len(body), len(body) + len(data)]
        body += data
        if rng.random() < damage * 0.2:
            offsets = [integer(rng), integer(rng)]
        if rng.random() >= damage * 0.3:
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        if rng.random() < damage * 0.2:
            header[pick(rng, TEXTS)] = value(rng) if rng.random() < 0.5 else header.get(name)
    text = json_bytes(header)
    size = len(text) if rng.random() >= damage * 0.1 else pick(rng, INTEGERS) % 2**64
    return struct.pack("<Q", size) + text + bytes(body)


def _other_array(rng: Random, dtype: str, shape: list[int], data: bytes) -> tuple[str, list[Any], bytes]:
    kind = rng.random()
    if kind < 0.3:  # another shape with data that fit it
        shape = [pick(rng, (0, 1, 2, 3, 5)) for _ in range(pick(rng, (0, 1, 2, 3, 5)))]
        return dtype, shape, bytes(int(np.prod(shape)) * _SIZES[dtype])
    if kind < 0.55:  # another type with data that fit it
        other = pick(rng, _DTYPES)
        return other, shape, bytes([pick(rng, (0, 1, 63))]) * (int(np.prod(shape)) * _SIZES.get(other, 1))
    if kind < 0.85 and data:  # other numbers
        number = pick(rng, (np.nan, np.inf, -1.0, 0.0, 1e300, 1e-300, 1e38, 1e-45))
        with np.errstate(over="ignore"):
            array = np.frombuffer(data, {"F32": "<f4", "F64": "<f8", "I64": "<i8"}[dtype]).copy()
            array[int(rng.random() * len(array))] = number if array.dtype.kind == "f" else -(2**40)
        return dtype, shape, array.tobytes()
    return dtype, [integer(rng) for _ in range(pick(rng, (1, 2, 3, 40)))], data
