"""``torchvision:NAME``: every classification network of torchvision, with the transforms of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pfungst.errors import ConfigError, unknown_name
from pfungst.network.preprocess import Preprocess
from pfungst.network.sources.named import checked_integer, name_of, seeded, weights_of, width_of
from pfungst.network.sources.registry import Opened, Request, needed, register
from pfungst.network.state_files import fill

_AUXILIARY = ("aux", "AuxLogits.")
_SWITCHES = ("aux_logits", "transform_input")
_INCEPTIONS = ("googlenet", "inception_v3")


class Torchvision:
    """Networks of :mod:`torchvision.models`.

    ``torchvision:resnet50`` takes the preprocessing of the weights whose published file name the given file
    has; ``torchvision:resnet50:IMAGENET1K_V1`` names them, which is asked for where a network's weights were
    made with different preprocessing and the file's name does not tell which.
    """

    name = "torchvision"
    form = "torchvision:NAME"

    def recognise(self, spec: str) -> bool:
        """Whether the spec begins with ``torchvision:``."""
        return bool(name_of(spec, self.name))

    def files(self, spec: str) -> list[Path]:
        """None: it names an architecture."""
        del spec
        return []

    def load(self, request: Request) -> Opened:
        """Build the network with as many outputs as its weights have."""
        name, _, entry = name_of(request.spec, self.name).partition(":")
        models = _models(name)
        published = models.get_model_weights(name)
        chosen = _entry(name, published, entry, request.weights)
        state = weights_of(request, f"the file of {published.DEFAULT.url}")
        architecture = {"type": self.name, "name": name, **_settings(models, name, state, request, chosen)}
        module = seeded(lambda: self.build(architecture), request.random_state)
        if state is not None:
            fill(module, state, str(request.weights))
        outputs = architecture["outputs"]
        categories = chosen.meta["categories"]
        return Opened(
            module=module,
            architecture=architecture,
            preprocess=_preprocess(chosen.transforms()),
            outputs=outputs,
            classes=tuple(categories) if outputs == len(categories) else None,
            info={"network": request.spec, "preprocessing": str(chosen)},
        )

    def build(self, architecture: Mapping[str, Any]) -> nn.Module:
        """Build a network by name, without weights."""
        name = str(architecture.get("name"))
        models = _models(name)
        switches = {key: bool(architecture[key]) for key in _SWITCHES if key in architecture}
        return _unfilled(models, name, num_classes=checked_integer(architecture, "outputs"), **switches)

    def with_outputs(self, architecture: Mapping[str, Any], outputs: int, head: str) -> dict[str, Any]:
        """Another ``outputs``; auxiliary heads, which are of use in training only, go."""
        del head
        changed = {**architecture, "outputs": outputs}
        return {**changed, "aux_logits": False} if "aux_logits" in changed else changed


def _models(name: str) -> Any:
    models = needed("torchvision.models", "timm", "a torchvision network")
    known = models.list_models(module=models)
    if name not in known:
        raise unknown_name("torchvision network", name[:80], known)
    return models


def _unfilled(models: Any, name: str, **settings: Any) -> nn.Module:
    """A network without published weights; Inceptions leave their slow random start out."""
    if name in _INCEPTIONS:
        settings["init_weights"] = False
    module: nn.Module = models.get_model(name, weights=None, **settings)
    return module


def _entry(name: str, published: Any, entry: str, weights: Path | None) -> Any:
    """The published weights whose preprocessing holds."""
    if entry:
        if entry not in published.__members__:
            raise unknown_name(f"weights of {name}", entry[:80], list(published.__members__))
        return published[entry]
    by_file = [item for item in published if weights is not None and item.url.endswith(f"/{weights.name}")]
    if by_file:
        return by_file[0]
    if len({str(item.transforms()) for item in published}) > 1:
        raise ConfigError(
            f"torchvision:{name} has weights with different preprocessing, and the name of the file does not "
            "tell which of them it is of",
            allowed="; ".join(f"torchvision:{name}:{item.name}" for item in published),
            hint="the one that the network was trained or fine-tuned with",
        )
    return published.DEFAULT


def _settings(
    models: Any, name: str, state: Mapping[str, Tensor] | None, request: Request, chosen: Any
) -> dict[str, Any]:
    """Outputs and switches as the weights have them."""
    settings: dict[str, Any] = {}
    if name in _INCEPTIONS:
        auxiliary = state is not None and any(key.startswith(_AUXILIARY) for key in state)
        settings = {"aux_logits": auxiliary, "transform_input": state is not None}
    if state is None:
        return {"outputs": len(chosen.meta["categories"]), **settings}
    with torch.device("meta"):
        head = list(_unfilled(models, name).state_dict())[-1]
    return {"outputs": width_of(state, head, 0, str(request.weights)), **settings}


def _preprocess(transforms: Any) -> Preprocess:
    """The same photo by :class:`Preprocess` as by torchvision's ``ImageClassification``."""
    side = transforms.crop_size[0]
    return Preprocess(
        input_size=(side, side),
        scale=1 / 255,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        resize="shortest-torchvision",
        resize_length=transforms.resize_size[0],
        interpolation=transforms.interpolation.value,
    )


register(Torchvision())
