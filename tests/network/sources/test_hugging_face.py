"""Hugging Face folders: pixels of the processors, scores of the models; nothing of a folder is run."""

import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

transformers = pytest.importorskip(
    "transformers", reason="the extra hf is not installed", exc_type=ImportError
)

from pfungst.errors import ModelError  # noqa: E402
from pfungst.network import initial_network  # noqa: E402
from pfungst.network.classifier import NetworkClassifier  # noqa: E402
from pfungst.network.opening import open_network  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers has many words


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def resnet(**more):
    return transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **more
    )


SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32}
CASES = {
    "resnet": lambda: (
        resnet(id2label={0: "crane", 1: "b", 2: "crane"}),
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 64}},
    ),
    "vit": lambda: (
        transformers.ViTConfig(
            **SMALL, intermediate_size=64, image_size=64, problem_type="multi_label_classification"
        ),
        "ViTImageProcessor",
        {"size": {"height": 64, "width": 64}},
    ),
    "swin": lambda: (
        transformers.SwinConfig(
            image_size=64, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4, num_labels=4
        ),
        "ViTImageProcessor",
        {"size": {"height": 64, "width": 64}},
    ),
    "dinov2": lambda: (
        transformers.Dinov2Config(**SMALL, image_size=56, patch_size=14, num_labels=3),
        "BitImageProcessor",
        {"size": {"shortest_edge": 64}, "crop_size": {"height": 56, "width": 56}},
    ),
    "convnext": lambda: (
        transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, num_labels=3),
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 384}},
    ),
}


def folder(path, case):
    config, processor, options = CASES[case]()
    torch.manual_seed(0)
    model = transformers.AutoModelForImageClassification.from_config(config).eval()
    model.save_pretrained(path)
    made = getattr(transformers, processor)(**options)
    made.save_pretrained(path)
    return model, made


@pytest.mark.parametrize("case", CASES)
def test_pixels_and_scores_on_photos(tmp_path, real_photos, case):
    network, processor = folder(tmp_path / "hf", case)
    model = open_network(tmp_path / "hf")
    step = 2.01 * model.preprocess.scale / min(model.preprocess.std)  # it rounds after each axis
    for photo in real_photos:
        wanted = processor(Image.fromarray(photo), return_tensors="pt")["pixel_values"]
        found = model.forward.inputs(model.look([photo]).pictures[0][None])
        assert (found - wanted).abs().max() <= step
        assert (found - wanted).abs().mean() <= 1e-3
        scores = network(found).logits.detach().numpy()
        np.testing.assert_allclose(model.scores([photo]), scores, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "model")
    again = NetworkClassifier.load(tmp_path / "model")
    np.testing.assert_allclose(again.scores(real_photos), model.scores(real_photos), rtol=1e-5, atol=1e-7)
    assert again.decision == ("thresholds" if case == "vit" else "highest")


def test_labels_are_those_of_the_config(tmp_path):
    folder(tmp_path / "hf", "resnet")
    assert open_network(tmp_path / "hf").classes == ("crane (output 0)", "b", "crane (output 2)")


def test_heatmaps_and_training(tmp_path, real_photos):
    folder(tmp_path / "hf", "resnet")
    model = open_network(tmp_path / "hf")
    explanation = model.explain(real_photos[0], "b")
    np.testing.assert_allclose(explanation.score, model.scores(real_photos[:1])[0, 1], rtol=1e-5)
    start = initial_network(tmp_path / "hf", ["left", "right"])
    start.save(tmp_path / "model")
    assert NetworkClassifier.load(tmp_path / "model").scores(real_photos[:1]).shape == (1, 2)


class TestHostile:
    @pytest.fixture
    def place(self, tmp_path):
        folder(tmp_path / "hf", "resnet")
        return tmp_path / "hf"

    def change(self, place, name="config.json", **entries):
        file = place / name
        file.write_text(json.dumps(json.loads(file.read_text()) | entries))

    def test_code_of_its_own_is_refused(self, place, evil):
        (place / "modeling_x.py").write_text(f"import pathlib; pathlib.Path({evil.mark!r}).touch()")
        for entries in (
            {"auto_map": {"AutoModelForImageClassification": "modeling_x.X"}},
            {"sub": {"auto_map": {"AutoModel": "modeling_x.X"}}},
            {"custom_pipelines": {"x": {"impl": "modeling_x.X"}}},
        ):
            text = (place / "config.json").read_text()
            self.change(place, **entries)
            with pytest.raises(ModelError, match="asks for code of its own"):
                open_network(place)
            (place / "config.json").write_text(text)
        self.change(place, "preprocessor_config.json", auto_map={"AutoImageProcessor": "modeling_x.X"})
        with pytest.raises(ModelError, match="is for the processor"):
            open_network(place)

    def test_pickles_are_not_read(self, place, evil):
        (place / "pytorch_model.bin").write_bytes(pickle.dumps(evil))
        open_network(place)
        (place / "model.safetensors").unlink()
        with pytest.raises(ModelError, match=r"has pytorch_model\.bin, a pickle, which is not read"):
            open_network(place)

    def test_an_index_stays_in_its_folder(self, place):
        (place / "model.safetensors").rename(place.parent / "elsewhere.safetensors")
        for name in ("../elsewhere.safetensors", "/etc/passwd", "a.bin"):
            (place / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
            with pytest.raises(ModelError, match=r"names no files of its folder|is not a safetensors file"):
                open_network(place)

    def test_nothing_is_fetched_and_nothing_is_giant(self, place):
        text = (place / "config.json").read_text()
        nine = {str(index): "x" for index in range(9)}
        for entries, what in (
            ({"model_type": "gpt2"}, "no image classifier"),
            ({"model_type": "nonsense"}, "no image classifier"),
            ({"quantization_config": {"quant_method": "bitsandbytes"}}, "has quantization_config"),
            ({"backbone": "someone/net"}, "has backbone"),
            ({"hidden_sizes": [8, 900000]}, "weights|refused"),
            ({"embedding_size": 10**9}, "has embedding_size 1000000000"),
            ({"num_hidden_layers": 10**5}, "num_hidden_layers"),
            ({"hidden_act": "os.system"}, "refused by transformers"),
            ({"depths": "x"}, "refused by transformers"),
            ({"id2label": {"0": "a", "2": "b"}}, "id2label"),
            ({"id2label": nine}, "weights"),
        ):
            (place / "config.json").write_text(json.dumps(json.loads(text) | entries))
            with pytest.raises(ModelError, match=what):
                open_network(place)

    def test_missing_weights_are_not_made_up(self, place):
        from safetensors.torch import load_file, save_file

        state = load_file(place / "model.safetensors")
        state.pop("classifier.1.weight")
        save_file(state, place / "model.safetensors")
        with pytest.raises(ModelError, match=r"1 weights are missing.*classifier\.1\.weight"):
            open_network(place)
