"""A whole audit: one survey of each model, then everything that can be measured from it, as finished records.

Every stage keeps its records in a folder of the audit, so an interrupted audit goes on where it stopped.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from pfungst import __version__
from pfungst.audit.config import AuditConfig, Subject
from pfungst.audit.examined import examined
from pfungst.audit.schema import Audit, Photo, PhotoBox, safe_name
from pfungst.audit.study import Study
from pfungst.audit.survey.surveying import Survey
from pfungst.audit.verdict import find_problems
from pfungst.contract.plain import to_plain
from pfungst.errors import ConfigError
from pfungst.images.dataset import DataSet
from pfungst.progress import Progress, silent
from pfungst.runs.executor import Workers


def audit_models(
    subjects: Sequence[Subject],
    data: DataSet,
    out: str | Path,
    config: AuditConfig | None = None,
    *,
    split: str = "all",
    classes: Sequence[str] | None = None,
    title: str | None = None,
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
    workers, progress
        As everywhere; the numbers do not depend on the number of workers.

    Returns
    -------
    Audit
        Also written to ``out/audit.json``; photos that could not be used are listed in ``skipped``.

    Raises
    ------
    ConfigError
        If two subjects share a name, one has no class in common with the data, or ``out`` was begun with
        another configuration.
    """
    config = config or AuditConfig()
    _check_names(subjects)
    folder = Path(out)
    studies = [
        Study(subject, data, folder, config, classes, workers, _named(progress, subject.name))
        for subject in subjects
    ]
    surveys = [study.survey() for study in studies]
    models = tuple(study.audited(found) for study, found in zip(studies, surveys, strict=True))
    shown = _photos(data, surveys)
    ran, not_run = examined(models, config.parts)
    audit = Audit(
        title=title or f"Audit of {', '.join(subject.name for subject in subjects)}",
        data=data.name,
        split=split,
        classes=tuple(dict.fromkeys(name for found in surveys for name in found.classes)),
        n_photos=len(data),
        photos=shown,
        models=models,
        problems=find_problems(models, shown),
        ran=ran,
        not_run=not_run,
        skipped=tuple(dict.fromkeys(text for model in models for text in model.failed)),
        settings=to_plain(config),
        versions=_versions(),
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


def _named(progress: Progress, name: str) -> Progress:
    def told(stage: str, done: int, total: int, /) -> None:
        progress(f"{name}: {stage}", done, total)

    return told


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
            boxes=tuple(
                PhotoBox(
                    class_name=box.class_name,
                    left=float(box.left),
                    top=float(box.top),
                    right=float(box.right),
                    bottom=float(box.bottom),
                    difficult=box.difficult,
                )
                for box in record.boxes
            ),
        )
        for record in data
        if record.id in sizes
    )


def _versions() -> dict[str, str]:
    names = ("numpy", "scipy", "scikit-learn", "pillow", "torch")
    return {
        "pfungst": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
    }
