"""From a Caffe layer's fields to the settings of one of our layers, with Caffe's defaults and checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pfungst.network.caffe.prototxt import LayerSpec

Shape = tuple[int, ...]
Plan = tuple[str, dict[str, Any]]


class PlanError(ValueError):
    """Why a layer cannot be built; the caller names file and layer."""


def _check(holds: bool, problem: str) -> None:
    if not holds:
        raise PlanError(problem)


def _pair(settings: Mapping[str, Any], name: str, default: int | None, *, side: str) -> list[int]:
    """``[height, width]`` from ``side_h`` and ``side_w``, or the field ``name`` (once, or once an axis)."""
    if f"{side}_h" in settings or f"{side}_w" in settings:
        _check(name not in settings, f"states {name} and {side}_h or {side}_w")
        fallback = 0 if default is None else default
        return [settings.get(f"{side}_h", fallback), settings.get(f"{side}_w", fallback)]
    value = settings.get(name, [] if default is None else [default])
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    values = values or ([] if default is None else [default])
    _check(len(values) in (1, 2), f"states {len(values)} values of {name}; 1 or 2 are allowed")
    return [values[0], values[-1]]


def _axis(value: int, rank: int, what: str) -> int:
    """A non-negative axis that is not the batch."""
    axis = value + rank if value < 0 else value
    _check(
        0 < axis < rank, f"works along axis {value} ({what}) of a blob of {rank} axes; axis 0 is the batch"
    )
    return axis


def _channels(shapes: Sequence[Shape]) -> int:
    _check(len(shapes[0]) > 1, f"needs a blob with channels, not {shapes[0]}")
    return shapes[0][1]


def _images(shapes: Sequence[Shape]) -> Shape:
    _check(len(shapes) == 1 and len(shapes[0]) == 4, f"needs one (n, c, h, w) blob, not {list(shapes)}")
    return shapes[0]


def _convolution(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    _, channels, *_ = _images(shapes)
    fields = layer.settings.get("convolution_param", {})
    kernel, stride = (
        _pair(fields, "kernel_size", None, side="kernel"),
        _pair(fields, "stride", 1, side="stride"),
    )
    pad, dilation = _pair(fields, "pad", 0, side="pad"), _pair(fields, "dilation", 1, side="dilation")
    outputs, groups = fields.get("num_output", 0), fields.get("group", 1)
    _check(fields.get("axis", 1) in (1, -3), "convolves along an axis other than height and width")
    _check(
        min(*kernel, *stride, *dilation, outputs, groups) > 0, "has a size, stride or number of outputs of 0"
    )
    _check(
        channels % groups == 0 and outputs % groups == 0,
        f"has {groups} groups for {channels} inputs and {outputs} outputs",
    )
    return "convolution", {
        "in_channels": channels, "out_channels": outputs, "kernel": kernel, "stride": stride, "pad": pad,
        "dilation": dilation, "groups": groups, "bias": fields.get("bias_term", True),
    }  # fmt: skip


def _inner_product(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    fields = layer.settings.get("inner_product_param", {})
    axis = _axis(fields.get("axis", 1), len(shapes[0]), "axis")
    _check(fields.get("num_output", 0) > 0, "has no num_output")
    return "inner_product", {
        "in_features": math.prod(shapes[0][axis:]), "out_features": fields["num_output"],
        "bias": fields.get("bias_term", True), "axis": axis,
    }  # fmt: skip


def _relu(layer: LayerSpec, _shapes: Sequence[Shape]) -> Plan:
    return "relu", {"slope": layer.settings.get("relu_param", {}).get("negative_slope", 0.0)}


def _prelu(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    shared = layer.settings.get("prelu_param", {}).get("channel_shared", False)
    return "prelu", {"channels": 1 if shared else _channels(shapes)}


def _elu(layer: LayerSpec, _shapes: Sequence[Shape]) -> Plan:
    return "elu", {"alpha": layer.settings.get("elu_param", {}).get("alpha", 1.0)}


def _power(layer: LayerSpec, _shapes: Sequence[Shape]) -> Plan:
    fields = layer.settings.get("power_param", {})
    defaults = {"power": 1.0, "scale": 1.0, "shift": 0.0}
    return "power", {name: fields.get(name, default) for name, default in defaults.items()}


def _lrn(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    _images(shapes)
    fields = layer.settings.get("lrn_param", {})
    size = fields.get("local_size", 5)
    _check(size % 2 == 1, f"has an even local_size {size}")
    settings = {"size": size, "alpha": fields.get("alpha", 1.0), "beta": fields.get("beta", 0.75)}
    if fields.get("norm_region") == "WITHIN_CHANNEL":
        _check(fields.get("k", 1.0) == 1.0, "has k other than 1, which Caffe ignores within a channel")
        return "lrn_within_channel", settings
    return "lrn", {**settings, "k": fields.get("k", 1.0)}


def _pooling(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    *_, height, width = _images(shapes)
    fields = layer.settings.get("pooling_param", {})
    method = {"MAX": "max", "AVE": "average"}.get(fields.get("pool", "MAX"))
    _check(method is not None, f"pools by {fields.get('pool')}; MAX and AVE are allowed")
    stride, pad = _pair(fields, "stride", 1, side="stride"), _pair(fields, "pad", 0, side="pad")
    if fields.get("global_pooling", False):
        _check(pad == [0, 0] and stride == [1, 1], "pools globally with padding or stride")
        return "global_pooling", {"method": method}
    kernel = _pair(fields, "kernel_size", None, side="kernel")
    ceil = fields.get("round_mode", "CEIL") == "CEIL"
    _check(min(*kernel, *stride) > 0, "has a kernel or stride of 0")
    for size, window, step, before in zip((height, width), kernel, stride, pad, strict=True):
        _check(before < window, f"pads by {before} for a window of {window}")
        _check(window <= size + 2 * before, f"has a window of {window} for {size} pixels")
        unclipped = -(-(size - window) // step) + 1  # Caffe drops windows beyond the edge only if it pads
        _check(
            any(pad) or not ceil or (unclipped - 1) * step < size,
            f"has an empty last window (kernel {window}, stride {step}, {size} pixels), undefined in Caffe",
        )
    return "pooling", {"method": method, "kernel": kernel, "stride": stride, "pad": pad, "ceil": ceil}


def _concat(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    fields = layer.settings.get("concat_param", {})
    axis = fields.get("axis", fields.get("concat_dim", 1))
    return "concat", {"axis": _axis(axis, len(shapes[0]), "axis")}


def _slice(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    fields = layer.settings.get("slice_param", {})
    axis = _axis(fields.get("axis", fields.get("slice_dim", 1)), len(shapes[0]), "axis")
    size, parts = shapes[0][axis], len(layer.tops)
    points = fields.get("slice_point") or [size * part // parts for part in range(1, parts)]
    even = "slice_point" in fields or size % parts == 0
    edges = [0, *points, size]
    sizes = [stop - start for start, stop in pairwise(edges)]
    _check(even and len(sizes) == parts and min(sizes) > 0, f"cuts {size} into {sizes} for {parts} tops")
    return "slice", {"axis": axis, "sizes": sizes}


def _eltwise(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    fields = layer.settings.get("eltwise_param", {})
    operation = {"PROD": "product", "SUM": "sum", "MAX": "maximum"}[fields.get("operation", "SUM")]
    coefficients = fields.get("coeff") or [1.0] * len(shapes)
    _check(len(set(shapes)) == 1, f"combines blobs of different shapes {list(shapes)}")
    _check(len(coefficients) == len(shapes), f"has {len(coefficients)} coefficients for {len(shapes)} blobs")
    _check(operation == "sum" or "coeff" not in fields, "has coefficients, which only SUM takes")
    return "eltwise", {"operation": operation, "coefficients": coefficients}


def _dropout(layer: LayerSpec, _shapes: Sequence[Shape]) -> Plan:
    ratio = layer.settings.get("dropout_param", {}).get("dropout_ratio", 0.5)
    _check(0 <= ratio < 1, f"drops the share {ratio}")
    return "dropout", {"ratio": ratio}


def _softmax(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    axis = layer.settings.get("softmax_param", {}).get("axis", 1)
    return "softmax", {"axis": _axis(axis, len(shapes[0]), "axis")}


def _batch_norm(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    fields = layer.settings.get("batch_norm_param", {})
    _check(fields.get("use_global_stats", True), "normalises by the batch (use_global_stats: false)")
    return "batch_norm", {"channels": _channels(shapes), "eps": fields.get("eps", 1e-5)}


def _scale(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    fields = layer.settings.get("scale_param", {})
    if len(shapes) == 2:
        _check(not fields.get("bias_term", False), "adds a bias to a product of two blobs")
        axis = fields.get("axis", 1)
        start = axis + len(shapes[0]) if axis < 0 else axis
        _check(
            start >= 0 and shapes[0][start : start + len(shapes[1])] == shapes[1],
            f"multiplies {shapes[0]} by {shapes[1]} from axis {axis} on",
        )
        return "multiply", {"axis": start}
    axis, count = _axis(fields.get("axis", 1), len(shapes[0]), "axis"), fields.get("num_axes", 1)
    stop = len(shapes[0]) if count == -1 else axis + count
    _check(axis <= stop <= len(shapes[0]), f"scales {count} axes from axis {axis} on of {shapes[0]}")
    return "scale", {
        "axis": axis, "shape": list(shapes[0][axis:stop]), "bias": fields.get("bias_term", False)
    }  # fmt: skip


def _flatten(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    fields, rank = layer.settings.get("flatten_param", {}), len(shapes[0])
    start, end = (
        _axis(fields.get("axis", 1), rank, "axis"),
        _axis(fields.get("end_axis", -1), rank, "end_axis"),
    )
    _check(start <= end, f"flattens from axis {start} to {end}")
    return "flatten", {"start": start, "end": end}


def _reshape(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    fields, shape = layer.settings.get("reshape_param", {}), shapes[0]
    dims = list(fields.get("shape", {}).get("dim", []))
    axis, count = fields.get("axis", 0), fields.get("num_axes", -1)
    start = axis + len(shape) + 1 if axis < 0 else axis
    stop = len(shape) if count == -1 else start + count
    _check(0 <= start <= stop <= len(shape), f"reshapes {count} axes from axis {axis} on of {shape}")
    sizes = [shape[start + index] if dim == 0 and start + index < len(shape) else dim
             for index, dim in enumerate(dims)]  # fmt: skip
    wanted = [*shape[:start], *sizes, *shape[stop:]]
    _check(wanted.count(-1) <= 1 and all(size > 0 or size == -1 for size in wanted), f"has the shape {dims}")
    known = math.prod(size for size in wanted if size != -1)
    resolved = [math.prod(shape) // known if size == -1 else size for size in wanted]
    _check(
        math.prod(resolved) == math.prod(shape) and resolved[:1] == [shape[0]],
        f"reshapes {shape} to {wanted}; the batch must stay the first axis",
    )
    return "reshape", {"shape": resolved[1:]}


def _permute(layer: LayerSpec, shapes: Sequence[Shape]) -> Plan:
    order, rank = list(layer.settings.get("permute_param", {}).get("order", [])), len(shapes[0])
    order += [axis for axis in range(rank) if axis not in order]
    _check(sorted(order) == list(range(rank)) and order[0] == 0, f"has the order {order} for {rank} axes")
    return "permute", {"order": order}


def _split(layer: LayerSpec, _shapes: Sequence[Shape]) -> Plan:
    return "split", {"copies": len(layer.tops)}


PLANNERS: dict[str, Callable[[LayerSpec, Sequence[Shape]], Plan]] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "Dropout": _dropout,
    "ELU": _elu,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "PReLU": _prelu,
    "Permute": _permute,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
    "Reshape": _reshape,
    "Scale": _scale,
    "Sigmoid": lambda _layer, _shapes: ("sigmoid", {}),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "TanH": lambda _layer, _shapes: ("tanh", {}),
}
"""The layer types that can be executed, by their Caffe name."""

SOURCES = ("Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData")
"""Layers of train_val files that read photos; the first top becomes the input."""

SINKS = (
    "Accuracy", "Silence", "SoftmaxWithLoss", "EuclideanLoss", "HingeLoss", "InfogainLoss",
    "MultinomialLogisticLoss", "SigmoidCrossEntropyLoss", "ContrastiveLoss", "HDF5Output",
)  # fmt: skip
"""Layers that only measure; left out."""

MANY_BOTTOMS = ("concat", "eltwise", "multiply")
"""Layers of a description that take several blobs; all others take one."""
