"""Multi-label retraining of networks."""

from pfungst.network.training.initial import initial_network, pretrained_network, replace_head
from pfungst.network.training.train import NetworkTraining, TrainedNetwork, train_network

__all__ = [
    "NetworkTraining",
    "TrainedNetwork",
    "initial_network",
    "pretrained_network",
    "replace_head",
    "train_network",
]
