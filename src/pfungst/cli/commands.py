"""The list of commands, in the order in which ``pfungst --help`` shows them."""

from __future__ import annotations

import typer

from pfungst.cli._advice import Command


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

    data.command("check", cls=Command)(check)
    data.command("voc2007", cls=Command)(voc2007)
    app.command("convert", cls=Command)(convert)
    app.command("pretrained", cls=Command)(pretrained)
    data.command("scenes", cls=Command)(scenes)
    app.command("demo", cls=Command)(demo)
    app.command("audit", cls=Command)(audit)
    app.command("report", cls=Command)(report)
    app.command("compare", cls=Command)(compare)
    train.command("fisher", cls=Command)(fisher)
    train.command("network", cls=Command)(network)
    app.command("evaluate", cls=Command)(evaluate)
    app.command("explain", cls=Command)(explain)
    app.command("figure", cls=Command)(figure)
    app.command("quality", cls=Command)(quality)
    app.command("context", cls=Command)(context)
    app.command("strategies", cls=Command)(strategies)
    app.command("artefacts", cls=Command)(artefacts)
    paper.command("voc2007", cls=Command)(paper_voc2007)
