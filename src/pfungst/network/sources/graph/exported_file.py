"""Reading a ``.pt2`` file of ``torch.export`` without ``torch.export.load``.

``torch.export.load`` unpickles example inputs, custom objects and pickled weights, and evaluates the text of
symbolic sizes: a file can run code in it. Here the archive is read as what it is, a zip of JSON and plain
numbers: the graph from JSON, weights from raw bytes (from a state dict by ``weights_only`` in the form that
PyTorch 2.6 and 2.7 wrote), operators from a list. Nothing else in the archive is opened.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pfungst.errors import ConfigError, ModelError, PfungstError
from pfungst.files import parse_json
from pfungst.network.sources.graph import aten  # noqa: F401 - it fills the list
from pfungst.network.sources.graph.aten_calls import ATEN, SYMBOLS, Call
from pfungst.network.sources.graph.tracing import Signal, Traced, Tracer, finished, plain

_MAX_ENTRY, _MAX_JSON, _MAX_NAMES = 16 * 2**30, 256 * 2**20, 100_000
_TYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16,
    7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
_MAX_SIDE = 4096
_OLD_GRAPH = "serialized_exported_program.json"


def read_exported(path: str | Path) -> tuple[nn.Module, dict[str, Any], tuple[int, ...]]:
    """Turn an exported image classifier into a network of plain steps.

    Parameters
    ----------
    path : path
        What ``torch.export.save`` wrote.

    Returns
    -------
    module : torch.nn.Module
    architecture : dict
    shape : (channels, height, width)

    Raises
    ------
    ModelError
        If the file is damaged, is TorchScript or compiled code, needs anything unpickled, or has an operator
        that is not known.
    """
    file = Path(path)
    try:
        with zipfile.ZipFile(file) as archive:
            return _read(file, _Archive(file, archive))
    except PfungstError:
        raise
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ModelError(file, f"is not a readable .pt2 file ({error})") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError, OverflowError,
            StopIteration, RecursionError, ZeroDivisionError) as error:  # fmt: skip
        reason = str(error).strip().split("\n", 1)[0][:200]
        raise ModelError(
            file, f"is not a well-formed .pt2 file ({type(error).__name__}: {reason})"
        ) from error


class _Archive:
    """The entries of the zip, below their common folder."""

    def __init__(self, file: Path, archive: zipfile.ZipFile) -> None:
        self.file, self.archive = file, archive
        entries = archive.infolist()
        if len(entries) > _MAX_NAMES:
            raise ModelError(file, f"holds {len(entries)} entries", allowed=f"at most {_MAX_NAMES}")
        self.entries = {item.filename.partition("/")[2] or item.filename: item for item in entries}
        flat = {item.filename: item for item in entries}
        self.entries = flat if _OLD_GRAPH in flat else self.entries

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def read(self, name: str, limit: int = _MAX_ENTRY) -> bytes:
        """The bytes of an entry; PyTorch stores them as they are, so a compressed one is refused."""
        item = self.entries.get(name)
        if item is None:
            raise ModelError(self.file, f"lacks {name}", allowed="a file of torch.export.save")
        if item.compress_type != zipfile.ZIP_STORED or item.file_size > limit:
            raise ModelError(self.file, f"has a compressed or too large entry {name}")
        return self.archive.read(item)

    def json(self, name: str) -> Any:
        """A JSON entry."""
        return parse_json(self.read(name, _MAX_JSON))


def _read(file: Path, archive: _Archive) -> tuple[nn.Module, dict[str, Any], tuple[int, ...]]:
    _refuse_programs(file, archive)
    if _OLD_GRAPH in archive:
        program, constants = archive.json(_OLD_GRAPH), _old_weights(file, archive)
    else:
        program, constants = archive.json("models/model.json"), _weights(file, archive)
    module = program["graph_module"]
    graph, signature = module["graph"], module["signature"]
    values, name = _inputs(file, signature, constants)
    shape = _input_shape(file, graph["tensor_values"][name]["sizes"])
    tracer = Tracer(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    values[name] = tracer.input
    try:
        for node in graph["nodes"]:
            _carry_out(file, node, values, tracer)
        trained, architecture = finished(tracer, _output(file, signature, values), "torch.export")
    except ConfigError as error:
        raise ModelError(file, error.problem, allowed=error.allowed, hint=error.hint) from error
    return trained, architecture, tuple(shape[1:])


def _refuse_programs(file: Path, archive: _Archive) -> None:
    names = archive.entries
    if any(name.startswith("code/") for name in names) or "constants.pkl" in names:
        raise ModelError(
            file,
            "is TorchScript, which is a program and would have to be run",
            allowed="a .pt2 file of torch.export.save, or an ONNX file",
            hint="torch.export.save(torch.export.export(model.eval(), (example,)), FILE) where the model is",
        )
    if _OLD_GRAPH not in names and "models/model.json" not in names:
        compiled = any(name.startswith("data/aotinductor") for name in names)
        raise ModelError(
            file,
            "is compiled code" if compiled else "holds no exported program",
            allowed="a file of torch.export.save",
            hint="torch.save(model.state_dict()) files are weights: --weights FILE with timm:NAME or "
            "torchvision:NAME"
            if not compiled
            else None,
        )


def _weights(file: Path, archive: _Archive) -> dict[str, Tensor]:
    found = {}
    for folder, index in (("weights", "model_weights_config"), ("constants", "model_constants_config")):
        base = f"data/{folder}/"
        if f"{base}{index}.json" not in archive:
            continue
        for name, payload in archive.json(f"{base}{index}.json")["config"].items():
            if payload["use_pickle"] or payload.get("tensor_meta") is None:
                raise ModelError(
                    file,
                    f"would have to unpickle {name[:80]!r}, which nothing from a file is",
                    allowed="weights that are plain tensors",
                )
            found[name] = _raw_tensor(
                file, archive.read(base + str(payload["path_name"])), payload["tensor_meta"]
            )
    return found


def _raw_tensor(file: Path, raw: bytes, meta: Mapping[str, Any]) -> Tensor:
    """A tensor of the archive, as its sizes and strides say."""
    if meta["dtype"] not in _TYPES:
        raise ModelError(file, f"has weights of the type {meta['dtype']}", allowed="real numbers")
    dtype = _TYPES[meta["dtype"]]
    sizes, strides = ([int(item["as_int"]) for item in meta[key]] for key in ("sizes", "strides"))
    if math.prod(sizes) > max(len(raw), 1):  # strides of 0 repeat numbers without holding them
        raise ModelError(file, f"has weights of the sizes {sizes[:8]} in {len(raw)} bytes")
    flat = torch.frombuffer(bytearray(raw), dtype=dtype) if raw else torch.zeros(0, dtype=dtype)
    whole = torch.as_strided(flat, sizes, strides, int(meta["storage_offset"]["as_int"]))
    return plain(whole.contiguous().clone())


def _old_weights(file: Path, archive: _Archive) -> dict[str, Tensor]:
    """State dict and constants of PyTorch 2.6 and 2.7, by ``weights_only``."""
    found: dict[str, Tensor] = {}
    for name in ("serialized_state_dict.pt", "serialized_constants.pt"):
        content = archive.read(name) if name in archive else b""
        try:
            part = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True) if content else {}
        except Exception as error:
            reason = str(error).split("\n", 1)[0][:200]
            raise ModelError(file, f"holds something else than tensors in {name} ({reason})") from error
        if not isinstance(part, dict) or not all(isinstance(value, Tensor) for value in part.values()):
            raise ModelError(file, f"holds something else than tensors in {name}")
        found |= {str(key): plain(value.detach()) for key, value in part.items()}
    return found


_HELD = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}


def _inputs(
    file: Path, signature: Mapping[str, Any], constants: Mapping[str, Tensor]
) -> tuple[dict[str, Any], str]:
    """Weights under the names that the graph gives them, and the name of the photo."""
    values: dict[str, Any] = {}
    photos = []
    for spec in signature["input_specs"]:
        ((kind, entry),) = spec.items()
        if kind in _HELD:
            values[entry["arg"]["name"]] = constants[entry[_HELD[kind]]]
        elif kind == "user_input" and "as_tensor" in entry["arg"]:
            photos.append(entry["arg"]["as_tensor"]["name"])
        elif kind == "custom_obj":
            raise ModelError(file, "has an object of its own code among its inputs", allowed="tensors")
    if len(photos) != 1:
        raise ModelError(file, f"has {len(photos)} inputs", allowed="one: a batch of photos")
    return values, str(photos[0])


def _input_shape(file: Path, sizes: list[Mapping[str, Any]]) -> list[int]:
    """The example's shape; an open batch is one photo."""
    dims = [int(item["as_int"]) if "as_int" in item else None for item in sizes]
    if len(dims) != 4 or dims[1] not in {1, 3, 4}:
        raise ModelError(
            file, f"takes an input {dims}", allowed="(n, channels, height, width) of 1, 3 or 4 channels"
        )
    hints = [(item.get("as_expr") or {}).get("hint") or {} for item in sizes]
    sides = [dims[axis] or int(hints[axis].get("as_int", 0)) for axis in (2, 3)]
    if not all(0 < side <= _MAX_SIDE for side in sides) or not 0 < (dims[0] or 1) <= 1024:
        raise ModelError(file, f"takes an input {dims}", allowed=f"sides up to {_MAX_SIDE}")
    return [dims[0] or 1, int(dims[1] or 3), *sides]


