"""``pfungst quality``: do a model's heatmaps show what its scores rest on?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import Group, grouped
from pfungst.cli._models import Model
from pfungst.cli._photos import Measured
from pfungst.cli._progress import progress_bar
from pfungst.cli._tables import print_table
from pfungst.cli._work import Crew
from pfungst.evaluation import wording

if TYPE_CHECKING:
    from pfungst.contract.classifier import Classifier
    from pfungst.evaluation.config import QualityConfig
    from pfungst.evaluation.rows import BetweenRow, CurveRow, Quality
    from pfungst.images import DataSet


@dataclass(frozen=True, kw_only=True)
class Settings(Group):
    """What is measured, and how."""

    panel: ClassVar[str] = "Measurement"

    method: Annotated[
        str | None,
        typer.Option(
            help="descriptors, regions, localisation, separated by commas. Default: descriptors for "
            "Fisher vectors, regions for networks; localisation where there are boxes."
        ),
    ] = None
    rules: Annotated[
        str | None,
        typer.Option(
            help="Rules or composites, with commas (or semicolons). Default for Fisher vectors: "
            "naive, epsilon=1, 10, 100, 1000, absolute; 'none' for attributions alone."
        ),
    ] = None
    orders: Annotated[str, typer.Option(help="Of morf, random, lerf, with commas.")] = "morf,random,lerf"
    operators: Annotated[
        str, typer.Option(help="What regions are replaced with: noise, mean, blur, inpaint.")
    ] = "noise"
    descriptors: Annotated[int, typer.Option(help="Descriptors replaced in all.")] = 10_000
    batch: Annotated[int, typer.Option(help="Descriptors replaced between two measurements.")] = 100
    region_size: Annotated[int, typer.Option(help="Side of a region, in pixels of the model's input.")] = 9
    region_steps: Annotated[int, typer.Option(help="Points of measurement for regions.")] = 100
    regions_per_step: Annotated[int, typer.Option(help="Regions replaced between two measurements.")] = 1
    repetitions: Annotated[int, typer.Option(help="Traces with new draws, noise or random order.")] = 5
    tolerance: Annotated[float, typer.Option(help="Pixels the pointing game may miss a box by.")] = 15.0

    def config(self, classifier: Classifier, data: DataSet, seed: int) -> QualityConfig:
        """As the measurement takes it; what was not stated fits the classifier and the photos."""
        from pfungst.evaluation.config import QualityConfig, RegionConfig, default_methods, default_rules
        from pfungst.evaluation.quality import has_boxes
        from pfungst.evaluation.replacement import ReplacementConfig
        from pfungst.fisher import split_rules

        return QualityConfig(
            methods=_run.comma_list(self.method) or default_methods(classifier, with_boxes=has_boxes(data)),
            rules=default_rules(classifier) if self.rules is None else split_rules(self.rules),
            orders=_run.comma_list(self.orders) or (),
            replacement=ReplacementConfig(
                n_replaced=self.descriptors, batch_size=self.batch, repetitions=self.repetitions
            ),
            regions=RegionConfig(
                size=self.region_size,
                steps=self.region_steps,
                per_step=self.regions_per_step,
                operators=_run.comma_list(self.operators) or (),
                repetitions=self.repetitions,
            ),
            tolerance=self.tolerance,
            random_state=seed,
        )


@grouped
def quality(
    model: Model,
    photos: Measured,
    settings: Settings,
    crew: Crew,
    attributions: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]FOLDER", help="Your own relevance: FOLDER/<class>/<image>.npy or "
                     "FOLDER/<image>.safetensors. May be given several times."),
    ] = None,
    max_images: Annotated[
        int | None, typer.Option(help="A seeded sample of so many photos that show a class.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for records, figures and numbers; an interrupted run goes on there."),
    ] = None,
    json: _options.JsonTarget = None,
) -> None:  # fmt: skip
    """Perturb photos in the order of their relevance and measure how the score falls.

    Measured are the true positives at the model's thresholds (equal error rate on validation photos). A is
    the mean drop of the score, V the share of traces in which the prediction changed; a good heatmap is far
    above the random order. The defaults are the paper's.
    """
    from pfungst.evaluation.attributions import folder_attributions
    from pfungst.evaluation.quality import measure_quality
    from pfungst.report.quality_figure import save_quality

    with model.loaded() as (classifier, identity):
        dataset, used = photos.new_to({model.name: classifier})
        with progress_bar() as progress:
            result = measure_quality(
                classifier,
                dataset,
                settings.config(classifier, dataset, photos.seed),
                classes=photos.classes,
                attributions=folder_attributions(attributions or []),
                max_images=max_images,
                workers=crew.hired,
                out=out,
                identity=identity,
                progress=progress,
            )
        result = replace(result, photos=used)
        if json is not None:
            _run.write_json(json, result)
        if out is not None:
            save_quality(out, result)
        if json != "-":
            _print(result, f"{model.model} on {dataset.name}")
    _run.finish(result.failures)


def _print(result: Quality, title: str) -> None:
    from pfungst.evaluation.rows import ALL

    groups = dict.fromkeys((row.method, row.operator, row.steps) for row in result.curves)
    for method, operator, steps in groups:
        rows = result.find(method=method, operator=operator, steps=steps, class_name=ALL)
        counts = f"{rows[0].n_true_positives} true positives, {steps} steps"
        _print_curves(rows, result, f"{title}: {method}, operator {operator}, {counts}")
    if result.localisation:
        _print_localisation(result)
    for name, row in result.classes.items():
        if row.note:
            typer.echo(f"{name}: {row.note}")


def _print_curves(rows: Sequence[CurveRow], result: Quality, title: str) -> None:
    """All classes together, one line for each rule and order."""
    areas = {_key(row): row.abpc for row in result.between}
    cells = []
    for row in rows:
        area = areas.get(_key(row)) if row.order == "morf" else None
        name = "random order" if row.order == "random" else f"{row.rule} {_ORDERS[row.order]}"
        mean = wording.number(area.mean) if area is not None else ""
        cells.append((name, wording.with_interval(row.a), wording.with_interval(row.v), mean))
    print_table(title, ("order", "A", "V", "ABPC"), cells)


def _print_localisation(result: Quality) -> None:
    rows = [
        (
            f"{row.class_name}, {row.rule}",
            *(
                wording.share(found.mean if found is not None else None)
                for found in (row.pointing, row.near_area, row.mass, row.rank, row.area)
            ),
            *map(str, (row.n_scored, row.n_empty_boxes, row.n_zero_maps)),
        )
        for row in result.localisation
    ]
    header = ("class, rule", "point %", "chance", "mass %", "rank %", "chance", "scored", "no box", "no map")
    print_table("localisation of positive relevance in the boxes", header, rows)


_ORDERS = {"morf": "MoRF", "lerf": "LeRF"}


def _key(row: CurveRow | BetweenRow) -> tuple[str, str, str, str, int]:
    return row.method, row.operator, row.class_name, row.rule, row.steps
