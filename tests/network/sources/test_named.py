"""torchvision and timm by name: pixels and scores are those of the libraries' own transforms and modules."""

import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pfungst.errors import ConfigError, ModelError
from pfungst.network import initial_network
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.opening import open_network
from pfungst.network.sources import Opened, find_source, register, registry, sources

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning"
)  # of the libraries


@pytest.fixture(scope="module")
def vision():
    return pytest.importorskip(
        "torchvision", reason="the extra timm is not installed", exc_type=(ImportError, RuntimeError)
    )


@pytest.fixture(scope="module")
def timm():
    return pytest.importorskip(
        "timm", reason="the extra timm is not installed", exc_type=(ImportError, RuntimeError)
    )


def pixels(model, photo):
    return model.forward.inputs(model.look([photo]).pictures[0][None])


class TestTorchvision:
    @pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "googlenet"])
    def test_pixels_and_scores_on_photos(self, vision, tmp_path, real_photos, name):
        torch.manual_seed(0)
        options = (
            {"init_weights": False, "aux_logits": True, "transform_input": True}
            if name == "googlenet"
            else {}
        )
        module = vision.models.get_model(name, weights=None, **options).eval()
        torch.save(module.state_dict(), tmp_path / "w.pth")
        transforms = vision.models.get_model_weights(name).DEFAULT.transforms()
        model = open_network(f"torchvision:{name}", weights=tmp_path / "w.pth")
        assert (model.classes[0], len(model.classes), model.decision) == ("tench", 1000, "highest")
        for photo in real_photos:
            wanted = transforms(Image.fromarray(photo))[None]
            torch.testing.assert_close(pixels(model, photo), wanted, rtol=0, atol=1e-5)
            scores = module(wanted).detach().numpy()
            np.testing.assert_allclose(
                model.scores([photo]), scores, rtol=1e-4, atol=1e-4 * abs(scores).max()
            )

    def test_other_outputs_and_the_folder(self, vision, tmp_path, real_photos):
        module = vision.models.resnet18(num_classes=3)
        save_file(module.state_dict(), tmp_path / "w.safetensors")
        model = open_network(
            "torchvision:resnet18", weights=tmp_path / "w.safetensors", classes=["a", "b", "c"]
        )
        model.save(tmp_path / "model")
        (tmp_path / "w.safetensors").unlink()
        again = NetworkClassifier.load(tmp_path / "model")
        np.testing.assert_array_equal(again.scores(real_photos[:1]), model.scores(real_photos[:1]))
        assert (again.classes, again.decision) == (("a", "b", "c"), "highest")

    def test_which_preprocessing_must_be_clear(self, vision, tmp_path):
        torch.save(vision.models.resnet50(num_classes=2).state_dict(), tmp_path / "mine.pth")
        with pytest.raises(
            ConfigError, match="torchvision:resnet50:IMAGENET1K_V1; torchvision:resnet50:IMAGENET1K_V2"
        ):
            open_network("torchvision:resnet50", weights=tmp_path / "mine.pth")
        lengths = [
            open_network(
                f"torchvision:resnet50:IMAGENET1K_V{n}", weights=tmp_path / "mine.pth"
            ).preprocess.resize_length
            for n in (1, 2)
        ]
        assert lengths == [256, 232]

    def test_errors(self, vision, tmp_path):
        with pytest.raises(ConfigError, match="unknown torchvision network 'resnet17'"):
            open_network("torchvision:resnet17", weights=tmp_path / "w.pth")
        with pytest.raises(
            ConfigError, match=r"without weights. Allowed: --weights FILE.*download.pytorch.org"
        ):
            open_network("torchvision:resnet18")
        torch.save(vision.models.resnet18(num_classes=2).state_dict(), tmp_path / "w.pth")
        with pytest.raises(ModelError, match="weights do not fit the network: it lacks"):
            open_network("torchvision:resnet34", weights=tmp_path / "w.pth")
        with pytest.raises(ModelError, match=r"it begins with conv1\.weight"):
            open_network("torchvision:alexnet", weights=tmp_path / "w.pth")
        with pytest.raises(
            ConfigError, match=r"3 class names for torchvision:resnet18. Allowed: as many as its outputs, 2"
        ):
            open_network("torchvision:resnet18", weights=tmp_path / "w.pth", classes=["a", "b", "c"])


