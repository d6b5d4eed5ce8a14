"""The whole search: relevance proposes, recurrence selects, edits prove. And proof alone, of a given mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pfungst.audits.artefacts.config import ArtefactConfig
from pfungst.audits.artefacts.given import Mark, suspect_of
from pfungst.audits.artefacts.proof.pictures import Album
from pfungst.audits.artefacts.reporting import artefact_of, mark_note, note_of, rank
from pfungst.audits.artefacts.stages import Search
from pfungst.audits.artefacts.suspects import Suspect
from pfungst.audits.schema import Artefact
from pfungst.audits.survey import Survey
from pfungst.contract.classifier import Classifier
from pfungst.contract.look import looking
from pfungst.errors import Failure
from pfungst.files import safe_name
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers


@dataclass(frozen=True, kw_only=True)
class Artefacts:
    """What was found in all classes of one model.

    Attributes
    ----------
    by_class : dict of str to tuple of Artefact
        Most suspicious first: proved ones, and those that recur most clearly. Empty where nothing recurs.
    notes : dict of str to str
        What was searched, in words, "no artefact found" among it.
    failures : tuple of Failure
        Photos that could not be used, and why.
    """

    by_class: Mapping[str, tuple[Artefact, ...]]
    notes: Mapping[str, str]
    failures: tuple[Failure, ...] = ()


def find_artefacts(
    classifier: Classifier,
    survey: Survey,
    config: ArtefactConfig | None = None,
    *,
    classes: Sequence[str] | None = None,
    identity: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    pictures: str | Path | None = None,
    prefix: str = "artefact",
    workers: Workers = 1,
    progress: Progress = silent,
) -> Artefacts:
    """Search the photos of each class for marks that recur, and test what they do to the score.

    Parameters
    ----------
    classifier : Classifier
    survey : Survey
        Its pass over the same photos.
    config : ArtefactConfig, optional
    classes : sequence of str, optional
        Default: all of the survey.
    identity : mapping, optional
        What tells this model from another, compared when a run is taken up again.
    out : path, optional
        Folder of the records, to go on after an interrupt.
    pictures : path, optional
        Folder that gets ``pictures/`` with crops and photos before and after; none are made without it.
    prefix : str
        Start of the pictures' names.
    workers, progress
        As everywhere; the numbers do not depend on the number of workers.
    """
    search = Search(looking(classifier), survey, config or ArtefactConfig(), identity, out, workers, progress)
    names = tuple(classes or survey.classes)
    by_class = _proved(search, search.mined(names), names, pictures, prefix)
    return Artefacts(
        by_class=by_class,
        notes={name: note_of(items, search.searched(name)) for name, items in by_class.items()},
        failures=tuple(search.failures),
    )


def prove_mark(
    classifier: Classifier,
    survey: Survey,
    mark: Mark,
    config: ArtefactConfig | None = None,
    *,
    classes: Sequence[str] | None = None,
    identity: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    pictures: str | Path | None = None,
    prefix: str = "mark",
    workers: Workers = 1,
    progress: Progress = silent,
) -> Artefacts:
    """Test what a mark that is suspected does to the score of each class, without any search.

    Where photos of the class carry it, it is taken out; into photos without the class and without it, the
    mark itself is put in; each against a control, as for marks that a search has found.

    Parameters
    ----------
    classifier : Classifier
    survey : Survey
        Its pass over the photos.
    mark : Mark
        From :meth:`Mark.open <pfungst.audits.artefacts.given.Mark.open>`.
    config, classes, identity, out, pictures, prefix, workers, progress
        As for :func:`find_artefacts`.

    Raises
    ------
    ConfigError
        If the mark is larger than the photos.

    Examples
    --------
    >>> from pfungst.audits.artefacts import Mark, prove_mark
    >>> found = prove_mark(model, seen, Mark.open("tag.png", at=(8, 350)))  # doctest: +SKIP
    >>> found.by_class["horse"][0].sentence  # doctest: +SKIP
    """
    names = tuple(classes or survey.classes)
    search = Search(
        looking(classifier), survey, config or ArtefactConfig(), identity, out, workers, progress,
        more={"mark": mark.digest},
    )  # fmt: skip
    suspects = [suspect_of(mark, name, search) for name in names if search.shown(name)]
    by_class = _proved(search, suspects, names, pictures, prefix)
    return Artefacts(
        by_class=by_class,
        notes={
            name: mark_note(items, len(search.shown(name)), len(search.others(name)))
            for name, items in by_class.items()
        },
        failures=tuple(search.failures),
    )


def _proved(
    search: Search,
    suspects: Sequence[Suspect],
    names: Sequence[str],
    pictures: str | Path | None,
    prefix: str,
) -> dict[str, tuple[Artefact, ...]]:
    """Suspects looked up, edited and judged: by class, the most telling first."""
    suspects, carriers = search.grown(suspects, search.looked_up(suspects))
    task, trials, run = search.tried(suspects, carriers)
    records = run.records()
    found: dict[str, list[Artefact]] = {name: [] for name in names}
    for position, suspect in enumerate(suspects):
        if position not in task.stamps:
            continue
        result = search.judged(suspect, records, position)
        artefact = artefact_of(
            suspect,
            result,
            carriers[position].shown,
            survey=search.survey,
            n_shown=len(search.shown(suspect.class_name)),
            elsewhere=carriers[position].elsewhere,
        )
        if pictures is not None:
            album = Album(
                folder=Path(pictures),
                name=safe_name(f"{prefix}-{artefact.id}"),
                task=task,
                trials=trials,
                records=records,
                position=position,
            )
            artefact = search.pictured(artefact, album)
        found[suspect.class_name].append(artefact)
    return {name: tuple(sorted(items, key=rank)) for name, items in found.items()}
