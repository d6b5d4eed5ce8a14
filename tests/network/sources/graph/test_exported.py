"""Exported programs of PyTorch: equal to the program, scores and heatmaps; hostile archives are refused."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from pfungst.errors import ModelError
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.graph_conversion import convert_graph
from pfungst.network.lrp import relevance
from pfungst.network.sources.graph.exported_file import read_exported


def export(module, path, example, **options):
    program = torch.export.export(module, (example,), **options)
    torch.export.save(program, path)
    return program.module()


@pytest.fixture
def example():
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(3))


def test_scores_are_those_of_the_program_on_photos(tmp_path, tiny, real_photos):
    program = export(tiny, tmp_path / "net.pt2", torch.zeros(1, 3, 32, 32))
    model = convert_graph(tmp_path / "net.pt2", "imagenet", classes=["a", "b", "c", "d"])
    assert (model.preprocess.resize_length, model.decision) == (37, "highest")
    for photo in real_photos:
        inputs = model.forward.inputs(model.look([photo]).pictures[0][None])
        wanted = program(inputs).detach().numpy()
        np.testing.assert_allclose(model.scores([photo]), wanted, rtol=1e-4, atol=1e-5)


def test_heatmaps_are_those_of_the_original_module(tmp_path, tiny, example):
    export(tiny, tmp_path / "net.pt2", example)
    module, _, _ = read_exported(tmp_path / "net.pt2")
    for composite in ("epsilon-plus-flat", "epsilon-alpha2-beta1"):
        wanted = relevance(tiny, example, 1, composite=composite).relevance
        found = relevance(module, example, 1, composite=composite).relevance
        assert (found - wanted).abs().max() <= 1e-4 * wanted.abs().max()


def test_other_batches_than_the_exported_one(tmp_path, tiny, tiny_vit):
    batch = torch.randn(5, 3, 32, 32)
    for number, module in enumerate((tiny, tiny_vit)):
        export(module, tmp_path / f"{number}.pt2", batch[:1])
        graph, architecture, _ = read_exported(tmp_path / f"{number}.pt2")
        assert architecture["batched"]
        torch.testing.assert_close(graph(batch), module(batch), rtol=1e-4, atol=1e-5)


def test_an_open_batch_and_one_of_two(tmp_path, tiny_vit):
    batch = torch.randn(5, 3, 32, 32)
    open_batch = {0: torch.export.Dim("n", min=1, max=64)}
    export(tiny_vit, tmp_path / "open.pt2", batch[:2], dynamic_shapes=(open_batch,))
    export(tiny_vit, tmp_path / "two.pt2", batch[:2])
    for name in ("open", "two"):
        graph, _, _ = read_exported(tmp_path / f"{name}.pt2")
        torch.testing.assert_close(graph(batch), tiny_vit(batch), rtol=1e-4, atol=1e-5)


def test_a_graph_that_knows_one_batch_alone_is_run_one_by_one(tmp_path):
    class Fixed(nn.Module):
        def forward(self, x):
            return torch.roll(x.mean((2, 3)).permute(1, 0).reshape(1, 3), 1, 1) * 2

    batch = torch.randn(3, 3, 8, 8)
    export(Fixed().eval(), tmp_path / "net.pt2", batch[:1])
    graph, architecture, _ = read_exported(tmp_path / "net.pt2")
    assert not architecture["batched"]
    wanted = torch.cat([Fixed()(photo[None]) for photo in batch])
    torch.testing.assert_close(graph(batch), wanted)


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # PyTorch's own
def test_decomposed_programs(tmp_path, tiny, tiny_vit, example):
    for number, module in enumerate((tiny, tiny_vit)):
        program = torch.export.export(module, (example,)).run_decompositions()
        torch.export.save(program, tmp_path / f"{number}.pt2")
        graph, _, _ = read_exported(tmp_path / f"{number}.pt2")
        torch.testing.assert_close(graph(example), module(example), rtol=1e-4, atol=1e-5)


class Parts(nn.Module):
    """Operators that the small networks do not have."""

    def forward(self, x):
        a, b, c = x.chunk(3, 1)
        y = torch.stack([a, b, c], 1).squeeze(2).flip(1)
        y = torch.roll(y, (1, 2), (2, 3)) - nn.functional.pad(x, (1, 1, 0, 2))[:, :, 2:, 1:-1]
        y = (
            torch.clamp(y, -0.5, 0.7)
            + nn.functional.leaky_relu(y, 0.1)
            + nn.functional.elu(y)
            + y.abs().sqrt()
        )
        y = nn.functional.interpolate(y, scale_factor=2, mode="bilinear") * 1.5
        y = nn.functional.avg_pool2d(nn.functional.pixel_unshuffle(y, 2), 3, 2, 1)
        y = nn.functional.group_norm(y, 4) / (1 + y.square().sum(1, keepdim=True))
        y = torch.where(torch.arange(y.shape[-1]) > 2, y, y.exp().clamp(max=3.0))
        y = y.unflatten(1, (3, 4)).amax(1) + torch.einsum("nchw,nkhw->nkhw", y, y)[:, :4]
        return torch.linalg.vector_norm(y, dim=(2, 3)) + y.flatten(2).var(-1) + y.mean((2, 3)).log_softmax(-1)


def test_many_operators(tmp_path, example):
    export(Parts().eval(), tmp_path / "net.pt2", example)
    graph, _, _ = read_exported(tmp_path / "net.pt2")
    torch.testing.assert_close(graph(example), Parts()(example), rtol=1e-4, atol=1e-4)


def test_a_model_folder_loads_without_the_file(tmp_path, tiny, real_photos):
    export(tiny, tmp_path / "net.pt2", torch.zeros(1, 3, 32, 32))
    model = convert_graph(tmp_path / "net.pt2", "half")
    model.save(tmp_path / "model")
    (tmp_path / "net.pt2").unlink()
    again = NetworkClassifier.load(tmp_path / "model")
    assert again.classes == ("output 0", "output 1", "output 2", "output 3")
    np.testing.assert_array_equal(again.scores(real_photos), model.scores(real_photos))


def test_a_sigmoid_at_the_end_means_several_labels(tmp_path, tiny):
    export(nn.Sequential(tiny, nn.Sigmoid()).eval(), tmp_path / "net.pt2", torch.zeros(1, 3, 32, 32))
    with pytest.warns(UserWarning, match="the network ends in sigmoid, which is left out"):
        model = convert_graph(tmp_path / "net.pt2", "unit")
    assert (model.decision, model.left_out) == ("thresholds", ("sigmoid",))


def test_unknown_operators_are_named(tmp_path, example):
    class Fourier(nn.Module):
        def forward(self, x):
            return torch.fft.rfft(x).real.mean((2, 3))

    export(Fourier().eval(), tmp_path / "net.pt2", example)
    with pytest.raises(
        ModelError, match=r"operator torch\.ops\.aten\.fft_rfft.*is not known.*run_decompositions"
    ):
        read_exported(tmp_path / "net.pt2")


def changed(source, target, edit):
    """The archive with entries changed by ``edit(name, content)``; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for item in old.infolist():
            content = edit(item.filename, old.read(item))
            if content is not None:
                new.writestr(item.filename, content)
    return target


