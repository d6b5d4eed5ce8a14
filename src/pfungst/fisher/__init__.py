"""Fisher-vector classifiers: encoding, training, and relevance from the score down to pixels."""

from pfungst.fisher.classifier import FisherClassifier, FisherPipeline
from pfungst.fisher.encoding import Encoding, encode, hellinger_kernel, improved
from pfungst.fisher.rules import Absolute, Epsilon, Naive, parse_rule
from pfungst.fisher.training import FisherTraining, TrainedFisher, train_fisher

__all__ = [
    "Absolute",
    "Encoding",
    "Epsilon",
    "FisherClassifier",
    "FisherPipeline",
    "FisherTraining",
    "Naive",
    "TrainedFisher",
    "encode",
    "hellinger_kernel",
    "improved",
    "parse_rule",
    "train_fisher",
]
