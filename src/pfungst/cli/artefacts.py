"""``pfungst artefacts``: does a model read a mark that recurs in the photos of a class?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import Group, grouped
from pfungst.cli._models import Model
from pfungst.cli._photos import Measured
from pfungst.cli._progress import progress_bar
from pfungst.cli._surveys import Surveyed
from pfungst.cli._tables import print_table
from pfungst.cli._work import Crew
from pfungst.errors import ConfigError
from pfungst.evaluation import wording

if TYPE_CHECKING:
    from pfungst.audits.artefacts import Artefacts, Mark


@dataclass(frozen=True, kw_only=True)
class Suspected(Group):
    """A mark that the user suspects."""

    panel: ClassVar[str] = "A mark that you suspect"

    mark: Annotated[
        Path | None,
        typer.Option(help="Test this crop alone, without a search (PNG; transparent parts left out)."),
    ] = None
    at: Annotated[
        str | None,
        typer.Option(help="The mark's upper left corner: column,row. Default anywhere."),
    ] = None
    like: Annotated[
        Path | None, typer.Option(help="A photo that has the mark, for its place; instead of --at.")
    ] = None

    def suspected(self) -> Mark | None:
        """The mark; None where a search is asked for."""
        from pfungst.audits.artefacts import Mark

        if self.mark is None:
            if self.at is not None or self.like is not None:
                raise ConfigError("--at and --like without a mark", allowed="with --mark FILE.png")
            return None
        return Mark.open(self.mark, at=None if self.at is None else _corner(self.at), like=self.like)


@grouped
def artefacts(
    model: Model,
    photos: Measured,
    surveyed: Surveyed,
    crew: Crew,
    mark: Suspected,
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
    and pasted into photos without the class. It is proved if both move the score.

    With --mark a crop that you suspect is tested so, in every class or those of --class, without a search.
    """
    from pfungst.audits.artefacts import ArtefactConfig, find_artefacts, prove_mark
    from pfungst.contract.plain import to_plain

    suspected = mark.suspected()
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
            shared: dict[str, Any] = {
                "identity": identity,
                "pictures": out,
                "workers": crew.hired,
                "progress": progress,
            }
            if suspected is None:
                records = None if out is None else out / "artefacts"
                found = find_artefacts(classifier, seen, config, out=records, **shared)
            else:
                records = None if out is None else out / f"mark-{suspected.digest[:8]}"
                found = prove_mark(classifier, seen, suspected, config, out=records, **shared)
        failures = (*seen.failures, *found.failures)
        content = {**to_plain(found), "data": dataset.name, "photos": to_plain(used)}
        _write(content | {"failures": to_plain(failures)}, out, json)
        if json != "-":
            _print(found, f"{model.model} on {dataset.name}", all_told=suspected is not None)
    _run.finish(failures)


def _corner(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise ConfigError(f"--at {text}", allowed="column and row in pixels", hint="--at 8,350")
    return int(parts[0]), int(parts[1])


def _write(content: Mapping[str, Any], out: Path | None, json: str | None) -> None:
    if json is not None:
        _run.write_json(json, content)
    if out is not None:
        _run.write_json(str(out / "artefacts.json"), content)


def _print(found: Artefacts, title: str, *, all_told: bool = False) -> None:
    from pfungst.audits.words import VERDICTS

    rows = [
        (
            f"{item.id}, {item.where}",
            VERDICTS[item.verdict],
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
    named = {item.id for items in found.by_class.values() for item in items if all_told}
    for name, note in found.notes.items():
        typer.echo(f"{name}: {note}")
        for item in found.by_class[name]:
            if item.proved or item.id in named:
                typer.echo(f"  {item.id}: {item.sentence}")
