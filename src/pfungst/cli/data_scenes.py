"""``pfungst data scenes``: make the photo set with known answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pfungst.cli._progress import progress_bar


def scenes(
    out: Annotated[Path, typer.Option("--out", help="Folder to write: new, empty, or a set of scenes.")],
    clean: Annotated[bool, typer.Option("--clean", help="Plant no flaw: the clean twin of a seed.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same scenes.")] = 0,
    images: Annotated[int, typer.Option("--images", help="Photos in all splits together.")] = 400,
    size: Annotated[int, typer.Option("--size", help="Longest side of a photo in pixels.")] = 320,
) -> None:
    """Make a labelled photo set with two planted flaws, in PASCAL VOC layout."""
    from pfungst.demo.scenes import ScenesConfig, write_scenes

    config = ScenesConfig(n_images=images, size=size, seed=seed, clean=clean)
    with progress_bar() as progress:
        root = write_scenes(out, config, progress=progress)
    typer.echo(f"{images} scenes ({'clean' if clean else 'two flaws planted'}, seed {seed}): {root}")
