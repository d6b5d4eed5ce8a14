# ruff: noqa: E501 - lines of prototxt stay whole

"""Relevance propagation follows converted networks; its account closes whatever layers they have."""

from __future__ import annotations

import pytest
import torch

from pfungst.network import lrp
from pfungst.network.caffe import CaffeNet, describe, read_prototxt

NET = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 21 input_dim: 21
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1" convolution_param { num_output: 6 kernel_size: 5 stride: 2 pad: 1 } }
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "n1" type: "LRN" bottom: "c1" top: "n1" lrn_param { local_size: 3 alpha: 0.1 k: 2 } }
layer { name: "p1" type: "Pooling" bottom: "n1" top: "p1" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "left" type: "Convolution" bottom: "p1" top: "left" convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 2 } }
layer { name: "bn" type: "BatchNorm" bottom: "left" top: "left" }
layer { name: "sc" type: "Scale" bottom: "left" top: "left" scale_param { bias_term: true } }
layer { name: "rl" type: "ReLU" bottom: "left" top: "left" }
layer { name: "right" type: "Pooling" bottom: "p1" top: "right" pooling_param { pool: AVE kernel_size: 3 stride: 1 pad: 1 } }
layer { name: "both" type: "Concat" bottom: "left" bottom: "right" top: "both" }
layer { name: "mix" type: "Convolution" bottom: "both" top: "mix" convolution_param { num_output: 10 kernel_size: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "both" bottom: "mix" top: "sum" }
layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" inner_product_param { num_output: 5 } }
layer { name: "rf" type: "ReLU" bottom: "fc" top: "fc" }
layer { name: "drop" type: "Dropout" bottom: "fc" top: "fc" }
layer { name: "score" type: "InnerProduct" bottom: "fc" top: "score" inner_product_param { num_output: 3 } }
"""


@pytest.fixture
def net(tmp_path):
    file = tmp_path / "net.prototxt"
    file.write_text(NET)
    made = CaffeNet.from_description(describe(read_prototxt(file)))
    generator = torch.Generator().manual_seed(3)
    for name, tensor in made.state_dict().items():
        fan_in = max(tensor[0].numel(), 1)
        values = torch.randn(tensor.shape, generator=generator) * (2 / fan_in) ** 0.5
        tensor.copy_(values.abs() + 0.5 if name.endswith("running_var") else values)
    return made


@pytest.mark.parametrize("composite", ["epsilon", "epsilon-plus-flat", "epsilon-alpha2-beta1", "cvpr2016"])
def test_the_account_closes(net, composite):
    x = torch.randn(2, 3, 21, 21, generator=torch.Generator().manual_seed(4))
    result = lrp.relevance(net, x, 1, composite=composite)
    scale = result.ledger.sent.abs().max()
    assert scale > 0.1
    torch.testing.assert_close(result.scores.double(), net(x)[:, 1].detach().double(), rtol=1e-4, atol=1e-5)
    assert result.ledger.residual.abs().max() < 1e-4 * scale
    named = {row.layer for row in result.ledger.rows}
    assert {"layers.c1", "layers.n1", "layers.mix", "layers.fc"} <= named
