"""Read a network's text description (prototxt) into plain values; current and legacy layers alike."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from pfungst.errors import ModelError
from pfungst.files import read_bounded, shown
from pfungst.network.caffe.schema import LEGACY_TYPES, message_class

MAX_BYTES = 2**20
MAX_NESTING = 32
MAX_LAYERS = 20_000
_OPEN, _CLOSE = ("{", "<"), ("}", ">")
_HARMLESS = ("NetParameter", "FillerParameter", "TransformationParameter", "ParamSpec", "SourceParameter")


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """One layer as the file describes it.

    Attributes
    ----------
    name : str
        The layer's name, which its weights carry too.
    type : str
        Current name of its type (``Convolution``); enumerated legacy types are translated.
    bottoms, tops : tuple of str
        Blobs it reads and writes.
    settings : mapping
        The fields that are set, ``{"convolution_param": {"num_output": 96, ...}, ...}``.
    unknown : tuple of str
        Fields that this reader does not know, with their line; an error where they could change the result.
    """

    name: str
    type: str
    bottoms: tuple[str, ...] = ()
    tops: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NetSpec:
    """A network as a prototxt describes it, before any weights.

    Attributes
    ----------
    path : Path
        The file, for messages.
    name : str
        The network's own name.
    inputs : tuple of (str, tuple of int)
        Blobs declared by ``input:`` with their shapes ``(n, channels, height, width)``.
    layers : tuple of LayerSpec
        Those of the TEST phase, in order.
    """

    path: Path
    name: str
    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    layers: tuple[LayerSpec, ...]


def read_prototxt(path: str | Path) -> NetSpec:
    """Read a network description in protobuf text format.

    Layers that include or exclude rules keep out of the TEST phase are dropped, as Caffe does. Unknown
    fields are remembered per layer; they become an error only for a layer that is executed.

    Parameters
    ----------
    path : path
        A deploy or train_val prototxt.

    Returns
    -------
    NetSpec

    Raises
    ------
    ModelError
        If the file is missing, larger than 1 MiB, not prototxt (with line and column), nested too deeply,
        in the oldest (V0) form, or without layers.
    """
    source = Path(path)
    text = _read_text(source)
    net = message_class("NetParameter")()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in strings that Python does not know
            unknown = _unknown_fields(text, net.DESCRIPTOR)
            text_format.Parse(text, net, allow_unknown_field=True)
    except (text_format.ParseError, ValueError, RecursionError) as error:
        raise ModelError(source, f"is not a readable prototxt ({error})", hint="the original file") from error
    if net.layer and net.layers:
        raise ModelError(source, "mixes `layer` and legacy `layers`", allowed="one of the two forms")
    messages = list(net.layer or net.layers)
    if not 0 < len(messages) <= MAX_LAYERS:
        raise ModelError(source, f"describes {len(messages)} layers", allowed=f"1 to {MAX_LAYERS}")
    layers = [
        _layer(source, message, tuple(unknown.get(index, ()))) for index, message in enumerate(messages)
    ]
    state = plain(net.state)
    kept = tuple(layer for layer in layers if _in_phase(source, layer, state))
    return NetSpec(path=source, name=net.name, inputs=_inputs(source, net), layers=kept)


def _read_text(path: Path) -> str:
    content = read_bounded(path, MAX_BYTES, error=ModelError, what="a prototxt")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(
            path, "is not a text file", hint="the deploy.prototxt (is it the caffemodel?)"
        ) from error


def plain(message: Any) -> dict[str, Any]:
    """The fields of a message that are set, as plain Python values; enumerations by name."""
    values: dict[str, Any] = {}
    for descriptor, value in message.ListFields():
        items = [_plain_value(descriptor, item) for item in value] if descriptor.is_repeated else None
        values[descriptor.name] = _plain_value(descriptor, value) if items is None else items
    return values


def _plain_value(descriptor: Any, value: Any) -> Any:
    if descriptor.message_type is not None:
        return plain(value)
    if descriptor.enum_type is not None:
        return descriptor.enum_type.values_by_number[value].name
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{descriptor.name} is {value}, not a finite number")
    return value


def _layer(path: Path, message: Any, unknown: tuple[str, ...]) -> LayerSpec:
    try:
        settings = plain(message)
    except ValueError as error:
        raise ModelError(path, f"layer {shown(message.name)}: {error}") from error
    name, kind = settings.get("name", ""), settings.get("type", "")
    if "layer" in settings:
        raise ModelError(
            path,
            f"describes layer {settings['layer'].get('name', '')!r} in Caffe's oldest form (V0)",
            allowed='`layer { type: "Convolution" }` and the legacy `layers { type: CONVOLUTION }`',
            hint="Caffe's upgrade_net_proto_text",
        )
    if message.DESCRIPTOR.name == "V1LayerParameter":
        kind = LEGACY_TYPES.get(kind, kind)
    if not name or not kind:
        raise ModelError(path, f"has a layer without name or type (name {name!r}, type {kind!r})")
    return LayerSpec(
        name=name,
        type=kind,
        bottoms=tuple(settings.get("bottom", ())),
        tops=tuple(settings.get("top", ())),
        settings=settings,
        unknown=unknown,
    )


def _inputs(path: Path, net: Any) -> tuple[tuple[str, tuple[int, ...]], ...]:
    names, dims = list(net.input), list(net.input_dim)
    shapes = [tuple(shape.dim) for shape in net.input_shape]
    if not shapes:
        shapes = [tuple(dims[start : start + 4]) for start in range(0, len(dims), 4)]
    if len(shapes) != len(names) or (dims and len(dims) % 4):
        raise ModelError(
            path,
            f"declares {len(names)} inputs with {len(shapes)} shapes",
            allowed="one input_shape, or four input_dim, for each input",
        )
    return tuple(zip(names, shapes, strict=True))


def _in_phase(path: Path, layer: LayerSpec, state: Mapping[str, Any]) -> bool:
    """Whether the layer is part of the TEST net: a rule is met if all it states holds."""
    include, exclude = layer.settings.get("include", []), layer.settings.get("exclude", [])
    if include and exclude:
        raise ModelError(path, f"layer {layer.name!r} has include and exclude rules", allowed="one of both")
    if include:
        return any(_meets(rule, state) for rule in include)
    return not any(_meets(rule, state) for rule in exclude)


def _meets(rule: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    level, stages = state.get("level", 0), set(state.get("stage", ()))
    return (
        rule.get("phase", "TEST") == "TEST"
        and rule.get("min_level", level) <= level <= rule.get("max_level", level)
        and set(rule.get("stage", ())) <= stages
        and not stages & set(rule.get("not_stage", ()))
    )


def _unknown_fields(text: str, descriptor: Any) -> dict[int, list[str]]:
    """Fields that the schema lacks, by the index of the layer they stand in; checks nesting on the way."""
    tokens = text_format.Tokenizer(text.splitlines())
    found: dict[int, list[str]] = {}
    layer = -1
    while not tokens.AtEnd():
        layer += tokens.token in ("layer", "layers")
        _scan_field(tokens, descriptor, "", found.setdefault(layer, []), 0)
    return found


def _scan_field(tokens: Any, descriptor: Any, path: str, found: list[str], depth: int) -> None:
    """Walk over one field, ``descriptor`` being that of the message around it (None within unknown ones)."""
    if depth > MAX_NESTING:
        raise tokens.ParseError(f"nested deeper than {MAX_NESTING} levels")
    name = tokens.ConsumeIdentifier()
    field_type = descriptor.fields_by_name.get(name) if descriptor is not None else None
    if descriptor is not None and field_type is None and descriptor.name not in _HARMLESS:
        found.append(f"{path}{name}".partition(".")[2])
    inner = field_type.message_type if field_type is not None else None
    tokens.TryConsume(":")
    if tokens.TryConsume("["):
        while not tokens.TryConsume("]"):
            _scan_value(tokens, inner, f"{path}{name}.", found, depth)
            tokens.TryConsume(",")
    else:
        _scan_value(tokens, inner, f"{path}{name}.", found, depth)
    _ = tokens.TryConsume(",") or tokens.TryConsume(";")


def _scan_value(tokens: Any, inner: Any, path: str, found: list[str], depth: int) -> None:
    if tokens.AtEnd():
        raise tokens.ParseError("ends within a field")
    if tokens.token in _OPEN:
        tokens.NextToken()
        while tokens.token not in _CLOSE:
            _scan_field(tokens, inner, path, found, depth + 1)
        tokens.NextToken()
        return
    quoted = tokens.token[0] in "\"'"
    tokens.NextToken()
    while quoted and tokens.token[:1] in ('"', "'"):  # neighbouring strings are one
        tokens.NextToken()
