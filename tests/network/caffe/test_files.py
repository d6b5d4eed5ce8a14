"""Reading prototxt, caffemodel, binaryproto and class files; hostile ones end in a ModelError."""

# ruff: noqa: E501 - lines of prototxt stay whole

from __future__ import annotations

import resource
import time

import numpy as np
import pytest
import torch

from pfungst.errors import ModelError
from pfungst.network.caffe import (
    CaffeNet,
    blobs,
    build,
    describe,
    read_binaryproto,
    read_caffemodel,
    read_prototxt,
)
from pfungst.network.caffe.schema import message_class
from pfungst.network.caffe_conversion import read_class_names

NET = """
# a comment; "quotes" in it
name: 'tiny' 'net'
input: "data"  input_dim: 10, input_dim: 3; input_dim: 8
input_dim: 8
layer { name: "c.1" type: "Convolution" bottom: "data" top: "c"
  param { lr_mult: 1 } param { lr_mult: 2 }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" strange: 3 } } }
layer < name: "r" type: "ReLU" bottom: "c" top: "c" >
layer { name: "forward" type: "InnerProduct" bottom: "c" top: "f" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "f" top: "prob" }
"""
LEGACY = (
    NET.replace("layer ", "layers ")
    .replace('"Convolution"', "CONVOLUTION")
    .replace('"ReLU"', "RELU")
    .replace('"InnerProduct"', "INNER_PRODUCT")
    .replace('"Softmax"', "SOFTMAX")
    .replace("param { lr_mult: 1 } param { lr_mult: 2 }", "blobs_lr: 1 blobs_lr: 2 weight_decay: 1")
)
TYPES = {"c.1": "Convolution", "forward": "InnerProduct"}


@pytest.fixture
def tiny(tmp_path, random_blobs, write_caffemodel):
    """A small prototxt and its weights."""
    file = tmp_path / "net.prototxt"
    file.write_text(NET)
    weights = random_blobs(read_prototxt(file))
    return file, weights, write_caffemodel(tmp_path / "net.caffemodel", weights, TYPES)


def refused(action, *parts):
    with pytest.raises(ModelError) as caught:
        action()
    for part in parts:
        assert part in str(caught.value)


def spec_of(tmp_path, text):
    file = tmp_path / "some.prototxt"
    file.write_text(text)
    return read_prototxt(file)


def test_current_and_legacy_text_describe_the_same_network(tmp_path):
    current, legacy = describe(spec_of(tmp_path, NET)), describe(spec_of(tmp_path, LEGACY))
    assert current == legacy
    assert spec_of(tmp_path, NET).name == "tinynet"
    assert current[0] == {"type": "input", "name": "data", "outputs": ["data"], "shape": [3, 8, 8]}
    assert [entry["type"] for entry in current[1:]] == ["convolution", "relu", "inner_product", "softmax"]


@pytest.mark.parametrize(
    "declared",
    ['input: "data" input_shape { dim: [1, 3, 8, 8] }',
     'layer { name: "i" type: "Input" top: "data" input_param { shape: { dim: 1 dim: 3 dim: 8 dim: 8 } } }',
     'layer { name: "i" type: "Data" top: "data" top: "label" include { phase: TRAIN } } '
     'layer { name: "i" type: "Data" top: "data" top: "label" include { phase: TEST } '
     'transform_param { crop_size: 8 mirror: false } data_param { source: "x" batch_size: 4 } }'],
)  # fmt: skip
def test_every_way_to_declare_the_input(tmp_path, declared):
    rest = NET[NET.index("layer") :]
    rest += (
        'layer { name: "a" type: "Accuracy" bottom: "f" bottom: "label" top: "a" include { stage: "x" } }'
        'layer { name: "l" type: "SoftmaxWithLoss" bottom: "f" bottom: "label" loss_weight: 1 }'
    )
    assert describe(spec_of(tmp_path, declared + rest))[1:] == describe(spec_of(tmp_path, NET))[1:]


def test_phase_rules(tmp_path):
    rules = {
        "include { phase: TEST }": True, "include { phase: TRAIN }": False, "exclude { phase: TEST }": False,
        "exclude { phase: TRAIN }": True, 'include { stage: "deploy" }': True, 'include { stage: "no" }': False,
        'include { not_stage: "deploy" }': False, "include { min_level: 1 }": False,
        "include { max_level: 3 } include { phase: TRAIN }": True,
    }  # fmt: skip
    for rule, kept in rules.items():
        text = f'state {{ stage: "deploy" }} layer {{ name: "x" type: "ReLU" {rule} }} layer {{ name: "y" type: "ReLU" }}'
        assert ("x" in [layer.name for layer in spec_of(tmp_path, text).layers]) == kept, rule


