"""``pfungst figure``: heatmaps of several models for several photos in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pfungst.cli import _run
from pfungst.cli._groups import grouped
from pfungst.cli._models import Models
from pfungst.cli._progress import progress_bar


@grouped
def figure(
    models: Models,
    images: Annotated[
        list[Path], typer.Option("--images", help="A photo or a folder of photos, a row each; repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The picture to write (PNG).")],
    class_: Annotated[
        str, typer.Option("--class", help="The class to explain, or 'auto': each model's highest score.")
    ] = "auto",
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", help="Rule of the heatmaps: once for all models, or once for each."),
    ] = None,
    side: Annotated[int, typer.Option("--side", help="Size of a cell in pixels.")] = 240,
) -> None:
    """Draw a row per photo and a column per model: photo first, class and score below each heatmap."""
    from pfungst.explaining import photo_files
    from pfungst.report.figure import FigureStyle, Photos, make_figure
    from pfungst.writing import write_with

    style, options = FigureStyle(side=side), models.options(rule)
    files, left_out = photo_files(images)
    photos = Photos(files)
    with models.loaded() as loaded, progress_bar() as progress:
        picture = make_figure(
            {name: classifier for name, (classifier, _) in loaded.items()},
            photos,
            class_name=class_,
            options=options,
            style=style,
            progress=progress,
        )
    write_with(out, lambda stream: picture.save(stream, format="PNG"))
    typer.echo(f"{len(photos) - len(photos.failures)} photos, {len(models.models)} models: {out}")
    _run.finish([*left_out, *photos.failures])
