"""``pfungst compare``: what changed between two audits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _gate, _options, _run
from pfungst.cli._tables import print_table
from pfungst.evaluation import wording

if TYPE_CHECKING:
    from pfungst.audits.comparing import Change, Comparison


def compare(
    before: Annotated[Path, typer.Argument(metavar="AUDIT_A", help="Folder that `pfungst audit` wrote.")],
    after: Annotated[Path, typer.Argument(metavar="AUDIT_B", help="Another one, to be held against it.")],
    out: Annotated[Path | None, typer.Option(help="Folder for comparison.html and comparison.json.")] = None,
    seed: _options.Seed = 0,
    fail_on: Annotated[
        str | None,
        typer.Option(
            help="'new': end with exit code 4 if the second audit has a problem that the first has not; "
            "'new:artefact' and the like for one kind. Several are separated by commas."
        ),
    ] = None,
    json: _options.JsonTarget = None,
) -> None:
    """Hold two audits against each other: precision, context and artefacts, each change with its interval.

    Such as before and after a data set was cleaned, or two models on the same photos. A change counts where
    its interval leaves out zero.
    """
    from pfungst.audits.gate import new_kinds, new_problems
    from pfungst.audits.schema import Audit
    from pfungst.contract.plain import to_plain
    from pfungst.front.auditing import compare as compared
    from pfungst.report.comparison_page import COMPARISON_PAGE

    kinds = new_kinds(_run.comma_list(fail_on) or ())
    result = compared(before, after, out, random_state=seed)
    if json is not None:
        _run.write_json(json, to_plain(result))
    if json != "-":
        _print(result)
        if out is not None:
            typer.echo(f"Open {(out / COMPARISON_PAGE).resolve()} in a browser.")
    if kinds:
        _gate.stop(new_problems(Audit.load(before), Audit.load(after), kinds))


def _print(result: Comparison) -> None:
    typer.echo(f"{result.before} | {result.after}")
    header = ("class, measure", "before", "after", "difference", "changed")
    for model in dict.fromkeys(change.model for change in result.changes):
        rows = [_row(change) for change in result.changes if change.model == model]
        print_table(model, header, rows)
    for item in result.artefacts:
        typer.echo(f"{item.status}: {item.class_name}, {item.model}, {item.where}")
        for sentence in (item.before, item.after):
            if sentence:
                typer.echo(f"   {sentence}")
    if not result.artefacts:
        typer.echo("No proved artefact in either audit.")
    if not result.same_photos:
        typer.echo("The audits looked at different photos; no interval is paired.")
    for title, names in (("first", result.only_before), ("second", result.only_after)):
        if names:
            typer.echo(f"Only in the {title}: {', '.join(names)}")


def _row(change: Change) -> tuple[str, ...]:
    return (
        f"{change.class_name}, {change.measure}",
        wording.with_interval(change.before),
        wording.with_interval(change.after),
        wording.with_interval(change.difference),
        "yes" if change.changed else "no",
    )
