"""What is given in place of a network that can be explained: a clear error, and nothing changed in place."""

import threading
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from pfungst.errors import ConfigError
from pfungst.network import NetworkClassifier, Preprocess, lrp

INPUT = Preprocess(input_size=(16, 16), resize_length=16, scale=1 / 255)
PHOTO = np.random.default_rng(0).integers(0, 255, (20, 24, 3), dtype=np.uint8)


def network(channels=3):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    )  # fmt: skip


def classifier(module, preprocess=INPUT):
    return NetworkClassifier(module, ["a", "b"], preprocess)


def batch(n=1, channels=3):
    return torch.rand(n, channels, 16, 16)


class Raising(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_than_the_layers_take(channels):
    with pytest.raises(
        ConfigError, match=r"fails on an input of shape \(1, 3, 16, 16\).*channels RGB, BGR, gray or"
    ):
        classifier(network(channels)).scores([PHOTO])
    with pytest.raises(lrp.LrpError, match=r"fails on an input of shape \(1, 3, 16, 16\)"):
        lrp.relevance(network(channels).eval(), batch(), 0)


@pytest.mark.parametrize(("channels", "order"), [(1, "gray"), (4, "RGBA")])
def test_as_many_channels_as_the_layers_take(channels, order):
    preprocess = Preprocess(input_size=(16, 16), resize_length=16, scale=1 / 255, channels=order)
    model = classifier(network(channels).eval(), preprocess)
    found = model.explain(PHOTO, "b")
    assert found.score == pytest.approx(model.scores([PHOTO])[0, 1], rel=1e-5)
    assert found.layers["input"].shape == (channels, 16, 16)


@pytest.mark.parametrize(
    "error", [KeyError("k"), NotImplementedError("n"), ValueError("v"), AttributeError("a")]
)
def test_whatever_a_module_raises_is_told_in_one_line(error):
    with pytest.raises(ConfigError, match="the network fails on an input of shape"):
        classifier(Raising(error).eval()).scores([PHOTO])
    with pytest.raises(lrp.LrpError, match="the network fails on an input of shape"):
        lrp.relevance(Raising(error).eval(), batch(), 0)


@pytest.mark.filterwarnings("ignore")  # of torch.jit
@pytest.mark.parametrize(
    "make",
    [
        torch.jit.script,
        lambda net: torch.jit.freeze(torch.jit.script(net)),
        lambda net: torch.jit.trace(net, batch()),
    ],
)
def test_compiled_modules_score_but_are_not_explained(make):
    model = classifier(make(network().eval()))
    np.testing.assert_allclose(
        model.scores([PHOTO]), classifier(network().eval()).scores([PHOTO]), rtol=1e-4, atol=1e-6
    )
    with pytest.raises(lrp.LrpError, match=r"a module of torch\.jit, whose operations cannot be followed"):
        model.explain(PHOTO, "a")


def exported(net, n=2, **options):
    return torch.export.export(net, (batch(n),), **options)


def test_exported_modules_are_explained_like_their_origin():
    """They are in no mode of their own: ``eval`` and ``train`` are refused by PyTorch."""
    net, x = network().eval(), batch(3)
    module = exported(net, dynamic_shapes=({0: torch.export.Dim("n")},)).module()
    for rule in ("epsilon", "epsilon-plus-flat"):
        found, wanted = (lrp.relevance(item, x, 1, composite=rule) for item in (module, net))
        torch.testing.assert_close(found.relevance, wanted.relevance, rtol=1e-4, atol=1e-7)


def test_exported_in_training_mode_is_refused():
    module = exported(network()).module()
    with pytest.raises(lrp.LrpError, match="works in training mode"):
        lrp.relevance(module, batch(2), 0)


@pytest.mark.parametrize("make", [exported, lambda net: net.forward])
def test_what_is_no_module(make):
    given = make(network().eval())
    with pytest.raises(lrp.LrpError, match=r"torch\.nn\.Module"):
        lrp.relevance(given, batch(), 0)
    with pytest.raises(ConfigError, match=r"a network of type \w+\. Allowed: a torch\.nn\.Module"):
        classifier(given)


def test_a_module_that_cannot_be_copied_has_to_be_ready():
    net = network()
    net.lock = threading.Lock()
    with pytest.raises(ConfigError, match=r"cannot be copied to be so.*module\.eval\(\)"):
        classifier(net)
    assert classifier(net.eval()).scores([PHOTO]).shape == (1, 2)


def test_the_users_module_is_left_as_it_is():
    net = network().double()
    net[5].eval()
    net[0].weight.requires_grad_(False)
    net[1].register_forward_hook(lambda *_: None)
    state = deepcopy(net.state_dict())
    classifier(net).explain(PHOTO, "a")
    assert [part.training for part in net.modules()] == [True] * 6 + [False]
    assert [item.requires_grad for item in net.parameters()] == [False] + [True] * 5
    assert all(item.grad is None for item in net.parameters())
    assert [len(part._forward_hooks) for part in net] == [0, 1, 0, 0, 0, 0]
    assert not any(part._forward_pre_hooks for part in net.modules())
    for name, value in net.state_dict().items():
        assert value.dtype == state[name].dtype
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)


def test_a_failing_module_keeps_none_of_our_hooks():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), Raising(ValueError())).eval()
    with pytest.raises(lrp.LrpError):
        lrp.relevance(net, batch(), 0)
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in net.modules())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_gradient_modes_around_do_not_matter(mode):
    model = classifier(network().eval())
    wanted = model.explain(PHOTO, "a").relevance
    with mode():
        x = batch()
        np.testing.assert_array_equal(model.explain(PHOTO, "a").relevance, wanted)
        assert not lrp.relevance(model.module, x, 0).relevance.requires_grad
    lrp.relevance(model.module, x, 0)  # a tensor made in inference mode, outside of it
