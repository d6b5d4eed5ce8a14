"""Any model that a command takes: a model folder of whatever kind, or a network that a source knows.

Libraries of other kinds stay unloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pfungst.contract.classifier import Classifier
from pfungst.contract.storage import file_sha256, is_model_folder, model_identity, read_description
from pfungst.errors import ConfigError, ModelError

_LOADERS = {
    "fisher": ("pfungst.fisher.classifier", "FisherClassifier"),
    "network": ("pfungst.network.classifier", "NetworkClassifier"),
}


def load(
    path: str | Path, *, weights: str | Path | None = None, labels: str | Path | None = None
) -> Classifier:
    """Load a model folder, or open a network of torchvision, timm or Hugging Face.

    Parameters
    ----------
    path : str or path
        A folder that ``pfungst train`` or ``pfungst convert`` wrote, ``torchvision:NAME``, ``timm:NAME``,
        or a Hugging Face folder.
    weights : path, optional
        The weights of a network that is known by name.
    labels : path, optional
        Names of its outputs, one a line, where the source does not know them.

    Raises
    ------
    ModelError
        If the folder is missing, damaged, newer than this library or of an unknown kind.
    ConfigError
        If weights or labels are given for a model that has its own.
    """
    return ModelReference(spec=str(path), weights=_path(weights), labels=_path(labels)).load()


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


@dataclass(frozen=True, kw_only=True)
class ModelReference:
    """What stands where a command takes a model.

    Attributes
    ----------
    spec : str
        A folder or a name, as for :func:`load`.
    weights, labels : Path or None
        Files that go with a name.
    """

    spec: str
    weights: Path | None = None
    labels: Path | None = None

    def load(self) -> Classifier:
        """The model; see :func:`load`."""
        source = None if is_model_folder(self.spec) else _source(self.spec)
        if source is not None:
            opened: Classifier = import_module("pfungst.network.opening").open_network(
                self.spec, weights=self.weights, classes=self.labels
            )
            return opened
        kind = read_description(self.spec)["kind"]
        if kind not in _LOADERS:
            raise ModelError(self.spec, f"is a model of unknown kind {kind!r}", allowed=", ".join(_LOADERS))
        if self.weights is not None or self.labels is not None:
            raise ConfigError(
                f"--weights or --labels for {self.spec}, a model folder with its own", hint="neither of them"
            )
        module, name = _LOADERS[kind]
        classifier: Classifier = getattr(import_module(module), name).load(Path(self.spec))
        return classifier

    def identity(self, classifier: Any = None) -> dict[str, Any]:
        """What tells this model from another: the SHA-256 of its files, its name, its views.

        Raises
        ------
        ModelError
            If a file is missing.
        """
        source = None if is_model_folder(self.spec) else _source(self.spec)
        if source is None:
            return model_identity(self.spec, classifier)
        own = source.files(self.spec)
        files = [*own, *(file for file in (self.weights, self.labels) if file is not None)]
        identity: dict[str, Any] = {
            "kind": "network",
            "network": source.name if own else self.spec,
            "files_sha256": [_digest(file) for file in files],
        }
        return identity if classifier is None else identity | {"views": getattr(classifier, "views", None)}

    def identify(self, _spec: str | Path = "") -> dict[str, Any]:
        """The identity of the files as they are now, for those who look twice."""
        return self.identity()


def _source(spec: str) -> Any:
    """The source that knows this network, if one does; networks load only for what looks like one."""
    if ":" not in spec and not Path(spec).exists():
        return None
    return import_module("pfungst.network.sources").find_source(spec)


def _digest(file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError as error:
        raise ModelError(file, f"cannot be read ({error.strerror})") from error


def references(
    models: Sequence[str | Path], weights: Sequence[Path] = (), labels: Path | None = None
) -> list[ModelReference]:
    """Models of a command, each with its weights: those that are known by name take them in their order.

    Raises
    ------
    ConfigError
        If there are not as many files of weights as names.
    """
    sources = {str(model): None if is_model_folder(model) else _source(str(model)) for model in models}
    named = [spec for spec, source in sources.items() if source is not None and not source.files(spec)]
    if len(weights) not in {0, len(named)} or (weights and not named):
        raise ConfigError(
            f"{len(weights)} times --weights for {len(named)} networks known by name",
            allowed="one for each torchvision:NAME and timm:NAME, in their order",
        )
    files = dict(zip(named, weights, strict=False))
    return [
        ModelReference(
            spec=str(model),
            weights=files.get(str(model)),
            labels=labels if sources[str(model)] is not None else None,
        )
        for model in models
    ]
