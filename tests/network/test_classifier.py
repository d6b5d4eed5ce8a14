"""Networks as classifiers of the contract."""

import json
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from pfungst.contract import Classifier
from pfungst.contract.storage import read_description
from pfungst.errors import ConfigError, ModelError
from pfungst.models import load
from pfungst.network.architectures import build
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.preprocess import Preprocess
from pfungst.network.views import center_view, sliding_views

INPUT = Preprocess(
    input_size=(20, 24), resize_length=32, scale=1 / 255, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)
)
SMALL = {"type": "small-cnn", "outputs": 3, "width": 4}


def own_module(outputs=3):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(20, outputs)
    )


def known(**options):
    torch.manual_seed(2)
    return NetworkClassifier(build(SMALL), ["a", "b", "c"], INPUT, architecture=SMALL, **options)


@pytest.fixture
def photos(rng):
    return [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in [(40, 60), (70, 33), (20, 20)]]


def test_it_is_a_classifier_and_travels_to_workers(photos):
    model = known(thresholds=[0.1, 0.2, 0.3])
    assert isinstance(model, Classifier)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.scores(photos), model.scores(photos))


def test_center_and_sliding_scores(photos):
    model = NetworkClassifier(own_module(), ["a", "b", "c"], INPUT)
    center, sliding = model.scores(photos), model.with_views("sliding").scores(iter(photos))
    for row, photo in enumerate(photos):
        crop = torch.from_numpy(INPUT.values(center_view(photo, INPUT)[0][None]))
        np.testing.assert_allclose(center[row], model.module(crop)[0].detach(), rtol=1e-5, atol=1e-6)
        windows = torch.from_numpy(INPUT.values(sliding_views(photo, INPUT)))
        np.testing.assert_allclose(sliding[row], model.module(windows).mean(0).detach(), rtol=1e-5, atol=1e-6)
    assert model.views == "center"
    assert model.scores([]).shape == (0, 3)


def test_predictions_are_above_the_threshold(photos):
    model = known()
    scores = model.scores(photos)
    thresholds = np.median(scores, axis=0)
    np.testing.assert_array_equal(model.with_thresholds(thresholds).predict(photos), scores > thresholds)
    np.testing.assert_array_equal(model.thresholds, np.zeros(3))


def test_known_architectures_load_without_code(tmp_path, photos, rng):
    mean_image = rng.uniform(0.3, 0.6, (3, 32, 32)).astype(np.float32)
    plain = Preprocess(**{**INPUT.as_dict(), "mean_image": mean_image})
    torch.manual_seed(4)
    model = NetworkClassifier(
        build(SMALL), ["a", "b", "c"], plain, architecture=SMALL, thresholds=[0.5, -1.0, 2.0], info={"n": 1}
    )
    model.save(tmp_path / "model")
    other = load(tmp_path / "model")
    np.testing.assert_array_equal(other.scores(photos), model.scores(photos))
    np.testing.assert_array_equal(other.thresholds, [0.5, -1.0, 2.0])
    assert (other.classes, other.info, other.preprocess) == (("a", "b", "c"), {"n": 1}, plain)


def test_other_modules_are_given_to_load(tmp_path, photos):
    model = NetworkClassifier(own_module(), ["a", "b", "c"], INPUT)
    model.save(tmp_path / "model")
    with pytest.raises(ModelError, match=r"not known by name. Try: NetworkClassifier.load\(path, module="):
        NetworkClassifier.load(tmp_path / "model")
    other = NetworkClassifier.load(tmp_path / "model", module=own_module())
    np.testing.assert_array_equal(other.scores(photos), model.scores(photos))
    with pytest.raises(ModelError, match=r"weights do not fit the network: size mismatch for 4.weight"):
        NetworkClassifier.load(tmp_path / "model", module=own_module(outputs=2))


