"""What the rooms agree on: classifiers, explanations, model folders, ranking measures, heatmap colours."""

from pfungst.contract.classifier import Classifier
from pfungst.contract.explanation import Explanation, Ledger

__all__ = ["Classifier", "Explanation", "Ledger"]
