"""The list of commands, in the order in which ``pfungst --help`` shows them."""

from __future__ import annotations

import typer


def register(app: typer.Typer, train: typer.Typer, data: typer.Typer, paper: typer.Typer) -> None:
    """Add every command to its group."""
