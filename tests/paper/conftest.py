"""A small VOC folder with two textures as classes, and a Caffe network of four layers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pfungst.network.caffe.schema import message_class

ANNOTATION = """<annotation><filename>{name}.png</filename><size><width>90</width><height>70</height></size>
{objects}</annotation>"""
OBJECT = """<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>11</xmin><ymin>11</ymin>
<xmax>70</xmax><ymax>60</ymax></bndbox></object>"""
PROTOTXT = """name: "tiny"
input: "data" input_dim: 1 input_dim: 3 input_dim: 64 input_dim: 64
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 5 stride: 4 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 4 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def photo(rng, names):
    """Grey noise; a horse is upright stripes, a dog level ones."""
    pixels = rng.integers(90, 160, (70, 90, 3))
    rows, columns = np.mgrid[0:70, 0:90]
    inside = (rows >= 10) & (rows < 60) & (columns >= 10) & (columns < 70)
    for name in names:
        wave = (columns if name == "horse" else rows) // 4 % 2
        pixels[inside] += (80 * wave[inside] - 40)[:, None]
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def voc(tmp_path_factory):
    """Twelve photos of each split: horse, dog or neither; one cat, in the training photos only."""
    root = tmp_path_factory.mktemp("devkit") / "VOC2007"
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        ids = [f"{split}{index:02d}" for index in range(12)]
        for index, image in enumerate(ids):
            names = [["horse"], ["dog"], []][index % 3] + (["cat"] if image == "train02" else [])
            Image.fromarray(photo(rng, names)).save(root / "JPEGImages" / f"{image}.png")
            objects = "".join(OBJECT.format(name=name) for name in names)
            text = ANNOTATION.format(name=image, objects=objects)
            (root / "Annotations" / f"{image}.xml").write_text(text)
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(ids) + "\n")
    return root.parent


@pytest.fixture(scope="session")
def caffe_files(tmp_path_factory):
    """``deploy.prototxt`` and ``weights.caffemodel``, random weights."""
    folder = tmp_path_factory.mktemp("caffe")
    prototxt, weights = folder / "deploy.prototxt", folder / "weights.caffemodel"
    prototxt.write_text(PROTOTXT)
    rng = np.random.default_rng(1)
    net = message_class("NetParameter")()
    for name, shapes in {"conv": [(6, 3, 5, 5), (6,)], "fc": [(4, 6), (4,)]}.items():
        layer = net.layer.add(name=name, type="Convolution" if name == "conv" else "InnerProduct")
        for shape in shapes:
            blob = layer.blobs.add()
            blob.shape.dim.extend(shape)
            blob.data.append(rng.normal(0, 0.05, shape).astype("<f4").tobytes())
    weights.write_bytes(net.SerializeToString())
    return prototxt, weights
