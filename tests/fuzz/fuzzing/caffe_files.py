"""Hostile prototxt and caffemodel files."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence
from random import Random

import numpy as np

from fuzzing.mutation import INTEGERS, TEXTS, mutate_bytes, pick
from fuzzing.target import Case, Target
from pfungst.errors import PfungstError
from pfungst.network.caffe import CaffeNet, build, describe, read_binaryproto, read_caffemodel, read_prototxt
from pfungst.network.caffe_conversion import score_description

_LAYERS = {
    "Convolution": ("convolution_param", ("num_output", "kernel_size", "pad", "stride", "group", "dilation",
    "kernel_h", "axis")),
    "InnerProduct": ("inner_product_param", ("num_output", "axis")),
    "Pooling": ("pooling_param", ("kernel_size", "stride", "pad", "kernel_h", "kernel_w", "pad_h")),
    "LRN": ("lrn_param", ("local_size", "alpha", "beta", "k")),
    "ReLU": ("relu_param", ("negative_slope",)),
    "PReLU": ("prelu_param", ("channel_shared",)),
    "ELU": ("elu_param", ("alpha",)),
    "Power": ("power_param", ("power", "scale", "shift")),
    "Concat": ("concat_param", ("axis", "concat_dim")),
    "Slice": ("slice_param", ("axis", "slice_point", "slice_dim")),
    "Eltwise": ("eltwise_param", ("coeff",)),
    "Dropout": ("dropout_param", ("dropout_ratio",)),
    "Softmax": ("softmax_param", ("axis",)),
    "BatchNorm": ("batch_norm_param", ("eps", "use_global_stats")),
    "Scale": ("scale_param", ("axis", "num_axes", "bias_term")),
    "Flatten": ("flatten_param", ("axis", "end_axis")),
    "Reshape": ("reshape_param", ("axis", "num_axes", "shape { dim: 0 dim: -1 } axis")),
    "Permute": ("permute_param", ("order",)),
    "Split": ("split_param", ()),
    "Sigmoid": ("sigmoid_param", ()),
    "TanH": ("tanh_param", ()),
    "Silence": ("silence_param", ()),
    "Data": ("transform_param", ("crop_size",)),
    "Input": ("input_param", ("shape { dim: 1 dim: 3 dim: 4 dim: 4 } x",)),
    "Unknown": ("unknown_param", ("a",)),
}  # fmt: skip
_ENUMS = ("pool: AVE", "pool: MAX", "pool: STOCHASTIC", "round_mode: FLOOR", "operation: PROD",
"operation: MAX",
          "norm_region: WITHIN_CHANNEL", "global_pooling: true", "engine: CUDNN", "bias_term: false",
          "pool: 77")  # fmt: skip
_WORDS = (
    b"{", b"}", b"<", b">", b"[", b"]", b":", b"layer {", b"layers {", b"input: \"data\"", b"input_dim: 1",
    b"name: \"", b"'",
    b"\"", b"\\", b"\\377", b"\\ud800", b"\\x00", b"#", b"nan", b"inf", b"-inf", b"1e999",
    b"99999999999999999999", b"0x7fffffff",
    b"-1", b"0", b"true", b"[type.googleapis.com/x] {", b"[a.b]: 1", b"include { phase: TRAIN }",
    b"exclude { stage: \"a\" }",
    b"blobs { data: \"a\" }", b"a { " * 60, b"type: CONVOLUTION", b"layer: 3", b"\xef\xbb\xbf", b"\0",
    b"\xff", b"\n", b";", b",",
)  # fmt: skip
_GOOD = b"""name: "n"
input: "data" input_dim: 1 input_dim: 3 input_dim: 6 input_dim: 6
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param {
  num_output: 2 kernel_size: 3 } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "f" type: "InnerProduct" bottom: "p" top: "f" inner_product_param { num_output: 2 } }
