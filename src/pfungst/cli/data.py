"""``pfungst data voc2007`` fetches the VOC 2007 photos; ``pfungst data check`` looks a photo set over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _run
from pfungst.cli._groups import grouped
from pfungst.cli._photos import Photos
from pfungst.cli._progress import progress_bar
from pfungst.cli._tables import print_table

if TYPE_CHECKING:
    from pfungst.images import DataSet


def voc2007(
    out: Annotated[Path, typer.Option("--out", help="Folder for the photos (about 0.9 GB).")],
    url: Annotated[
        str | None, typer.Option("--url", help="Base address of the two archives, if not the official one.")
    ] = None,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep the tar files after unpacking.")
    ] = False,
    json: Annotated[str | None, typer.Option("--json", help="Counts as JSON to a file, or - .")] = None,
) -> None:
    """Download PASCAL VOC 2007 (trainval and test), verify it and unpack it.

    A download that broke off goes on where it stopped when the command is given again.
    """
    from pfungst.images import download
    from pfungst.images.reading import open_dataset

    with progress_bar() as progress:
        folder = download.fetch_voc2007(
            out,
            url=url or download.VOC2007_URL,
            archives=download.VOC2007_ARCHIVES,
            keep_archives=keep_archives,
            progress=progress,
        )
    _report(open_dataset(folder), json)


@grouped
def check(
    photos: Photos,
    looks: Annotated[
        bool, typer.Option(help="Find photos that look the same, and not equal files alone.")
    ] = True,
    decode: Annotated[bool, typer.Option("--decode", help="Decode every photo as a whole.")] = False,
    workers: Annotated[int, typer.Option("--workers", help="Threads that read photos.")] = 2,
    json: Annotated[str | None, typer.Option("--json", help="Counts as JSON to a file, or - .")] = None,
) -> None:
    """List classes, photos per split and everything that is wrong in a photo set.

    Exit code 3 if anything is wrong.
    """
    from pfungst.images.checking import checked

    found = photos.opened()
    with progress_bar() as progress:
        found = checked(found, looks=looks, pixels=decode, workers=workers, progress=progress)
    _report(found, json)


def _report(data: DataSet, json: str | None) -> None:
    """The table (or JSON on standard output), then the problems."""
    from pfungst.images.checking import summary

    if json is not None:
        _run.write_json(json, summary(data))
    if json != "-":
        _print_table(data)
    _run.finish(data.problems)


def _print_table(data: DataSet) -> None:
    from pfungst.images.checking import count_classes

    rows = [
        (name, *map(str, (count.positive, count.difficult, count.objects, *count.splits.values())))
        for name, count in count_classes(data).items()
    ]
    objects = sum(len(record.boxes) for record in data)
    rows.append(("all photos", *map(str, (len(data), "", objects, *map(len, data.splits.values())))))
    header = ("class", "photos", "difficult only", "objects", *data.splits)
    print_table(f"{data.name}: {len(data)} photos", header, rows, totals=1)
    typer.echo(f"Read as {data.layout}: {data.evidence}.")
    for line in data.unused:
        typer.echo(f"Not used: {line}.")
