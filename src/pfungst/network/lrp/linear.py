"""Weighted layers: one linear map ``z = W a + b``.

It is behind convolutions and fully connected layers, and what merges into them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pfungst.network.lrp.errors import LrpError
from pfungst.network.lrp.tape import Node, Value


@dataclass(frozen=True)
class Geometry:
    """How a convolution's weights meet its input; ``pad`` is zero padding that came as a call of its own."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    transposed: bool
    output_padding: list[int]
    groups: int
    pad: list[int]

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """``W x + b``."""
        padded = nn.functional.pad(x, self.pad) if any(self.pad) else x
        result: Tensor = torch.ops.aten.convolution(
            padded, weight, bias, self.stride, self.padding, self.dilation, self.transposed,
            self.output_padding, self.groups,
        )  # fmt: skip
        return result

    def transposed_product(self, s: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        """``Wᵀ s`` in the shape of the input."""
        padded = list(shape)
        for position in range(len(self.pad) // 2):
            padded[-1 - position] += self.pad[2 * position] + self.pad[2 * position + 1]
        padded[1] = weight.shape[0] if self.transposed else weight.shape[1] * self.groups
        channels_last = s.dim() == 4 and not s.is_contiguous()
        layout = torch.channels_last if channels_last else torch.contiguous_format
        like = s.new_empty(1).expand(padded)
        if channels_last:
            like = torch.empty(padded, dtype=s.dtype, device=s.device, memory_format=layout)
        result: Tensor = torch.ops.aten.convolution_backward(
            s, like, weight, None, self.stride, self.padding, self.dilation, self.transposed,
            self.output_padding, self.groups, [True, False, False],
        )[0]  # fmt: skip
        return nn.functional.pad(result, [-side for side in self.pad]) if any(self.pad) else result


@dataclass(frozen=True)
class Dense:
    """A fully connected layer's map, ``x Wᵀ``."""

    groups: int = 1
    transposed: bool = False

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """``x Wᵀ + b``."""
        return nn.functional.linear(x, weight, bias)

    def transposed_product(self, s: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        """``s W``."""
        del shape
        return s @ weight


@dataclass(eq=False)
class WeightedLayer:
    """A convolution or fully connected layer with its values; batch norms and paddings are merged already.

    ``offset`` is the size of what cancels in a merged bias, a number a channel: the rounding of the output is
    relative to it.
    """

    map: Geometry | Dense
    weight: Tensor
    bias: Tensor | None
    input: Value
    output: Value
    offset: Tensor | None = None

    def z(self) -> Tensor:
        """The layer's output, bias included."""
        return self.output.tensor()

    def a(self) -> Tensor:
        """The layer's input."""
        return self.input.tensor()

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """``W x + b`` with other weights."""
        return self.map.forward(x, weight, bias)

    def back(self, s: Tensor, weight: Tensor) -> Tensor:
        """``Wᵀ s`` with other weights."""
        return self.map.transposed_product(s, weight, self.input.shape)

    @property
    def channel_dim(self) -> int:
        """Where the output's channels are."""
        return -1 if isinstance(self.map, Dense) else 1

    def of_channels(self, values: Tensor) -> Tensor:
        """One value a channel, shaped so that it broadcasts over the output."""
        if isinstance(self.map, Dense):
            return values
        return values.view(-1, *[1] * (len(self.output.shape) - 2))

    def bias_share(self, s: Tensor, bias: Tensor | None) -> Tensor:
        """``Σ_j b_j s_j`` of each sample, float64."""
        if bias is None:
            return torch.zeros(s.shape[0], dtype=torch.float64, device=s.device)
        spatial = [dim for dim in range(1, s.dim()) if dim != self.channel_dim % s.dim()]
        sums = s.sum(dim=spatial) if spatial else s
        return sums.double() @ bias.double()


def weighted_layer(node: Node, skipped_pad: Node | None) -> WeightedLayer:
    """The linear map of a recorded call with everything that merges into it."""
    weight, bias = _parameters(node)
    mapping = Dense() if node.kind == "linear" else _geometry(node, weight, skipped_pad)
    last, offset = node, None
    for affine in node.merged:
        scale, shift = affine_of(affine)
        scale, shift = _per_channel(scale, weight), _per_channel(shift, weight)
        weight = weight * scale.view(-1, *[1] * (weight.dim() - 1))
        offset = shift.abs() if offset is None else offset * scale.abs() + shift.abs()
        if affine.kind == "batch_norm":
            offset = offset + (affine.argument(1, "running_mean").detach() * scale).abs()
        bias = shift if bias is None else bias * scale + shift
        last = affine
    source = skipped_pad.inputs[0] if skipped_pad is not None else node.inputs[0]
    return WeightedLayer(mapping, weight, bias, source, last.outputs[0], offset)


def _per_channel(values: Tensor, weight: Tensor) -> Tensor:
    return values.reshape(-1).to(weight).expand(weight.shape[0])


def _parameters(node: Node) -> tuple[Tensor, Tensor | None]:
    weight = node.argument(1, "weight", node.kwargs.get("other"))
    bias = node.argument(2, "bias")
    first = node.args[0] if node.args else node.kwargs.get("input")
    if not isinstance(first, Value) or not isinstance(weight, Tensor) or isinstance(bias, Value):
        raise LrpError(
            f"{node.title}, called in {node.place}, multiplies two signals",
            allowed="a signal times constant weights",
        )
    if node.name in {"matmul", "mm"}:
        if weight.dim() != 2:
            raise LrpError(f"{node.title}, called in {node.place}, has weights {tuple(weight.shape)}")
        return weight.detach().t(), None
    return weight.detach(), bias.detach() if bias is not None else None


def _geometry(node: Node, weight: Tensor, skipped_pad: Node | None) -> Geometry:
    n_spatial = weight.dim() - 2
    transposed = node.name.startswith("conv_transpose")
    if len(node.outputs[0].shape) != n_spatial + 2:
        raise LrpError(f"{node.title}, called in {node.place}, has no batch dimension")

    def numbers(position: int, name: str, default: int) -> list[int]:
        value = node.argument(position, name, default)
        return (
            [int(value)] * n_spatial
            if isinstance(value, int)
            else [int(item) for item in value] * (n_spatial if len(value) == 1 else 1)
        )

    names = ["stride", "padding", "output_padding", "groups", "dilation"] if transposed else [
        "stride", "padding", "dilation", "groups"]  # fmt: skip
    position = {name: 3 + number for number, name in enumerate(names)}
    dilation = numbers(position["dilation"], "dilation", 1)
    pad = _zero_pad(skipped_pad) if skipped_pad is not None else [0] * (2 * n_spatial)
    padding = node.argument(position["padding"], "padding", 0)
    if isinstance(padding, str):
        padding, pad = _named_padding(padding, weight, dilation, pad)
    else:
        padding = numbers(position["padding"], "padding", 0)
    return Geometry(
        numbers(position["stride"], "stride", 1),
        padding,
        dilation,
        transposed,
        numbers(position["output_padding"], "output_padding", 0) if transposed else [0] * n_spatial,
        int(node.argument(position["groups"], "groups", 1)),
        pad,
    )


def _named_padding(
    padding: str, weight: Tensor, dilation: list[int], pad: list[int]
) -> tuple[list[int], list[int]]:
    """``valid`` and ``same`` in numbers; an odd pixel goes to the end."""
    n_spatial = len(dilation)
    if padding == "valid":
        return [0] * n_spatial, pad
    extra = [step * (size - 1) for step, size in zip(dilation, weight.shape[2:], strict=True)]
    sides = [side for total in reversed(extra) for side in (total // 2, total - total // 2)]
    return [0] * n_spatial, [given + side for given, side in zip(pad, sides, strict=True)]


def _zero_pad(node: Node) -> list[int]:
    sides = [int(side) for side in node.argument(1, "pad")]
    return sides + [0] * (2 * (len(node.inputs[0].shape) - 2) - len(sides))


def is_zero_pad(node: Node) -> bool:
    """Whether the call pads spatial dimensions with zeros."""
    if node.name != "pad" or node.argument(2, "mode", "constant") != "constant":
        return False
    sides = node.argument(1, "pad")
    within = len(sides) <= 2 * (len(node.inputs[0].shape) - 2)
    return within and not node.argument(3, "value", 0) and all(side >= 0 for side in sides)


def affine_of(node: Node) -> tuple[Tensor, Tensor]:
    """Scale and shift of an affine call, shaped to broadcast over its input.

    One-element tensors stand for numbers.
    """
    if node.kind == "batch_norm":
        return _batch_norm(node)
    constant = next(
        (item for item in (*node.args[:2], *node.kwargs.values()) if not isinstance(item, Value)), 0.0
    )
    first_is_signal = bool(node.args) and isinstance(node.args[0], Value)
    alpha = float(node.kwargs.get("alpha", 1))
    value = constant.detach() if isinstance(constant, Tensor) else torch.tensor(constant, dtype=torch.float64)
    one, zero = torch.ones_like(value), torch.zeros_like(value)
    forms: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
        "add": lambda: (one, alpha * value) if first_is_signal else (alpha * one, value),
        "__radd__": lambda: (one, value),
        "sub": lambda: (one, -alpha * value) if first_is_signal else (-alpha * one, value),
        "subtract": lambda: (one, -alpha * value) if first_is_signal else (-alpha * one, value),
        "__rsub__": lambda: (-one, value),
        "rsub": lambda: (-one, value),
        "neg": lambda: (-one, zero),
        "negative": lambda: (-one, zero),
        "mul": lambda: (value, zero),
        "multiply": lambda: (value, zero),
        "__rmul__": lambda: (value, zero),
    }
    if node.name in forms:
        return forms[node.name]()
    return 1 / value, zero


def _batch_norm(node: Node) -> tuple[Tensor, Tensor]:
    mean, variance = node.argument(1, "running_mean"), node.argument(2, "running_var")
    weight, bias = node.argument(3, "weight"), node.argument(4, "bias")
    scale = (variance.detach() + float(node.argument(7, "eps", 1e-5))).rsqrt()
    if weight is not None:
        scale = scale * weight.detach()
    shift = -mean.detach() * scale
    if bias is not None:
        shift = shift + bias.detach()
    shape = (-1, *[1] * (len(node.inputs[0].shape) - 2))
    return scale.view(shape), shift.view(shape)


def mergeable(node: Node, layer: Node) -> bool:
    """Whether an affine call is one factor and one shift per output channel of ``layer``."""
    if layer.name.startswith("conv_transpose"):
        return False
    if node.kind == "batch_norm":
        return layer.kind == "convolution" or len(layer.outputs[0].shape) == 2
    scale, _ = affine_of(node)
    shape = layer.outputs[0].shape
    channel = 1 if layer.kind == "convolution" else len(shape) - 1
    full = (1,) * (len(shape) - scale.dim()) + tuple(scale.shape)
    return scale.dim() <= len(shape) and all(
        size == 1 or (dim == channel and size == shape[channel]) for dim, size in enumerate(full)
    )