"""


class Prototxt(Target):
    """A network's description, read, planned and traced."""

    name = "prototxt"

    def make(self, rng: Random) -> Case:
        """A random network, or a good one with damaged bytes."""
        kind = rng.random()
        content = _GOOD if kind < 0.3 else _network(rng, sane=pick(rng, (0.7, 0.95, 0.99, 1.0)))
        if kind < 0.5:
            content = mutate_bytes(rng, content, _WORDS)
        return {"deploy.prototxt": content}

    def run(self, case: Case) -> bool:
        """From the file to a module without storage."""
        self.write(self.folder, case)
        description = describe(read_prototxt(self.folder / "deploy.prototxt"))
        CaffeNet(description)
        with contextlib.suppress(PfungstError):  # whatever it computes, it need not be one number a class
            score_description(description)
        return True


def _network(rng: Random, sane: float) -> bytes:
    sizes = [pick(rng, (1, 3, 6, 8)) if rng.random() < sane else _small_or_absurd(rng) for _ in range(3)]
    lines = ['input: "b0"', *(f"input_dim: {size}" for size in (1, *sizes))]
    if rng.random() > sane:
        shape = f"shape {{ dim: {_small_or_absurd(rng)} dim: 3 }}"
        lines = [f'layer {{ name: "in" type: "Input" top: "b0" input_param {{ {shape} }} }}']
    count = pick(rng, (1, 1, 2, 3) if rng.random() < 0.995 else (60,))
    lines += [_layer(rng, number, sane) for number in range(1, count + 1)]
    return "\n".join(lines).encode(errors="replace")


def _small_or_absurd(rng: Random) -> int | str:
    if rng.random() < 0.5:
        return int(rng.random() * 12) - 2
    return pick(rng, (*INTEGERS, "nan", "inf", "1e999", "-1", "0.5", "1e-46", "3.4e38"))


def _layer(rng: Random, number: int, sane: float) -> str:
    kind = pick(rng, tuple(_LAYERS))
    settings, fields = _LAYERS[kind]
    inside = [f"{field}: {pick(rng, (1, 2, 3))}" for field in fields[:2] if rng.random() < 0.7]
    if rng.random() > sane:
        inside += [f"{field}: {_small_or_absurd(rng)}" for field in fields if rng.random() < 0.5]
    if rng.random() > 0.8:
        inside.append(pick(rng, _ENUMS))
    if (
        settings in ("unknown_param", "split_param", "silence_param", "sigmoid_param", "tanh_param")
        and rng.random() < sane
    ):
        inside = []
    many = kind in ("Concat", "Eltwise", "Scale") and rng.random() < 0.6
    bottoms = [_blob(rng, number - 1, sane) for _ in range(2 if many else 1)]
    tops = [_blob(rng, number, sane)] + ([f"t{number}"] if kind in ("Slice", "Split") else [])
    name = (
        f"l{number}"
        if rng.random() < sane
        else pick(rng, TEXTS[:20]).encode("unicode_escape").decode().replace('"', "")
    )
    body = f"{settings} {{ {' '.join(inside)} }}" if inside else ""
    joined = " ".join([*(f'bottom: "{b}"' for b in bottoms), *(f'top: "{t}"' for t in tops)])
    return f'layer {{ name: "{name}" type: "{kind}" {joined} {body} }}'


def _blob(rng: Random, number: int, sane: float) -> str:
    return f"b{number}" if rng.random() < sane else f"b{int(rng.random() * (number + 2))}"


_VARINT, _BYTES = 0, 2
_MODEL_TOKENS = (
    b"\xff" * 10,
    b"\x80" * 10,
    b"\x00",
    b"\x0a\x00",
    b"\xa2\x06\x00",
    b"\x3a\x00" * 100,
    b"\x12\x00",
    b"\x0b" * 200,
    b"\x89HDF",
)