@pytest.mark.parametrize("form", [{}, {"legacy": True}, {"double": True}, {"legacy": True, "double": True}])
def test_weights_come_back_in_every_form(tiny, tmp_path, write_caffemodel, form):
    file, weights, _ = tiny
    written = write_caffemodel(tmp_path / "other.caffemodel", weights, TYPES, **form)
    found = read_caffemodel(written)
    assert found.keys() == weights.keys()
    for name, arrays in weights.items():
        for ours, theirs in zip(found[name], arrays, strict=True):
            np.testing.assert_array_equal(ours.ravel(), theirs.ravel())
    net = build(read_prototxt(file), found)
    torch.testing.assert_close(net(torch.ones(2, 3, 8, 8)).sum(dim=1), torch.ones(2))


def test_numbers_that_are_not_packed(tmp_path):
    layer = message_class("LayerParameter")(name="x", type="Scale")
    blob = layer.blobs.add()
    blob.shape.dim.append(3)
    loose = b"".join(b"\x2d" + np.float32(value).tobytes() for value in (1, -2, 3))
    content = blob.SerializeToString() + loose
    head = b"\x0a\x01x\x12\x05Scale\x3a" + bytes([len(content)]) + content
    file = tmp_path / "loose.caffemodel"
    file.write_bytes(b"\xa2\x06" + bytes([len(head)]) + head)
    np.testing.assert_array_equal(read_caffemodel(file)["x"][0], [1, -2, 3])


def test_a_description_rebuilds_the_network_without_its_files(tiny):
    file, _, caffemodel = tiny
    net = build(read_prototxt(file), read_caffemodel(caffemodel))
    again = CaffeNet.from_description(net.description)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert not again.get_submodule("layers.c_1").weight.any()
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(again(x), net(x))
    found = blobs(net, x)
    assert list(found) == ["data", "c", "f", "prob"]
    assert (found["c"] >= 0).all()  # in place: as the ReLU left it


def test_mean_image(tmp_path):
    values = np.arange(24, dtype="<f4").reshape(1, 3, 2, 4)
    blob = message_class("BlobProto")(num=1, channels=3, height=2, width=4, data=[values.tobytes()])
    file = tmp_path / "mean.binaryproto"
    file.write_bytes(blob.SerializeToString())
    np.testing.assert_array_equal(read_binaryproto(file), values[0])
    file.write_bytes(blob.SerializeToString()[:-3])
    refused(lambda: read_binaryproto(file), "mean.binaryproto", "damaged")
    flat = message_class("BlobProto")(num=1, channels=1, data=[values.tobytes()], height=24, width=1)
    file.write_bytes(flat.SerializeToString())
    assert read_binaryproto(file).shape == (1, 24, 1)
    refused(lambda: read_binaryproto(tmp_path / "none"), "cannot be read")


