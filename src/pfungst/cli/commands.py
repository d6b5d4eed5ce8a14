"""The list of commands, in the order in which ``pfungst --help`` shows them."""

from __future__ import annotations

import typer


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

    data.command("check")(check)
    data.command("voc2007")(voc2007)
    app.command("convert")(convert)
    app.command("pretrained")(pretrained)
    data.command("scenes")(scenes)
    app.command("demo")(demo)
    app.command("audit")(audit)
    app.command("report")(report)
    app.command("compare")(compare)
    train.command("fisher")(fisher)
    train.command("network")(network)
    app.command("evaluate")(evaluate)
    app.command("explain")(explain)
    app.command("figure")(figure)
    app.command("quality")(quality)
    app.command("context")(context)
    app.command("strategies")(strategies)
    app.command("artefacts")(artefacts)
    paper.command("voc2007")(paper_voc2007)
