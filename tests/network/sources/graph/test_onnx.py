"""ONNX: each operator against onnxruntime, whole networks against it and the module; hostile files."""

import os
import warnings

import numpy as np
import pytest
import torch
from torch import nn

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from pfungst.errors import ConfigError, ModelError  # noqa: E402
from pfungst.network.classifier import NetworkClassifier  # noqa: E402
from pfungst.network.graph_conversion import convert_graph  # noqa: E402
from pfungst.network.lrp import relevance  # noqa: E402
from pfungst.network.sources.graph.onnx_file import read_onnx  # noqa: E402

F32, I64 = np.float32, np.int64
RNG = np.random.default_rng(11)


def floats(*shape):
    return RNG.normal(size=shape).astype(F32)


def ints(*values):
    return np.array(values, dtype=I64)


def model(nodes, constants=None, *, shape=(2, 3, 6, 8), opset=17, output="y", domain=""):
    """An ONNX file's content: nodes from ``x`` to ``y``."""
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )  # fmt: skip
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def run(content, x):
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(content.SerializeToString()).run(None, {"x": x})[0]


def node(kind, *inputs, outputs=("y",), **attributes):
    return helper.make_node(kind, list(inputs), list(outputs), **attributes)


def one(kind, *constants, opset=17, shape=(2, 3, 6, 8), first=True, **attributes):
    """One operator on x and constants."""
    names = [f"c{i}" for i in range(len(constants))]
    given = {name: value for name, value in zip(names, constants, strict=True) if value is not None}
    inputs = [name if value is not None else "" for name, value in zip(names, constants, strict=True)]
    inputs = ["x", *inputs] if first else [*inputs, "x"]
    return model([node(kind, *inputs, **attributes)], given, opset=opset, shape=shape)


