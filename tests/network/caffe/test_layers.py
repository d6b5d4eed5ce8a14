"""Each layer type against OpenCV's importer, and against slow float64 twins written from the definitions."""

# ruff: noqa: E501 - lines of prototxt stay whole

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from pfungst.network.caffe import activations, build, describe, read_caffemodel, read_prototxt

INPUT = 'input: "data" input_shape { dim: 2 dim: 4 dim: 11 dim: 10 }\n'


def layer(kind: str, fields: str = "", *, name: str = "it", bottom: str = '"data"', top: str = "it") -> str:
    bottoms = " ".join(f"bottom: {blob}" for blob in bottom.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{top}" {fields} }}\n'


CONV = layer("Convolution", "convolution_param { num_output: 6 kernel_size: 3 }", name="c", top="c")
CASES = {
    "convolution": layer(
        "Convolution", "convolution_param { num_output: 6 kernel_size: 3 pad: 1 stride: 2 }"
    ),
    "grouped": layer(
        "Convolution", "convolution_param { num_output: 6 kernel_size: 3 group: 2 bias_term: false }"
    ),
    "non-square": layer(
        "Convolution",
        "convolution_param { num_output: 5 kernel_h: 3 kernel_w: 5 stride_h: 2 stride_w: 1 pad_h: 2 pad_w: 1 }",
    ),
    "dilated": layer("Convolution", "convolution_param { num_output: 3 kernel_size: 3 dilation: 2 pad: 2 }"),
    "inner product": layer("InnerProduct", "inner_product_param { num_output: 7 }"),
    "relu": layer("ReLU"),
    "leaky relu": layer("ReLU", "relu_param { negative_slope: 0.1 }"),
    "in place": CONV + layer("ReLU", bottom='"c"', top="c"),
    "prelu": layer("PReLU"),
    "elu": layer("ELU"),
    "sigmoid": layer("Sigmoid"),
    "tanh": layer("TanH"),
    "power": layer("Power", "power_param { power: 2 scale: 0.5 shift: 0.3 }"),
    "lrn across": layer("LRN", "lrn_param { local_size: 3 alpha: 0.7 beta: 0.6 }"),
    "lrn within": layer(
        "LRN", "lrn_param { local_size: 3 alpha: 0.7 beta: 0.6 norm_region: WITHIN_CHANNEL }"
    ),
    "max pool": layer("Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }"),
    "max pool, padded": layer("Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 }"),
    "average pool": layer("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }"),
    "pool, clipped": layer("Pooling", "pooling_param { pool: AVE kernel_size: 2 stride: 3 pad: 1 }"),
    "global average": layer("Pooling", "pooling_param { pool: AVE global_pooling: true }"),
    "global maximum": layer("Pooling", "pooling_param { pool: MAX global_pooling: true }"),
    "concat": CONV + layer("Concat", bottom='"c" "c"'),
    "concat, axis": CONV + layer("Concat", "concat_param { axis: 2 }", bottom='"c" "c"'),
    "eltwise sum": CONV + layer("Eltwise", "eltwise_param { coeff: 2 coeff: -0.5 }", bottom='"data" "data"'),
    "eltwise product": layer("Eltwise", "eltwise_param { operation: PROD }", bottom='"data" "data"'),
    "eltwise maximum": CONV
    + layer("ReLU", bottom='"c"', name="r", top="r")
    + layer("Eltwise", "eltwise_param { operation: MAX }", bottom='"c" "r"'),
    "dropout": layer("Dropout", "dropout_param { dropout_ratio: 0.4 }"),
    "softmax": layer("Softmax"),
    "batch norm, scale": layer("BatchNorm", "batch_norm_param { eps: 0.01 }", name="n", top="n")
    + layer("Scale", "scale_param { bias_term: true }", bottom='"n"'),
    "gate": layer("Pooling", "pooling_param { pool: AVE global_pooling: true }", name="p", top="p")
    + layer("Flatten", bottom='"p"', name="f", top="f")
    + layer("Scale", "scale_param { axis: 0 }", bottom='"data" "f"'),
    "flatten": layer("Flatten"),
    "split": 'layer { name: "s" type: "Split" bottom: "data" top: "a" top: "b" }\n'
    + layer("ReLU", bottom='"a"', top="a", name="r")
    + layer("Eltwise", bottom='"a" "b"'),
    "slice": 'layer { name: "s" type: "Slice" bottom: "data" top: "a" top: "b" slice_param { slice_point: 1 } }\n'
    + layer("Concat", bottom='"b" "a"'),
    "reshape": layer("Reshape", "reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 10 } }"),
    "permute": layer("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }"),
}


def made(tmp_path, text, random_blobs, write_caffemodel, **form):
    """Files of a small network, and the network read back from them."""
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(text)
    spec = read_prototxt(prototxt)
    types = {item.name: item.type for item in spec.layers}
    weights = random_blobs(spec) or {"unused": [np.zeros(1, np.float32)]}
    caffemodel = write_caffemodel(tmp_path / "net.caffemodel", weights, types, **form)
    return prototxt, caffemodel, build(spec, read_caffemodel(caffemodel))


def photo_like(seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, 4, 11, 10)).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
def test_every_layer_equals_opencv(case, tmp_path, random_blobs, write_caffemodel):
    prototxt, caffemodel, net = made(tmp_path, INPUT + CASES[case], random_blobs, write_caffemodel)
    x = photo_like()
    oracle = cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel))
    oracle.enableFusion(False)
    oracle.setInput(x)
    # a split's copies are named by OpenCV after its own inner layers
    names = [name for name in activations(net, torch.from_numpy(x)) if name != "s"]
    for name, expected in zip(names, oracle.forward(names), strict=True):
        found = activations(net, torch.from_numpy(x))[name].numpy()
        assert found.shape == expected.shape, name
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def windows(size, kernel, stride, pad, *, clip):
    """Start and end of each pooling window, as Caffe's documentation of its arithmetic has it."""
    count = math.ceil((size + 2 * pad - kernel) / stride) + 1
    if clip and (count - 1) * stride >= size + pad:
        count -= 1
    starts = [index * stride - pad for index in range(count)]
    return [(start, min(start + kernel, size + pad)) for start in starts]


