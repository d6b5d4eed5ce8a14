"""Model folders that state absurd things: refused before memory is spent or anything else is raised."""

import json
import os
import resource

import numpy as np
import pytest
from safetensors.numpy import save_file

from pfungst.contract.storage import (
    ModelFolder,
    file_sha256,
    model_identity,
    read_model_folder,
    write_model_folder,
)
from pfungst.errors import ModelError
from pfungst.models import load

KIND = ModelFolder(kind="fisher", config={"classes": ["cat"]}, arrays={"w": np.ones(3, np.float32)})


@pytest.fixture
def folder(tmp_path):
    return write_model_folder(tmp_path / "model", KIND)


def describe(folder, **changes):
    """New fields of ``model.json`` under a checksum that fits."""
    file = folder / "model.json"
    content = json.loads(file.read_text()) | changes
    content["arrays_sha256"] = file_sha256(folder / "arrays.safetensors")
    file.write_text(json.dumps(content))


def network(folder, architecture, arrays, **config):
    preprocess = {"input_size": [16, 16], "resize_length": 16}
    content = {"architecture": architecture, "classes": ["cat", "dog"], "preprocess": preprocess} | config
    return write_model_folder(
        folder / "n", ModelFolder(kind="network", config=content, arrays=arrays | {"thresholds": np.zeros(2)})
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": ' * 900 + "1" + "}" * 900, "nested deeper than 64"),
        ('{"config": 1e999}', "1e999, which is too large"),
        ('{"config": "\\ud800"}', "not Unicode"),
    ],
)
def test_descriptions(folder, text, message):
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        read_model_folder(folder)


def test_a_pipe_is_not_waited_for(folder):
    (folder / "arrays.safetensors").unlink()
    os.mkfifo(folder / "arrays.safetensors")
    with pytest.raises(ModelError, match="is not a file, so it cannot be part of a model"):
        read_model_folder(folder)


@pytest.mark.parametrize("name", ["arrays.safetensors", "model.json"])
def test_a_link_to_what_never_ends(folder, name):
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    for ask in (read_model_folder, model_identity):
        with pytest.raises(ModelError, match=r"is not a file|has no model\.json"):
            ask(folder)


def test_a_file_that_is_too_large_is_not_read(folder):
    with (folder / "arrays.safetensors").open("r+b") as stream:
        stream.truncate(2**35)  # takes no space on the disk
    for ask in (read_model_folder, model_identity):
        with pytest.raises(ModelError, match=r"34359738368 bytes, too large for part of a model"):
            ask(folder)


def test_arrays_hold_real_numbers_within_float32(folder):
    for array, message in (
        (np.ones(2, np.complex64), "complex64|readable"),
        (np.array([1e300]), "beyond float32"),
    ):
        save_file({"w": array}, folder / "arrays.safetensors")
        describe(folder)
        with pytest.raises(ModelError, match=message):
            read_model_folder(folder)