def _carry_out(file: Path, node: Mapping[str, Any], values: dict[str, Any], tracer: Tracer) -> None:
    target = str(node["target"])
    tracer.place = _place(node)
    arguments = {str(item["name"]): _argument(item["arg"], values) for item in node["inputs"]}
    try:
        made = _made(file, target, arguments, tracer)
    except ModelError:
        raise
    except ConfigError as error:
        raise ModelError(
            file,
            f"operator {target} ({tracer.place}): {error.problem}",
            allowed=error.allowed,
            hint=error.hint,
        ) from error
    _store(node["outputs"], made, values)


def _made(file: Path, target: str, arguments: dict[str, Any], tracer: Tracer) -> Any:
    if target in SYMBOLS:
        return SYMBOLS[target](*arguments.values())
    name = target.removeprefix("torch.ops.aten.").split(".")[0]
    if target.startswith("torch.ops.aten."):
        name = name if name in ATEN else name.removesuffix("_")
        if name in ATEN:
            return ATEN[name](Call(tracer, arguments))
    raise ModelError(
        file,
        f"operator {target[:120]} ({tracer.place}) is not known",
        allowed="the ATen operators of image classifiers",
        hint="ep.run_decompositions() before torch.export.save, an ONNX export, or ATEN of "
        "pfungst.network.sources.graph.aten, to which one of your own can be added",
    )