POSITIVE = np.abs(floats(3)) + 0.5
OPERATORS = {
    **{
        name: one(name)
        for name in [
            "Relu",
            "Sigmoid",
            "Tanh",
            "Erf",
            "Exp",
            "Neg",
            "Abs",
            "Softplus",
            "Softsign",
            "HardSwish",
            "HardSigmoid",
            "LeakyRelu",
            "Elu",
            "Celu",
            "Selu",
            "Softmax",
            "LogSoftmax",
            "GlobalAveragePool",
            "GlobalMaxPool",
            "Flatten",
            "Transpose",
            "ReduceMean",
            "ReduceMax",
            "ReduceMin",
            "ReduceL1",
            "ReduceL2",
            "ReduceSumSquare",
            "LpNormalization",
            "Reciprocal",
        ]
    },
    **{name: model([node("Neg", "x", outputs=["a"]), node(name, "a")]) for name in ("Identity", "Dropout")},
    "Mish": one("Mish", opset=18),
    "Gelu": one("Gelu", opset=20),
    "GeluTanh": one("Gelu", opset=20, approximate="tanh"),
    "Softmax11": one("Softmax", opset=11, axis=1),
    "Softmax11last": one("Softmax", opset=11, axis=3),
    "HardSigmoidSixth": one("HardSigmoid", alpha=1 / 6, beta=0.5),
    "Sqrt": model([node("Abs", "x", outputs=["a"]), node("Sqrt", "a")]),
    "Log": model([node("Exp", "x", outputs=["a"]), node("Log", "a")]),
    "Conv": one("Conv", floats(4, 3, 3, 2), floats(4), pads=[1, 0, 1, 0], strides=[2, 1], dilations=[1, 2]),
    "ConvUneven": one("Conv", floats(4, 3, 3, 3), pads=[0, 0, 1, 1], strides=[2, 2]),
    "ConvSame": one("Conv", floats(4, 3, 3, 2), floats(4), auto_pad="SAME_UPPER", strides=[2, 2]),
    "ConvSameLower": one("Conv", floats(4, 3, 2, 2), auto_pad="SAME_LOWER"),
    "ConvValid": one("Conv", floats(4, 3, 3, 3), auto_pad="VALID"),
    "ConvGroups": one("Conv", floats(6, 1, 3, 3), group=3, kernel_shape=[3, 3]),
    "ConvTranspose": one(
        "ConvTranspose",
        floats(3, 4, 3, 3),
        floats(4),
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        output_padding=[1, 1],
    ),
    "BatchNormalization": one(
        "BatchNormalization", POSITIVE, floats(3), floats(3), POSITIVE * 2, epsilon=1e-3
    ),
    "InstanceNormalization": one("InstanceNormalization", POSITIVE, floats(3), epsilon=1e-3),
    "LayerNormalization": one("LayerNormalization", floats(8), floats(8)),
    "LayerNormalizationAxis": one("LayerNormalization", floats(6, 8), axis=2),
    "GroupNormalization18": one(
        "GroupNormalization", floats(3), floats(3), opset=18, shape=(2, 6, 4, 4), num_groups=3
    ),
    "GroupNormalization21": one(
        "GroupNormalization", floats(6), floats(6), opset=21, shape=(2, 6, 4, 4), num_groups=3
    ),
    "LRN": one("LRN", size=3, alpha=0.2, beta=0.6, bias=2.0),
    "PRelu": one("PRelu", floats(3, 1, 1)),
    "PReluOne": one("PRelu", floats(1)),
    "Clip": one("Clip", np.array(-0.3, F32), np.array(0.4, F32)),
    "Clip6": one("Clip", np.array(0, F32), np.array(6, F32)),
    "ClipBelow": one("Clip", np.array(0.1, F32)),
    "ClipAbove": one("Clip", None, np.array(0.1, F32)),
    "Gemm": one("Gemm", floats(5, 4), floats(4), shape=(2, 5)),
    "GemmTransposed": one("Gemm", floats(4, 5), floats(1, 4), shape=(2, 5), transB=1, beta=0.5),
    "GemmScaled": one("Gemm", floats(5, 4), floats(2, 4), shape=(2, 5), alpha=0.5, beta=2.0),
    "GemmNoBias": one("Gemm", floats(5, 4), shape=(2, 5)),
    "MatMul": one("MatMul", floats(8, 5)),
    "MatMulFirst": one("MatMul", floats(4, 6), first=False),
    "MatMulSignals": model(
        [node("Transpose", "x", outputs=["t"], perm=[0, 1, 3, 2]), node("MatMul", "x", "t")]
    ),
    "Add": one("Add", floats(3, 1, 1)),
    "Sub": one("Sub", floats(8), first=False),
    "Mul": one("Mul", floats(1)),
    "Div": one("Div", POSITIVE[:, None, None]),
    "Pow": one("Pow", np.array(2, F32)),
    "AddSelf": model([node("Relu", "x", outputs=["a"]), node("Add", "x", "a")]),
    "Max": one("Max", floats(8), floats(1)),
    "Min": one("Min", floats(6, 1)),
    "Sum": one("Sum", floats(8), floats(8)),
    "Mean": one("Mean", floats(8), floats(1)),
    "Where": model([node("Where", "m", "x", "c")], {"m": floats(6, 8) > 0, "c": floats(1)}),
    "MaxPool": one("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
    "MaxPoolCeil": one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "MaxPoolWide": one("MaxPool", kernel_shape=[2, 2], pads=[1, 1, 1, 1], dilations=[2, 2]),
    "AveragePool": one("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "AveragePoolCounted": one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "AveragePoolUneven": one("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
    "AveragePoolSame": one("AveragePool", kernel_shape=[2, 2], auto_pad="SAME_UPPER"),
    "ReduceMeanAxes": one("ReduceMean", axes=[2, 3], keepdims=0),
    "ReduceMean18": one("ReduceMean", ints(-1), opset=18),
    "ReduceSum": one("ReduceSum", ints(1, -1), keepdims=0),
    "ReduceNoop": model([node("Neg", "x", outputs=["a"]), node("ReduceSum", "a", noop_with_empty_axes=1)]),
    "Flatten2": one("Flatten", axis=2),
    "Reshape": one("Reshape", ints(0, -1, 4)),
    "ReshapeFold": one("Reshape", ints(-1, 4)),
    "TransposePerm": one("Transpose", perm=[0, 2, 3, 1]),
    "Squeeze": one("Squeeze", ints(2), shape=(2, 3, 1, 4)),
    "SqueezeOld": one("Squeeze", opset=11, axes=[2], shape=(2, 3, 1, 4)),
    "Unsqueeze": one("Unsqueeze", ints(1, -1)),
    "Expand": one("Expand", ints(4, 1, 3, 1, 1), shape=(2, 1, 6, 8)),
    "Tile": one("Tile", ints(1, 2, 1, 3)),
    "Concat": one("Concat", floats(2, 4, 6, 8), axis=1),
    "Split": model([node("Split", "x", "s", outputs=["a", "y"], axis=3)], {"s": ints(3, 5)}),
    "SplitEven": model([node("Split", "x", outputs=["y", "b"], axis=3)]),
    "Split18": model(
        [node("Split", "x", outputs=["a", "y"], axis=2, num_outputs=2)], opset=18, shape=(2, 3, 7, 8)
    ),
    "Slice": one("Slice", ints(1, -3), ints(5, 10**9), ints(2, 3), ints(2, 1)),
    "SliceBack": one("Slice", ints(-1), ints(-(10**9)), ints(3), ints(-2)),
    "Gather": one("Gather", ints(2, 0, -1), axis=3),
    "GatherOne": one("Gather", np.array(1), axis=2),
    "GatherTable": one("Gather", np.array([[0, 1], [2, 1]]), axis=1),
    "Pad": one("Pad", ints(0, 0, 1, 2, 0, 0, 0, 1), np.array(0.5, F32)),
    "PadReflect": one("Pad", ints(0, 0, 1, 2, 0, 0, 0, 1), mode="reflect"),
    "PadEdge": one("Pad", ints(0, 0, 1, 2, 0, 0, 0, 1), mode="edge"),
    "PadAxes": one("Pad", ints(1, 2), None, ints(3), opset=18),
    "DepthToSpace": one("DepthToSpace", blocksize=2, shape=(2, 8, 3, 4)),
    "DepthToSpaceCRD": one("DepthToSpace", blocksize=2, mode="CRD", shape=(2, 8, 3, 4)),
    "SpaceToDepth": one("SpaceToDepth", blocksize=2),
    "Einsum": one("Einsum", floats(8, 5), equation="nchw,wk->nchk"),
    "ResizeNearest": one(
        "Resize",
        None,
        np.array([1, 1, 2, 2], F32),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    "ResizeLinear": one(
        "Resize", None, None, ints(2, 3, 9, 12), mode="linear", coordinate_transformation_mode="half_pixel"
    ),
    "ResizeCorners": one(
        "Resize", None, None, ints(2, 3, 11, 5), mode="linear", coordinate_transformation_mode="align_corners"
    ),
    "Shapes": model(
        [
            node("Shape", "x", outputs=["s"]),
            node("Slice", "s", "zero", "one", outputs=["n"]),
            node("Concat", "n", "rest", outputs=["t"], axis=0),
            node("Reshape", "x", "t"),
        ],
        {"zero": ints(0), "one": ints(1), "rest": ints(3, -1)},
    ),
    "Host": model(
        [
            node("Range", "a", "b", "d", outputs=["r"]),
            node("Greater", "r", "two", outputs=["g"]),
            node("Cast", "g", outputs=["m"], to=1),
            node("Mul", "x", "m"),
        ],
        {"a": np.array(0), "b": np.array(8), "d": np.array(1), "two": np.array(2)},
    ),
    "Constants": model(
        [
            node("Constant", outputs=["v"], value_floats=[0.5, 2.0]),
            node("ConstantOfShape", "k", outputs=["o"], value=numpy_helper.from_array(np.array([3], F32))),
            node("Trilu", "o", outputs=["l"], upper=0),
            node("CumSum", "l", "axis", outputs=["cs"]),
            node("MatMul", "x", "cs", outputs=["p"]),
            node("Gather", "v", "first", outputs=["w"]),
            node("Mul", "p", "w"),
        ],
        {"k": ints(8, 8), "axis": np.array(0), "first": np.array(1)},
    ),
    "If": model(
        [
            node(
                "If",
                "yes",
                then_branch=helper.make_graph(
                    [node("Neg", "x", outputs=["t"])], "a", [], [helper.make_tensor_value_info("t", 1, None)]
                ),
                else_branch=helper.make_graph(
                    [node("Abs", "x", outputs=["e"])], "b", [], [helper.make_tensor_value_info("e", 1, None)]
                ),
            )
        ],
        {"yes": np.array(True)},
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_those_of_onnxruntime(name, tmp_path):
    content = OPERATORS[name]
    shape = [d.dim_value for d in content.graph.input[0].type.tensor_type.shape.dim]
    if len(shape) != 4 or shape[1] not in {
        1,
        3,
        4,
    }:  # the reader takes photos alone: the shape is made of one
        content.graph.node.insert(0, helper.make_node("Reshape", ["photo", "to"], ["x"]))
        content.graph.initializer.append(numpy_helper.from_array(ints(*shape), "to"))
        shape = [shape[0], 1, 1, int(np.prod(shape[1:]))]
        content.graph.input[0].CopyFrom(helper.make_tensor_value_info("photo", TensorProto.FLOAT, shape))
    runtime = pytest.importorskip("onnxruntime")
    x = np.random.default_rng(1).normal(size=shape).astype(F32)
    session = runtime.InferenceSession(content.SerializeToString())
    wanted = session.run(None, {content.graph.input[0].name: x})[0]
    (tmp_path / "net.onnx").write_bytes(content.SerializeToString())
    module, _, _ = read_onnx(tmp_path / "net.onnx")
    found = module(torch.from_numpy(x)).detach().numpy()
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def export(module, path, example, *, opset=17, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            module, (example,), str(path), opset_version=opset, input_names=["x"], dynamo=False, **options
        )
    return path


@pytest.fixture
def example():
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("opset", [14, 16, 17, 18, 20])
@pytest.mark.parametrize("kind", ["tiny", "tiny_vit"])
def test_networks_are_those_of_onnxruntime_on_photos(request, tmp_path, kind, opset, real_photos):
    runtime = pytest.importorskip("onnxruntime")
    example = torch.zeros(1, 3, 32, 32)
    file = export(request.getfixturevalue(kind), tmp_path / "net.onnx", example, opset=opset)
    network = convert_graph(file, "imagenet", classes=["a", "b", "c", "d"])
    session = runtime.InferenceSession(str(file))
    for photo in real_photos:
        inputs = network.forward.inputs(network.look([photo]).pictures[0][None]).numpy()
        np.testing.assert_allclose(
            network.scores([photo]), session.run(None, {"x": inputs})[0], rtol=1e-4, atol=1e-5
        )


def test_heatmaps_are_those_of_the_original_module(tmp_path, tiny, example):
    module, _, _ = read_onnx(export(tiny, tmp_path / "net.onnx", example))
    for composite in ("epsilon-plus-flat", "epsilon-gamma-box", "epsilon-alpha2-beta1"):
        bounds = {"input_bounds": (-6.0, 6.0)}
        wanted = relevance(tiny, example, 1, composite=composite, **bounds).relevance
        found = relevance(module, example, 1, composite=composite, **bounds).relevance
        assert (found - wanted).abs().max() <= 1e-4 * wanted.abs().max()


@pytest.mark.parametrize("opset", [14, 17])
def test_a_transformer_is_put_together_again(tmp_path, tiny_vit, example, opset):
    """Layer norms and GELU are one step each, so that their rules meet them."""
    _, architecture, _ = read_onnx(export(tiny_vit, tmp_path / "net.onnx", example, opset=opset))
    kinds = [step["op"] for step in architecture["steps"]]
    assert (kinds.count("layer_norm"), kinds.count("gelu"), kinds.count("linear")) == (2, 1, 5)
    assert not {"erf", "sqrt", "mean"} & set(kinds)


def test_batches(tmp_path, tiny, tiny_vit, example):
    batch = torch.randn(5, 3, 32, 32)
    for module in (tiny, tiny_vit):
        for options in ({}, {"dynamic_axes": {"x": {0: "n"}}}):
            graph, architecture, _ = read_onnx(export(module, tmp_path / "net.onnx", example, **options))
            assert architecture["batched"]
            torch.testing.assert_close(graph(batch), module(batch), rtol=1e-4, atol=1e-5)


def test_an_open_size_must_be_stated(tmp_path, tiny, example):
    file = export(tiny, tmp_path / "net.onnx", example, dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}})
    with pytest.raises(ConfigError, match=r"leaves the size of its input open\. Allowed: --crop SIDE"):
        convert_graph(file, "imagenet")
    assert convert_graph(file, "imagenet", side=32).preprocess.input_size == (32, 32)


def test_the_model_folder_is_all_that_is_needed(tmp_path, tiny, example, real_photos):
    file = export(tiny, tmp_path / "net.onnx", example)
    network = convert_graph(file, "unit", mean=(0.1, 0.2, 0.3), interpolation="bicubic")
    network.save(tmp_path / "model")
    file.unlink()
    again = NetworkClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(again.scores(real_photos), network.scores(real_photos))
    assert again.preprocess == network.preprocess


def test_weights_in_a_file_beside_it(tmp_path, tiny, example):
    file = export(tiny, tmp_path / "net.onnx", example)
    onnx.save(
        onnx.load(file),
        tmp_path / "out.onnx",
        save_as_external_data=True,
        location="w.data",
        size_threshold=0,
    )
    module, _, _ = read_onnx(tmp_path / "out.onnx")
    torch.testing.assert_close(module(example), tiny(example), rtol=1e-4, atol=1e-5)


def test_half_precision_weights(tmp_path, example):
    content = one("Mul", floats(8).astype(np.float16).astype(F32))
    tensor = content.graph.initializer[0]
    value = numpy_helper.to_array(tensor).copy()
    tensor.CopyFrom(
        helper.make_tensor(
            "c0", TensorProto.FLOAT16, [8], value.astype(np.float16).view(np.uint16).tobytes(), raw=True
        )
    )
    (tmp_path / "net.onnx").write_bytes(content.SerializeToString())
    module, _, _ = read_onnx(tmp_path / "net.onnx")
    x = torch.randn(2, 3, 6, 8)
    torch.testing.assert_close(module(x), x * torch.from_numpy(value))


class TestRefused:
    def read(self, tmp_path, content):
        (tmp_path / "net.onnx").write_bytes(
            content if isinstance(content, bytes) else content.SerializeToString()
        )
        return read_onnx(tmp_path / "net.onnx")

    def test_unknown_operators_by_name(self, tmp_path):
        with pytest.raises(ModelError, match=r"operator Det \(y\) is not known.*Try: an export"):
            self.read(tmp_path, model([node("Det", "x")]))
        with pytest.raises(ModelError, match=r"QuantizeLinear .* is not known.*Try: the float model"):
            self.read(
                tmp_path,
                model(
                    [node("QuantizeLinear", "x", "s", outputs=["q"]), node("Identity", "q")],
                    {"s": np.array(0.1, F32)},
                ),
            )
        with pytest.raises(ModelError, match=r"operator FusedConv \(y\) of the domain 'com.microsoft'"):
            self.read(
                tmp_path,
                model(
                    [helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft")],
                    domain="com.microsoft",
                ),
            )

    def test_unknown_variants_say_what(self, tmp_path):
        with pytest.raises(ModelError, match=r"operator Resize \(y\): it has the variant cubic"):
            self.read(tmp_path, one("Resize", None, np.array([1, 1, 2, 2], F32), mode="cubic"))
        with pytest.raises(
            ModelError, match=r"operator Floor \(y\): its input depends on the values of the photo"
        ):
            self.read(tmp_path, one("Floor"))
        with pytest.raises(ModelError, match="training mode"):
            self.read(
                tmp_path, one("BatchNormalization", POSITIVE, POSITIVE, POSITIVE, POSITIVE, training_mode=1)
            )

    def test_opsets_and_inputs(self, tmp_path):
        with pytest.raises(ModelError, match=r"is of opset 9\. Allowed: opset 11 to 21"):
            self.read(tmp_path, model([node("Relu", "x")], opset=9))
        with pytest.raises(ModelError, match="channels last, as TensorFlow has it"):
            self.read(tmp_path, model([node("Relu", "x")], shape=(1, 32, 32, 3)))
        with pytest.raises(ModelError, match="is not a readable ONNX file"):
            self.read(tmp_path, b"\xff\xffnot onnx")

    @pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "link", "", "a/../../secret"])
    def test_external_data_stays_in_the_folder(self, tmp_path, location):
        inside = tmp_path / "inside"
        inside.mkdir()
        (tmp_path / "secret").write_bytes(b"\0" * 64)
        os.symlink(tmp_path / "secret", inside / "link")
        content = one("Mul", floats(8))
        tensor = content.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("length", "32")):
            tensor.external_data.add(key=key, value=value)
        with pytest.raises(ModelError, match="which is no file of the model's folder"):
            self.read(inside, content)

    def test_bombs(self, tmp_path):
        big = ints(2**20, 2**20)
        for content in (
            model([node("ConstantOfShape", "k", outputs=["c"]), node("Add", "x", "c")], {"k": big}),
            one("Tile", ints(2**20, 2**20, 1, 1)),
            one("Expand", ints(2**20, 2, 3, 6, 8)),
            one("Pad", ints(0, 0, 2**20, 2**20, 0, 0, 0, 0)),
            one("Resize", None, None, ints(2, 3, 2**20, 2**20), mode="linear"),
            model(
                [node("Range", "a", "b", "d", outputs=["r"]), node("Add", "x", "r")],
                {"a": np.array(0), "b": np.array(10**12), "d": np.array(1)},
            ),
        ):
            with pytest.raises(ModelError):
                self.read(tmp_path, content)

    def test_a_tensor_that_is_larger_than_its_numbers(self, tmp_path):
        content = one("Mul", floats(8))
        content.graph.initializer[0].dims[0] = 2**40
        with pytest.raises(ModelError, match="tensor 'c0' has type 1 and sizes"):
            self.read(tmp_path, content)


def test_a_head_is_replaced_for_training(tmp_path, tiny, example):
    from pfungst.network import replace_head

    file = export(nn.Sequential(tiny, nn.Softmax(1)), tmp_path / "net.onnx", example)
    with pytest.warns(UserWarning, match="the network ends in softmax, which is left out"):
        network = convert_graph(file, "imagenet")
    assert network.info["ends_in"] == "softmax"
    new = replace_head(network, ["left", "right"])
    new.save(tmp_path / "model")
    assert NetworkClassifier.load(tmp_path / "model").classes == ("left", "right")
    assert {step["op"] for step in new.architecture["steps"]} & {"softmax"} == set()
