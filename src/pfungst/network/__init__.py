"""Networks: any PyTorch module as a classifier, Caffe files, multi-label retraining, LRP."""

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