def pooled_twin(x, method, kernel, stride, pad):
    rows = windows(x.shape[2], kernel[0], stride[0], pad[0], clip=any(pad))
    columns = windows(x.shape[3], kernel[1], stride[1], pad[1], clip=any(pad))
    result = np.zeros((*x.shape[:2], len(rows), len(columns)))
    for i, (top, bottom) in enumerate(rows):
        for j, (left, right) in enumerate(columns):
            part = x[:, :, max(top, 0) : bottom, max(left, 0) : right]
            if method == "MAX":
                result[:, :, i, j] = part.max(axis=(2, 3))
            else:
                result[:, :, i, j] = part.sum(axis=(2, 3)) / ((bottom - top) * (right - left))
    return result


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"),
    [((3, 3), (2, 2), (0, 0)), ((3, 2), (2, 3), (1, 0)), ((3, 3), (2, 2), (2, 2)), ((4, 5), (3, 2), (3, 1)),
     ((2, 2), (3, 3), (1, 1)), ((5, 3), (1, 1), (4, 2)), ((5, 5), (3, 3), (3, 3))],
)  # fmt: skip
def test_pooling_equals_its_twin_for_any_padding(tmp_path, method, kernel, stride, pad):
    fields = " ".join(
        f"{name}_{axis}: {values[at]}"
        for name, values in (("kernel", kernel), ("stride", stride), ("pad", pad))
        for at, axis in enumerate("hw")
    )
    file = tmp_path / "pool.prototxt"
    file.write_text(INPUT + layer("Pooling", f"pooling_param {{ pool: {method} {fields} }}"))
    x = photo_like()
    found = build(read_prototxt(file), {})(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, pooled_twin(x.astype(float), method, kernel, stride, pad), atol=1e-6)


@pytest.mark.parametrize(("region", "size"), [("ACROSS_CHANNELS", 3), ("WITHIN_CHANNEL", 5)])
def test_local_response_normalisation_equals_its_twin(tmp_path, region, size):
    file = tmp_path / "lrn.prototxt"
    k = 2.5 if region == "ACROSS_CHANNELS" else 1.0  # OpenCV ignores k, so only this twin tests it
    fields = f"local_size: {size} alpha: 0.3 beta: 0.7 k: {k} norm_region: {region}"
    file.write_text(INPUT + layer("LRN", f"lrn_param {{ {fields} }}"))
    x = photo_like()
    found = build(read_prototxt(file), {})(torch.from_numpy(x)).numpy()
    expected, half = np.zeros(x.shape), size // 2
    for n, c, i, j in np.ndindex(*x.shape):
        if region == "ACROSS_CHANNELS":
            around, count = x[n, max(c - half, 0) : c + half + 1, i, j], size
        else:
            around = x[n, c, max(i - half, 0) : i + half + 1, max(j - half, 0) : j + half + 1]
            count = size**2
        energy = (around.astype(float) ** 2).sum()
        expected[n, c, i, j] = x[n, c, i, j] / (k + 0.3 / count * energy) ** 0.7
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_grouped_dilated_convolution_equals_its_twin(tmp_path, random_blobs, write_caffemodel):
    fields = (
        "convolution_param { num_output: 6 kernel_h: 3 kernel_w: 2 group: 2 dilation: 2 dilation: 1 "
        "stride_h: 1 stride_w: 2 pad_h: 1 pad_w: 0 }"
    )
    _, caffemodel, net = made(tmp_path, INPUT + layer("Convolution", fields), random_blobs, write_caffemodel)
    weight, bias = (blob.astype(float) for blob in read_caffemodel(caffemodel)["it"])
    x = photo_like()
    padded = np.pad(x.astype(float), ((0, 0), (0, 0), (1, 1), (0, 0)))
    expected = np.zeros(net(torch.from_numpy(x)).shape)
    for n, o, i, j in np.ndindex(*expected.shape):
        first = 2 * (o // 3)
        part = padded[n, first : first + 2, i : i + 5 : 2, 2 * j : 2 * j + 2]
        expected[n, o, i, j] = (weight[o] * part).sum() + bias[o]
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-5)


