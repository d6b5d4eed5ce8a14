"""``pfungst figure``: heatmaps of several models for several photos in one picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _options, _run
from pfungst.errors import FileError, ImageError

if TYPE_CHECKING:
    from pfungst.contract.classifier import ImageArray


def figure(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Model folders, a column each.")],
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
    weights: _options.Weights = None,
    labels: _options.Labels = None,
    side: Annotated[int, typer.Option("--side", help="Size of a cell in pixels.")] = 240,
) -> None:
    """Draw a row per photo and a column per model: photo first, class and score below each heatmap."""
    from pfungst.models import references
    from pfungst.report.figure import FigureStyle, make_figure

    style = FigureStyle(side=side)
    headings = _options.headings(models)
    photos = Photos(_photos(images))
    found = references(models, weights or (), labels)
    classifiers = {heading: model.load() for heading, model in zip(headings, found, strict=True)}
    with _run.progress_bar() as progress:
        picture = make_figure(
            classifiers,
            photos,
            class_name=class_,
            options=_options.rule_options(headings, rule or []),
            style=style,
            progress=progress,
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(out, format="PNG")
    typer.echo(f"{len(photos) - len(photos.failures)} photos, {len(models)} models: {out}")
    _run.finish(photos.failures)


class Photos:
    """Photos that are decoded one at a time; those that cannot be are remembered and left out."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.failures: list[ImageError] = []

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[tuple[str, ImageArray]]:
        from pfungst.images import decode

        for path in self.paths:
            try:
                yield path.stem, decode(path)
            except ImageError as error:
                self.failures.append(error)


def _photos(paths: Sequence[Path]) -> list[Path]:
    """Files as they are, and the photos of folders in the order of their names."""
    from pfungst.images.decode import SUFFIXES

    found: list[Path] = []
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        found += [item for item in inside if item == path or item.suffix.lower() in SUFFIXES]
    if not found:
        raise FileError(", ".join(map(str, paths)), "holds no photo", allowed=", ".join(sorted(SUFFIXES)))
    return found
