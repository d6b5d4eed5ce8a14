"""``pfungst artefacts``: does a model read a mark that recurs in the photos of a class?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import grouped
from pfungst.cli._models import Model
from pfungst.cli._photos import Measured
from pfungst.cli._progress import progress_bar
from pfungst.cli._surveys import Surveyed
from pfungst.cli._tables import print_table
from pfungst.cli._work import Crew
from pfungst.evaluation import wording

if TYPE_CHECKING:
    from pfungst.audits.artefacts import Artefacts


@grouped
def artefacts(
    model: Model,
    photos: Measured,
    surveyed: Surveyed,
    crew: Crew,
    max_photos: Annotated[
        int, typer.Option(help="Photos of each class, and without it, in which marks are sought.")
    ] = 64,
    suspects: Annotated[int, typer.Option(help="Suspects of a class that are tested by editing.")] = 3,
    insertions: Annotated[
        int, typer.Option(help="Photos without the class that a suspect is pasted into.")
    ] = 32,
    pairs: Annotated[int, typer.Option(help="Photos shown before and after each kind of edit.")] = 2,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for records, pictures and numbers; an interrupted run goes on there."),
    ] = None,
    json: _options.JsonTarget = None,
) -> None:
    """Find marks such as tags, date stamps, stickers and watermarks that a class is read off, and prove it.

    Relevance off the objects proposes places; what recurs in a share of the class's photos, at one place or
    with one look, becomes a suspect. Each is then removed, against an equal area elsewhere in the same photo,
    and pasted into photos without the class. It is called an artefact if both move the score.
    """
    from pfungst.audits.artefacts import ArtefactConfig, find_artefacts
    from pfungst.contract.plain import to_plain

    with model.loaded() as (classifier, identity):
        dataset, used = photos.new_to({model.name: classifier})
        config = ArtefactConfig(
            max_photos=max_photos,
            max_suspects=suspects,
            insertions=insertions,
            pairs=pairs,
            random_state=photos.seed,
        )
        with progress_bar() as progress:
            seen = surveyed.of(
                classifier,
                dataset,
                model.name,
                seed=photos.seed,
                classes=photos.classes,
                identity=identity,
                out=out,
                workers=crew.hired,
                progress=progress,
                photos=True,
            )
            found = find_artefacts(
                classifier,
                seen,
                config,
                identity=identity,
                out=None if out is None else out / "artefacts",
                pictures=out,
                workers=crew.hired,
                progress=progress,
            )
        failures = (*seen.failures, *found.failures)
        content = {**to_plain(found), "data": dataset.name, "photos": to_plain(used)}
        _write(content | {"failures": to_plain(failures)}, out, json)
        if json != "-":
            _print(found, f"{model.model} on {dataset.name}")
    _run.finish(failures)


def _write(content: Mapping[str, Any], out: Path | None, json: str | None) -> None:
    if json is not None:
        _run.write_json(json, content)
    if out is not None:
        _run.write_json(str(out / "artefacts.json"), content)


def _print(found: Artefacts, title: str) -> None:
    rows = [
        (
            f"{item.id}, {item.where}",
            item.verdict,
            wording.share(item.share),
            wording.share(item.share_elsewhere),
            wording.with_interval(item.effect),
            wording.with_interval(item.insertion_effect),
        )
        for items in found.by_class.values()
        for item in items
    ]
    if rows:
        header = ("suspect", "verdict", "share %", "elsewhere %", "removal", "insertion")
        print_table(f"{title}: suspects", header, rows)
    for name, note in found.notes.items():
        typer.echo(f"{name}: {note}")
        for item in found.by_class[name]:
            if item.verdict == "artefact":
                typer.echo(f"  {item.id}: {item.sentence}")
