"""What the tests of sources share: photos, small networks, a hostile pickle."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

SUBJECTS = Path("/work/shared/data/imagenet_subjects")


def photos(count=3):
    """Real photos where they lie, made ones elsewhere; odd sizes, upright and lying."""
    files = sorted(SUBJECTS.glob("*.JPEG"))[:count] if SUBJECTS.is_dir() else []
    if files:
        return [np.asarray(Image.open(file).convert("RGB")) for file in files]
    generator = np.random.default_rng(5)
    small = [generator.integers(0, 256, (9, 13, 3), dtype=np.uint8) for _ in range(count)]
    sizes = [(333, 251), (200, 301), (97, 177)]
    return [
        np.asarray(Image.fromarray(array).resize(size, Image.Resampling.BICUBIC))
        for array, size in zip(small, sizes, strict=False)
    ]


@pytest.fixture(scope="session")
def real_photos():
    return photos()


class Tiny(nn.Module):
    """A residual network with most of what classifiers are made of."""

    def __init__(self, outputs=4, channels=3):
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.squeeze = nn.Conv2d(8, 2, 1)
        self.excite = nn.Conv2d(2, 8, 1)
        self.head = nn.Linear(8, outputs)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.norm(self.stem(x)).relu(), 3, 2, 1)
        y = nn.functional.silu(self.depthwise(x))
        gate = torch.sigmoid(self.excite(self.squeeze(y.mean((2, 3), keepdim=True)).relu()))
        x = nn.functional.hardswish(x + y * gate)
        return self.head(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


class TinyViT(nn.Module):
    """Patches, a class token, positions, one block of attention."""

    def __init__(self, outputs=4, width=16, heads=2):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 17, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.head, self.heads = nn.Linear(width, outputs), heads

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        n, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(n, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.project(mixed.transpose(1, 2).reshape(n, length, width))
        x = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return self.head(x[:, 0])


def settled(module, size=32, channels=3):
    """Seeded weights with batch norms that have seen something, in evaluation mode."""
    torch.manual_seed(0)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            value.copy_(
                torch.rand(value.shape) + 0.5
                if "var" in name or "norm" in name
                else 0.4 * torch.randn(value.shape)
            )
    return module.eval()


@pytest.fixture
def tiny():
    return settled(Tiny())


@pytest.fixture
def tiny_vit():
    return settled(TinyViT())


class Evil:
    """Unpickling it makes a file."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return Path.touch, (Path(self.mark),)


@pytest.fixture
def evil(tmp_path):
    """A mark that must not be there in the end, and an object that would make it."""
    mark = tmp_path / "executed"
    yield Evil(mark)
    assert not mark.exists(), "something of a file was executed"
