"""``pfungst context``: does a class live off what is around its objects?"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import grouped
from pfungst.cli._photos import Measured
from pfungst.evaluation import wording

if TYPE_CHECKING:
    from pfungst.audits.context.measuring import Context
    from pfungst.audits.schema import ContextRow


@grouped
def context(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="Model folders; several are shown side by side.")
    ],
    photos: Measured,
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
    survey: _options.SurveyFolder = None,
    weights: _options.Weights = None,
    labels: _options.Labels = None,
    workers: _options.Workers = 0,
    scheduler: _options.Scheduler = None,
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
    from pfungst.models import references
    from pfungst.report.context_figure import context_content, save_context

    names = _options.headings(models)
    options = _options.rule_options(names, rule or [])
    found: dict[str, Context] = {}
    with ExitStack() as stack:
        named = references(models, weights or (), labels)
        loaded = [stack.enter_context(_options.loaded_model(model)) for model in named]
        dataset, used = photos.new_to(dict(zip(names, (classifier for classifier, _ in loaded), strict=True)))
        for name, (classifier, identity) in zip(names, loaded, strict=True):
            own_rule = options.get(name, {}).get("rule")
            with _run.progress_bar() as progress:
                found[name] = measure_context(
                    classifier,
                    dataset,
                    _options.survey_config(own_rule, photos.seed, edits=edits, margin=margin),
                    classes=photos.classes,
                    identity=identity,
                    out=_options.survey_place(survey, out, name),
                    workers=_options.crew(workers, scheduler),
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
    _run.print_table(f"{title}: relevance", header, cells)
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
    _run.print_table(
        title, ("class", "kept %", "control %", "beyond chance %", "others %", "drop of f", "control"), cells
    )
    typer.echo(
        "kept: true positives still predicted; control: an equal area off the object; beyond chance: of\n"
        "what the model can tell about the class, the part left without the object; others: photos without\n"
        "the class that are taken for it without their own object; *: lives off its context."
    )
