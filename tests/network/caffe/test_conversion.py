"""From Caffe files to a saved classifier, in Python and on the command line."""

# ruff: noqa: E501 - lines of prototxt stay whole

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pfungst.errors import ConfigError, ModelError, PfungstError
from pfungst.network.caffe import CaffeNet, blobs, described_with_outputs, read_caffemodel, read_prototxt
from pfungst.network.caffe.schema import message_class
from pfungst.network.caffe_conversion import convert

NET = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 16 dim: 16 } } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 } }
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "side" type: "Convolution" bottom: "c1" top: "side"
  convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "c2" type: "Convolution" bottom: "c1" top: "c2"
  convolution_param { num_output: 5 kernel_size: 1 } }
layer { name: "r2" type: "ReLU" bottom: "c2" top: "r2" }
layer { name: "pool" type: "Pooling" bottom: "r2" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "prob" type: "Softmax" bottom: "pool" top: "prob" }
"""


@pytest.fixture
def files(tmp_path, random_blobs, write_caffemodel):
    prototxt = tmp_path / "deploy.prototxt"
    prototxt.write_text(NET)
    weights = random_blobs(read_prototxt(prototxt))
    return prototxt, write_caffemodel(tmp_path / "w.caffemodel", weights)


def photo() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (20, 26, 3), dtype=np.uint8)


def by_hand(files, x: np.ndarray) -> np.ndarray:
    """The tiny network in NumPy: strided convolution, ReLU, 1 × 1 convolution, ReLU, mean."""
    weights = read_caffemodel(files[1])
    parts = [x[:, i : i + 13 : 2, j : j + 13 : 2] for i in range(3) for j in range(3)]
    columns = np.stack(parts, axis=1).reshape(27, -1)
    hidden = np.maximum(weights["c1"][0].reshape(4, 27) @ columns + weights["c1"][1][:, None], 0)
    return np.maximum(weights["c2"][0].reshape(5, 4) @ hidden + weights["c2"][1][:, None], 0).mean(axis=1)


def test_scores_are_those_before_the_softmax_of_a_bgr_photo(files):
    model = convert(*files, mean=(100.0, 110.0, 120.0), scale=0.5, resize_length=20)
    crop = photo()[2:18, 5:21, ::-1].astype(float)  # shortest side is 20 already; the centre 16 x 16
    x = (crop - [100, 110, 120]).transpose(2, 0, 1) * 0.5
    np.testing.assert_allclose(model.scores([photo()])[0], by_hand(files, x), rtol=1e-4)
    assert model.classes == tuple(f"class {index}" for index in range(5))
    assert "side" not in [entry["name"] for entry in model.architecture["description"]]


def test_a_final_sigmoid_is_dropped_too(files):
    raw = convert(*files, resize_length=20).scores([photo()])
    files[0].write_text(NET.replace('name: "prob" type: "Softmax"', 'name: "prob" type: "Sigmoid"'))
    model = convert(*files, resize_length=20)
    np.testing.assert_array_equal(model.scores([photo()]), raw)
    assert model.explain(photo(), "class 1").score == pytest.approx(raw[0, 1], rel=1e-5)


def test_mean_image_is_scaled_and_cropped(files, tmp_path):
    image = np.random.default_rng(0).uniform(90, 130, (1, 3, 20, 20)).astype("<f4")
    blob = message_class("BlobProto")(num=1, channels=3, height=20, width=20, data=[image.tobytes()])
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    model = convert(*files, mean=tmp_path / "mean.binaryproto", scale=2.0, resize_length=20)
    crop = photo()[2:18, 5:21, ::-1].astype(float).transpose(2, 0, 1)
    x = (crop - image[0, :, 2:18, 2:18]) * 2.0
    np.testing.assert_allclose(model.scores([photo()])[0], by_hand(files, x), rtol=1e-4)


DATA = """
name: "tiny"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 16 mean_value: 1 mean_value: 2 mean_value: 3 scale: 9 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 16 %s } data_param { source: "x" batch_size: 4 %s } }
"""


def stating(files, transform, old=""):
    """The same network with a data layer in the place of its input."""
    files[0].write_text(DATA % (transform, old) + NET.partition("} } }")[2])
    return files


THREE = "mean_value: 103.94 mean_value: 116.78 mean_value: 123.68"


@pytest.mark.parametrize(
    ("transform", "mean", "scale"),
    [
        (f"{THREE} scale: 0.017", (103.94, 116.78, 123.68), 0.017),
        ("mean_value: 127.5", (127.5,) * 3, 1.0),
        ("scale: 0.5", (104.0, 117.0, 123.0), 0.5),
        ("", (104.0, 117.0, 123.0), 1.0),
    ],
)
def test_mean_and_scale_of_the_file_are_taken_over(files, transform, mean, scale):
    wanted = convert(*files, mean=mean, scale=scale, resize_length=20).scores([photo()])
    model = convert(*stating(files, transform), resize_length=20)
    np.testing.assert_allclose(model.scores([photo()]), wanted, rtol=1e-4)
    larger = convert(*files, resize_length=24, crop=24).preprocess
    assert larger.scale == pytest.approx(scale)
    np.testing.assert_allclose(np.array(larger.mean) / larger.scale, mean, rtol=1e-6)


def test_a_mean_image_is_looked_for_beside_the_file(files, tmp_path):
    named = 'mean_file: "/data/ilsvrc12/imagenet_mean.binaryproto"'
    stating(files, named)
    with pytest.raises(ModelError, match=r"there is no imagenet_mean.binaryproto beside it. Try: .*--mean"):
        convert(*files)
    image = np.full((1, 3, 20, 20), 110, "<f4")
    blob = message_class("BlobProto")(num=1, channels=3, height=20, width=20, data=[image.tobytes()])
    (tmp_path / "imagenet_mean.binaryproto").write_bytes(blob.SerializeToString())
    assert convert(*files).preprocess.mean_image.shape == (3, 20, 20)


def test_what_is_asked_for_goes_before_the_file_and_the_conflict_is_named(files):
    stating(files, f"{THREE} scale: 0.017")
    with pytest.warns(UserWarning, match="the prototxt states the") as told:
        model = convert(*files, mean=(1, 2, 3), scale=2.0)
    texts = [str(item.message) for item in told]
    assert "states the mean 103.94, 116.78, 123.68 in transform_param, but 1, 2, 3 was asked for" in texts[0]
    assert "states the scale 0.017 in transform_param, but 2 was asked for" in texts[1]
    assert model.preprocess.scale == 2
    convert(*files, mean=(103.94, 116.78, 123.68), scale=0.017)  # the same: no word


def test_the_old_form_is_read_too(files):
    wanted = convert(*files, scale=0.25, resize_length=20).scores([photo()])
    stating(files, "", old="scale: 0.25 mirror: false backend: LMDB")
    np.testing.assert_allclose(convert(*files, resize_length=20).scores([photo()]), wanted, rtol=1e-5)
    stating(files, "", old='mean_file: "mean.binaryproto"')
    with pytest.raises(ModelError, match=r"no mean.binaryproto beside it"):
        convert(*files)


def test_a_saved_model_loads_without_the_files(files, tmp_path):
    from pfungst.models import load

    model = convert(*files, classes=list("abcde"))
    model.save(tmp_path / "model")
    for file in files:
        file.unlink()
    again = load(tmp_path / "model")
    assert again.classes == tuple("abcde")
    np.testing.assert_array_equal(again.scores([photo()]), model.scores([photo()]))


def test_other_crops_and_outputs(files):
    model = convert(*files, crop=24, output="r2" if False else "pool", resize="warp")
    assert model.preprocess.input_size == (24, 24)
    assert model.preprocess.resize == "warp"
    net = model.module
    assert blobs(net, torch.zeros(1, 3, 24, 24))["c1"].shape == (1, 4, 11, 11)
    with pytest.raises(ModelError, match="its output 'c1' has the shape"):
        convert(*files, output="c1")
    with pytest.raises(ModelError, match="no layer makes the blob 'x'"):
        convert(*files, output="x")


def test_options_that_cannot_work_are_refused(files, tmp_path):
    (tmp_path / "words").write_text("a\nb\n")
    cases = {
        "names 2 classes, the network has 5 outputs": {"classes": tmp_path / "words"},
        "a mean pixel of 2 values": {"mean": (1.0, 2.0)},
        "a crop of 0 pixels": {"crop": 0},
        "unknown channel order 'GBR'": {"channels": "GBR"},
        "unknown resize rule 'x'": {"resize": "x"},
    }
    for message, options in cases.items():
        with pytest.raises(PfungstError, match=message):
            convert(*files, **options)
    grey = NET.replace("dim: 3", "dim: 1")
    files[0].write_text(grey)
    with pytest.raises(ModelError, match="weight has the shape 4x3x3x3"):
        convert(*files)


def test_a_new_head_loses_the_activation_behind_it(files):
    description = convert(*files).architecture["description"]
    changed = described_with_outputs(description, 2, "layers.c2")
    net = CaffeNet.from_description(changed)
    assert [entry["type"] for entry in changed[1:]] == [
        "convolution", "relu", "convolution", "global_pooling", "flatten",
    ]  # fmt: skip
    assert net(torch.zeros(3, 3, 16, 16)).shape == (3, 2)
    assert CaffeNet(description).output_shape == (5,)  # the given one is as it was
    with pytest.raises(ConfigError, match=r"layer 'layers.pool' cannot be given 2 outputs"):
        described_with_outputs(description, 2, "layers.pool")
    with pytest.raises(ConfigError, match=r"layer 'c2' cannot"):
        described_with_outputs(description, 2, "c2")


def test_command_line(files, tmp_path):
    from pfungst.cli.main import app

    (tmp_path / "words").write_text("\n".join("abcde"))
    out = tmp_path / "model"
    arguments = ["convert", *map(str, files), "--out", str(out), "--classes", str(tmp_path / "words")]
    result = CliRunner().invoke(app, [*arguments, "--mean", "1,2,3", "--resize-length", "32"])
    assert result.exit_code == 0, result.output
    assert "5 classes, decided by thresholds; input 16 x 16 BGR, mean 1,2,3: " in result.output
    config = json.loads((out / "model.json").read_text())["config"]
    assert config["preprocess"]["mean"] == [1, 2, 3]
    assert config["architecture"]["type"] == "caffe"
    result = CliRunner().invoke(app, [*arguments, "--mean", "1,2,3"])
    assert "there is a finished model" in str(result.exception)
    result = CliRunner().invoke(app, [*arguments, "--overwrite", "--mean", "grey"])
    assert isinstance(result.exception, ConfigError)
    assert "--mean grey" in str(result.exception)
