"""Every block of the guides runs as written, in order, in an empty folder with a few generated photos."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pfungst
from pfungst.audits.schema import Audit
from pfungst.images import open_dataset

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
pytestmark = pytest.mark.skipif(not GUIDES.is_dir(), reason="the guides are not beside the tests")
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

PROTOTXT = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 96 dim: 96 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 5 stride: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 2 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

MY_NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 5, stride=2), nn.Conv2d(6, 6, 3, padding=1)
        self.last = nn.Linear(6, 2)

    def forward(self, x):
        x = self.first(x).relu()
        x = x + self.second(x).relu()
        return self.last(x.mean((2, 3)))
"""


def write_photos(folder):
    """Warm stripes are cats, cold spots are dogs; 20 photos of each."""
    rng = np.random.default_rng(0)
    for name, warm in (("cat", 1), ("dog", 0)):
        (folder / name).mkdir(parents=True)
        for index in range(20):
            height, width = 72, int(rng.integers(90, 110))
            rows, columns = np.mgrid[:height, :width] / rng.uniform(4, 7)
            pattern = np.sin(rows + columns) if warm else np.sin(rows) * np.sin(columns)
            light = Image.fromarray(rng.integers(0, 90, (4, 5), dtype=np.uint8)).resize((width, height))
            photo = 60 + 50 * pattern[..., None] * ([1, 0.6, 0.2] if warm else [0.2, 0.6, 1])
            photo = photo + np.asarray(light)[..., None]  # no two photos look the same
            photo = np.clip(photo + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(photo).save(folder / name / f"photo{index:02d}.jpg", quality=90)


def write_caffe(folder):
    from pfungst.network.caffe.schema import message_class

    rng = np.random.default_rng(1)
    (folder / "deploy.prototxt").write_text(PROTOTXT)
    (folder / "classes.txt").write_text("cat\ndog\n")
    net = message_class("NetParameter")()
    for name, kind, shapes in (
        ("conv", "Convolution", [(6, 3, 5, 5), (6,)]),
        ("fc", "InnerProduct", [(2, 6), (2,)]),
    ):
        layer = net.layer.add(name=name, type=kind)
        for shape in shapes:
            blob = layer.blobs.add()
            blob.shape.dim.extend(shape)
            blob.data.append(rng.normal(0, 0.1, shape).astype("<f4").tobytes())
    (folder / "weights.caffemodel").write_bytes(net.SerializeToString())


def write_torch(folder):
    import torch

    (folder / "my_net.py").write_text(MY_NET)
    names = {}
    exec(MY_NET, names)
    torch.manual_seed(0)
    torch.save(names["Net"]().state_dict(), folder / "weights.pt")
    (folder / "classes.txt").write_text("cat\ndog\n")


def write_sources(folder):
    """Random weights in each form that the installed libraries can write."""
    import torch
    from safetensors.torch import save_file

    (folder / "classes.txt").write_text("cat\ndog\n")
    torch.manual_seed(0)
    if has("timm"):
        import timm
        import torchvision

        save_file(timm.create_model("resnet18", num_classes=2).state_dict(), folder / "timm.safetensors")
        torch.save(torchvision.models.resnet18(num_classes=2).state_dict(), folder / "torchvision.pth")
    if has("hf"):
        import transformers

        config = transformers.ResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 16],
            depths=[1, 1],
            layer_type="basic",
            id2label={0: "cat", 1: "dog"},
        )
        transformers.AutoModelForImageClassification.from_config(config).save_pretrained(
            folder / "hugging-face"
        )
        transformers.ConvNextImageProcessor(size={"shortest_edge": 64}).save_pretrained(
            folder / "hugging-face"
        )
    if has("onnx"):
        names = {}
        exec(MY_NET, names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own
            torch.onnx.export(
                names["Net"]().eval(),
                (torch.zeros(1, 3, 64, 64),),
                str(folder / "net.onnx"),
                dynamo=False,
                opset_version=17,
            )


def has(extra):
    """Whether the packages of an extra can be imported."""
    package = {"timm": "timm", "torchvision": "torchvision", "hf": "transformers", "onnx": "onnx"}[extra]
    try:
        import_module(package)
    except (ImportError, RuntimeError):
        return False
    return True


PREPARATIONS = {"caffe.md": write_caffe, "pytorch.md": write_torch}


def environment():
    """This Python and this Pfungst first, one thread of linear algebra."""
    source = str(Path(pfungst.__file__).parents[1])
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
    }


def test_there_are_guides():
    assert {page.name for page in GUIDES.glob("*.md")} == {
        "folder.md",
        "caffe.md",
        "pytorch.md",
        "own.md",
        "sources.md",
    }


def run_block(code, folder):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("extra", ["timm", "torchvision", "hf", "onnx"])
def test_the_guide_to_networks_at_hand_runs_as_written(extra, tmp_path):
    if not has(extra):
        pytest.skip(f"the extra {'timm' if extra == 'torchvision' else extra} is not installed")
    write_photos(tmp_path / "photos")
    write_sources(tmp_path)
    blocks = BLOCK.findall((GUIDES / "sources.md").read_text(encoding="utf-8"))
    chosen = [code for language, name, code in blocks if name == extra]
    assert chosen
    for code in chosen:
        run_block(code, tmp_path)


@pytest.mark.parametrize("page", ["folder.md", "caffe.md", "pytorch.md", "own.md"])
def test_the_guide_runs_as_written(page, tmp_path):
    write_photos(tmp_path / "photos")
    PREPARATIONS.get(page, lambda folder: None)(tmp_path)
    blocks = BLOCK.findall((GUIDES / page).read_text(encoding="utf-8"))
    assert blocks
    for language, name, code in blocks:
        if language == "python":
            assert re.fullmatch(r"\w+\.py", name), "a Python block says which file it is"
            (tmp_path / name).write_text(code, encoding="utf-8")
            continue
        assert language == "sh"
        run_block(code, tmp_path)
    assert (tmp_path / "audit" / "report.html").is_file()
    audit = Audit.load(tmp_path / "audit")
    assert audit.classes == ("cat", "dog")
    dealt = open_dataset(tmp_path / "photos").with_random_splits(random_state=0)
    assert audit.n_photos == len(dealt.split("test")) > 3


def test_the_tutorial_runs_as_written(tmp_path):
    blocks = BLOCK.findall((GUIDES.parent / "tutorial.md").read_text(encoding="utf-8"))
    assert {language for language, _, _ in blocks} == {"sh"}
    for _, _, code in blocks:
        run_block(code, tmp_path)
    assert list((tmp_path / "heatmaps").glob("*.png"))
    assert "coin" in Audit.load(tmp_path / "audit").classes
