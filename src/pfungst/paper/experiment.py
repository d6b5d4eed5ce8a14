"""The paper's experiment from end to end, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pfungst.contract.plain import from_plain, to_json, to_plain
from pfungst.contract.seen import overlap_lines, unseen
from pfungst.evaluation.rows import Quality
from pfungst.images.dataset import Overlap
from pfungst.paper import tables
from pfungst.paper.auditing import artefact_rows, audit_both, context_rows, hunted_class
from pfungst.paper.config import FISHER, NETWORK, PaperConfig, comparable
from pfungst.paper.measuring import measure_heatmaps, measure_precision
from pfungst.paper.photos import PaperPhotos, read_photos
from pfungst.paper.showing import show
from pfungst.paper.study import Study
from pfungst.paper.training import train_models, trained_model
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers
from pfungst.writing import write_whole

RESULTS_FILE = "results.json"


@dataclass(frozen=True, kw_only=True)
class PaperResult:
    """What the experiment measured.

    Attributes
    ----------
    page : Path
        ``paper.html``, the page to open.
    numbers : mapping
        The content of ``results.json``: ``photos``, ``notes``, ``precision``, ``quality``, ``cost`` and more.
    failures : tuple of str
        Photos that could not be used, and why.
    """

    page: Path
    numbers: Mapping[str, Any]
    failures: tuple[str, ...]


def run_paper(
    data: str | Path,
    out: str | Path,
    config: PaperConfig | None = None,
    *,
    workers: Workers = 1,
    progress: Progress = silent,
) -> PaperResult:
    """Run the experiment of *Analyzing Classifiers: Fisher Vectors and Deep Neural Networks*.

    Trains the Fisher-vector model and the network on train and val, measures average precision on test
    beside the published figures, the quality of both models' heatmaps (Figure 1), and audits both: context
    ratios, strategies, the hunt for artefacts such as the photographer's tag on horses.

    Each stage has a folder in ``out``. The same call goes on where an earlier one stopped; a finished stage
    whose configuration is the same is not repeated, and one with another configuration is refused.

    Parameters
    ----------
    data : path
        ``VOCdevkit`` of PASCAL VOC 2007, or any folder in VOC layout with splits train, val and test.
    out : path
        Folder of models, records, pictures, ``results.json`` and ``paper.html``.
    config : PaperConfig, optional
    workers : int or Cluster
        Processes, or a cluster; the numbers do not depend on it.
    progress : Progress

    Raises
    ------
    DataError
        If a split is missing or a class has too few photos.
    ConfigError
        If ``out`` was begun with another configuration.

    Examples
    --------
    A partial run on 40 photos of each split::

        result = run_paper("VOCdevkit", "paper", PaperConfig(limit=40), workers=2)
        print(result.numbers["precision"][-1])
    """
    config = config or PaperConfig()
    photos = read_photos(data, classes=config.classes, limit=config.limit, random_state=config.random_state)
    study = Study(photos=photos, out=Path(out), config=config, workers=workers, progress=progress)
    trained = train_models(study)
    study = _on_new_photos(study)
    photos = study.photos
    scored = measure_precision(study)
    quality = measure_heatmaps(study)
    audited, audit = audit_both(study)
    hunted = hunted_class(audit)
    numbers = to_plain({
        "data": photos.name,
        "network": config.network_name,
        "classes": photos.classes,
        "left_out": photos.left_out,
        "photos": {name: len(getattr(photos, name)) for name in ("train", "val", "test")},
        "notes": [*config.notes(), *overlap_lines(photos.test.overlap or Overlap())],
        "settings": config.as_dict(),
        "precision": tables.precision_rows(scored["result"], compared=comparable(config, photos.name)),
        "quality": {model: tables.quality_rows(record["result"]) for model, record in quality.items()},
        "context": context_rows(audit),
        "hunted": hunted,
        "artefacts": artefact_rows(audit, hunted) if hunted else [],
        "problems": [" ".join((item.sentence, *item.numbers)) for item in audit.problems],
        "cost": _cost(photos, {**trained, "scores": scored, "audit": audited}, quality),
        "failures": _failures({**trained, "audit": audited}, scored["result"], quality),
    })  # fmt: skip
    write_whole(study.out / RESULTS_FILE, to_json(numbers))
    traces = {model: from_plain(Quality, record["result"]) for model, record in quality.items()}
    page = show(study, numbers, traces)
    return PaperResult(page=page, numbers=numbers, failures=tuple(numbers["failures"]))


def _on_new_photos(study: Study) -> Study:
    """The same study, its test photos those that neither model has learned from."""
    models = {model: trained_model(study, model) for model in (FISHER, NETWORK)}
    return replace(study, photos=replace(study.photos, test=unseen(study.photos.test, models)))


def _cost(
    photos: PaperPhotos, done: Mapping[str, Mapping[str, Any]], quality: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    learned, tested = len(photos.train) + len(photos.val), len(photos.test)
    stages: dict[str, tuple[Mapping[str, Any], int]] = {
        "train Fisher vectors": (done[FISHER], learned),
        "train network": (done[NETWORK], learned),
        "score, three ways": (done["scores"], tested),
    }
    for model, record in quality.items():
        stages[f"heatmap quality, {model}"] = record, record["result"]["manifest"]["data"]["images"]
    return tables.cost_rows({**stages, "audit of both": (done["audit"], tested)})


def _failures(
    done: Mapping[str, Mapping[str, Any]],
    scored: Mapping[str, Mapping[str, Any]],
    quality: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    found = [text for record in done.values() for text in record["result"]["failures"]]
    tables = [*scored.values(), *(record["result"] for record in quality.values())]
    found += [failure["reason"] for table in tables for failure in table["failures"]]
    return list(dict.fromkeys(found))