def test_narrow_types_are_saved(tmp_path):
    model = NetworkClassifier(own_module(), ["a", "b", "c"], INPUT, dtype=torch.bfloat16)
    model.save(tmp_path / "model")
    other = NetworkClassifier.load(tmp_path / "model", module=own_module())
    torch.testing.assert_close(other.module[0].weight, model.module[0].weight.float())


def test_damaged_descriptions_are_model_errors(tmp_path):
    folder = known().save(tmp_path / "model")
    text = json.dumps(read_description(folder))
    for old, new, message in [
        ('"small-cnn"', '"huge-cnn"', "unknown network architecture 'huge-cnn'"),
        ('"width": 4', '"width": 99999999', "width 99999999. Allowed: an integer from 1 to 1024"),
        ('"outputs": 3', '"outputs": -3', "outputs -3"),
        ('["a", "b", "c"]', '"abc"', "class names 'abc'"),
        ('["a", "b", "c"]', '["a"]', "thresholds"),
        ('"views": "center"', '"views": "up"', "unknown views 'up'"),
        ('"input_size": [20, 24]', '"input_size": 3.5', "cannot be rebuilt"),
    ]:
        assert old in text
        (folder / "model.json").write_text(text.replace(old, new))
        with pytest.raises(ModelError, match=message):
            NetworkClassifier.load(folder)


def test_not_a_number_is_not_saved(tmp_path):
    model = known()
    with torch.no_grad():
        model.module.head.weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"'module.head.weight' holds NaN"):
        model.save(tmp_path / "model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["a", "a", "b"]}, "Allowed: distinct names"),
        ({"classes": "abc"}, "classes 'abc'"),
        ({"thresholds": [1.0, 2.0]}, "for 3 classes. Allowed: one number a class"),
        ({"views": "all"}, "unknown views 'all'. Allowed: center, sliding"),
    ],
)
def test_arguments_are_checked(change, message):
    with pytest.raises(ConfigError, match=message):
        NetworkClassifier(own_module(), **{"classes": ["a", "b", "c"], "preprocess": INPUT, **change})


def test_a_network_that_cannot_take_its_input_says_so(photos):
    class Fails(nn.Module):
        def forward(self, x):
            return x.reshape(len(x), 7)

    network = NetworkClassifier(Fails(), list("abc"), Preprocess(input_size=(8, 8), resize_length=8))
    with pytest.raises(ConfigError, match=r"fails on an input of shape \(1, 3, 8, 8\) \(shape '\[1, 7\]'"):
        network.scores(photos[:1])
    with pytest.raises(ConfigError, match="fails on an input of shape"):
        network.forward.scores(np.zeros((2, 8, 8, 3), dtype=np.uint8))


@pytest.mark.parametrize(("size", "slope"), [((8, 2), 0.0), ((8, 8), 1e300)])
def test_a_folder_whose_parts_do_not_fit_is_refused_at_the_first_photo(photos, size, slope):
    entries = [
        {"type": "input", "name": "data", "outputs": ["data"], "shape": [3, 8, 8]},
        {"type": "relu", "name": "r", "inputs": ["data"], "outputs": ["r"], "settings": {"slope": slope}},
        {"type": "reshape", "name": "h", "inputs": ["r"], "outputs": ["h"], "settings": {"shape": [192]}},
    ]
    module = build({"type": "caffe", "description": entries}).to_empty(device="cpu")
    names = [str(index) for index in range(192)]
    network = NetworkClassifier(module, names, Preprocess(input_size=size, resize_length=8))
    with pytest.raises(ConfigError, match="fails on an input of shape"):
        network.scores(photos[:1])


def test_outputs_are_checked(photos):
    model = NetworkClassifier(own_module(outputs=4), ["a", "b", "c"], INPUT)
    with pytest.raises(ConfigError, match=r"output is \(3, 4\) for 3 classes"):
        model.scores(photos)
    with pytest.raises(ConfigError, match=r"unknown class 'z'. Allowed: a, b, c"):
        model.explain(photos[0], "z")
