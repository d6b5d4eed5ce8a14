"""``pfungst report``: the page of a finished audit again, and documents made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pfungst.cli import _gate
from pfungst.cli._groups import grouped


@grouped
def report(
    stops: _gate.GateOptions,
    audit: Annotated[Path, typer.Argument(metavar="AUDIT", help="Folder that `pfungst audit` wrote.")],
    zero: Annotated[
        str,
        typer.Option(
            help="Where red and blue balance in the photos' heatmaps: 'threshold', where the decision "
            "changes, or 'score', at f(x) = 0 as in the paper."
        ),
    ] = "threshold",
    dossier: Annotated[
        Path | None,
        typer.Option(
            "--technical-documentation",
            metavar="FILE.md",
            help="Also write what the audit can say of the technical documentation of the EU AI Act.",
        ),
    ] = None,
) -> None:
    """Write the page of a finished audit again, and documents made from its numbers.

    Nothing is measured. The gate's options work as with `pfungst audit`, so one audit can be held against
    other limits.
    """
    from pfungst.audits.schema import Audit
    from pfungst.report.audit_page import write_report
    from pfungst.report.dossier import write_dossier

    gate = stops.read()
    found = Audit.load(audit)
    typer.echo(f"Open {write_report(audit, zero=zero).resolve()} in a browser.")  # type: ignore[arg-type]
    if dossier is not None:
        typer.echo(f"Technical documentation: {write_dossier(dossier, found)}")
    gate.close(found)
