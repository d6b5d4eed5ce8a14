"""``pfungst context``: does a class live off what is around its objects?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _options, _run

if TYPE_CHECKING:
    from pfungst.audit.context.measuring import Context
    from pfungst.audit.schema import ContextRow
    from pfungst.evaluation.statistics import Estimate


def context(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="Model folders; several are shown side by side.")
    ],
    data: Annotated[Path, typer.Argument(help="Data set with boxes: VOC layout or COCO JSON.")],
    split: Annotated[str, typer.Option(help="Which photos; 'all' for every one.")] = "test",
    classes: _options.Classes = None,
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
    seed: _options.Seed = 0,
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
    from pfungst.audit.context.measuring import measure_context
    from pfungst.audit.schema import safe_name
    from pfungst.audit.survey.surroundings import ContextConfig
    from pfungst.audit.survey.surveying import SurveyConfig
    from pfungst.evaluation.statistics import BootstrapConfig
    from pfungst.models import references

    dataset = _options.open_split(data, split, seed=seed)
    names = _options.headings(models)
    options = _options.rule_options(names, rule or [])
    found: dict[str, Context] = {}
    for name, model in zip(names, references(models, weights or (), labels), strict=True):
        with _options.loaded_model(model) as (classifier, identity), _run.progress_bar() as progress:
            found[name] = measure_context(
                classifier,
                dataset,
                SurveyConfig(
                    options=options.get(name, {}),
                    errors=False,
                    context=ContextConfig(edits=edits, margin=margin, random_state=seed),
                ),
                classes=_run.comma_list(classes),
                bootstrap=BootstrapConfig(random_state=seed),
                identity=identity,
                out=None if out is None else out / safe_name(name),
                workers=_options.crew(workers, scheduler),
                progress=progress,
            )
    _write(found, dataset.name, out, json)
    if json != "-":
        for name, result in found.items():
            rows = {class_name: result.rows[class_name] for class_name in result.ranking}
            _print(rows, f"{name} on {dataset.name}")
    _run.finish([f"{name}, {text}" for name, result in found.items() for text in result.failed])


def _write(found: dict[str, Context], data: str, out: Path | None, json: str | None) -> None:
    from pfungst.contract.plain import to_plain

    content = {"data": data, "models": to_plain(found)}
    if json is not None:
        _run.write_json(json, content)
    if out is None:
        return
    from pfungst.report.context_figure import save_context_figure

    _run.write_json(str(out / "context.json"), content)
    tables = {name: result.rows for name, result in found.items()}
    save_context_figure(out / "context.png", tables, title=f"Context on {data}")


def _print(rows: dict[str, ContextRow], title: str) -> None:
    header = ("class", "n", "µ", "µ signed", "µ control", "outside %", "area %")
    cells = [
        (
            name,
            str(row.n_images),
            _run.estimate(row.ratio),
            _run.estimate(row.signed_ratio),
            _run.estimate(row.control_ratio),
            _percent(row.share_outside),
            _percent(row.area_outside),
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
            _percent(row.kept_without_object),
            _percent(row.kept_without_control),
            _percent(row.kept_beyond_chance),
            _run.estimate(row.drop_object),
            _run.estimate(row.drop_control),
        )
        for name, row in rows.items()
    ]
    _run.print_table(
        title, ("class", "kept %", "control %", "beyond chance %", "drop of f", "control"), cells
    )
    typer.echo(
        "kept: true positives still predicted; control: an equal area off the object; beyond chance: of\n"
        "what the model can tell about the class, the part left without the object; *: lives off its context."
    )


def _percent(value: Estimate | None) -> str:
    """A share in percent with its interval, without decimals."""
    if value is None:
        return "–"
    return f"{100 * value.mean:.0f} [{100 * value.low:.0f}, {100 * value.high:.0f}]"