def test_class_names(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("n01440764 tench, Tinca tinca\nn02012849 crane\n\nn03126707 crane\nplain, name\nx\nx\n")
    assert read_class_names(file) == [
        "tench", "crane (n02012849)", "crane (n03126707)", "plain, name", "x (line 6)", "x (line 7)",
    ]  # fmt: skip
    file.write_bytes(b"\xff\xfe\x00")
    refused(lambda: read_class_names(file), "words.txt", "is not UTF-8 text")
    file.write_text("\n")
    refused(lambda: read_class_names(file), "holds no class names")
    refused(lambda: read_class_names(tmp_path / "none"), "cannot be read")


TEXTS = {
    "not text": ("layer { name: ", "is not a readable prototxt"),
    "wrong value": ('input: 3 layer { name: "a" type: "ReLU" }', "is not a readable prototxt (1:8"),
    "twice": ('name: "a" name: "b"', "should not have multiple"),
    "nothing": ("", "describes 0 layers"),
    "nesting": ("x { " * 500, "nested deeper than 32 levels"),
    "lists": ("x: [" * 5000, "is not a readable prototxt"),
    "oldest form": ('layers { layer { name: "c" type: "conv" } }', "in Caffe's oldest form (V0)"),
    "both forms": (NET + 'layers { name: "x" type: RELU }', "mixes `layer` and legacy `layers`"),
    "no type": ('layer { name: "x" }', "has a layer without name or type"),
    "unknown type": ('layers { name: "x" type: MAGIC }', "MAGIC"),
    "two names": (NET + 'layer { name: "r" type: "ReLU" bottom: "c" top: "d" }', "two layers of the name 'r'"),
    "no input": ('layer { name: "x" type: "ReLU" bottom: "d" top: "d" }', "has 0 inputs"),
    "two inputs": (NET + 'layer { name: "i" type: "Input" top: "e" input_param { shape { dim: 1 } } }', "has 2 inputs"),
    "half a shape": ('input: "d" input_dim: 1 input_dim: 3 layer { name: "x" type: "ReLU" }', "declares 1 inputs with 1 shapes"),
    "three dims": ('input: "d" input: "e" input_dim: 1 layer { name: "x" type: "ReLU" }', "declares 2 inputs with 1 shapes"),
    "huge input": (NET.replace("input_dim: 8\n", "input_dim: 2000000000\n"), "has the input shape"),
    "huge layer": (NET.replace("num_output: 4", "num_output: 1000000000"), "absurdly large"),
    "overflow": (NET.replace("kernel_size: 3", "kernel_size: 4294967295"), "layer 'c.1' (convolution)"),
    "huge padding": (NET.replace("kernel_size: 3", "kernel_size: 3 pad: 4000000000"), "layer 'c.1' (convolution)"),
    "no size": ('layer { name: "d" type: "Data" top: "x" }', "does not state the size of its photos"),
    "only data": ('input: "d" input_dim: [1,3,8,8] layer { name: "l" type: "Silence" bottom: "d" }', "no layer to execute"),
    "rules": ('layer { name: "x" type: "ReLU" include {} exclude {} }', "has include and exclude rules"),
    "no top": (NET + 'layer { name: "x" type: "ReLU" bottom: "c" }', "lacks bottom or top"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_hostile_text_is_refused_with_a_reason(case, tmp_path):
    text, message = TEXTS[case]
    refused(lambda: describe(spec_of(tmp_path, text)), "some.prototxt", message)


def test_wrong_files_are_refused(tiny, tmp_path, write_caffemodel):
    prototxt, weights, caffemodel = tiny
    spec = read_prototxt(prototxt)
    refused(lambda: read_prototxt(caffemodel), "is not a text file")
    refused(lambda: read_prototxt(tmp_path / "none"), "cannot be read (No such file")
    refused(lambda: read_caffemodel(tmp_path / "none"), "cannot be read (No such file")
    refused(lambda: read_caffemodel(prototxt), "caffemodel")
    (tmp_path / "large.prototxt").write_bytes(b" " * (5 * 2**20))
    refused(lambda: read_prototxt(tmp_path / "large.prototxt"), "at most 1 MiB")
    (tmp_path / "hdf5").write_bytes(b"\x89HDF\r\n\x1a\n")
    refused(lambda: read_caffemodel(tmp_path / "hdf5"), "is an HDF5 file", "BINARYPROTO")
    (tmp_path / "empty").write_bytes(b"")
    refused(lambda: read_caffemodel(tmp_path / "empty"), "holds no layer with weights")
    fewer = {"c.1": weights["c.1"]}
    refused(lambda: build(spec, fewer), "layer 'forward' (InnerProduct) has no weights", "asks for 2")
    fewer = {**weights, "c.1": weights["c.1"][:1]}
    refused(lambda: build(spec, fewer, weights_path="w"), "w: layer 'c.1' (Convolution) has 1 blobs")
    other = {**weights, "forward": [np.zeros((5, 7), np.float32), weights["forward"][1]]}
    refused(lambda: build(spec, other), "weight has the shape 5x7, the prototxt asks for 5x144")
    bad = {**weights, "forward": [weights["forward"][0] * np.nan, weights["forward"][1]]}
    write_caffemodel(caffemodel, bad, TYPES)
    refused(lambda: read_caffemodel(caffemodel), "layer 'forward', blob 0 holds NaN or infinity")
    huge = {"c.1": [np.full((1, 1), 1e300)]}
    write_caffemodel(caffemodel, huge, TYPES, double=True)
    refused(lambda: read_caffemodel(caffemodel), "holds NaN or infinity")


def test_oldest_form_of_weights_is_an_explicit_error(tmp_path):
    net = message_class("NetParameter")()
    net.layers.add().layer.name = "conv1"
    (tmp_path / "v0").write_bytes(net.SerializeToString())
    refused(
        lambda: read_caffemodel(tmp_path / "v0"), "layer 'conv1' in Caffe's oldest form (V0)", "upgrade_net"
    )


@pytest.mark.parametrize("shape", [[10**15], [10**9, 10**9, 10**9], [-1, -4], [0], [2] * 40, []])
def test_absurd_blob_shapes_cost_nothing(tmp_path, shape):
    net = message_class("NetParameter")()
    blob = net.layer.add(name="x", type="InnerProduct").blobs.add(data=[bytes(16)])
    blob.shape.dim.extend(shape)
    (tmp_path / "w").write_bytes(net.SerializeToString())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(lambda: read_caffemodel(tmp_path / "w"), "layer 'x', blob 0 states the shape", "holds 4 numbers")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_every_truncation_is_noticed(tiny, tmp_path):
    _, weights, caffemodel = tiny
    content = caffemodel.read_bytes()
    file = tmp_path / "cut.caffemodel"
    rng = np.random.default_rng(0)
    for length in [*range(40), *rng.integers(40, len(content), 200)]:
        file.write_bytes(content[:length])
        try:
            found = read_caffemodel(file)
        except ModelError as error:
            assert "cut.caffemodel" in str(error)  # noqa: PT017
        else:  # cut between two layers: whole, but for what build() will miss
            assert found.keys() < weights.keys()


def mutations(content: bytes, rng: np.random.Generator, count: int):
    """Seeded copies with flipped, repeated, removed or foreign bytes, most of them near the start."""
    for _ in range(count):
        data = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            limit = len(data) if rng.random() < 0.5 else min(len(data), 120)
            at = int(rng.integers(limit))
            kind = rng.integers(4)
            if kind == 0:
                data[at] ^= 1 << int(rng.integers(8))
            elif kind == 1:
                data[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
            elif kind == 2:
                del data[at : at + int(rng.integers(1, 9))]
            else:
                data[at:at] = data[at : at + int(rng.integers(1, 30))]
        yield bytes(data)


def attempt(action) -> bool:
    try:
        action()
    except ModelError as error:
        assert len(str(error)) < 3000  # noqa: PT017
        return False
    return True


def test_mutated_caffemodels_never_raise_anything_else(tiny, tmp_path):
    prototxt, _, caffemodel = tiny
    spec, rng = read_prototxt(prototxt), np.random.default_rng(1)
    file, start = tmp_path / "mutated.caffemodel", time.process_time()
    results = []
    with np.errstate(all="ignore"):
        for content in mutations(caffemodel.read_bytes(), rng, 1500):
            file.write_bytes(content)
            results.append(attempt(lambda: build(spec, read_caffemodel(file))))
    assert 0.02 < np.mean(results) < 0.98
    assert time.process_time() - start < 60


def test_mutated_prototxts_never_raise_anything_else(tmp_path):
    rng = np.random.default_rng(2)
    file, results = tmp_path / "mutated.prototxt", []
    tokens = [
        b"9999999999",
        b"-1",
        b"{",
        b"}",
        b'"',
        b"[",
        b"dim: 0 ",
        b"1e40",
        b"0x7f",
        b":",
        b"\\",
        b"top: ",
    ]
    for form in (NET, LEGACY):
        for content in mutations(form.encode(), rng, 700):
            at = int(rng.integers(len(content)))
            changed = (
                content[:at] + bytes(rng.choice(tokens)) + content[at:] if rng.random() < 0.3 else content
            )
            file.write_bytes(changed)
            results.append(attempt(lambda: describe(read_prototxt(file))))
    assert 0.02 < np.mean(results) < 0.98


def test_hostile_descriptions_are_refused(tiny):
    net = CaffeNet(describe(read_prototxt(tiny[0])))
    good = net.description
    refused(lambda: CaffeNet.from_description([]), "has no input layer")
    refused(lambda: CaffeNet.from_description([{"shape": ["x"], "outputs": ["d"]}]), "has no input layer")
    refused(lambda: CaffeNet.from_description([good[0], {"type": "relu"}]), "has an incomplete layer")
    unknown = {**good[2], "type": "exec"}
    refused(
        lambda: CaffeNet.from_description([good[0], good[1], unknown]), "unknown type", "Allowed: batch_norm"
    )
    settings = {**good[1], "settings": {**good[1]["settings"], "out_channels": 2**40}}
    refused(lambda: CaffeNet.from_description([good[0], settings]), "layer 'c.1' (convolution)")
    settings = {**good[1], "settings": {"surprise": 1}}
    refused(lambda: CaffeNet.from_description([good[0], settings]), "does not fit its inputs or settings")
    settings = {**good[1], "outputs": ["a", "b"]}
    refused(lambda: CaffeNet.from_description([good[0], settings]), "does not fit its inputs or settings")
    refused(lambda: CaffeNet.from_description([good[0], good[1], good[1]]), "two layers of the name 'c.1'")
