"""Reading an ONNX file: the graph by the ``onnx`` package, weights from it or from files beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pfungst.errors import ConfigError, ModelError
from pfungst.files import read_bounded
from pfungst.network.sources.graph import onnx_layers, onnx_shapes  # noqa: F401 - they fill the list
from pfungst.network.sources.graph.fusing import fused
from pfungst.network.sources.graph.onnx_operators import OPERATORS, Call
from pfungst.network.sources.graph.tracing import Signal, Traced, Tracer, finished, plain
from pfungst.network.sources.registry import needed

OPSETS = range(11, 22)
_MAX_BYTES = 2**31 - 1
_MAX_NUMBERS = 2**29
_MAX_DEPTH = 8
_MAX_SIDE = 4096
_OWN_DOMAINS = frozenset(("", "ai.onnx"))


def read_onnx(
    path: str | Path, *, side: int | None = None
) -> tuple[nn.Module, dict[str, Any], tuple[int, ...]]:
    """Turn an ONNX image classifier into a network of PyTorch.

    Nothing in the file is executed: operators are looked up in a list, weights are plain numbers, and files
    of external weights must lie in the model's own folder.

    Parameters
    ----------
    path : path
        The ``.onnx`` file.
    side : int, optional
        Height and width of the input, where the file leaves them open.

    Returns
    -------
    module : torch.nn.Module
    architecture : dict
    shape : (channels, height, width)

    Raises
    ------
    ModelError
        If the file is damaged, an operator unknown, an opset too old or new, or weights lie elsewhere.
    ConfigError
        If the size of the input is open and not stated, or ``onnx`` is not installed.
    """
    file = Path(path)
    model = _parsed(file)
    opset = _opset(file, model)
    weights = {item.name: _tensor(file, item) for item in model.graph.initializer}
    shape = _input_shape(file, model.graph, weights, side)
    example = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    tracer = Tracer(example)
    name = next(item.name for item in model.graph.input if item.name not in weights)
    values: dict[str, Any] = {**weights, name: tracer.input}
    try:
        _Interpreter(file, tracer, opset).run(model.graph, values)
        output = _output(file, model.graph, values)
        tracer.steps = fused(tracer.steps, output.name if isinstance(output, Signal) else "")
        module, architecture = finished(tracer, output, f"ONNX opset {opset}")
    except ConfigError as error:
        raise ModelError(file, error.problem, allowed=error.allowed, hint=error.hint) from error
    return module, architecture, tuple(shape[1:])


def _parsed(file: Path) -> Any:
    onnx = needed("onnx", "onnx", "an ONNX file")
    content = read_bounded(file, _MAX_BYTES, error=ModelError, what="an ONNX file")
    try:
        model = onnx.ModelProto.FromString(content)
        if model.functions:
            model = needed("onnx.inliner", "onnx", "an ONNX file").inline_local_functions(model)
    except Exception as error:  # of protobuf, or of the inliner
        raise ModelError(file, f"is not a readable ONNX file ({type(error).__name__})") from error
    if not model.graph.node or not model.graph.output:
        raise ModelError(file, "holds no network", allowed="an ONNX model")
    return model


def _opset(file: Path, model: Any) -> int:
    versions = [item.version for item in model.opset_import if item.domain in _OWN_DOMAINS]
    if len(versions) != 1 or versions[0] not in OPSETS:
        raise ModelError(
            file,
            f"is of opset {', '.join(map(str, versions)) or 'none'}",
            allowed=f"opset {OPSETS[0]} to {OPSETS[-1]}",
            hint="an export with another opset, or onnx.version_converter",
        )
    return int(versions[0])


_MEANT = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64,
    9: torch.bool, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip
_FIELDS = {1: "float_data", 7: "int64_data", 11: "double_data"}


def _tensor(file: Path, item: Any) -> Tensor:
    """A tensor of the file, in float32, int64 or bool; external data from the model's folder alone."""
    dims = [int(size) for size in item.dims]
    if item.data_type not in _MEANT or any(size < 0 for size in dims) or math.prod(dims) > _MAX_NUMBERS:
        raise ModelError(file, f"tensor {item.name[:80]!r} has type {item.data_type} and sizes {dims[:8]}")
    dtype, count = _MEANT[item.data_type], math.prod(dims)
    raw = _external(file, item, count * dtype.itemsize) if item.data_location == 1 else item.raw_data
    if raw:
        if len(raw) != count * dtype.itemsize:
            raise ModelError(file, f"tensor {item.name[:80]!r} has {len(raw)} bytes for the sizes {dims[:8]}")
        return plain(torch.frombuffer(bytearray(raw), dtype=dtype).reshape(dims))
    values = list(getattr(item, _FIELDS.get(item.data_type, "int32_data")))
    if len(values) != count:
        raise ModelError(
            file, f"tensor {item.name[:80]!r} has {len(values)} numbers for the sizes {dims[:8]}"
        )
    if item.data_type in {10, 16}:  # bits of half precision, kept as integers
        bits = torch.tensor(values, dtype=torch.int32).to(torch.int16)
        return plain(bits.view(dtype).reshape(dims))
    return plain(torch.tensor(values, dtype=dtype).reshape(dims))


