"""Networks to measure, built here: their layers and sizes are those of the papers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


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


def _convolved(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Convolution and batch norm."""
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


class Bottleneck(nn.Module):
    """A residual of 1×1, 3×3 and 1×1 convolutions."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.one, self.two = _convolved(inputs, width, 1), _convolved(width, width, 3, stride)
        self.three = _convolved(width, 4 * width, 1)
        same = inputs == 4 * width and stride == 1
        self.shortcut = nn.Identity() if same else _convolved(inputs, 4 * width, 1, stride)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.three(self.act(self.two(self.act(self.one(x)))))
        h += self.shortcut(x)
        result: Tensor = self.act(h)
        return result


def resnet50(outputs: int = 1000) -> nn.Module:
    """He et al. 2016, with the stride in the 3×3 convolutions."""
    layers: list[nn.Module] = [_convolved(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(depth):
            layers.append(Bottleneck(channels, width, stride if number == 0 else 1))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs))


class Dense(nn.Module):
    """A layer of a dense block: what it makes is joined to what it was given."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), nn.Conv2d(inputs, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth), nn.ReLU(inplace=True),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], dim=1)


def densenet121(outputs: int = 1000) -> nn.Module:
    """Huang et al. 2017, growth 32."""
    layers: list[nn.Module] = [_convolved(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for depth in (6, 12, 24, 16):
        for _ in range(depth):
            layers.append(Dense(channels, 32))
            channels += 32
        if depth != 16:
            half = channels // 2
            layers += [
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels, half, 1, bias=False),
            ]
            layers.append(nn.AvgPool2d(2))
            channels = half
    end = [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *end, nn.Linear(channels, outputs))


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of maps."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Next(nn.Module):
    """A depthwise 7×7 convolution, then each pixel by itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.pixel = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.scale = nn.Parameter(torch.full((width, 1, 1), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.pixel(self.depthwise(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x + self.scale * h


def convnext_tiny(outputs: int = 1000) -> nn.Module:
    """Liu et al. 2022."""
    widths: Sequence[int] = (96, 192, 384, 768)
    layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 4), ChannelNorm(widths[0], eps=1e-6)]
    for number, (width, depth) in enumerate(zip(widths, (3, 3, 9, 3), strict=True)):
        if number:
            before = widths[number - 1]
            layers += [ChannelNorm(before, eps=1e-6), nn.Conv2d(before, width, 2, 2)]
        layers += [Next(width) for _ in range(depth)]
    end = [nn.AdaptiveAvgPool2d(1), ChannelNorm(768, eps=1e-6), nn.Flatten(), nn.Linear(768, outputs)]
    return nn.Sequential(*layers, *end)


class Attention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        result: Tensor = self.out(mixed.transpose(1, 2).reshape(n, length, width))
        return result


class Encoder(nn.Module):
    """A transformer's block with the norms before its parts."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.first, self.attention = nn.LayerNorm(width, eps=1e-6), Attention(width, heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        return x + self.mlp(x)


class VisionTransformer(nn.Module):
    """Dosovitskiy et al. 2021: patches, a class token, learnt positions."""

    def __init__(self, width: int, depth: int, heads: int, outputs: int, size: int = 224) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (size // 16) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Encoder(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], dim=1) + self.positions
        result: Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return result


def vit_small(outputs: int = 1000) -> nn.Module:
    """ViT-S/16."""
    return VisionTransformer(384, 12, 6, outputs)


NETWORKS = {
    "vgg16": vgg16, "caffenet": caffenet, "efficientnet-lite0": efficientnet_lite0, "resnet50": resnet50,
    "densenet121": densenet121, "convnext_tiny": convnext_tiny, "vit_small": vit_small,
}  # fmt: skip
