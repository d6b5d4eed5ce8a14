"""The paper's experiment from end to end, stage by stage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pfungst.contract.plain import to_plain
from pfungst.paper import tables
from pfungst.paper.config import FISHER, NETWORK, PaperConfig, comparable
from pfungst.paper.measuring import SLIDING, measure_heatmaps, measure_precision
from pfungst.paper.page import Section, save_precision_figure, write_page
from pfungst.paper.photos import PaperPhotos, read_photos
from pfungst.paper.study import Study
from pfungst.paper.training import train_models
from pfungst.progress import Progress, silent
from pfungst.report.quality_figure import save_quality_figure

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
    data: str | Path, out: str | Path, config: PaperConfig | None = None, *, progress: Progress = silent
) -> PaperResult:
    """Run the experiment of *Analyzing Classifiers: Fisher Vectors and Deep Neural Networks*.

    Trains the Fisher-vector model and the network on train and val, measures average precision on test
    beside the published figures, and the quality of both models' heatmaps (Figure 1).

    Each stage has a folder in ``out``. The same call goes on where an earlier one stopped; a finished stage
    whose configuration is the same is not repeated, and one with another configuration is refused.

    Parameters
    ----------
    data : path
        ``VOCdevkit`` of PASCAL VOC 2007, or any folder in VOC layout with splits train, val and test.
    out : path
        Folder of models, records, pictures, ``results.json`` and ``paper.html``.
    config : PaperConfig, optional
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

        result = run_paper("VOCdevkit", "paper", PaperConfig(limit=40, workers=2))
        print(result.numbers["precision"][-1])
    """
    config = config or PaperConfig()
    photos = read_photos(data, classes=config.classes, limit=config.limit, random_state=config.random_state)
    study = Study(photos=photos, out=Path(out), config=config, progress=progress)
    trained = train_models(study)
    scored = measure_precision(study)
    quality = measure_heatmaps(study)
    numbers = to_plain({
        "data": photos.name,
        "network": config.network_name,
        "classes": photos.classes,
        "left_out": photos.left_out,
        "photos": {name: len(getattr(photos, name)) for name in ("train", "val", "test")},
        "notes": config.notes(),
        "settings": config,
        "precision": tables.precision_rows(scored["result"], compared=comparable(config, photos.name)),
        "quality": {model: tables.quality_rows(record["result"]) for model, record in quality.items()},
        "cost": _cost(photos, trained, scored, quality),
        "failed": _failures(trained, scored["result"], quality),
    })  # fmt: skip
    target = study.out / RESULTS_FILE
    target.write_text(json.dumps(numbers, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    page = _show(study, numbers, {model: record["result"]["curves"] for model, record in quality.items()})
    return PaperResult(page=page, numbers=numbers, failures=tuple(numbers["failed"]))


def _cost(
    photos: PaperPhotos,
    trained: Mapping[str, Mapping[str, Any]],
    scored: Mapping[str, Any],
    quality: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    learned, tested = len(photos.train) + len(photos.val), len(photos.test)
    stages: dict[str, tuple[Mapping[str, Any], int]] = {
        "train Fisher vectors": (trained[FISHER], learned),
        "train network": (trained[NETWORK], learned),
        "score, three ways": (scored, tested),
    }
    for model, record in quality.items():
        stages[f"heatmap quality, {model}"] = record, record["result"]["manifest"]["images"]
    return tables.cost_rows(stages)


def _failures(
    trained: Mapping[str, Mapping[str, Any]],
    scored: Mapping[str, Mapping[str, Any]],
    quality: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    found = [text for record in trained.values() for text in record["result"]["failed"]]
    found += [text for table in scored.values() for text in table["failed"]]
    found += [f"{item['image']}: {item['reason']}" for record in quality.values()
              for item in record["result"]["failed"]]  # fmt: skip
    return list(dict.fromkeys(found))


def _show(study: Study, numbers: Mapping[str, Any], curves: Mapping[str, Sequence[Any]]) -> Path:
    name, network = study.photos.name, study.config.network_name
    save_precision_figure(study.out / "precision.png", numbers["precision"], network=network, title=name)
    counts = ", ".join(f"{count} {split}" for split, count in numbers["photos"].items())
    return write_page(
        study.out,
        title=f"Analyzing Classifiers on {name}",
        introduction="The experiment of Lapuschkin, Binder, Montavon, Müller and Samek (CVPR 2016) on photos "
        f"of {name} ({counts}): a Fisher-vector model and {network} learn from train and val; figures are of "
        "test.",
        notes=[*numbers["notes"], *_left_out(numbers["left_out"])],
        network=network,
        precision=numbers["precision"],
        sections=[
            *(_quality_section(study, model, rows, numbers["quality"][model])
              for model, rows in curves.items()),
            _cost_section(numbers["cost"]),
        ],
    )  # fmt: skip


def _left_out(classes: Sequence[str]) -> list[str]:
    if not classes:
        return []
    return [f"Left out, because a split does not show them: {', '.join(classes)}."]


_FIGURES = {
    FISHER: ("Figure 1: Fisher vectors", "descriptors", "figure1.png",
             "Local descriptors are replaced by draws from the mixture, most relevant first. A is the mean "
             "drop of the score, V the share of traces in which the prediction changed."),
    NETWORK: ("Heatmaps of the network", "regions", "regions.png",
              "Regions of the network's input are replaced by noise, most relevant first."),
}  # fmt: skip


def _quality_section(
    study: Study, model: str, curves: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> Section:
    title, method, file, explanation = _FIGURES[model]
    measured = [row for row in curves if row["method"] == method]
    if not measured:
        return Section(title=title, text="Nothing could be measured: there were no true positives.")
    per_step = {
        "descriptors": study.config.replacement.batch_size,
        "regions": study.config.regions.per_step,
    }
    picture = save_quality_figure(
        study.out / file, curves, method=method, operator=measured[0]["operator"], per_step=per_step[method]
    )
    header, cells = tables.quality_cells(rows)
    return Section(
        title=title, text=explanation, picture=picture, alt=f"Curves of {title}; the table below has the "
        "numbers", header=header, rows=cells,
    )  # fmt: skip


def _cost_section(rows: Sequence[Mapping[str, Any]]) -> Section:
    header, cells = tables.cost_cells(rows)
    return Section(title="Cost", text="Wall time of this run.", header=header, rows=cells)


__all__ = ["SLIDING", "PaperResult", "run_paper"]
