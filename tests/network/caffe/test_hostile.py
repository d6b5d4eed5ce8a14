"""Caffe files and descriptions that state absurd things."""

import contextlib
import time

import pytest

from pfungst.errors import ModelError
from pfungst.network.caffe import CaffeNet, describe, read_caffemodel, read_prototxt

INPUT = {"type": "input", "name": "data", "outputs": ["data"], "shape": [3, 8, 8]}


def layer(kind, name="l", source="data", **settings):
    return {"type": kind, "name": name, "inputs": [source], "outputs": [name], "settings": settings}


def refused(*entries, match):
    with pytest.raises(ModelError, match=match):
        CaffeNet([INPUT, *entries])


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("split", {"copies": 10**9}),
        ("lrn", {"size": 2**31 - 1, "alpha": 1.0, "beta": 0.75, "k": 1.0}),
        ("lrn_within_channel", {"size": 2**31 - 1, "alpha": 1.0, "beta": 0.75}),
        ("pooling", {"method": "max", "kernel": [10**6] * 2, "stride": [10**6] * 2, "pad": [10**6 - 1] * 2,
        "ceil": True}),
        ("pooling", {"method": "max", "kernel": [9000] * 2, "stride": [9000] * 2, "pad": [8999] * 2,
        "ceil": True}),
        ("pooling", {"method": "max", "kernel": [2, 2], "stride": [0, 0], "pad": [0, 0], "ceil": True}),
        ("convolution", {"in_channels": 3, "out_channels": 1, "kernel": [1, 1], "stride": [1, 1], "pad": [1,
        1, 1],
                         "dilation": [1, 1], "groups": 1, "bias": False}),
        ("convolution", {"in_channels": 3, "out_channels": 1, "kernel": [1, 1], "stride": [1, 1], "pad": [1,
        1],
                         "dilation": [1, 1], "groups": 0, "bias": False}),
        ("reshape", {"shape": [2**62, 4]}),
        ("softmax", {"axis": "1"}),
        ("permute", {"order": [0] * 100}),
        ("batch_norm", {"channels": 2**62, "eps": 1e-5}),
    ],
)  # fmt: skip
def test_settings_that_would_cost_memory_or_fail_later(kind, settings):
    refused(layer(kind, **settings), match=r"layer 'l' \(\w+\)")


@pytest.mark.parametrize(
    "entry",
    [{}, [], {"name": "a"}, layer("relu") | {"name": 3}, layer("relu") | {"outputs": []},
    layer("relu") | {"inputs": [[]]},
     layer("relu") | {"type": ["relu"]}, layer("relu") | {"settings": 3}],
)  # fmt: skip
def test_entries_that_are_no_layers(entry):
    with pytest.raises(ModelError):
        CaffeNet([INPUT, entry])


def test_all_blobs_together_are_bounded():
    wide = {**INPUT, "shape": [8, 4096, 4096]}
    entries = [layer("sigmoid", f"l{i}") for i in range(9)]
    with pytest.raises(ModelError, match="makes the network absurdly large"):
        CaffeNet([wide, *entries])


def test_names_that_become_the_same_module_name():
    names = {f"{number:08b}".replace("0", ".").replace("1", "_") for number in range(200)}
    refused(*(layer("tanh", name) for name in names), match="layers with names like")


