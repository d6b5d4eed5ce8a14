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
from torch import Tensor, nn

from pfungst.network import lrp

COMPOSITES = (
    "epsilon", "epsilon-plus", "epsilon-plus-flat", "epsilon-gamma-box", "epsilon-alpha2-beta1",
    "epsilon-alpha2-beta1-flat", "cvpr2016",
)  # fmt: skip
PLAIN, PLAIN_LAST = "plain", "plain-channels-last"
BATCH = {"vgg16": 4, "caffenet": 8, "efficientnet-lite0": 8}
SIZE = {"vgg16": 224, "caffenet": 227, "efficientnet-lite0": 224}


def vgg16(outputs: int = 1000) -> nn.Module:
    """Simonyan and Zisserman's configuration D."""
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), *_head(512 * 49, outputs))


def caffenet(outputs: int = 1000) -> nn.Module:
    """BVLC reference CaffeNet: groups of two, local response normalisation after pooling."""
    pool, norm = nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5, 1e-4, 0.75)
    layers = [
        nn.Conv2d(3, 96, 11, 4), nn.ReLU(inplace=True), pool, norm,
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(inplace=True), pool, norm,
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True), pool,
    ]  # fmt: skip
    return nn.Sequential(*layers, nn.Flatten(), *_head(256 * 36, outputs))


def _head(width: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Linear(width, 4096), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, outputs),
    ]  # fmt: skip


def efficientnet_lite0() -> nn.Module:
    """EfficientNet-Lite0 with random weights."""
    from efficientnet_lite_pytorch import EfficientNet

    module: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    return module


def build(name: str) -> nn.Module:
    """A network in evaluation mode; weights have He's deviation, so that activations keep their scale."""
    torch.manual_seed(0)
    module = {"vgg16": vgg16, "caffenet": caffenet, "efficientnet-lite0": efficientnet_lite0}[name]()
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(part.weight)
    return module.eval().requires_grad_(False)


def batch(name: str, tiny: bool) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    n = 1 if tiny else BATCH[name]
    return torch.rand(n, 3, SIZE[name], SIZE[name], generator=generator) * 2 - 1


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
    parser.add_argument("--networks", default="vgg16,caffenet,efficientnet-lite0")
    parser.add_argument("--composites", default=",".join(COMPOSITES))
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
    measured = "caffenet" if options.tiny else "vgg16"
    extra = ["--tiny", "--repeats", "1"] if options.tiny else ["--repeats", str(options.repeats)]
    composites = options.composites.split(",")
    report: dict[str, Any] = {}
    against: dict[str, Any] = {}
    for network in networks:
        times = in_child(__file__, ["--child", "time", network, options.composites, *extra])
        report[network] = rounded(times["default"])
        against[network] = rounded(times["last"])
    if measured in networks:
        peaks = {
            item: in_child(__file__, ["--child", "memory", measured, item, *extra])
            for item in [PLAIN, *composites]
        }
        for key, kind in (("memory", "growth"), ("memory-whole-process", "whole")):
            ratios = {item: peaks[item][kind] / peaks[PLAIN][kind] for item in composites}
            report[key] = {measured: rounded(ratios)}
    report["against-channels-last"] = against
    return report


if __name__ == "__main__":
    main()
