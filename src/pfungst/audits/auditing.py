"""A whole audit: one survey of each model, then everything that can be measured from it, as finished records.

Every stage keeps its records in a folder of the audit, so an interrupted audit goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pfungst.audits.config import AuditConfig, Subject
from pfungst.audits.examined import examined
from pfungst.audits.schema import Audit, Photo
from pfungst.audits.study import Study
from pfungst.audits.survey import Survey
from pfungst.audits.verdict import find_problems
from pfungst.contract.plain import to_plain
from pfungst.errors import ConfigError
from pfungst.files import safe_name
from pfungst.images.dataset import DataSet
from pfungst.progress import Progress, named, silent
from pfungst.runs.executor import Workers
from pfungst.runs.manifest import library_versions


def audit_models(
    subjects: Sequence[Subject],
    data: DataSet,
    out: str | Path,
    config: AuditConfig | None = None,
    *,
    split: str = "all",
    classes: Sequence[str] | None = None,
    title: str | None = None,
    surveys: str | Path | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
) -> Audit:
    """Audit one or more classifiers on the same labelled photos.

    Parameters
    ----------
    subjects : sequence of Subject
    data : DataSet
        Photos that no subject has learned from, such as a test split.
    out : path
        The audit's folder: records of every stage, pictures, ``audit.json``.
    config : AuditConfig, optional
    split : str
        The name of these photos, for the record.
    classes : sequence of str, optional
        Default: all that a subject and the data have in common.
    title : str, optional
    surveys : path, optional
        A folder of surveys that other calls share; default ``out``. What is in it serves, what is missing is
        made there, and ``out`` gets links to it.
    workers, progress
        As everywhere; the numbers do not depend on the number of workers.

    Returns
    -------
    Audit
        Also written to ``out/audit.json``; photos that could not be used are listed in ``failures``.

    Raises
    ------
    ConfigError
        If two subjects share a name, one has no class in common with the data, or ``out`` was begun with
        another configuration.
    """
    config = config or AuditConfig()
    _check_names(subjects)
    folder = Path(out)
    place = folder if surveys is None else Path(surveys)
    studies = [
        Study(subject, data, folder, config, classes, workers, named(progress, subject.name), place)
        for subject in subjects
    ]
    found = [study.survey() for study in studies]
    models = tuple(study.audited(seen) for study, seen in zip(studies, found, strict=True))
    shown = _photos(data, found)
    ran, not_run = examined(models, config.parts)
    audit = Audit(
        title=title or f"Audit of {', '.join(subject.name for subject in subjects)}",
        data=data.name,
        split=split,
        classes=tuple(dict.fromkeys(name for seen in found for name in seen.classes)),
        n_photos=len(data),
        photos=shown,
        models=models,
        problems=find_problems(models, shown),
        ran=ran,
        not_run=not_run,
        failures=tuple(dict.fromkeys(failure for model in models for failure in model.failures)),
        settings=to_plain(config),
        versions=library_versions(),
    )
    audit.save(folder)
    return audit


def _check_names(subjects: Sequence[Subject]) -> None:
    names = [safe_name(subject.name) for subject in subjects]
    if not names or len(set(names)) != len(names):
        raise ConfigError(
            f"models named {', '.join(subject.name for subject in subjects) or '(none)'}",
            allowed="at least one, each with a name of its own",
        )


def _photos(data: DataSet, surveys: Sequence[Survey]) -> tuple[Photo, ...]:
    sizes: dict[str, tuple[int, int]] = {}
    for found in surveys:
        sizes.update({image: found.size(image) for image in found.ids})
    return tuple(
        Photo(
            id=record.id,
            height=sizes[record.id][0],
            width=sizes[record.id][1],
            positive=tuple(sorted(record.positive)),
            difficult=tuple(sorted(record.difficult)),
            boxes=record.boxes,
        )
        for record in data
        if record.id in sizes
    )