def _place(node: Mapping[str, Any]) -> str:
    """The module that made the call, by its path; else the node's name."""
    stack = str((node.get("metadata") or {}).get("nn_module_stack", ""))
    path = stack.rsplit(";", maxsplit=1)[-1].split(",")[1] if stack.count(",") else ""
    name = str(node.get("name") or node["target"].split(".")[-2])
    return path.removeprefix("L__self__") or name


_PLAIN = frozenset(("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string"))
_WITHOUT_EFFECT = frozenset(("as_none", "as_memory_format", "as_layout", "as_device"))


def _argument(arg: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """An argument's value: tensors and open sizes by name, plain values as they are."""
    ((kind, value),) = arg.items()
    if kind == "as_float":
        return float(value)  # infinity and NaN are written as words
    if kind in _WITHOUT_EFFECT:
        return None
    if kind in _PLAIN:
        return value
    if kind == "as_scalar_type":
        return _TYPES[value]
    if kind in {"as_tensors", "as_sym_ints", "as_optional_tensors"}:
        return [_named(item, values) for item in value]
    if kind in {"as_tensor", "as_sym_int", "as_optional_tensor"}:
        return _named(value, values)
    raise ValueError(f"an argument of the kind {kind}")


def _named(item: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """A tensor or an open size by its name; a number or None as it is."""
    entry = item.get("as_tensor", item)
    if "as_int" in entry:
        return entry["as_int"]
    name = entry.get("name", entry.get("as_name"))
    return None if name is None else values[name]


def _store(outputs: list[Mapping[str, Any]], made: Any, values: dict[str, Any]) -> None:
    """Results under the names that the graph gives them."""
    if len(outputs) == 1 and "as_tensors" in outputs[0]:
        names = [item["name"] for item in outputs[0]["as_tensors"]]
    else:
        names = [_output_name(item) for item in outputs]
    results = list(made) if isinstance(made, (list, tuple)) else [made]
    values.update((name, value) for name, value in zip(names, results, strict=False) if name)


def _output_name(output: Mapping[str, Any]) -> str:
    ((_, value),) = output.items()
    return str(value.get("name", value.get("as_name", ""))) if isinstance(value, Mapping) else ""


def _output(file: Path, signature: Mapping[str, Any], values: Mapping[str, Any]) -> Traced:
    """The scores: the first output."""
    first = next(
        (spec["user_output"]["arg"] for spec in signature["output_specs"] if "user_output" in spec), None
    )
    if first is None or "as_tensor" not in first:
        raise ModelError(file, "has no tensor among its outputs", allowed="scores (n, n_classes)")
    scores = values[first["as_tensor"]["name"]]
    if not isinstance(scores, Signal):
        raise ModelError(file, "its output does not depend on its input")
    return scores