def test_many_layers_take_linear_time(tmp_path):
    lines = ['input: "b0" input_dim: 1 input_dim: 3 input_dim: 2 input_dim: 2']
    lines += [f'layer {{ name: "l{i}" type: "Dropout" bottom: "b{i}" top: "b{i + 1}" }}' for i in range(500)]
    (tmp_path / "net.prototxt").write_text("\n".join(lines))
    started = time.process_time()
    CaffeNet(describe(read_prototxt(tmp_path / "net.prototxt")))
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ('type: "ReLU" relu_param { negative_slope: nan }', "negative_slope is nan"),
        ('type: "Power" power_param { power: inf }', "power is inf"),
        ('type: "LRN" lrn_param { local_size: 2147483647 }', "padding to|allowed are"),
        (
            'type: "Convolution" convolution_param { num_output: 4294967295 kernel_size: 1 }',
            "absurdly|fit",
        ),
        (
            'type: "InnerProduct" inner_product_param { num_output: 2147483647 }',
            "absurdly|fit",
        ),
    ],
)
def test_prototxt_values(tmp_path, body, match):
    file = tmp_path / "net.prototxt"
    declared = 'input: "a" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4'
    file.write_text(f'{declared} layer {{ name: "l" bottom: "a" top: "l" {body} }}')
    with pytest.raises(ModelError, match=match):
        CaffeNet(describe(read_prototxt(file)))


def test_a_blob_without_channels(tmp_path):
    file = tmp_path / "net.prototxt"
    file.write_text(
        'input: "a" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1 '
        'layer { name: "r" type: "Reshape" bottom: "a" top: "r" reshape_param { shape { dim: 1 } } } '
        'layer { name: "p" type: "PReLU" bottom: "r" top: "p" }'
    )
    with pytest.raises(ModelError, match=r"layer 'p' \(PReLU\) needs a blob with channels"):
        describe(read_prototxt(file))


def test_cycles(tmp_path):
    file = tmp_path / "net.prototxt"
    file.write_text(
        'input: "a" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4 '
        'layer { name: "r" type: "ReLU" bottom: "s" top: "r" } '
        'layer { name: "s" type: "ReLU" bottom: "r" top: "s" }'
    )
    with pytest.raises(ModelError, match="reads blob 's', which no layer before it makes"):
        describe(read_prototxt(file))


def field(number, content):
    def varint(value):
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)

    return varint(number << 3 | 2) + varint(len(content)) + content


@pytest.mark.parametrize(
    "content",
    [field(100, field(1, b"c") + field(7, b"") * 20_000), b"\x08\x01" * 200_000, field(1, b"") * 200_000],
    ids=["many blobs", "many numbers", "many names"],
)
def test_messages_of_very_many_fields(tmp_path, content):
    (tmp_path / "w.caffemodel").write_bytes(content)
    with pytest.raises(ModelError, match="a message with more than"):
        read_caffemodel(tmp_path / "w.caffemodel")


def test_shapes_whose_product_is_zero(tmp_path):
    dims = b"\x00" + b"\x80\x80\x80\x80\x80\x80\x80\x80\x40" * 3
    blob = field(7, field(1, dims))
    (tmp_path / "w.caffemodel").write_bytes(field(100, field(1, b"c") + field(7, blob)))
    with pytest.raises(ModelError, match=r"w\.caffemodel"):
        read_caffemodel(tmp_path / "w.caffemodel")


def test_a_folder_is_no_caffemodel(tmp_path):
    with pytest.raises(ModelError, match="is not a file"):
        read_caffemodel(tmp_path)


def test_doubles_that_are_no_numbers_in_float32(tmp_path):
    for pattern in (b"\x01\0\0\0\0\0\xf0\x7f", b"\xff" * 8):  # signalling and quiet NaN
        blob = field(7, field(7, field(1, b"\x01")) + field(8, pattern))
        (tmp_path / "w.caffemodel").write_bytes(field(100, field(1, b"c") + blob))
        with pytest.raises(ModelError, match="holds NaN or infinity"):
            read_caffemodel(tmp_path / "w.caffemodel")


def test_unknown_escapes_in_strings_do_not_warn(tmp_path):
    file = tmp_path / "net.prototxt"
    file.write_text(
        'name: "a\\.b" input: "a" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4 '
        'layer { name: "r" type: "ReLU" bottom: "a" top: "r" }'
    )
    with contextlib.suppress(ModelError):  # releases of protobuf differ in what they take
        read_prototxt(file)