class TestTimm:
    @pytest.mark.parametrize(
        "name", ["resnet18", "resnet18.gluon_in1k", "mobilenetv3_small_050", "vit_tiny_patch16_224"]
    )
    def test_pixels_and_scores_on_photos(self, timm, tmp_path, real_photos, name):
        from timm.data import create_transform, resolve_data_config

        module = timm.create_model(name).eval()
        save_file(module.state_dict(), tmp_path / "w.safetensors")
        model = open_network(f"timm:{name}", weights=tmp_path / "w.safetensors")
        transform = create_transform(**resolve_data_config({}, model=module))
        assert len(model.classes) == 1000
        assert {"tench", "crane (n02012849)"} <= set(model.classes)
        for photo in real_photos:
            wanted = transform(Image.fromarray(photo))[None]
            torch.testing.assert_close(pixels(model, photo), wanted, rtol=0, atol=1e-5)
            scores = module(wanted).detach().numpy()
            np.testing.assert_allclose(
                model.scores([photo]), scores, rtol=1e-4, atol=1e-4 * abs(scores).max()
            )

    @pytest.mark.parametrize(("channels", "order"), [(1, "gray"), (4, "RGBA")])
    def test_channels_are_those_of_the_weights(self, timm, tmp_path, real_photos, channels, order):
        module = timm.create_model("resnet18", in_chans=channels, num_classes=2).eval()
        save_file(module.state_dict(), tmp_path / "w.safetensors")
        model = open_network("timm:resnet18", weights=tmp_path / "w.safetensors", classes=["a", "b"])
        assert model.preprocess.channels == order
        explanation = model.explain(real_photos[0], "a")
        assert explanation.relevance.shape == real_photos[0].shape[:2]
        assert explanation.layers["input"].shape[0] == channels
        np.testing.assert_allclose(explanation.relevance.sum(), explanation.ledger.pixels, rtol=1e-6)
        model.save(tmp_path / "model")
        again = NetworkClassifier.load(tmp_path / "model")
        np.testing.assert_array_equal(again.scores(real_photos[:1]), model.scores(real_photos[:1]))

    def test_a_folder_of_its_own_form(self, timm, tmp_path, real_photos):
        module = timm.create_model("resnet18", num_classes=2).eval()
        save_file(module.state_dict(), tmp_path / "model.safetensors")
        cfg = {
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "input_size": [3, 64, 64],
            "crop_pct": 1.0,
            "interpolation": "bilinear",
        }
        config = {
            "architecture": "resnet18",
            "num_classes": 2,
            "pretrained_cfg": cfg,
            "label_names": ["cat", "dog"],
        }
        (tmp_path / "config.json").write_text(json.dumps(config))
        model = open_network(tmp_path)
        assert (model.classes, model.preprocess.mean, model.preprocess.input_size) == (
            ("cat", "dog"),
            (0.5,) * 3,
            (64, 64),
        )
        (tmp_path / "config.json").write_text(json.dumps(config | {"model_args": {"act_layer": "os.system"}}))
        with pytest.raises(ConfigError, match=r"model_args \(act_layer\)"):
            open_network(tmp_path)

    @pytest.mark.parametrize("name", ["hf-hub:someone/net", "local-dir:/tmp", "resnet17", "a/b"])
    def test_names_are_names_alone(self, timm, tmp_path, name):
        with pytest.raises(ConfigError, match="unknown timm network"):
            open_network(f"timm:{name}", weights=tmp_path / "w.pth")

    def test_training_starts_from_it(self, timm, tmp_path):
        module = timm.create_model("resnet18", num_classes=5)
        torch.save(
            {"state_dict": {f"module.{k}": v for k, v in module.state_dict().items()}, "epoch": 3},
            tmp_path / "c.pth",
        )
        start = initial_network("timm:resnet18", ["a", "b"], weights=tmp_path / "c.pth")
        assert start.architecture["arguments"]["num_classes"] == 2
        torch.testing.assert_close(start.module.conv1.weight, module.conv1.weight)
        one, two, other = (
            initial_network(
                "timm:resnet18", ["a", "b"], weights="random", random_state=seed
            ).module.conv1.weight
            for seed in (1, 1, 2)
        )
        assert torch.equal(one, two)
        assert not torch.equal(one, other)

    def test_a_hostile_description_is_not_built(self, timm, tmp_path, real_photos):
        module = timm.create_model("resnet18", num_classes=2)
        save_file(module.state_dict(), tmp_path / "w.safetensors")
        open_network("timm:resnet18", weights=tmp_path / "w.safetensors").save(tmp_path / "model")
        text = (tmp_path / "model" / "model.json").read_text()
        for old, new, what in (
            ('"num_classes": 2', '"num_classes": 90000', "the description is of"),
            ('"num_classes": 2', '"num_classes": 2, "act_layer": 3', "timm arguments act_layer"),
            ('"name": "resnet18"', '"name": "hf-hub:x/y"', "unknown timm network"),
        ):
            (tmp_path / "model" / "model.json").write_text(text.replace(old, new))
            with pytest.raises(ModelError, match=what):
                NetworkClassifier.load(tmp_path / "model")


