"""Rules and composites of a user's own: registered from outside, used by name, on the command line too."""

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F  # noqa: N812
from typer.testing import CliRunner

from pfungst.errors import ConfigError
from pfungst.network import initial_network, lrp
from pfungst.network.lrp import registry

composites = sys.modules["pfungst.network.lrp.composite"]  # the package has a function of that name


@dataclass(frozen=True, kw_only=True, eq=False)
class Power(lrp.Rule):
    """``R_i = Σ_j |z_ij|^p / Σ_i' |z_i'j|^p R_j``."""

    power: float = 2.0


def power(layer, relevance, rule):
    """Written out for fully connected layers."""
    a, results = layer.a(), []
    for r in relevance:
        q = lrp.quotient(r, a.abs() ** rule.power @ (layer.weight.abs() ** rule.power).T, 0.0)
        back = layer.back(q.values, layer.weight.abs() ** rule.power)
        results.append(lrp.Passed.of(back * a.abs() ** rule.power, zero=q.zero))
    return results


@dataclass(frozen=True, kw_only=True, eq=False)
class Half(lrp.Rule):
    """Each summand half of the relevance."""


def half(node, outputs, rule):
    del rule
    (r,) = outputs
    return lrp.Shares([(value, r / 2) for value in node.inputs])


@pytest.fixture
def registered():
    """Own rules for the length of a test."""
    known = {kind: dict(rules) for kind, rules in registry._KERNELS.items()}
    named = dict(composites._COMPOSITES)
    lrp.register_rule(Power, power, ["linear"])
    lrp.register_rule(Half, half, ["sum"])
    lrp.register_composite(lrp.Composite(name="mine", types={"linear": Power(power=3.0), "sum": Half()}))
    yield
    for kind, rules in known.items():
        registry._KERNELS[kind].clear()
        registry._KERNELS[kind].update(rules)
    composites._COMPOSITES.clear()
    composites._COMPOSITES.update(named)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.head = nn.Linear(5, 4), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(F.relu(self.left(x)) + F.relu(self.right(x)))


def shared(weight, a, r, p=3.0):
    """Number by number: one image's relevance through one layer."""
    result = np.zeros(len(a))
    for j in range(len(r)):
        parts = [abs(a[i] * weight[j, i]) ** p for i in range(len(a))]
        for i in range(len(a)):
            result[i] += parts[i] / sum(parts) * r[j]
    return result


@pytest.mark.usefixtures("registered")
def test_a_rule_of_ones_own_equals_its_slow_twin():
    torch.manual_seed(0)
    net, x = Net().double().eval().requires_grad_(False), torch.randn(3, 5, dtype=torch.float64)
    result = lrp.relevance(net, x, [[0, 2]] * 3, composite="mine")
    for n in range(3):
        left, right = F.relu(net.left(x[n])), F.relu(net.right(x[n]))
        for position, target in enumerate((0, 2)):
            r = np.zeros(3)
            r[target] = float(net(x[n])[target])
            hidden = shared(net.head.weight.numpy(), (left + right).numpy(), r)
            wanted = sum(
                shared(layer.weight.numpy(), x[n].numpy(), hidden / 2) for layer in (net.left, net.right)
            )
            np.testing.assert_allclose(result.relevance[n, position], wanted, rtol=1e-10)
    assert result.ledger.residual.abs().max() < 1e-12
    assert "Power(power=3)" in result.table()


@pytest.mark.usefixtures("registered")
def test_a_rule_without_a_kernel_of_its_own_has_its_base_classes():
    @dataclass(frozen=True, kw_only=True, eq=False)
    class Named(lrp.Epsilon):
        pass

    torch.manual_seed(0)
    net, x = nn.Linear(5, 2).double().eval(), torch.randn(2, 5, dtype=torch.float64)
    mine = lrp.Composite(name="x", types={"linear": Named(epsilon=0.3)})
    plain = lrp.Composite(name="y", types={"linear": lrp.Epsilon(epsilon=0.3)})
    found = lrp.relevance(net, x, 1, composite=mine).relevance
    assert torch.equal(found, lrp.relevance(net, x, 1, composite=plain).relevance)


@pytest.mark.usefixtures("registered")
def test_what_cannot_be_registered():
    cases = [
        (lambda: lrp.register_rule(nn.Linear, power), "as a rule. Allowed: a frozen dataclass"),
        (lambda: lrp.register_rule(Power, power, ["linear"]), "has the rule Power already"),
        (lambda: lrp.register_rule(Power, power, ["lines"]), "unknown kind of operation 'lines'"),
        (lambda: lrp.register_composite(lrp.composite("epsilon")), "second composite of the name 'epsilon'"),
        (lambda: lrp.Composite(name="z", types={"convolution": Power()}), r"rule Power\(power=2\) for an"),
    ]
    for call, words in cases:
        with pytest.raises(ConfigError, match=words):
            call()


@pytest.mark.usefixtures("registered")
def test_the_command_line_knows_it_by_name(tmp_path):
    from pfungst.cli.main import app

    initial_network("small-cnn", ["a", "b"]).save(tmp_path / "model")
    photo = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "p.png")
    arguments = ["explain", str(tmp_path / "model"), str(tmp_path / "p.png"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*arguments, "--rule", "mine", "--workers", "1", "--json", "-"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["explanations"][0]["rule"] == "mine"


PACKAGE = """
from pfungst.network import lrp
lrp.register_composite(lrp.Composite(name="theirs", types={"convolution": lrp.Gamma(gamma=0.5)}))
"""
ASKED = """
from pfungst.network import lrp
assert "theirs" not in lrp.COMPOSITES
print(lrp.composite("theirs").types["convolution"])
"""


def test_an_installed_package_registers_by_its_entry_point(tmp_path):
    (tmp_path / "their_rules.py").write_text(PACKAGE)
    folder = tmp_path / "their_rules-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: their-rules\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[pfungst.lrp]\nrules = their_rules\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{ASKED}"
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.stdout == "Gamma(gamma=0.5, epsilon=1e-06)\n", done.stderr
