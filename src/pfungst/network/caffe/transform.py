"""What a prototxt states of its input's preprocessing: mean and scale in ``transform_param``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pfungst.errors import ModelError
from pfungst.network.caffe.planners import SOURCES
from pfungst.network.caffe.prototxt import LayerSpec, NetSpec

Mean = Sequence[float] | str | Path
IMAGENET_MEAN = (104.0, 117.0, 123.0)
"""Mean blue, green and red of ImageNet, the mean pixel of most Caffe networks."""
_OLD_FORMS = ("data_param", "image_data_param", "window_data_param")


@dataclass(frozen=True, kw_only=True)
class Transform:
    """Mean and scale as a data layer states them; None where it states none."""

    mean: Mean | None = None
    scale: float | None = None


def chosen_transform(spec: NetSpec, mean: Mean | None, scale: float | None) -> tuple[Mean, float]:
    """Mean and scale to use: what was asked for, else what the prototxt states, else Caffe's custom.

    Parameters
    ----------
    spec : NetSpec
        Its data layer of the TEST phase counts, if it has one.
    mean, scale
        What was asked for; None leaves it to the file.

    Returns
    -------
    mean : three floats or path
    scale : float

    Warns
    -----
    UserWarning
        Naming both, where what was asked for is not what the file states.

    Raises
    ------
    ModelError
        If the file names a mean image that is not beside it, and no mean was asked for.
    """
    source = next((layer for layer in spec.layers if layer.type in SOURCES and layer.tops), None)
    stated = Transform() if source is None else _stated(spec, source, mean is None)
    _warn("mean", mean, stated.mean)
    _warn("scale", scale, stated.scale)
    return (
        next(item for item in (mean, stated.mean, IMAGENET_MEAN) if item is not None),
        next(item for item in (scale, stated.scale, 1.0) if item is not None),
    )


def transform_fields(source: LayerSpec) -> dict[str, Any]:
    """Fields on preprocessing of a data layer: of ``transform_param``, or in the old form of its own."""
    parts = [source.settings.get(name, {}) for name in (*_OLD_FORMS, "transform_param")]
    return {name: value for part in parts for name, value in part.items()}


def _stated(spec: NetSpec, source: LayerSpec, mean_needed: bool) -> Transform:
    fields = transform_fields(source)
    scale = float(fields["scale"]) if "scale" in fields else None
    values = tuple(float(value) for value in fields.get("mean_value", ()))
    if values:
        if len(values) not in (1, 3):
            raise ModelError(spec.path, f"states {len(values)} mean values", allowed="1 or 3")
        return Transform(mean=values * (3 // len(values)), scale=scale)
    name = fields.get("mean_file")
    return Transform(mean=_mean_file(spec, str(name), mean_needed) if name else None, scale=scale)


def _mean_file(spec: NetSpec, name: str, needed: bool) -> Path:
    """The mean image beside the prototxt; the path in the file is that of another machine."""
    file = spec.path.parent / PurePosixPath(name.replace("\\", "/")).name
    if needed and not file.is_file():
        raise ModelError(
            spec.path,
            f"names the mean image {name!r}, and there is no {file.name} beside it",
            hint="that file, or the mean pixel: --mean",
        )
    return file


def _warn(what: str, asked: Mean | float | None, stated: Mean | float | None) -> None:
    if asked is None or stated is None or _plain(asked) == _plain(stated):
        return
    warnings.warn(
        f"the prototxt states the {what} {_plain(stated)} in transform_param, but {_plain(asked)} was asked "
        "for and is used",
        stacklevel=4,
    )


def _plain(value: Mean | float) -> str:
    if isinstance(value, (str, Path)):
        return Path(value).name
    return ", ".join(f"{item:g}" for item in ([value] if isinstance(value, (int, float)) else value))
