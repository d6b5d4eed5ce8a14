"""What relevance costs: processor time and peak memory of each composite over plain forward + backward.

``python benchmarks/network.py`` prints one JSON object: for each network the ratio of processor time (one
thread, median of alternating rounds), and under ``memory`` the ratio of peak memory. The denominator is one
forward pass and one backward pass to the INPUT only (weights need no gradient): the same products of
weights that relevance needs, two passes in all. Its layout is PyTorch's default; ``against-channels-last``
has the ratios to the same passes in the faster layout, channels last.

``memory`` compares the growth of a process's peak resident memory over what it holds once the network and
its input are there; ``memory-whole-process`` compares whole processes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from _measure import cpu_times, in_child, peak_bytes, print_json, ratio, rounded
from _networks import NETWORKS
from torch import Tensor, nn

from pfungst.network import lrp

COMPOSITES = (
    "epsilon", "epsilon-plus", "epsilon-plus-flat", "epsilon-gamma-box", "epsilon-alpha2-beta1",
    "epsilon-alpha2-beta1-flat", "cvpr2016",
)  # fmt: skip
PLAIN, PLAIN_LAST = "plain", "plain-channels-last"
ATTENTIVE = ("attnlrp", "cp-lrp", "attnlrp-gamma")
TRANSFORMED = ("convnext_tiny", "vit_small")
"""Networks with norms or attention: they have composites of their own, and PyTorch's initial weights."""
BATCH = {"vgg16": 4}
SIZE = {"caffenet": 227, "resnet50": 128, "densenet121": 128, "convnext_tiny": 128}


def build(name: str) -> nn.Module:
    """A network in evaluation mode; weights have He's deviation, so that activations keep their scale."""
    torch.manual_seed(0)
    module = NETWORKS[name]()
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)) and name not in TRANSFORMED:
            nn.init.kaiming_normal_(part.weight)
    module.requires_grad_(False)
    _calibrate(module, batch(name, tiny=True))
    return module.eval()


def _calibrate(module: nn.Module, inputs: Tensor) -> None:
    """Statistics of batch norms by one pass, so that residuals keep the activations' scale."""
    norms = [part for part in module.eval().modules() if isinstance(part, nn.BatchNorm2d)]
    for part in norms:
        part.momentum = 1.0
        part.train()
    if norms:
        module(inputs)


def batch(name: str, tiny: bool) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    n, size = 1 if tiny else BATCH.get(name, 8), SIZE.get(name, 224)
    return torch.rand(n, 3, size, size, generator=generator) * 2 - 1


def plain(module: nn.Module, inputs: Tensor) -> Tensor:
    """Forward, and backward from one output to the input."""
    x = inputs.clone(memory_format=torch.preserve_format).requires_grad_()
    (gradient,) = torch.autograd.grad(module(x)[:, 1].sum(), x)
    return gradient


def explained(module: nn.Module, inputs: Tensor, composite: str) -> Tensor:
    bounds = (-1.0, 1.0)
    return lrp.relevance(module, inputs, 1, composite=composite, input_bounds=bounds).relevance


def work(module: nn.Module, inputs: Tensor, name: str) -> Callable[[], Any]:
    if name == PLAIN:
        return lambda: plain(module, inputs)
    if name == PLAIN_LAST:
        last = inputs.contiguous(memory_format=torch.channels_last)
        return lambda: plain(module, last)
    return lambda: explained(module, inputs, name)


def time_of(name: str, composites: list[str], *, repeats: int, tiny: bool) -> dict[str, Any]:
    module, inputs = build(name), batch(name, tiny)
    calls = {item: work(module, inputs, item) for item in [PLAIN, PLAIN_LAST, *composites]}
    times = cpu_times(calls, repeats)
    return {
        "default": {item: ratio(times, item, PLAIN) for item in composites},
        "last": {item: ratio(times, item, PLAIN_LAST) for item in composites},
        "seconds": min(times[PLAIN]),
    }


def memory_of(name: str, item: str, *, tiny: bool) -> dict[str, int]:
    module, inputs = build(name), batch(name, tiny)
    nn.functional.conv2d(
        torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)
    )  # the library's own first allocations
    before = peak_bytes()
    work(module, inputs, item)()
    return {"growth": peak_bytes() - before, "whole": peak_bytes()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="one image, one round, one network: does it run?")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--composites", help="comma-separated; by default those that fit the network")
    parser.add_argument(
        "--memory", default="vgg16", help="networks whose memory is measured, comma-separated"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--child", nargs=3, metavar=("TASK", "NETWORK", "WHAT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.child:
        print_json(_child(*options.child, repeats=options.repeats, tiny=options.tiny))
    else:
        print_json(_report(options))


def _child(task: str, network: str, what: str, *, repeats: int, tiny: bool) -> Any:
    if task == "time":
        return time_of(network, what.split(","), repeats=repeats, tiny=tiny)
    return memory_of(network, what, tiny=tiny)


def _report(options: argparse.Namespace) -> dict[str, Any]:
    networks = ["caffenet"] if options.tiny else options.networks.split(",")
    measured = networks if options.tiny else options.memory.split(",")
    extra = ["--tiny", "--repeats", "1"] if options.tiny else ["--repeats", str(options.repeats)]
    report: dict[str, Any] = {}
    against: dict[str, Any] = {}
    memory: dict[str, Any] = {"memory": {}, "memory-whole-process": {}}
    for network in networks:
        composites = _composites(options.composites, network)
        times = in_child(__file__, ["--child", "time", network, ",".join(composites), *extra])
        report[network] = rounded(times["default"])
        against[network] = rounded(times["last"])
        if network in measured:
            peaks = {
                item: in_child(__file__, ["--child", "memory", network, item, *extra])
                for item in [PLAIN, *composites]
            }
            for key, kind in (("memory", "growth"), ("memory-whole-process", "whole")):
                ratios = {item: peaks[item][kind] / peaks[PLAIN][kind] for item in composites}
                memory[key][network] = rounded(ratios)
    return {**report, **memory, "against-channels-last": against}


def _composites(given: str | None, network: str) -> list[str]:
    if given:
        return given.split(",")
    return list(ATTENTIVE if network in TRANSFORMED else COMPOSITES)


if __name__ == "__main__":
    main()
