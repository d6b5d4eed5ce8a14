"""Hostile ONNX files, exported programs and Hugging Face folders."""

from __future__ import annotations

import io
import json
import zipfile
from random import Random
from typing import Any

import numpy as np

from fuzzing.mutation import INTEGERS, TEXTS, mutate_bytes, pick
from fuzzing.target import Case, Target
from pfungst.network.sources.graph.exported_file import read_exported
from pfungst.network.sources.graph.onnx_file import read_onnx
from pfungst.network.sources.hugging_face import HuggingFace
from pfungst.network.sources.registry import Request

_ONNX_TOKENS = (b"\x08\x01", b"\xff" * 10, b"\x00", b"Relu", b"Tile", b"If", b"../x", b"x", b"y", b"\x80" * 9)


class Onnx(Target):
    """Whole files: single operators with odd attributes and constants, half of them with damaged bytes."""

    name = "onnx"

    def prepare(self) -> None:
        """The operators that are known."""
        from pfungst.network.sources.graph.onnx_shapes import OPERATORS

        self.kinds = (*sorted(OPERATORS), "If", "NonZero", "LSTM")

    def make(self, rng: Random) -> Case:
        """A few operators after each other."""
        content = _onnx(rng, self.kinds, sane=pick(rng, (0.6, 0.9, 0.99)))
        if rng.random() < 0.4:
            content = mutate_bytes(rng, content, _ONNX_TOKENS)
        return {"net.onnx": content}

    def run(self, case: Case) -> bool:
        """From the file to a module."""
        self.write(self.folder, case)
        read_onnx(self.folder / "net.onnx", side=8)
        return True


def _onnx(rng: Random, kinds: tuple[str, ...], sane: float) -> bytes:
    from onnx import TensorProto, helper

    nodes, constants, last = [], [], "x"
    for number in range(pick(rng, (1, 1, 2, 4))):
        kind = pick(rng, ("Relu", "Conv", "Reshape", "Concat")) if rng.random() < 0.3 else pick(rng, kinds)
        inputs = [last]
        for position in range(int(rng.random() * 5)):
            name = f"c{number}_{position}"
            constants.append(_constant(rng, name, sane))
            inputs.append(name if rng.random() < 0.9 else pick(rng, ("", "x", last, "nowhere")))
        attributes = {name: _attribute(rng, sane) for name in _ATTRIBUTES if rng.random() < 0.12}
        last = "y" if rng.random() < 0.1 else f"t{number}"
        nodes.append(
            helper.make_node(
                kind, inputs, [last], name=pick(rng, TEXTS[:8]) if rng.random() > sane else "", **attributes
            )
        )
    sizes = [1, 3, 8, 8] if rng.random() < sane else [pick(rng, (0, 1, 3, 2**31, -1)) for _ in range(4)]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)], constants,
    )  # fmt: skip
    opset = pick(rng, (11, 13, 17, 18, 21)) if rng.random() < sane else pick(rng, (1, 9, 99))
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)]
    ).SerializeToString()
    return content


_ATTRIBUTES = (
    "axis", "axes", "kernel_shape", "pads", "strides", "dilations", "group", "alpha", "epsilon", "perm", "to",
    "mode", "keepdims", "auto_pad", "blocksize", "size", "num_groups", "value_ints", "equation", "ceil_mode",
)  # fmt: skip


def _attribute(rng: Random, sane: float) -> Any:
    if rng.random() > sane:
        return pick(
            rng, (2**62, -(2**62), [2**40, 2**40], "", "NOTSET", "SAME_UPPER", float("nan"), 1e38, [-5])
        )
    return pick(
        rng,
        (
            0,
            1,
            2,
            -1,
            [1, 1],
            [2, 2],
            [3, 3],
            [0, 0, 1, 1],
            [0, 2, 3, 1],
            0.5,
            "constant",
            "linear",
            "ij->ji",
        ),
    )


def _constant(rng: Random, name: str, sane: float) -> Any:
    from onnx import TensorProto, helper

    if rng.random() < 0.4:
        values = [
            pick(rng, (1, 2, -1, 3, 8, 0)) if rng.random() < sane else pick(rng, INTEGERS)
            for _ in range(int(rng.random() * 5))
        ]
        numbers = [value if abs(value) < 2**63 else 1 for value in values if isinstance(value, int)]
        return helper.make_tensor(name, TensorProto.INT64, [len(numbers)], numbers)
    shape = pick(rng, ((3,), (3, 3, 3, 3), (4, 3, 1, 1), (8, 8), (1,), (), (3, 1, 1)))
    array = np.ones(shape, np.float32) if rng.random() < sane else np.full(shape, np.nan, np.float32)
    tensor = helper.make_tensor(name, TensorProto.FLOAT, shape, array.tobytes(), raw=True)
    if rng.random() > sane:
        tensor.dims.append(pick(rng, (2**40, -1, 0, 7)))
    if rng.random() > sane:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(
            key="location", value=pick(rng, ("../../etc/passwd", "/etc/passwd", "", "\0", "net.onnx"))
        )
        tensor.external_data.add(key="offset", value=pick(rng, ("-1", "x", "99999999999999999999", "0")))
    return tensor


_PT2_TOKENS = (
    b"null",
    b"-1",
    b"1e999",
    b"[]",
    b"{}",
    b'""',
    b"true",
    b'"as_tensor"',
    b'"as_int"',
    b"aten.relu",
    b"PK\x03\x04",
)


