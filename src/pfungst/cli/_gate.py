"""Options that stop a pipeline, shared by the commands that have an audit in hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from pfungst.cli import _run
from pfungst.cli._groups import Group

if TYPE_CHECKING:
    from pfungst.audits.gate import Failure, Limit
    from pfungst.audits.schema import Audit


@dataclass(frozen=True, kw_only=True)
class GateOptions(Group):
    """What a pipeline stops on, as it is typed."""

    panel: ClassVar[str] = "Gate"

    fail_on: Annotated[
        str | None,
        typer.Option(
            help="End with exit code 4 if there is a problem of these kinds, separated by commas: "
            "artefact, photo, context, default, leak, heatmap, data."
        ),
    ] = None
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIMIT",
            help="End with exit code 4 if a number of audit.json is so, such as 'map<0.6' or "
            "'models[fisher].classes[horse].ap.low<0.5'. May be given several times.",
        ),
    ] = None
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write JUnit XML: a test for each class and question.")
    ] = None
    sarif: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write SARIF 2.1.0: a result for each problem.")
    ] = None

    def read(self) -> Gate:
        """What was asked for, checked."""
        from pfungst.audits.gate import chosen_kinds, parse_limit

        return Gate(
            kinds=chosen_kinds(_run.comma_list(self.fail_on) or ()),
            limits=tuple(parse_limit(text) for text in self.fail_if or ()),
            junit=self.junit,
            sarif=self.sarif,
        )


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What was asked for, checked before anything is measured."""

    kinds: tuple[str, ...]
    limits: tuple[Limit, ...]
    junit: Path | None
    sarif: Path | None

    def close(self, audit: Audit) -> None:
        """Write the files, print a line for each reason to stop, and stop if there is one."""
        from pfungst.audits.gate import KINDS, failures
        from pfungst.report.junit import write_junit
        from pfungst.report.sarif import write_sarif

        found = failures(audit, self.kinds, self.limits)
        if self.junit is not None:
            write_junit(self.junit, audit, self.kinds or KINDS, found)
        if self.sarif is not None:
            write_sarif(self.sarif, audit, found)
        stop(found)


def stop(found: Sequence[Failure]) -> None:
    """A line for each reason on standard error, and exit code 4 if there is one."""
    for failure in found:
        typer.echo(f"pfungst: {failure}", err=True)
    if found:
        raise typer.Exit(_run.EXIT_GATE)