def _external(file: Path, item: Any, size: int) -> bytes:
    """Bytes of a file beside the model.

    Raises
    ------
    ModelError
        If its name leaves the model's folder, by ``..``, as an absolute path or through a link.
    """
    entries = {entry.key: entry.value for entry in item.external_data}
    location = entries.get("location", "")
    folder = file.resolve().parent
    try:
        place = (folder / location).resolve()
        inside = bool(location) and place.is_relative_to(folder) and place.is_file()
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or size)
    except (OSError, ValueError):
        inside, offset, length = False, 0, size
    if not inside:
        raise ModelError(
            file,
            f"tensor {item.name[:80]!r} has its numbers in {location[:120]!r}, which is no file of the "
            "model's folder",
            hint="the .data file that was exported with it, in the same folder",
        )
    if length != size or offset < 0 or offset + length > place.stat().st_size:
        raise ModelError(file, f"tensor {item.name[:80]!r} does not fit its place in {location[:120]!r}")
    with place.open("rb") as stream:
        stream.seek(offset)
        content: bytes = stream.read(length)
    return content


def _input_shape(file: Path, graph: Any, weights: Mapping[str, Tensor], side: int | None) -> list[int]:
    inputs = [item for item in graph.input if item.name not in weights]
    if len(inputs) != 1:
        raise ModelError(file, f"has {len(inputs)} inputs", allowed="one: a batch of photos")
    dims = [
        int(d.dim_value) if d.WhichOneof("value") == "dim_value" and d.dim_value > 0 else None
        for d in inputs[0].type.tensor_type.shape.dim
    ]
    if len(dims) != 4 or dims[1] not in {1, 3, 4, None}:
        last = " (channels last, as TensorFlow has it)" if len(dims) == 4 and dims[3] in {1, 3, 4} else ""
        raise ModelError(
            file, f"takes an input {dims}{last}", allowed="(n, channels, height, width) of 1, 3 or 4 channels"
        )
    height, width = (side if size is None else size for size in dims[2:])
    if height is None or width is None:
        raise ConfigError(f"{file} leaves the size of its input open", allowed="--crop SIDE")
    if max(height, width) > _MAX_SIDE or (dims[0] or 1) > _MAX_SIDE:
        raise ModelError(file, f"takes an input {dims}", allowed=f"sides up to {_MAX_SIDE}")
    return [dims[0] or 1, dims[1] or 3, height, width]