@pytest.fixture
def exported(tmp_path, tiny, example):
    export(tiny, tmp_path / "net.pt2", example)
    return tmp_path / "net.pt2"


class TestHostile:
    def test_example_inputs_are_never_opened(self, tmp_path, exported, evil):
        poisoned = changed(
            exported,
            tmp_path / "evil.pt2",
            lambda name, c: pickle.dumps(evil) if "sample_inputs" in name else c,
        )
        read_exported(poisoned)

    def test_pickled_weights_are_refused(self, tmp_path, exported, evil):
        def edit(name, content):
            if name.endswith("model_weights_config.json"):
                config = json.loads(content)
                next(iter(config["config"].values()))["use_pickle"] = True
                return json.dumps(config)
            return pickle.dumps(evil) if name.endswith("weight_0") else content

        with pytest.raises(ModelError, match="would have to unpickle"):
            read_exported(changed(exported, tmp_path / "evil.pt2", edit))

    def test_custom_objects_are_refused(self, tmp_path, exported, evil):
        def edit(name, content):
            if name.endswith("model_constants_config.json"):
                entry = {
                    "path_name": "custom_obj_0",
                    "is_param": False,
                    "use_pickle": True,
                    "tensor_meta": None,
                }
                return json.dumps({"config": {"thing": entry}})
            return content

        with pytest.raises(ModelError, match="would have to unpickle 'thing'"):
            read_exported(changed(exported, tmp_path / "evil.pt2", edit))

    def test_symbolic_sizes_are_not_evaluated(self, tmp_path, exported, evil):
        text = f"__import__('pathlib').Path({evil.mark!r}).touch()"

        def edit(name, content):
            if not name.endswith("models/model.json"):
                return content
            program = json.loads(content)
            for meta in program["graph_module"]["graph"]["tensor_values"].values():
                meta["sizes"][:1] = (
                    [{"as_expr": {"expr_str": text, "hint": {"as_int": 1}}}] if meta["sizes"] else []
                )
            program["guards_code"] = [text]
            program["range_constraints"] = {text: {"min_val": 0, "max_val": 3}}
            return json.dumps(program)

        read_exported(changed(exported, tmp_path / "evil.pt2", edit))

    def test_torchscript_is_named(self, tmp_path, tiny):
        with pytest.warns((DeprecationWarning, FutureWarning), match="jit"):
            torch.jit.trace(tiny, torch.zeros(1, 3, 32, 32)).save(tmp_path / "net.pt2")
        with pytest.raises(ModelError, match=r"is TorchScript, which is a program.*torch\.export\.save"):
            read_exported(tmp_path / "net.pt2")

    def test_the_older_form_reads_weights_alone(self, tmp_path, exported, evil, tiny, example):
        state = io.BytesIO()
        torch.save(tiny.state_dict(), state)

        def old(name, content):
            return content if name.endswith("models/model.json") else None

        with zipfile.ZipFile(changed(exported, tmp_path / "part.pt2", old)) as archive:
            program = archive.read(archive.namelist()[0])
        for name, weights in (("old", state.getvalue()), ("evil", pickle.dumps(evil))):
            with zipfile.ZipFile(tmp_path / f"{name}.pt2", "w") as archive:
                archive.writestr("serialized_exported_program.json", program)
                archive.writestr("serialized_state_dict.pt", weights)
                archive.writestr("serialized_example_inputs.pt", pickle.dumps(evil))
        graph, _, _ = read_exported(tmp_path / "old.pt2")
        torch.testing.assert_close(graph(example), tiny(example), rtol=1e-4, atol=1e-5)
        with pytest.raises(ModelError, match="something else than tensors"):
            read_exported(tmp_path / "evil.pt2")

    def test_other_namespaces_are_not_called(self, tmp_path, exported):
        def edit(name, content):
            return (
                content.replace(b"torch.ops.aten.relu.default", b"os.system")
                if "model.json" in name
                else content
            )

        with pytest.raises(ModelError, match=r"operator os\.system .* is not known"):
            read_exported(changed(exported, tmp_path / "evil.pt2", edit))

    def test_damage(self, tmp_path, exported):
        (tmp_path / "cut.pt2").write_bytes(exported.read_bytes()[:-300])
        for name in ("cut", "none"):
            with pytest.raises(ModelError, match=r"is not a readable|holds no exported program"):
                read_exported(tmp_path / f"{name}.pt2")
        lost = changed(
            exported, tmp_path / "lost.pt2", lambda name, c: None if name.endswith("weight_1") else c
        )
        with pytest.raises(ModelError, match="lacks data/weights/weight_1"):
            read_exported(lost)
