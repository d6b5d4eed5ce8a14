"""``pfungst artefacts``: does a model read a mark that recurs in the photos of a class?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import grouped
from pfungst.cli._photos import Measured
from pfungst.errors import ConfigError
from pfungst.evaluation import wording

if TYPE_CHECKING:
    from pfungst.audits.artefacts import Artefacts, Mark


@grouped
def artefacts(
    model: Annotated[Path, typer.Argument(help=_options.MODEL_HELP)],
    photos: Measured,
    rule: Annotated[str | None, typer.Option(help="Rule of the heatmaps; default the model's own.")] = None,
    max_photos: Annotated[
        int, typer.Option(help="Photos of each class, and without it, in which marks are sought.")
    ] = 64,
    suspects: Annotated[int, typer.Option(help="Suspects of a class that are tested by editing.")] = 3,
    insertions: Annotated[
        int, typer.Option(help="Photos without the class that a suspect is pasted into.")
    ] = 32,
    mark: Annotated[
        Path | None,
        typer.Option(help="Test this crop alone, without a search (PNG; transparent parts left out)."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="The mark's upper left corner: column,row. Default anywhere."),
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="A photo that has the mark, for its place; instead of --at.")
    ] = None,
    pairs: Annotated[int, typer.Option(help="Photos shown before and after each kind of edit.")] = 2,
    survey: _options.SurveyFolder = None,
    weights: _options.Weights = None,
    labels: _options.Labels = None,
    workers: _options.Workers = 0,
    scheduler: _options.Scheduler = None,
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
    from pfungst.audits.survey import survey as surveyed
    from pfungst.contract.plain import to_plain

    suspected = _suspected(mark, at, like)
    name = _options.headings([model])[0]
    with _options.loaded_model(model, weights=weights, labels=labels) as (classifier, identity):
        dataset, used = photos.new_to({name: classifier})
        config = ArtefactConfig(
            max_photos=max_photos,
            max_suspects=suspects,
            insertions=insertions,
            pairs=pairs,
            random_state=photos.seed,
        )
        with _run.progress_bar() as progress:
            seen = surveyed(
                classifier,
                dataset,
                _options.survey_config(rule, photos.seed, photos=True),
                classes=photos.classes,
                identity=identity,
                out=_options.survey_place(survey, out, name),
                workers=_options.crew(workers, scheduler),
                progress=progress,
            )
            shared: dict[str, Any] = {
                "identity": identity,
                "pictures": out,
                "workers": _options.crew(workers, scheduler),
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
            _print(found, f"{model} on {dataset.name}", all_told=suspected is not None)
    _run.finish(failures)


def _suspected(mark: Path | None, at: str | None, like: Path | None) -> Mark | None:
    """The mark of the options; None where a search is asked for."""
    from pfungst.audits.artefacts import Mark

    if mark is None:
        if at is not None or like is not None:
            raise ConfigError("--at and --like without a mark", allowed="with --mark FILE.png")
        return None
    return Mark.open(mark, at=None if at is None else _corner(at), like=like)


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
        _run.print_table(f"{title}: suspects", header, rows)
    named = {item.id for items in found.by_class.values() for item in items if all_told}
    for name, note in found.notes.items():
        typer.echo(f"{name}: {note}")
        for item in found.by_class[name]:
            if item.proved or item.id in named:
                typer.echo(f"  {item.id}: {item.sentence}")