@dataclass(frozen=True)
class _Interpreter:
    """Carries out the nodes of a file's graph in their order."""

    file: Path
    tracer: Tracer
    opset: int

    def run(self, graph: Any, values: dict[str, Any], depth: int = 0) -> None:
        """Add what the nodes make to ``values``."""
        for node in graph.node:
            title = f"{node.op_type} ({node.name or (node.output[0] if node.output else '')})"[:200]
            self.tracer.place = node.name or node.op_type
            missing = [name for name in node.input if name and name not in values]
            if missing:
                raise ModelError(
                    self.file, f"operator {title} reads {missing[0][:80]!r}, which nothing makes"
                )
            made = self._made(node, title, values, depth)
            outputs = list(made) if isinstance(made, (list, tuple)) else [made]
            values.update((name, value) for name, value in zip(node.output, outputs, strict=False) if name)

    def _made(self, node: Any, title: str, values: dict[str, Any], depth: int) -> Any:
        try:
            if node.op_type == "If" and node.domain in _OWN_DOMAINS and depth < _MAX_DEPTH:
                return self._branch(node, values, depth)
            translate = _translator(self.file, node, title)
            attributes = {item.name: _attribute(self.file, item) for item in node.attribute}
            inputs = [values[name] if name else None for name in node.input]
            n_outputs = len([name for name in node.output if name])
            return translate(Call(self.tracer, self.opset, inputs, attributes, n_outputs))
        except ConfigError as error:
            raise ModelError(
                self.file, f"operator {title}: {error.problem}", allowed=error.allowed, hint=error.hint
            ) from error
        except (TypeError, ValueError, LookupError, AttributeError, RuntimeError, ArithmeticError,
                MemoryError, AssertionError) as error:  # fmt: skip
            reason = str(error).strip().split("\n", 1)[0][:200]
            raise ModelError(
                self.file, f"operator {title} is malformed ({type(error).__name__}: {reason})"
            ) from error

    def _branch(self, node: Any, values: dict[str, Any], depth: int) -> list[Any]:
        """The branch that a constant condition chooses."""
        condition = self.tracer.constant(values.get(node.input[0]) if node.input else None, "condition")
        name = "then_branch" if bool(condition.reshape(-1)[0]) else "else_branch"
        graph = next((item.g for item in node.attribute if item.name == name), None)
        if graph is None:
            raise ModelError(self.file, f"operator If lacks its {name}")
        inner = {**values, **{item.name: _tensor(self.file, item) for item in graph.initializer}}
        self.run(graph, inner, depth + 1)
        return [inner.get(item.name) for item in graph.output]


def _translator(file: Path, node: Any, title: str) -> Callable[[Call], Any]:
    if node.domain in _OWN_DOMAINS and node.op_type in OPERATORS:
        return OPERATORS[node.op_type]
    where = f" of the domain {node.domain[:80]!r}" if node.domain not in _OWN_DOMAINS else ""
    quantised = "Quant" in node.op_type or "Integer" in node.op_type
    raise ModelError(
        file,
        f"operator {title}{where} is not known",
        allowed=", ".join(sorted({*OPERATORS, "If"})),
        hint="the float model that was quantised"
        if quantised
        else "an export of the same network without it (another opset, no graph optimiser), or OPERATORS of "
        "pfungst.network.sources.graph.onnx_operators, to which one of your own can be added",
    )


def _attribute(file: Path, item: Any) -> Any:
    """An attribute's plain value."""
    kinds = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}
    if item.type not in kinds:
        raise ModelError(
            file, f"attribute {item.name[:80]!r} is of type {item.type}", allowed="numbers, text, tensors"
        )
    value = getattr(item, kinds[item.type])
    if item.type == 4:
        return _tensor(file, value)
    if item.type == 3:
        return value.decode("utf-8", "replace")
    return list(value) if item.type > 4 else value


def _output(file: Path, graph: Any, values: Mapping[str, Any]) -> Traced:
    """The scores: the first output, or the one called logits."""
    names = [item.name for item in graph.output]
    name = next((name for name in names if name in {"logits", "scores"}), names[0])
    if name not in values:
        raise ModelError(file, f"its output {name[:80]!r} is made by no operator")
    value: Traced = values[name]
    return value
