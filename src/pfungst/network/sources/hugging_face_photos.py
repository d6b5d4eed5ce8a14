"""What ``preprocessor_config.json`` does to a photo, as :class:`Preprocess` says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pfungst.errors import ModelError
from pfungst.network.preprocess import Preprocess
from pfungst.network.sources.folders import read_object
from pfungst.network.sources.registry import needed

PROCESSOR_FILE = "preprocessor_config.json"
_PROCESSORS = (
    "Beit", "Bit", "CLIP", "ConvNext", "DeiT", "EfficientNet", "Levit", "MobileNetV1", "MobileNetV2",
    "MobileViT", "PoolFormer", "Pvt", "Segformer", "Siglip", "ViT",
)  # fmt: skip
_FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
_FLAT_LIMIT = 384
"""From this side on, ConvNeXt's processor warps a photo instead of cropping it."""


def photo_preprocess(folder: Path, channels: int) -> Preprocess:
    """Read a folder's preprocessing.

    Raises
    ------
    ModelError
        If the file is missing or has a step that a :class:`Preprocess` cannot do.
    """
    file = folder / PROCESSOR_FILE
    stated = read_object(file)
    name = _processor(stated, file)
    settings = {**_defaults(name), **stated}
    try:
        return _as_preprocess(name, settings, file, channels)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ModelError(file, f"cannot be understood ({error!r})") from error


def _processor(stated: Mapping[str, Any], file: Path) -> str:
    """The family of the processor, the older names of its class among them."""
    given = str(stated.get("image_processor_type") or stated.get("feature_extractor_type") or "")
    name = given
    for suffix in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        name = name.removesuffix(suffix)
    if name not in _PROCESSORS or stated.get("auto_map"):
        raise ModelError(
            file,
            f"is for the processor {given[:80]!r}",
            allowed=", ".join(f"{item}ImageProcessor" for item in _PROCESSORS),
            hint="NetworkClassifier from Python, with a Preprocess of your choice",
        )
    return name


def _defaults(name: str) -> dict[str, Any]:
    """What the processor does where the file is silent."""
    transformers = needed("transformers", "hf", "a Hugging Face network")
    for suffix in ("ImageProcessor", "ImageProcessorPil"):
        try:
            found: dict[str, Any] = getattr(transformers, name + suffix)().to_dict()
        except (ImportError, AttributeError):
            continue
        return found
    raise ModelError(PROCESSOR_FILE, f"is for {name}ImageProcessor, which the installed transformers lacks")


def _as_preprocess(name: str, settings: Mapping[str, Any], file: Path, channels: int) -> Preprocess:
    rule, length, side = _geometry(name, settings, file)
    scale, mean, std = _values(name, settings)
    order = {1: "gray", 3: "BGR" if settings.get("do_flip_channel_order") else "RGB", 4: "RGBA"}
    if channels not in order:
        raise ModelError(file, f"belongs to a network of {channels} channels", allowed="1, 3 or 4")
    return Preprocess(
        input_size=(side, side),
        channels=order[channels],  # type: ignore[arg-type]
        scale=scale,
        mean=mean,
        std=std,
        resize=rule,  # type: ignore[arg-type]
        resize_length=length,
        interpolation=_FILTERS[int(settings["resample"])],  # type: ignore[arg-type]
    )


def _geometry(name: str, settings: Mapping[str, Any], file: Path) -> tuple[str, int, int]:
    """Resize rule, its length, and the side of the square that is left."""
    size = settings["size"]
    edge = size if isinstance(size, int) and name in {"ConvNext", "Levit", "CLIP", "Bit"} else None
    if isinstance(size, Mapping) and "shortest_edge" in size:
        edge = int(size["shortest_edge"])
    crop = _square(settings["crop_size"], file) if settings.get("do_center_crop") else None
    if not settings.get("do_resize", True):
        raise ModelError(file, "takes photos at their own size", allowed="do_resize")
    if edge is None:
        side = _square(size, file)
        return "warp", side, crop or side
    if name == "ConvNext":
        flat = edge >= _FLAT_LIMIT
        return (
            ("warp", edge, edge)
            if flat
            else ("shortest-transformers", int(edge / settings["crop_pct"]), edge)
        )
    length = {"Levit": lambda: int(256 / 224 * edge), "PoolFormer": lambda: int(edge / settings["crop_pct"])}
    if crop is None:
        raise ModelError(file, "leaves photos of different sizes", allowed="do_center_crop, or a size")
    return "shortest-transformers", length.get(name, lambda: edge)(), crop


def _square(size: Any, file: Path) -> int:
    sides = (size, size) if isinstance(size, int) else (int(size["height"]), int(size["width"]))
    if sides[0] != sides[1]:
        raise ModelError(file, f"makes photos of {sides[0]} x {sides[1]}", allowed="a square")
    return sides[0]


def _values(name: str, settings: Mapping[str, Any]) -> tuple[float, tuple[float, ...], tuple[float, ...]]:
    """Scale, mean and deviation, in the units of :class:`Preprocess`."""
    scale = float(settings["rescale_factor"]) if settings.get("do_rescale", True) else 1.0
    offset = 1.0 if name == "EfficientNet" and settings.get("rescale_offset") else 0.0
    if not settings.get("do_normalize"):
        return scale, (offset,), (1.0,)
    mean, std = ([float(value) for value in settings[key]] for key in ("image_mean", "image_std"))
    if name == "EfficientNet" and settings.get("include_top"):
        std = [value * value for value in std]
    return scale, tuple(value + offset for value in mean), tuple(std)