class Exported(Target):
    """Archives of ``torch.export`` whose JSON or bytes were changed."""

    name = "exported"

    def prepare(self) -> None:
        """A good archive of two layers, written down here so that nothing has to be exported."""
        self.entries = _good_program()

    def make(self, rng: Random) -> Case:
        """Values of the JSON exchanged, text of it damaged, or the archive's own bytes."""
        entries = dict(self.entries)
        name = pick(rng, tuple(entries))
        kind = rng.random()
        if kind < 0.5 and name.endswith(".json"):
            entries[name] = json.dumps(_exchanged(rng, json.loads(entries[name]))).encode()
        elif kind < 0.8:
            entries[name] = mutate_bytes(rng, entries[name], _PT2_TOKENS)
        content = _zip(entries)
        return {"net.pt2": mutate_bytes(rng, content, _PT2_TOKENS) if kind > 0.85 else content}

    def run(self, case: Case) -> bool:
        """From the file to a module."""
        self.write(self.folder, case)
        read_exported(self.folder / "net.pt2")
        return True


def _zip(entries: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def _good_program() -> dict[str, bytes]:
    def meta(*sizes: int) -> dict[str, Any]:
        strides = [int(np.prod(sizes[axis + 1 :])) for axis in range(len(sizes))]
        return {
            "dtype": 7, "sizes": [{"as_int": s} for s in sizes], "strides": [{"as_int": s} for s in strides],
            "requires_grad": False, "device": {"type": "cpu"}, "storage_offset": {"as_int": 0}, "layout": 7,
        }  # fmt: skip

    def tensor(name: str, value: str) -> dict[str, Any]:
        return {"name": name, "arg": {"as_tensor": {"name": value}}, "kind": 1}

    def node(target: str, inputs: list[Any], output: str) -> dict[str, Any]:
        return {
            "target": f"torch.ops.aten.{target}",
            "inputs": inputs,
            "outputs": [{"as_tensor": {"name": output}}],
            "metadata": {},
        }

    nodes = [
        node("conv2d.default", [tensor("input", "x"), tensor("weight", "w")], "a"),
        node("relu.default", [tensor("self", "a")], "b"),
        node("mean.dim", [tensor("self", "b"), {"name": "dim", "arg": {"as_ints": [2, 3]}}], "c"),
        node("view.default", [tensor("self", "c"), {"name": "size", "arg": {"as_ints": [1, 2]}}], "y"),
    ]
    specs = [
        {"parameter": {"arg": {"name": "w"}, "parameter_name": "conv.weight"}},
        {"user_input": {"arg": {"as_tensor": {"name": "x"}}}},
    ]
    graph = {"nodes": nodes, "tensor_values": {"x": meta(1, 3, 8, 8), "w": meta(2, 3, 3, 3)}}
    signature = {
        "input_specs": specs,
        "output_specs": [{"user_output": {"arg": {"as_tensor": {"name": "y"}}}}],
    }
    payload = {
        "path_name": "weight_0",
        "is_param": True,
        "use_pickle": False,
        "tensor_meta": meta(2, 3, 3, 3),
    }
    weights = {"config": {"conv.weight": payload}}
    return {
        "net/models/model.json": json.dumps(
            {"graph_module": {"graph": graph, "signature": signature}}
        ).encode(),
        "net/data/weights/model_weights_config.json": json.dumps(weights).encode(),
        "net/data/weights/weight_0": np.ones(54, np.float32).tobytes(),
    }


def _exchanged(rng: Random, tree: Any) -> Any:
    """The same tree with one place changed."""
    if isinstance(tree, dict) and tree and rng.random() < 0.93:
        key = pick(rng, tuple(tree))
        return tree | {key: _exchanged(rng, tree[key])}
    if isinstance(tree, list) and tree and rng.random() < 0.93:
        position = int(rng.random() * len(tree))
        return [*tree[:position], _exchanged(rng, tree[position]), *tree[position + 1 :]]
    odd = (None, -1, 0, 2**40, 1.5, "x", "../../y", [], {}, True, [1, 2], {"as_int": 3}, {"name": "w"})
    return pick(rng, odd)


_CONFIG: dict[str, Any] = {
    "model_type": "resnet", "embedding_size": 4, "hidden_sizes": [4, 4], "depths": [1, 1],
    "layer_type": "basic",
    "num_channels": 3, "hidden_act": "relu", "id2label": {"0": "a", "1": "b"},
}  # fmt: skip
_PROCESSOR: dict[str, Any] = {
    "image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "resample": 2,
    "do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    "rescale_factor": 0.00392, "do_rescale": True,
}  # fmt: skip


class HuggingFaceFolders(Target):
    """Configurations with one place changed, and damaged weights."""

    name = "hugging-face"

    def prepare(self) -> None:
        """A small network's folder."""
        import torch
        from safetensors.torch import save

        source = HuggingFace()
        torch.manual_seed(0)
        module = source.build({"type": source.name, "config": _CONFIG})
        self.weights = save(
            {k.removeprefix("network."): v.contiguous() for k, v in module.state_dict().items()}
        )

    def make(self, rng: Random) -> Case:
        """The three files, one of them hostile."""
        config, processor, weights = dict(_CONFIG), dict(_PROCESSOR), self.weights
        kind = rng.random()
        if kind < 0.4:
            config = _exchanged(rng, config)
        elif kind < 0.75:
            processor = _exchanged(rng, processor)
        elif kind < 0.9:
            weights = mutate_bytes(rng, weights, (b"{", b"}", b"F32", b"I64", b"\xff" * 8, b"[0,9999999999]"))
        texts = [json.dumps(config).encode(), json.dumps(processor).encode()]
        if kind > 0.9:
            texts = [mutate_bytes(rng, text, _PT2_TOKENS) for text in texts]
        return {"config.json": texts[0], "preprocessor_config.json": texts[1], "model.safetensors": weights}

    def run(self, case: Case) -> bool:
        """From the folder to a network."""
        self.write(self.folder, case)
        HuggingFace().load(Request(spec=str(self.folder)))
        return True
