"""``pfungst audit``: everything about one or more models on one photo set, and the report of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _options, _run

if TYPE_CHECKING:
    from pfungst.audit import Subject
    from pfungst.audit.schema import Audit, ClassAudit, ModelAudit
    from pfungst.models import ModelReference


def audit(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Model folders to audit.")],
    data: Annotated[Path, typer.Argument(help="Data set: VOC layout, COCO JSON, or a folder per class.")],
    out: Annotated[Path, typer.Option(help="Folder of the audit; an interrupted one goes on there.")],
    split: Annotated[
        str, typer.Option(help="Photos the models have not learned from; 'all' for every one.")
    ] = "test",
    classes: _options.Classes = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", help="Rule of the heatmaps: once for all models, or once for each."),
    ] = None,
    parts: Annotated[
        str, typer.Option(help="What to examine, separated by commas.")
    ] = "quality,context,strategies,artefacts",
    quality_images: Annotated[
        int, typer.Option(help="Photos on which heatmap quality is measured, a seeded sample.")
    ] = 40,
    title: Annotated[str | None, typer.Option(help="Title of the report.")] = None,
    seed: _options.Seed = 0,
    weights: _options.Weights = None,
    labels: _options.Labels = None,
    workers: _options.Workers = 0,
    scheduler: _options.Scheduler = None,
    json: _options.JsonTarget = None,
) -> None:
    """Find out what models rely on, and write one report that a person reads first.

    Scores and explains every photo, then measures heatmap quality, dependence on context, groups of alike
    heatmaps (strategies) and recurring marks (artefacts), which are removed and inserted as a test. Open
    report.html in the folder afterwards.
    """
    from pfungst.audit import AuditConfig, audit_models
    from pfungst.models import references
    from pfungst.report.audit_page import write_report
    from pfungst.runs.identity import unchanged_model

    config = AuditConfig(parts=_run.comma_list(parts) or (), quality_images=quality_images, random_state=seed)
    dataset = _options.open_split(data, split, seed=seed)
    with ExitStack() as stack:
        found = references(models, weights or (), labels)
        for model in found:
            stack.enter_context(unchanged_model(model.spec, model.identify))
        with _run.progress_bar() as progress:
            result = audit_models(
                subjects(found, rule or []),
                dataset,
                out,
                config,
                split=split,
                classes=_run.comma_list(classes),
                title=title,
                workers=_options.crew(workers, scheduler),
                progress=progress,
            )
            page = write_report(out)
        if json is not None:
            from pfungst.contract.plain import to_plain

            _run.write_json(json, to_plain(result))
        if json != "-":
            print_audit(result)
            typer.echo(f"Open {page.resolve()} in a browser.")
    _run.finish(result.skipped)


def subjects(models: Sequence[ModelReference], rules: Sequence[str]) -> list[Subject]:
    """Models as subjects of an audit, named after their folders."""
    from pfungst.audit import Subject

    names = _options.headings([Path(model.spec) for model in models])
    options = _options.rule_options(names, rules)
    found = []
    for name, model in zip(names, models, strict=True):
        classifier = model.load()
        identity = model.identity(classifier)
        found.append(
            Subject(
                name=name,
                classifier=classifier,
                kind=identity["kind"],
                identity=identity,
                **options.get(name, {}),
            )
        )
    return found


def print_audit(audit: Audit) -> None:
    """The verdict in sentences, then a table of each model's classes."""
    if not audit.problems:
        typer.echo("No problem was found by what was examined.")
    for number, problem in enumerate(audit.problems, 1):
        typer.secho(f"{number}. {problem.title}", bold=True)
        typer.echo(f"   {problem.sentence}")
    for model in audit.models:
        _print_model(model)


def _print_model(model: ModelAudit) -> None:
    header = ("class", "AP %", "true pos.", "context μ", "kept without object %", "A", "V", "artefacts")
    _run.print_table(f"{model.name} ({model.rule})", header, [_row(row) for row in model.classes])


def _row(row: ClassAudit) -> tuple[str, ...]:
    context = row.context
    proved = sum(1 for artefact in row.artefacts if artefact.verdict == "artefact")
    return (
        row.name,
        _run.estimate(row.ap, 100),
        str(row.true_positives),
        _run.estimate(context.ratio if context else None),
        _run.estimate(context.kept_without_object if context else None, 100),
        _run.estimate(row.quality_a),
        _run.estimate(row.quality_v),
        f"{proved} of {len(row.artefacts)} suspects" if row.artefacts else "none",
    )