class Caffemodel(Target):
    """Weights, read and joined to a small network; the same bytes as a mean image too."""

    name = "caffemodel"

    def prepare(self) -> None:
        """The network that the weights are for."""
        prototxt = self.folder / "deploy.prototxt"
        prototxt.write_bytes(_GOOD)
        self.spec = read_prototxt(prototxt)
        self.description = describe(self.spec)

    def make(self, rng: Random) -> Case:
        """Wire-level trees with odd values; half of them with damaged bytes as well."""
        sane = pick(rng, (0.7, 0.95, 0.99))
        content = _weights(rng, sane) if rng.random() < 0.9 else _blob_message(rng, (1, 3, 2, 2), sane)
        if rng.random() < 0.5:
            content = mutate_bytes(rng, content, _MODEL_TOKENS)
        return {"w.caffemodel": content}

    def run(self, case: Case) -> bool:
        """From the file to a network with weights."""
        self.write(self.folder, case)
        file = self.folder / "w.caffemodel"
        content = case["w.caffemodel"]
        if content[:1] == b"\x08" or len(content) % 8 == 0:
            image = read_binaryproto(file)
            assert np.isfinite(image).all()
            return True
        blobs = read_caffemodel(file)
        assert all(np.isfinite(blob).all() for layer in blobs.values() for blob in layer)
        build(self.spec, blobs, description=self.description)
        return True


def _weights(rng: Random, sane: float) -> bytes:
    legacy = rng.random() < 0.3
    layers = [("c", [(2, 3, 3, 3), (2,)]), ("f", [(2, 8), (2,)])]
    parts = []
    for name, shapes in layers:
        if rng.random() > sane:
            continue
        blobs = [_blob_message(rng, shape, sane) for shape in shapes if rng.random() < sane]
        label = name.encode() if rng.random() < sane else pick(rng, TEXTS).encode(errors="surrogatepass")
        if legacy:
            layer = _field(4, label) + _varint_field(5, 4) + b"".join(_field(6, blob) for blob in blobs)
        else:
            layer = _field(1, label) + _field(2, b"Convolution") + b"".join(_field(7, blob) for blob in blobs)
        if rng.random() > sane:
            layer += pick(
                rng,
                (
                    _field(1, b""),
                    _varint_field(77, 3),
                    _field(100, b"\xff"),
                    b"\x0b" * 50,
                    _field(7, b"") * 30,
                ),
            )
        parts.append(_field(2 if legacy else 100, layer))
    if rng.random() > sane:
        parts.append(
            pick(
                rng,
                (
                    _field(1, b"net"),
                    _varint_field(4, 1),
                    _field(6, b"\x08\x01"),
                    b"\x0d1234",
                    b"\x0912345678",
                    b"\x07",
                ),
            )
        )
        rng.shuffle(parts)
    return b"".join(parts)


def _blob_message(rng: Random, shape: Sequence[int], sane: float) -> bytes:
    good = lambda: rng.random() < sane  # noqa: E731
    count = int(np.prod(shape)) if good() else int(rng.random() * 40)
    stated = [size if good() else pick(rng, INTEGERS) for size in shape]
    if good():
        dims = b"".join(_varint(size & (2**64 - 1)) for size in stated)
        shown = _field(
            7, _field(1, dims) if good() else b"".join(_varint_field(1, s & (2**64 - 1)) for s in stated)
        )
    else:
        shown = b"".join(
            _varint_field(place, size & (2**64 - 1)) for place, size in enumerate(([1] * 4 + stated)[-4:], 1)
        )
    values = [
        1.0 if good() else pick(rng, (0.0, -1.0, 1e-40, 3e38, float("nan"), float("inf")))
        for _ in range(count)
    ]
    if good():
        data = _field(5, struct.pack(f"<{count}f", *values))
    elif good():
        data = _field(8, struct.pack(f"<{count}d", *(value * pick(rng, (1.0, 1e300)) for value in values)))
    else:
        data = b"".join(_varint(5 << 3 | 5) + struct.pack("<f", value) for value in values)
    return shown + data if good() else data + shown + shown


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
