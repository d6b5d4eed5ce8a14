"""``pfungst audit``: everything about one or more models on one photo set, and the report of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _gate, _options, _run
from pfungst.cli._groups import grouped
from pfungst.cli._models import Models
from pfungst.cli._photos import Measured, tell
from pfungst.cli._progress import progress_bar
from pfungst.cli._surveys import Shared
from pfungst.cli._tables import print_table
from pfungst.cli._work import Crew
from pfungst.evaluation import wording

if TYPE_CHECKING:
    from pfungst.audits.schema import Audit, ClassAudit, ModelAudit


@grouped
def audit(
    models: Models,
    photos: Measured,
    surveys: Shared,
    crew: Crew,
    stops: _gate.GateOptions,
    out: Annotated[Path, typer.Option(help="Folder of the audit; an interrupted one goes on there.")],
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
    json: _options.JsonTarget = None,
) -> None:
    """Find out what models rely on, and write one report that a person reads first.

    Scores and explains every photo, then measures heatmap quality, dependence on context, groups of alike
    heatmaps (strategies) and recurring marks (artefacts), which are removed and inserted as a test. Open
    report.html in the folder afterwards. With --fail-on or --fail-if it stops a pipeline.
    """
    from pfungst.audits import AuditConfig
    from pfungst.front.auditing import audit as audited
    from pfungst.report.audit_page import REPORT_FILE

    gate = stops.read()
    config = AuditConfig(
        parts=_run.comma_list(parts) or (), quality_images=quality_images, random_state=photos.seed
    )
    with progress_bar() as progress:
        result = audited(
            models.references(models.models),
            photos.data,
            out,
            config,
            split=photos.split,
            format=photos.layout,
            images=photos.images,
            include_seen=photos.include_seen,
            classes=photos.classes,
            rules=rule or [],
            title=title,
            surveys=surveys.survey,
            workers=crew.hired,
            progress=progress,
        )
    if json is not None:
        from pfungst.contract.plain import to_plain

        _run.write_json(json, to_plain(result))
    if json != "-":
        print_audit(result)
        typer.echo(f"Open {(out / REPORT_FILE).resolve()} in a browser.")
    if result.used is not None:
        tell(result.used)
    _run.tell_failures(result.failures)
    gate.close(result)
    if result.failures:
        raise typer.Exit(_run.EXIT_INCOMPLETE)


def print_audit(audit: Audit) -> None:
    """The verdict in sentences, then a table of each model's classes."""
    if not audit.problems:
        typer.echo("No problem was found by what was examined.")
    for number, problem in enumerate(audit.problems, 1):
        typer.secho(f"{number}. {problem.title}", bold=True)
        for line in (problem.sentence, *problem.numbers, problem.advice and f"Next: {problem.advice}"):
            if line:
                typer.echo(f"   {line}")
    for model in audit.models:
        _print_model(model)


def _print_model(model: ModelAudit) -> None:
    header = ("class", "AP %", "true pos.", "context μ", "kept without object %", "A", "V", "artefacts")
    print_table(f"{model.name} ({model.rule})", header, [_row(row) for row in model.classes])


def _row(row: ClassAudit) -> tuple[str, ...]:
    context = row.context
    proved = sum(1 for artefact in row.artefacts if artefact.proved)
    return (
        row.name,
        wording.with_interval(row.ap, scale=100),
        str(row.true_positives),
        wording.with_interval(context.ratio if context else None),
        wording.with_interval(context.kept_without_object if context else None, scale=100),
        wording.with_interval(row.quality_a),
        wording.with_interval(row.quality_v),
        f"{proved} of {len(row.artefacts)} suspects" if row.artefacts else "none",
    )