class TestWeightFiles:
    def test_a_pickle_is_not_executed(self, vision, tmp_path, evil):
        for name, content in (
            ("a.pth", evil),
            ("b.pth", {"conv1.weight": evil}),
            ("c.pth", {"state_dict": {"w": evil}}),
        ):
            (tmp_path / name).write_bytes(pickle.dumps(content))
            with pytest.raises(ModelError, match="is not a readable weight file"):
                open_network("torchvision:resnet18", weights=tmp_path / name)
            torch.save(content, tmp_path / name)
            with pytest.raises(ModelError, match="is not a readable weight file"):
                open_network("torchvision:resnet18", weights=tmp_path / name)

    def test_two_sets_of_weights(self, vision, tmp_path):
        state = {"w": torch.zeros(1)}
        torch.save({"state_dict": state, "state_dict_ema": state}, tmp_path / "w.pth")
        with pytest.raises(ModelError, match=r"several sets of weights \(state_dict, state_dict_ema\)"):
            open_network("torchvision:resnet18", weights=tmp_path / "w.pth")


def test_what_is_no_network_is_said(tmp_path):
    with pytest.raises(
        ConfigError, match=r"is no network that can be opened. Allowed: a model folder, .*timm:NAME"
    ):
        open_network("keras:vgg")
    for name, hint in (
        ("net.onnx", r"pfungst convert .*net\.onnx --input imagenet"),
        ("net.pth", "neither says which network"),
    ):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(ConfigError, match=hint):
            open_network(tmp_path / name)


def test_a_source_of_ones_own(monkeypatch, tiny, real_photos):
    from pfungst.network.preprocess import Preprocess

    class Mine:
        name, form = "mine", "mine:NAME"

        def recognise(self, spec):
            return spec.startswith("mine:")

        def files(self, spec):
            return []

        def load(self, request):
            return Opened(
                module=tiny,
                architecture={"type": "mine"},
                preprocess=Preprocess(input_size=(32, 32)),
                outputs=4,
            )

    monkeypatch.setattr(registry, "_SOURCES", dict(registry._SOURCES))
    assert find_source("mine:net") is None
    register(Mine())
    assert [source.name for source in sources()][-1] == "mine"
    assert open_network("mine:net").scores(real_photos).shape == (len(real_photos), 4)
