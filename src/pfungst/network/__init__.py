"""Networks: any PyTorch module as a classifier, Caffe files, multi-label retraining, LRP."""

from pfungst.network import caffe as _caffe  # registers the architecture of converted nets
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.preprocess import Preprocess
from pfungst.network.training import (
    NetworkTraining,
    TrainedNetwork,
    initial_network,
    pretrained_network,
    replace_head,
    train_network,
)

del _caffe

__all__ = [
    "NetworkClassifier",
    "NetworkTraining",
    "Preprocess",
    "TrainedNetwork",
    "initial_network",
    "pretrained_network",
    "replace_head",
    "train_network",
]