@pytest.mark.parametrize(
    "header",
    [
        {"w": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 12]}},
        {"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 2**62]}},
        {"w": {"dtype": "BF16", "shape": [6], "data_offsets": [0, 12]}},
        {"w": {"dtype": "F32", "shape": [-3], "data_offsets": [0, 12]}},
        {"w": []},
        [],
    ],
)
def test_headers_of_the_array_file(folder, header):
    text = json.dumps(header).encode()
    (folder / "arrays.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(12))
    describe(folder)
    with pytest.raises(ModelError, match=r"arrays\.safetensors"):
        read_model_folder(folder)


@pytest.mark.parametrize("classes", ["cat", [], ["a", "a"], ["\x1b[2J"], ["x" * 201], [1], {"a": 1}, None])
def test_class_names(tmp_path, classes):
    folder = network(tmp_path, {"type": "small-cnn", "outputs": 2, "width": 1}, {}, classes=classes)
    with pytest.raises(ModelError, match=r"class names .* are not distinct, printable"):
        load(folder)


@pytest.mark.parametrize(
    "architecture",
    [
        {"type": "small-cnn", "outputs": 100_000, "width": 1024},
        {"type": "caffe", "description": [
            {"type": "input", "name": "d", "outputs": ["d"], "shape": [3, 16, 16]},
            {"type": "inner_product", "name": "f", "inputs": ["d"], "outputs": ["f"],
             "settings": {"in_features": 768, "out_features": 600_000, "bias": True, "axis": 1}},
        ]},
    ],
)  # fmt: skip
def test_a_large_architecture_costs_nothing_without_its_weights(tmp_path, architecture):
    folder = network(tmp_path, architecture, {"module.a": np.ones(1)})
    with pytest.raises(ModelError):
        load(network(tmp_path, {"type": "small-cnn", "outputs": 2, "width": 1}, {}))  # loads libraries
    network(tmp_path, architecture, {"module.a": np.ones(1)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match="weights do not fit the network"):
        load(folder)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000, "in KiB; the weights themselves would take 0.8 and 1.8 GB"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("std", [1e-320] * 3), ("scale", 1e300), ("scale", "1"), ("resize_length", 16.5), ("resize_length",
        2**40),
        ("mean", [1e300, 0, 0]), ("input_size", [2**31, 1]), ("channels", ["RGB"]), ("resize", {}),
    ],
)  # fmt: skip
def test_preprocessing(tmp_path, field, value):
    preprocess = {"input_size": [16, 16], "resize_length": 16, field: value}
    from pfungst.network import architectures

    settings = {"type": "small-cnn", "outputs": 2, "width": 1}
    state = architectures.build(settings).state_dict()
    arrays = {f"module.{name}": tensor.numpy() for name, tensor in state.items()}
    load(network(tmp_path, settings, arrays))
    with pytest.raises(ModelError, match="cannot be rebuilt"):
        load(network(tmp_path, settings, arrays, preprocess=preprocess))


class TestFisher:
    @pytest.fixture
    def good(self):
        from pfungst.descriptors import PCA, SiftConfig
        from pfungst.fisher.classifier import FisherClassifier, FisherPipeline
        from pfungst.mixture import GaussianMixture

        rng = np.random.default_rng(1)
        ones = np.ones((2, 2))
        pipeline = FisherPipeline(
            descriptor=SiftConfig(step=8, bin_sizes=(4,)),
            pca=PCA(mean=np.zeros(128), components=rng.normal(size=(2, 128)), explained_variance=np.ones(2)),
            mixture=GaussianMixture(weights=np.array([0.4, 0.6]), means=ones, variances=ones),
        )
        return FisherClassifier(pipeline, ["cat", "dog"], rng.normal(size=(2, 10)), np.zeros(2))

    @pytest.mark.parametrize(
        ("name", "array"),
        [
            ("thresholds", np.zeros(3)), ("thresholds", np.zeros(())), ("bias", np.zeros((2, 1))),
            ("pca_mean", np.zeros(127)), ("pca_components", np.zeros((3, 128))), ("pca_components",
            np.zeros(128)),
            ("pca_explained_variance", np.zeros(3)), ("mixture_weights", np.ones(())),
            ("mixture_variances", np.full((2, 2), 1e-300)), ("mixture_means", np.full((2, 2), 1e30)),
            ("mixture_means", np.ones((2, 2, 1))), ("pca_mean", np.full(128, 3e38)),
        ],
    )  # fmt: skip
    def test_arrays_that_do_not_fit(self, tmp_path, good, name, array):
        folder = good.save(tmp_path / "m")
        load(folder)
        content = read_model_folder(folder)
        write_model_folder(
            folder, ModelFolder(kind="fisher", config=content.config, arrays={**content.arrays, name: array})
        )
        with pytest.raises(ModelError, match="not a consistent Fisher-vector model"):
            load(folder)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("step", 1.5), ("step", True), ("step", 10**9), ("bin_sizes", [4.5]), ("bin_sizes", [4] * 1000),
            ("bin_sizes", 4), ("magnification", 1e-300), ("magnification", "6"), ("window", 1e-9),
            ("contrast_threshold", None), ("max_height", 0.5), ("max_height", 10**12), ("unknown", 1),
        ],
    )  # fmt: skip
    def test_settings_that_would_hang_or_fail_later(self, tmp_path, good, field, value):
        folder = good.save(tmp_path / "m")
        content = json.loads((folder / "model.json").read_text())
        content["config"]["descriptor"][field] = value
        (folder / "model.json").write_text(json.dumps(content))
        with pytest.raises(ModelError, match="not a consistent Fisher-vector model"):
            load(folder)
