"""Features of frozen networks: the same function in less time."""

import numpy as np
import pytest
import torch
from torch import nn

from pfungst.network.architectures import SmallCnn
from pfungst.network.preprocess import Preprocess
from pfungst.network.training.backbone import Backbone, linear_head, quickened

INPUT = Preprocess(input_size=(24, 20), resize_length=32, mean=(120, 110, 100), std=(60, 50, 40))


def shaken(module):
    """Batch norms with generic statistics, so that a wrong merge shows."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.3, 3.0)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return module.eval()


class ConvHead(nn.Module):
    def __init__(self, after):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU())
        self.head, self.after = nn.Conv2d(6, 4, 1), after

    def forward(self, x):
        return self.after(self.head(self.body(x))).mean(dim=(2, 3))


class Shared(nn.Module):
    """The convolution's output is read twice, so its batch norm must not be merged."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.relu, self.head = nn.ReLU(), nn.Linear(6, 4)

    def forward(self, x):
        x = self.conv(x)
        return self.head((self.relu(self.norm(x)) + x).mean(dim=(2, 3)))


class Branching(nn.Module):
    """Control flow on values: cannot be traced."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 4)

    def forward(self, x):
        x = self.norm(self.conv(x))
        return self.head((x if x.sum() > 0 else -x).mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("module", "n_norms"),
    [(SmallCnn(4, 5), 0), (ConvHead(nn.Identity()), 0), (Shared(), 1), (Branching(), 1)],
)
def test_features_and_head_are_the_network(module, n_norms, rng):
    shaken(module)
    quick = quickened(module, INPUT)
    assert sum(isinstance(part, nn.BatchNorm2d) for part in quick.modules()) == n_norms
    crops = rng.integers(0, 256, (7, 24, 20, 3), dtype=np.uint8)
    features = Backbone(module, INPUT).features(crops)
    layer = linear_head(module, INPUT).layer
    weight, bias = layer.weight.detach().flatten(1).numpy(), layer.bias.detach().numpy()
    with torch.inference_mode():
        expected = module(torch.from_numpy(INPUT.values(crops))).numpy()
    np.testing.assert_allclose(features @ weight.T + bias, expected, rtol=1e-3, atol=1e-3)
    assert not any(getattr(part, "inplace", False) for part in module.modules())


@pytest.mark.parametrize("after", [nn.ReLU(), nn.Conv2d(4, 4, 1), nn.MaxPool2d(2)])
def test_a_network_that_is_not_linear_after_its_head_is_told(after):
    head = linear_head(shaken(ConvHead(after)), INPUT)
    assert head is None or isinstance(after, nn.Conv2d)
