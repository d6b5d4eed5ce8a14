"""Average precision of both models, and Figure 1: descriptors for the one, regions for the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pfungst.contract.plain import to_plain
from pfungst.contract.storage import model_identity
from pfungst.evaluation.config import QualityConfig, default_methods, default_rules
from pfungst.evaluation.quality import has_boxes, measure_quality
from pfungst.evaluation.rows import Quality
from pfungst.evaluation.scoring import Evaluation, evaluate
from pfungst.paper.config import FISHER, NETWORK
from pfungst.paper.stages import run_stage
from pfungst.paper.study import Study
from pfungst.paper.training import model_folder, trained_model
from pfungst.runs.identity import data_identity

SCORES, QUALITY = "scores", "quality"
SLIDING = "network, sliding"
"""The network's scores as the mean over sliding windows, beside those of the centre crop."""

_KINDS = {FISHER: FISHER, NETWORK: NETWORK, SLIDING: NETWORK}
_RULES = ("epsilon-plus-flat", "cvpr2016")


def measure_precision(study: Study) -> dict[str, Any]:
    """Average precision on the test photos: both models, and the network over sliding windows."""

    def work() -> dict[str, Evaluation]:
        network = trained_model(study, NETWORK)
        models = {
            FISHER: trained_model(study, FISHER),
            NETWORK: network,
            SLIDING: network.with_views("sliding"),  # type: ignore[attr-defined]  # every network has it
        }
        return {name: _precision(study, name, model) for name, model in models.items()}

    return run_stage(study.out / SCORES, on_test(study), work, workers=study.workers)


def _precision(study: Study, name: str, model: Any) -> Evaluation:
    folder = study.out / SCORES / name.replace(", ", "-")
    return evaluate(
        model,
        study.photos.test,
        identity=model_identity(model_folder(study, _KINDS[name]), model),
        out=folder,
        workers=study.workers,
        progress=study.told(name),
    )


def measure_heatmaps(study: Study) -> dict[str, dict[str, Any]]:
    """The quality of both models' heatmaps; the stages' records by model."""
    config = study.config
    return {
        FISHER: _quality(study, FISHER, {"replacement": config.replacement}, None),
        NETWORK: _quality(study, NETWORK, {"regions": config.regions}, config.region_photos),
    }


def _quality(study: Study, model: str, settings: Mapping[str, Any], max_images: int | None) -> dict[str, Any]:
    classifier = trained_model(study, model)
    config = QualityConfig(
        methods=default_methods(classifier, with_boxes=has_boxes(study.photos.test)),
        rules=default_rules(classifier) if model == FISHER else _RULES,
        random_state=study.config.random_state,
        **settings,
    )
    folder = study.out / f"{QUALITY}-{model}"

    def work() -> Quality:
        return measure_quality(
            classifier,
            study.photos.test,
            config,
            max_images=max_images,
            workers=study.workers,
            out=folder,
            identity=model_identity(model_folder(study, model), classifier),
            progress=study.told(model),
        )

    configuration = {**on_test(study), "quality": to_plain(config), "max_images": max_images}
    return run_stage(folder, configuration, work, workers=study.workers)


def on_test(study: Study) -> dict[str, Any]:
    """What every measurement on the test photos depends on: the photos and both models."""
    return {
        "photos": data_identity(study.photos.test),
        "models": {model: model_identity(model_folder(study, model)) for model in (FISHER, NETWORK)},
    }
