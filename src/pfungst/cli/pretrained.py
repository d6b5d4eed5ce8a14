"""``pfungst pretrained``: a network known by name, with its original outputs, as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pfungst.cli._groups import grouped
from pfungst.cli._targets import ModelTarget


@grouped
def pretrained(
    target: ModelTarget,
    name: Annotated[
        str,
        typer.Argument(
            help="efficientnet-lite0 (ImageNet weights; extra 'demo'), torchvision:NAME, timm:NAME, or a "
            "Hugging Face folder."
        ),
    ],
    classes: Annotated[
        Path | None, typer.Option(help="Class names, one a line, in the order of the outputs.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="State dict (.safetensors, .pth) in place of its own.")
    ] = None,
    decision: Annotated[
        str | None,
        typer.Option(help="What it predicts: 'highest' (one class a photo) or 'thresholds' (any number)."),
    ] = None,
) -> None:
    """Write a network known by name, as it comes, as a model folder: to explain it or to compare it."""
    from pfungst.network import pretrained_network
    from pfungst.network.class_names import read_class_names

    target.check()
    names = read_class_names(classes) if classes is not None else None
    network = pretrained_network(name, names, weights=weights, decision=decision)  # type: ignore[arg-type]
    network.save(target.out)
    typer.echo(f"{name}, {len(network.classes)} classes, decided by {network.decision}: {target.out}")
