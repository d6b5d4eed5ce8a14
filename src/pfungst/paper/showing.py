"""What the page of the experiment shows, section by section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pfungst.evaluation.rows import Quality
from pfungst.paper import tables
from pfungst.paper.auditing import HUNTED, REPORT
from pfungst.paper.config import FISHER, NETWORK
from pfungst.paper.page import Section, save_precision_figure, write_page
from pfungst.paper.study import Study
from pfungst.report.quality_figure import save_quality_figure, step_size


def show(study: Study, numbers: Mapping[str, Any], measured: Mapping[str, Quality]) -> Path:
    """Write the figures and the page; ``measured`` is the quality of each model's heatmaps."""
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
            *(_quality_section(study, model, found, numbers["quality"][model])
              for model, found in measured.items()),
            _context_section(numbers),
            _artefact_section(numbers),
            _audit_section(numbers),
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


def _quality_section(study: Study, model: str, found: Quality, rows: Sequence[Mapping[str, Any]]) -> Section:
    title, method, file, explanation = _FIGURES[model]
    measured = found.find(method=method)
    if not measured:
        return Section(title=title, text="Nothing could be measured: there were no true positives.")
    picture = save_quality_figure(
        study.out / file,
        found.curves,
        method=method,
        operator=measured[0].operator,
        per_step=step_size(found, method),
    )
    header, cells = tables.quality_cells(rows)
    return Section(
        title=title, text=explanation, picture=picture, alt=f"Curves of {title}; the table below has the "
        "numbers", header=header, rows=cells,
    )  # fmt: skip


def _context_section(numbers: Mapping[str, Any]) -> Section:
    header, cells = tables.context_cells(numbers["context"], numbers["network"])
    return Section(
        title="Context",
        text="Mean positive relevance per pixel outside the boxes of a class over that inside them, over its "
        "true positives. A star marks a class that was found to live off its surroundings.",
        header=header,
        rows=cells,
    )


def _artefact_section(numbers: Mapping[str, Any]) -> Section:
    name, rows = numbers["hunted"], numbers["artefacts"]
    if name is None:
        return Section(
            title="The hunt for the tag", text=f"There is no class {HUNTED}; the audit searched all."
        )
    if not rows:
        return Section(title=f"The hunt for the tag: {name}", text="No artefact was found.")
    header, cells = tables.artefact_cells(rows)
    return Section(
        title=f"The hunt for the tag: {name}",
        text="Marks that recur in photos of the class and carry relevance, each tested by removing it.",
        header=header,
        rows=cells,
    )


def _audit_section(numbers: Mapping[str, Any]) -> Section:
    found = numbers["problems"]
    rows = [[str(place), sentence] for place, sentence in enumerate(found, start=1)]
    return Section(
        title="Verdict of the audit",
        text="" if found else "The audit found no problem by what it examined; the report says what that is.",
        header=["", "problem"] if found else (),
        rows=rows,
        link=REPORT,
    )


def _cost_section(rows: Sequence[Mapping[str, Any]]) -> Section:
    header, cells = tables.cost_cells(rows)
    return Section(title="Cost", text="Wall time of this run.", header=header, rows=cells)
