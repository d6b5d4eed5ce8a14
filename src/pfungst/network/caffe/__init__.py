"""Caffe networks: prototxt and caffemodel files to PyTorch modules, without a Caffe installation."""

from pfungst.network.caffe.architecture import described_with_outputs
from pfungst.network.caffe.build import build, describe, prune
from pfungst.network.caffe.net import CaffeNet, activations, blobs
from pfungst.network.caffe.prototxt import LayerSpec, NetSpec, read_prototxt
from pfungst.network.caffe.weights import read_binaryproto, read_caffemodel

__all__ = [
    "CaffeNet",
    "LayerSpec",
    "NetSpec",
    "activations",
    "blobs",
    "build",
    "describe",
    "described_with_outputs",
    "prune",
    "read_binaryproto",
    "read_caffemodel",
    "read_prototxt",
]
