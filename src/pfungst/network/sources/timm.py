"""``timm:NAME``, and folders in timm's form: networks of PyTorch Image Models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pfungst.errors import ConfigError, ModelError, unknown_name
from pfungst.network.class_names import first_names
from pfungst.network.preprocess import Preprocess
from pfungst.network.sources.folders import CONFIG_FILE, WEIGHTS_FILE, folder_config, is_folder_of
from pfungst.network.sources.named import checked_integer, name_of, seeded, weights_of, width_of
from pfungst.network.sources.registry import Opened, Request, needed, register
from pfungst.network.state_files import fill

_ARGUMENTS = ("num_classes", "in_chans", "img_size")
_INPUT = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")
_CHANNELS = {1: "gray", 3: "RGB", 4: "RGBA"}
_GEOMETRY = {"center": "shortest-torchvision", "squash": "warp"}


class Timm:
    """Networks of :mod:`timm`, preprocessed as ``timm.data.resolve_data_config`` says.

    The number of outputs and of input channels is that of the weights.
    """

    name = "timm"
    form = "timm:NAME"

    def recognise(self, spec: str) -> bool:
        """``timm:NAME``, or a folder whose ``config.json`` names an ``architecture``."""
        return bool(name_of(spec, self.name)) or is_folder_of(spec, "architecture", without="model_type")

    def files(self, spec: str) -> list[Path]:
        """The two files of a folder."""
        return [] if name_of(spec, self.name) else [Path(spec) / CONFIG_FILE, Path(spec) / WEIGHTS_FILE]

    def load(self, request: Request) -> Opened:
        """Build the network and set its weights."""
        name = name_of(request.spec, self.name)
        if name:
            return _opened(name, {}, request)
        config = folder_config(request.spec)
        inside = Request(spec=request.spec, weights=Path(request.spec) / WEIGHTS_FILE)
        return _opened(str(config["architecture"]), config, inside)

    def build(self, architecture: Mapping[str, Any]) -> nn.Module:
        """Build a network by name, without weights and without looking for any."""
        name = str(architecture.get("name"))
        timm = _timm(name)
        arguments = architecture.get("arguments", {})
        unknown = sorted(set(arguments) - set(_ARGUMENTS))
        if unknown:
            raise ConfigError(f"timm arguments {', '.join(unknown)[:200]}", allowed=", ".join(_ARGUMENTS))
        numbers = {key: checked_integer(arguments, key) for key in arguments}
        module: nn.Module = timm.create_model(name, pretrained=False, **numbers)
        return module

    def with_outputs(self, architecture: Mapping[str, Any], outputs: int, head: str) -> dict[str, Any]:
        """Another ``num_classes``."""
        del head
        return {**architecture, "arguments": {**architecture["arguments"], "num_classes": outputs}}


def _timm(name: str) -> Any:
    timm = needed("timm", "timm", "a timm network")
    if not timm.is_model(name) or ":" in name or "/" in name:
        near = timm.list_models(f"*{name.split('.', maxsplit=1)[0].split('_', maxsplit=1)[0][:40]}*")[:40]
        raise unknown_name("timm network", name[:80], near or ["a name of timm.list_models()"])
    return timm


def _opened(name: str, config: Mapping[str, Any], request: Request) -> Opened:
    source = TIMM
    stated = _stated(config)
    timm = _timm(name)
    pretrained = {**_published(timm, name), **stated}
    state = weights_of(request, _where(pretrained, name))
    arguments = _arguments(pretrained, state, config, request)
    architecture = {"type": source.name, "name": name, "arguments": arguments}
    module = seeded(lambda: source.build(architecture), request.random_state)
    if state is not None:
        fill(module, state, str(request.weights))
    outputs = arguments["num_classes"]
    return Opened(
        module=module,
        architecture=architecture,
        preprocess=_preprocess(pretrained, module, arguments["in_chans"]),
        outputs=outputs,
        classes=_labels(config, outputs) or _imagenet(pretrained, outputs),
        info={"network": request.spec, "preprocessing": f"timm {name}"},
    )


def _published(timm: Any, name: str) -> dict[str, Any]:
    found = timm.get_pretrained_cfg(name)
    return dict(found.to_dict()) if found is not None else {}


def _stated(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a folder says of the network's input; arguments of the builder are not taken from a file."""
    if config.get("model_args"):
        names = ", ".join(map(str, config["model_args"]))[:200]
        raise ConfigError(
            f"the folder's config.json has model_args ({names})",
            allowed="a network that is known by its name alone",
            hint="NetworkClassifier from Python, with the module built by timm.create_model",
        )
    stated = config.get("pretrained_cfg") or {}
    return {key: stated[key] for key in _INPUT if stated.get(key) is not None}


