"""Fisher-vector classifiers: encoding, training, and relevance from the score down to pixels."""

from pfungst.fisher.classifier import FisherClassifier
from pfungst.fisher.encoding import Encoding, encode, hellinger_kernel, improved
from pfungst.fisher.pipeline import FisherPipeline
from pfungst.fisher.rules import Absolute, Epsilon, Naive, parse_rule, parse_rules, split_rules
from pfungst.fisher.settings import FisherTraining
from pfungst.fisher.training import TrainedFisher, train_fisher

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
    "parse_rules",
    "split_rules",
    "train_fisher",
]
