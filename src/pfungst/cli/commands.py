"""The list of commands, in the order in which ``pfungst --help`` shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import typer

from pfungst.cli import _run
from pfungst.cli._advice import Command
from pfungst.cli._groups import Group, also


def register(app: typer.Typer, train: typer.Typer, data: typer.Typer, paper: typer.Typer) -> None:
    """Add every command to its group."""
    from pfungst.cli.artefacts import artefacts
    from pfungst.cli.audit import audit
    from pfungst.cli.compare import compare
    from pfungst.cli.context import context
    from pfungst.cli.convert import convert
    from pfungst.cli.data import check, voc2007
    from pfungst.cli.data_scenes import scenes
    from pfungst.cli.demo import demo
    from pfungst.cli.evaluate import evaluate
    from pfungst.cli.explain import explain
    from pfungst.cli.figure import figure
    from pfungst.cli.paper import voc2007 as paper_voc2007
    from pfungst.cli.pretrained import pretrained
    from pfungst.cli.quality import quality
    from pfungst.cli.report import report
    from pfungst.cli.strategies import strategies
    from pfungst.cli.train_fisher import fisher
    from pfungst.cli.train_network import network

    add(data, "check", check)
    add(data, "voc2007", voc2007)
    add(app, "convert", convert)
    add(app, "pretrained", pretrained)
    add(data, "scenes", scenes)
    add(app, "demo", demo)
    add(app, "audit", audit)
    add(app, "report", report)
    add(app, "compare", compare)
    add(train, "fisher", fisher)
    add(train, "network", network)
    add(app, "evaluate", evaluate)
    add(app, "explain", explain)
    add(app, "figure", figure)
    add(app, "quality", quality)
    add(app, "context", context)
    add(app, "strategies", strategies)
    add(app, "artefacts", artefacts)
    add(paper, "voc2007", paper_voc2007)


@dataclass(frozen=True, kw_only=True)
class Output(Group):
    """What every command takes."""

    panel: ClassVar[str] = "Output"

    wide: Annotated[
        bool,
        typer.Option("--wide", help="Tables with all columns and intervals, however wide the terminal."),
    ] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False


def add(group: typer.Typer, name: str, command: Callable[..., Any]) -> None:
    """Add a command to its group, with the options that all have."""
    group.command(name, cls=Command)(also(command, Output, _heed))


def _heed(output: Output) -> None:
    _run.settings.wide = output.wide
    _run.settings.debug = _run.settings.debug or output.debug
