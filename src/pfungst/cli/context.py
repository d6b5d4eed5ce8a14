"""``pfungst context``: does a class live off what is around its objects?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import grouped
from pfungst.cli._models import Models
from pfungst.cli._photos import Measured
from pfungst.cli._progress import progress_bar
from pfungst.cli._surveys import Shared, survey_config
from pfungst.cli._tables import print_table
from pfungst.cli._work import Crew
from pfungst.evaluation import wording

if TYPE_CHECKING:
    from pfungst.audits.context.measuring import Context
    from pfungst.audits.schema import ContextRow


@grouped
def context(
    models: Models,
    photos: Measured,
    surveys: Shared,
    crew: Crew,
    rule: Annotated[
        list[str] | None,
        typer.Option(help="Rule of the heatmaps: once for all models, or once for each; default their own."),
    ] = None,
    edits: Annotated[
        bool, typer.Option(help="Also fill in the objects and see whether the class is still predicted.")
    ] = True,
    margin: Annotated[
        float, typer.Option(help="Rim around a box that is filled in with it, as a share of its side.")
    ] = 0.0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for records, figure and numbers; an interrupted run goes on there."),
    ] = None,
    json: _options.JsonTarget = None,
) -> None:
    """Measure how much of a prediction rests on what is around the object.

    Over the true positives of each class: relevance per pixel outside its boxes over relevance per pixel
    inside them (µ), against an equal area off the object; and what is left of the prediction when the object
    is filled in from its surroundings. A class that is still predicted then lives off its context.
    """
    from pfungst.audits.context.measuring import measure_context
    from pfungst.report.context_figure import context_content, save_context

    options = models.options(rule)
    found: dict[str, Context] = {}
    with models.loaded() as loaded:
        dataset, used = photos.new_to({name: classifier for name, (classifier, _) in loaded.items()})
        for name, (classifier, identity) in loaded.items():
            own_rule = options.get(name, {}).get("rule")
            with progress_bar() as progress:
                found[name] = measure_context(
                    classifier,
                    dataset,
                    survey_config(own_rule, photos.seed, edits=edits, margin=margin),
                    classes=photos.classes,
                    identity=identity,
                    out=surveys.place(out, name),
                    workers=crew.hired,
                    progress=progress,
                )
    if json is not None:
        _run.write_json(json, context_content(found, data=dataset.name, photos=used))
    if out is not None:
        save_context(out, found, data=dataset.name, photos=used)
    if json != "-":
        for name, result in found.items():
            rows = {class_name: result.rows[class_name] for class_name in result.ranking}
            _print(rows, f"{name} on {dataset.name}")
    _run.finish(
        [f"{name}, {image}: {error}" for name, result in found.items() for image, error in result.failures]
    )


def _print(rows: dict[str, ContextRow], title: str) -> None:
    header = ("class", "n", "µ", "µ signed", "µ control", "outside %", "area %")
    cells = [
        (
            name,
            str(row.n_images),
            wording.with_interval(row.ratio),
            wording.with_interval(row.signed_ratio),
            wording.with_interval(row.control_ratio),
            wording.with_interval(row.share_outside, scale=100, digits=0),
            wording.with_interval(row.area_outside, scale=100, digits=0),
        )
        for name, row in rows.items()
    ]
    print_table(f"{title}: relevance", header, cells)
    typer.echo(
        "µ: relevance per pixel outside the boxes over that inside; control: in an equal area off the object "
        "over that inside.\noutside, area: share of positive relevance and of the photo outside the boxes.\n"
        "The most context-dependent class comes first."
    )
    if any(row.kept_without_object for row in rows.values()):
        _print_edits(rows, f"{title}: objects filled in")
    for name, row in rows.items():
        typer.echo(f"{name}{' *' if row.dependent else ''}: {row.note}")


def _print_edits(rows: dict[str, ContextRow], title: str) -> None:
    cells = [
        (
            f"{name} *" if row.dependent else name,
            wording.with_interval(row.kept_without_object, scale=100, digits=0),
            wording.with_interval(row.kept_without_control, scale=100, digits=0),
            wording.with_interval(row.kept_beyond_chance, scale=100, digits=0),
            wording.with_interval(row.others_without_object, scale=100, digits=0),
            wording.with_interval(row.drop_object),
            wording.with_interval(row.drop_control),
        )
        for name, row in rows.items()
    ]
    header = ("class", "kept %", "control %", "beyond chance %", "others %", "drop of f", "control")
    print_table(title, header, cells)
    typer.echo(
        "kept: true positives still predicted; control: an equal area off the object; beyond chance: of\n"
        "what the model can tell about the class, the part left without the object; others: photos without\n"
        "the class that are taken for it without their own object; *: lives off its context."
    )
