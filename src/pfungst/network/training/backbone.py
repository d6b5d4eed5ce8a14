"""A network without its last layer, made quick: frozen layers are run once for each view of a photo."""

from __future__ import annotations

import logging
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from pfungst.network.preprocess import Preprocess
from pfungst.network.training.initial import Head, dry_run, find_head

_BATCH = 5  # views at a time: activations stay within the processor's cache
_TOLERANCE = 1e-4


class _Stop(Exception):  # noqa: N818 - a signal, not an error
    """Ends a forward pass at the last layer."""


class Backbone:
    """Maps views to the features that the network's last layer weighs.

    Parameters
    ----------
    module : torch.nn.Module
        A network with a linear last layer; it is copied.
    preprocess : Preprocess
        Its input.

    Raises
    ------
    ConfigError
        If the network has no last layer with weights.
    """

    def __init__(self, module: nn.Module, preprocess: Preprocess) -> None:
        head = find_head(module, preprocess)
        quick = quickened(module, preprocess).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.module: nn.Module = quick
        self.preprocess = preprocess
        self.head_name = head.name

    def features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of crops ``(n, height, width, 3)`` uint8, ``(n, n_features)`` float32.

        The input of a linear last layer; that of a 1 x 1 convolution averaged over positions, which commutes
        with the convolution.
        """
        parts = [self._features(crops[start : start + _BATCH]) for start in range(0, len(crops), _BATCH)]
        return np.concatenate(parts)

    def _features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        reference = next(self.module.parameters())
        x = torch.from_numpy(self.preprocess.values(crops)).to(reference.device, reference.dtype)
        seen: list[Tensor] = []

        def keep(_module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen.append(arguments[0])
            raise _Stop

        handle = self.module.get_submodule(self.head_name).register_forward_pre_hook(keep)
        try:
            with torch.inference_mode():
                self.module(x.to(memory_format=torch.channels_last))
        except _Stop:
            pass
        finally:
            handle.remove()
        features = seen[0].float()
        array: NDArray[np.float32] = (
            (features.mean(dim=(2, 3)) if features.ndim == 4 else features).cpu().numpy()
        )
        return array


def linear_head(module: nn.Module, preprocess: Preprocess) -> Head | None:
    """The head, if the network's output is a linear function of the features of :class:`Backbone`; else None.

    True of a Linear whose output is the network's, and of a 1 x 1 convolution followed by an average over
    positions; decided by a forward pass of noise.
    """
    head = find_head(module, preprocess)
    layer = head.layer
    if isinstance(layer, nn.Conv2d) and (*layer.kernel_size, *layer.stride) != (1, 1, 1, 1):
        return None
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _arguments, output: seen.append(output))
    try:
        output = dry_run(module, preprocess, noise=1)
    finally:
        handle.remove()
    own = seen[0].mean(dim=(2, 3)) if seen[0].ndim == 4 else seen[0]
    return head if own.shape == output.shape and _close(own, output) else None


def _close(first: Tensor, second: Tensor) -> bool:
    scale = second.abs().max().item() or 1.0
    return bool((first - second).abs().max().item() <= _TOLERANCE * scale)


def quickened(module: nn.Module, preprocess: Preprocess) -> nn.Module:
    """A copy in evaluation mode that computes the same in less time.

    Batch norms are merged into the convolutions before them (``γ (w * x + b − μ) / σ + β`` is a convolution
    with weights ``γ w / σ``), and rectifiers work in place. Both only where the data flow, traced
    symbolically, shows that nothing else reads the values concerned; a network that cannot be traced, or
    whose output would change, is copied as it is.
    """
    copy = deepcopy(module).eval()
    links = _exclusive_links(copy)
    for before, after in links:
        _merge(copy, before, after)
    for _, after in links:
        layer = copy.get_submodule(after)
        if isinstance(layer, (nn.ReLU, nn.ReLU6)):
            layer.inplace = True
    same = _close(dry_run(copy, preprocess, noise=2), dry_run(module, preprocess, noise=2))
    return copy if same else deepcopy(module).eval()


class _LayerTracer(fx.Tracer):
    """Takes every convolution and batch norm, subclasses too, as one step of the graph."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether the tracer stays outside of ``m``."""
        return isinstance(m, (nn.Conv2d, nn.BatchNorm2d)) or super().is_leaf_module(m, module_qualified_name)


def _exclusive_links(module: nn.Module) -> list[tuple[str, str]]:
    """Names of layers of which the second alone reads the output of the first, a convolution or norm."""
    try:
        graph = _LayerTracer().trace(module)
    except Exception as error:  # data-dependent control flow and the like: no merging, no harm
        logging.getLogger(__name__).debug("the network is used as it is: %s", error)
        return []
    links = []
    for node in graph.nodes:
        source = node.args[0] if node.args else None
        if node.op != "call_module" or not isinstance(source, fx.Node) or source.op != "call_module":
            continue
        before = module.get_submodule(str(source.target))
        if len(source.users) == 1 and isinstance(before, (nn.Conv2d, nn.BatchNorm2d)):
            links.append((str(source.target), str(node.target)))
    return links


def _merge(module: nn.Module, convolution_name: str, norm_name: str) -> None:
    """Merge one batch norm into the convolution before it, if the two are such a pair."""
    convolution, norm = module.get_submodule(convolution_name), module.get_submodule(norm_name)
    if not isinstance(convolution, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        return
    if norm.running_mean is None or norm.running_var is None:
        return
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    module.set_submodule(norm_name, nn.Identity())