def test_batch_norm_divides_by_its_scale_factor(tmp_path, random_blobs, write_caffemodel):
    _, caffemodel, net = made(tmp_path, INPUT + layer("BatchNorm"), random_blobs, write_caffemodel)
    mean, variance, factor = (blob.astype(float) for blob in read_caffemodel(caffemodel)["it"])
    x = photo_like()
    channel = [slice(None), None, None]
    expected = (x - (mean / factor)[tuple(channel)]) / np.sqrt((variance / factor)[tuple(channel)] + 1e-5)
    found = net.train()(torch.from_numpy(x)).numpy()  # stored moments even in training
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_transposed_inner_product_and_shared_prelu(tmp_path):
    file = tmp_path / "net.prototxt"
    file.write_text(
        INPUT
        + layer("PReLU", "prelu_param { channel_shared: true }", name="p", top="p")
        + layer("InnerProduct", "inner_product_param { num_output: 2 transpose: true bias_term: false }", bottom='"p"')
    )  # fmt: skip
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(440, 2)).astype(np.float32)
    net = build(read_prototxt(file), {"p": [np.array(0.2, np.float32)], "it": [weight]})
    x = photo_like()
    expected = np.where(x > 0, x, 0.2 * x).reshape(2, -1) @ weight
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


REFUSED = {
    "odd": (layer("LRN", "lrn_param { local_size: 4 }"), "layer 'it' (LRN) has an even local_size 4"),
    "groups": (
        layer("Convolution", "convolution_param { num_output: 6 kernel_size: 3 group: 3 }"),
        "has 3 groups for 4 inputs and 6 outputs",
    ),
    "stochastic": (layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"), "pools by STOCHASTIC"),
    "empty window": (
        layer("Pooling", "pooling_param { kernel_size: 1 stride: 3 }"),
        "has an empty last window (kernel 1, stride 3, 11 pixels)",
    ),
    "batch axis": (layer("Softmax", "softmax_param { axis: 0 }"), "works along axis 0"),
    "window": (layer("Pooling", "pooling_param { kernel_size: 20 }"), "has a window of 20 for 11 pixels"),
    "too wide": (
        layer("Convolution", "convolution_param { num_output: 2 kernel_size: 50 }"),
        "layer 'it' (convolution) does not fit its inputs",
    ),
    "shapes": (CONV + layer("Eltwise", bottom='"data" "c"'), "combines blobs of different shapes"),
    "statistics": (layer("BatchNorm", "batch_norm_param { use_global_stats: false }"), "normalises by the batch"),
    "missing": (layer("ReLU", bottom='"nothing"'), "reads blob 'nothing', which no layer before it makes"),
    "two bottoms": (layer("ReLU", bottom='"data" "data"'), "reads 2 blobs"),
    "batch": (layer("Reshape", "reshape_param { shape { dim: -1 dim: 10 } }"), "the batch must stay"),
    "unknown field": (layer("ReLU", "relu_param { clip: 6 }"), "does not know and that may change its result: relu_param.clip"),
    "unknown type": (layer("Deconvolution"), "layer 'it' is of type 'Deconvolution', which this reader does not know"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_executed_is_refused_by_name(case, tmp_path):
    from pfungst.errors import ModelError

    text, message = REFUSED[case]
    file = tmp_path / "net.prototxt"
    file.write_text(INPUT + text)
    with pytest.raises(ModelError) as caught:
        describe(read_prototxt(file))
    assert message in str(caught.value)
    if case == "unknown type":
        assert "Convolution" in str(caught.value)
        assert "Allowed: BatchNorm" in str(caught.value)
