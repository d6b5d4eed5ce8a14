"""Load any model folder, whatever its kind; libraries of other kinds stay unloaded."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from pfungst.contract.classifier import Classifier
from pfungst.contract.storage import read_description
from pfungst.errors import ModelError

_LOADERS = {
    "fisher": ("pfungst.fisher.classifier", "FisherClassifier"),
    "network": ("pfungst.network.classifier", "NetworkClassifier"),
}


def load(path: str | Path) -> Classifier:
    """Load a model that ``pfungst train`` or ``pfungst convert`` wrote.

    Raises
    ------
    ModelError
        If the folder is missing, damaged, newer than this library or of an unknown kind.
    """
    kind = read_description(path)["kind"]
    if kind not in _LOADERS:
        raise ModelError(path, f"is a model of unknown kind {kind!r}", allowed=", ".join(_LOADERS))
    module, name = _LOADERS[kind]
    classifier: Classifier = getattr(import_module(module), name).load(path)
    return classifier
