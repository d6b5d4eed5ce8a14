"""Networks that people have, with random weights: torchvision's families, timm's files, transformers'
configurations.

Every module here maps photos ``(n, 3, size, size)`` to scores ``(n, 10)``, in evaluation mode and double
precision.
"""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

CLASSES = 10
TORCHVISION = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet",
    "inception_v3", "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small",
    "regnet_x_400mf", "regnet_y_400mf", "resnet18", "resnet50", "resnext50_32x4d", "shufflenet_v2_x0_5",
    "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11", "vgg11_bn", "vit_b_32", "wide_resnet50_2",
)  # fmt: skip
TRANSFORMERS = ("vit", "dinov2", "swin", "convnext", "resnet", "convnextv2", "beit", "deit", "swinv2")
TINY = {"torchvision": ("resnet18",), "timm": ("test_vit",), "transformers": ("vit",)}
_SIZES = {"inception_v3": 96, "maxvit_t": 224}


def names(library: str, *, tiny: bool) -> list[str]:
    """What is tried of a library; nothing where it is absent."""
    if importlib.util.find_spec(library) is None:
        return []
    if tiny:
        return list(TINY[library])
    return {"torchvision": list(TORCHVISION), "transformers": list(TRANSFORMERS)}.get(library) or _files()


def _files() -> list[str]:
    """The smallest variant of each of timm's files, as listed; of a file that is not listed, the first."""
    import timm

    listed: dict[str, str] = json.loads((Path(__file__).parent / "timm_smallest.json").read_text())
    return [listed.get(file) or timm.list_models(module=file)[0] for file in timm.list_modules()]


def build(library: str, name: str) -> tuple[nn.Module, int]:
    """A network whose numbers are all generic, and the size of its photos."""
    torch.manual_seed(0)
    module, size = {"torchvision": _torchvision, "timm": _timm, "transformers": _transformers}[library](name)
    module = module.eval().requires_grad_(False)
    for part in module.modules():
        if hasattr(part, "inplace"):
            part.inplace = bool(part.inplace)
    _make_generic(module)
    _calibrate(module, photos(2, size))
    return module.double(), size


def _torchvision(name: str) -> tuple[nn.Module, int]:
    import torchvision

    options: dict[str, Any] = {"num_classes": CLASSES}
    if name in {"googlenet", "inception_v3"}:
        options.update(aux_logits=False, init_weights=False)
    if name.startswith("vit"):
        options["image_size"] = 64
    return torchvision.models.get_model(name, weights=None, **options), _SIZES.get(name, 64)


def _timm(name: str) -> tuple[nn.Module, int]:
    import timm

    module = timm.create_model(name, num_classes=CLASSES).eval()
    config = module.pretrained_cfg
    native = int(config["input_size"][-1])
    sizes = [native] if config.get("fixed_input_size") else [96, 128, native]
    return module, next(size for size in sizes if _runs(module, size) or size == native)


def _runs(module: nn.Module, size: int) -> bool:
    try:
        with torch.no_grad():
            result = module(torch.rand(1, 3, size, size))
        return bool(torch.isfinite(result).all())
    except (RuntimeError, ValueError, AssertionError, IndexError):
        return False


class Logits(nn.Module):
    """The scores of a network that returns more than them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(pixel_values=x).logits
        return logits


def _transformers(name: str) -> tuple[nn.Module, int]:
    import transformers

    shared = {"num_labels": CLASSES, "image_size": 64}
    small = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    plain = {**shared, **small, "intermediate_size": 96, "patch_size": 16}
    stages = {"embed_dim": 24, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4, **shared}
    convolutions = {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 2, 1], **shared}
    family, options = {
        "vit": ("ViT", plain),
        "deit": ("DeiT", plain),
        "beit": ("Beit", {**plain, "use_relative_position_bias": True, "layer_scale_init_value": 0.3}),
        "dinov2": ("Dinov2", {**shared, **small, "patch_size": 16}),
        "swin": ("Swin", stages),
        "swinv2": ("Swinv2", stages),
        "convnext": ("ConvNext", convolutions),
        "convnextv2": ("ConvNextV2", convolutions),
        "resnet": ("ResNet", {**convolutions, "embedding_size": 16, "hidden_sizes": [16, 32, 48, 64]}),
    }[name]
    config = getattr(transformers, f"{family}Config")(**options)
    return Logits(getattr(transformers, f"{family}ForImageClassification")(config)), 64


def _make_generic(module: nn.Module) -> None:
    """Give parameters that start at one number (scales, shifts, tokens, last layers) numbers of their own."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            first = float(parameter.flatten()[0]) if parameter.numel() else math.nan
            if not bool((parameter == first).all()):
                continue
            noise = torch.randn(parameter.shape, generator=generator)
            small = abs(first) < 1e-2
            parameter.copy_(
                0.1 * noise + (0.3 if parameter.numel() == 1 else 0.0) if small else first * (1 + 0.2 * noise)
            )


def _calibrate(module: nn.Module, inputs: Tensor) -> None:
    """Set the statistics of batch norms by one batch."""
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    norms = [part for part in norms if part.track_running_stats and part.running_mean is not None]
    for part in norms:
        part.momentum = None
        part.reset_running_stats()
        part.train()
    if norms:
        with torch.no_grad():
            module(inputs)
    module.eval()


def photos(n: int, size: int, seed: int = 1) -> Tensor:
    """Smooth colours with grain, ``(n, 3, size, size)``, of about unit deviation."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(n, 3, 6, 6, generator=generator)
    smooth = nn.functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)
    return smooth + 0.3 * torch.randn(n, 3, size, size, generator=generator)


__all__ = ["build", "names", "photos"]