def _where(pretrained: Mapping[str, Any], name: str) -> str:
    hub = pretrained.get("hf_hub_id")
    return f"model.safetensors of huggingface.co/{hub}" if hub else f"the weights that {name} was trained to"


def _arguments(
    pretrained: Mapping[str, Any],
    state: Mapping[str, Tensor] | None,
    config: Mapping[str, Any],
    request: Request,
) -> dict[str, int]:
    """Outputs and channels, as the weights have them."""
    if state is None:
        return {"num_classes": int(pretrained.get("num_classes") or 1000), "in_chans": 3}
    source = str(request.weights)
    head, first = (_first(pretrained.get(key)) for key in ("classifier", "first_conv"))
    outputs = width_of(state, f"{head}.weight", 0, source) if head else int(config.get("num_classes", 1000))
    channels = width_of(state, f"{first}.weight", 1, source) if first else 3
    if channels not in _CHANNELS:
        raise ModelError(source, f"takes {channels} channels", allowed="1, 3 or 4")
    return {"num_classes": outputs, "in_chans": channels}


def _first(name: Any) -> str:
    """A layer's name; of several heads or stems, the first."""
    return str(name[0] if isinstance(name, (tuple, list)) else name or "")


def _preprocess(pretrained: Mapping[str, Any], module: nn.Module, channels: int) -> Preprocess:
    from timm.data import resolve_data_config

    cfg = {**pretrained, **_channel_values(pretrained, channels)}
    found = resolve_data_config({}, pretrained_cfg=cfg, model=module)
    _, height, width = found["input_size"]
    mode = found.get("crop_mode") or "center"
    if mode not in _GEOMETRY or height != width:
        raise ConfigError(
            f"timm crops this network's photos by {mode!r} to {height} x {width}",
            allowed="a square by 'center', or 'squash'",
            hint="NetworkClassifier from Python, with a Preprocess of your choice",
        )
    return Preprocess(
        input_size=(height, width),
        channels=_CHANNELS[channels],  # type: ignore[arg-type]
        scale=1 / 255,
        mean=tuple(found["mean"]),
        std=tuple(found["std"]),
        resize=_GEOMETRY[mode],  # type: ignore[arg-type]
        resize_length=math.floor(height / found["crop_pct"]),
        interpolation=found["interpolation"],
    )


def _channel_values(pretrained: Mapping[str, Any], channels: int) -> dict[str, Any]:
    """Mean and deviation for one or four channels: those of colour averaged, alpha as it is."""
    size = (channels, *tuple(pretrained.get("input_size") or (3, 224, 224))[1:])
    if channels == 3:
        return {"input_size": size}
    mean, std = (tuple(pretrained.get(key) or (0.5,) * 3) for key in ("mean", "std"))
    if channels == 1:
        return {"input_size": size, "mean": (sum(mean) / 3,), "std": (sum(std) / 3,)}
    return {"input_size": size, "mean": (*mean, 0.0), "std": (*std, 1.0)}


def _labels(config: Mapping[str, Any], outputs: int) -> tuple[str, ...] | None:
    names = config.get("label_names")
    return tuple(map(str, names)) if isinstance(names, list) and len(names) == outputs else None


def _imagenet(pretrained: Mapping[str, Any], outputs: int) -> tuple[str, ...] | None:
    """Names of ImageNet's classes, if the network has as many outputs as it had when it was published."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    if outputs != pretrained.get("num_classes"):
        return None
    subset = infer_imagenet_subset({"num_classes": outputs})
    if not subset:
        return None
    info = ImageNetInfo(subset)
    lines = [f"{info.index_to_label_name(i)} {info.index_to_description(i)}" for i in range(outputs)]
    return tuple(first_names(lines))


TIMM = Timm()
register(TIMM)
