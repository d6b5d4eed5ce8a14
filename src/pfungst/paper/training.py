"""The two models of the experiment: Fisher vectors, and a network retrained for several labels a photo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pfungst.contract.classifier import Classifier
from pfungst.contract.storage import file_sha256
from pfungst.errors import ModelError
from pfungst.fisher import train_fisher
from pfungst.models import load
from pfungst.paper.config import FISHER, NETWORK, STAND_IN, plain_training
from pfungst.paper.stages import run_stage
from pfungst.runs.identity import data_identity
from pfungst.writing import remove_folder

if TYPE_CHECKING:
    from pfungst.network import NetworkClassifier
    from pfungst.paper.study import Study

MODEL_FOLDER, UNFINISHED = "model", "training"


def train_models(study: Study) -> dict[str, dict[str, Any]]:
    """Train both, or find them trained; the stages' records by model.

    Raises
    ------
    ModelError
        If a file of CaffeNet is missing, before any long work.
    """
    for file in study.config.caffenet or ():
        if not Path(file).is_file():
            raise ModelError(file, "no such file", hint="--caffenet DEPLOY.prototxt WEIGHTS.caffemodel")
    return {FISHER: _train_fisher(study), NETWORK: _train_network(study)}


def model_folder(study: Study, model: str) -> Path:
    """Where a model of the experiment is."""
    return study.out / model / MODEL_FOLDER


def trained_model(study: Study, model: str) -> Classifier:
    """A trained model, read from its folder."""
    return load(model_folder(study, model))


def _train_fisher(study: Study) -> dict[str, Any]:
    photos, settings = study.photos, study.config.fisher_training()

    def work() -> dict[str, Any]:
        unfinished = study.out / FISHER / UNFINISHED
        told = study.told("Fisher vectors")
        trained = train_fisher(
            photos.train,
            photos.val,
            settings,
            out=unfinished,
            workers=study.workers,
            progress=told,
        )
        trained.classifier.save(model_folder(study, FISHER))
        remove_folder(unfinished)
        return {
            "c": trained.c,
            "validation_map": {f"{c:g}": value for c, value in trained.validation.items()},
            "failures": [str(failure) for failure in trained.failures],
        }

    configuration = {
        "photos": [data_identity(photos.train), data_identity(photos.val)],
        "training": plain_training(settings),
    }
    return run_stage(study.out / FISHER, configuration, work, workers=study.workers)


def _train_network(study: Study) -> dict[str, Any]:
    photos, config = study.photos, study.config
    settings = config.network_training()
    folder = study.out / NETWORK

    def work() -> dict[str, Any]:
        from pfungst.network import initial_network, train_network

        start = initial_network(_beginning(study), photos.classes, random_state=config.random_state)
        unfinished = folder / UNFINISHED
        trained = train_network(
            start,
            photos.train,
            photos.val,
            settings,
            out=unfinished,
            workers=study.workers,
            progress=study.told(config.network_name),
        )
        trained.classifier.save(model_folder(study, NETWORK))
        remove_folder(unfinished)
        return {
            "network": config.network_name,
            "best_epoch": trained.best_epoch + 1,
            "history": [{"loss": epoch.loss, "validation_map": epoch.mean_ap} for epoch in trained.history],
            "undefined_thresholds": list(trained.undefined_thresholds),
            "failures": [str(error) for error in trained.failures],
        }

    configuration = {
        "photos": [data_identity(photos.train), data_identity(photos.val)],
        "start": [file_sha256(file) for file in config.caffenet] if config.caffenet else STAND_IN,
        "training": plain_training(settings),
    }
    return run_stage(folder, configuration, work, workers=study.workers)


def _beginning(study: Study) -> NetworkClassifier | str:
    if study.config.caffenet is None:
        return STAND_IN
    from pfungst.network.caffe_conversion import convert

    prototxt, weights = study.config.caffenet
    return convert(prototxt, weights, progress=study.told(study.config.network_name))
