"""The ``pfungst`` command: one file per command; heavy libraries load inside the commands, when used."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from pfungst import __version__
from pfungst.cli import _run

app = typer.Typer(
    name="pfungst",
    help="Shows what an image classifier really looks at, and whether it cheats.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
train_app = typer.Typer(help="Train a classifier on a labelled photo set.", no_args_is_help=True)
data_app = typer.Typer(help="Get or make a data set.", no_args_is_help=True)
paper_app = typer.Typer(help="Repeat the paper's experiment.", no_args_is_help=True)
app.add_typer(train_app, name="train")
app.add_typer(data_app, name="data")
app.add_typer(paper_app, name="paper")


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"pfungst {__version__}")
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    max_megapixels: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=10_000,
            show_default=False,
            help="Largest photo that is decoded, in million pixels; larger ones are refused.  [default: 100]",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Shows what an image classifier really looks at, and whether it cheats."""
    del version
    _run.settings.debug = debug
    if max_megapixels is not None:
        from pfungst.images.decode import LIMIT_VARIABLE

        os.environ[LIMIT_VARIABLE] = str(max_megapixels)  # worker processes inherit it


def run() -> None:
    """Entry point of the ``pfungst`` script: errors become messages and exit codes."""
    _run.guarded(app)


def _register() -> None:
    """Import the command modules; each adds itself to ``app``."""
    from pfungst.cli import commands

    commands.register(app, train_app, data_app, paper_app)


_register()
