"""Whole audits in one call: models and photos from wherever they are, all examined, the report written.

What is examined lies in :mod:`pfungst.audits`; here models are loaded and photos opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from pfungst.audits import AuditConfig, Comparison, Subject, audit_models, compare_audits
from pfungst.audits.schema import Audit
from pfungst.contract.classifier import Classifier
from pfungst.errors import ConfigError
from pfungst.evaluation.attributions import DEFAULT_RULE
from pfungst.evaluation.statistics import BootstrapConfig
from pfungst.front.edges import Photos, new_photos
from pfungst.models import ModelReference
from pfungst.progress import Progress, silent
from pfungst.report.audit_page import write_report
from pfungst.report.comparison_page import write_comparison
from pfungst.runs.executor import Workers
from pfungst.runs.identity import unchanged_model

Model: TypeAlias = str | Path | ModelReference | Classifier | Subject
"""A model's folder or name, also with the files that go with it, a classifier, or a subject of its own."""
_Referred: TypeAlias = ModelReference | Classifier | Subject


def audit(
    models: Model | Sequence[Model] | Mapping[str, Model],
    photos: Photos,
    out: str | Path,
    config: AuditConfig | None = None,
    *,
    split: str = "test",
    format: str | None = None,  # noqa: A002 - as open_dataset
    images: str | Path | None = None,
    include_seen: bool = False,
    classes: Sequence[str] | None = None,
    rules: Sequence[str] = (),
    title: str | None = None,
    surveys: str | Path | None = None,
    workers: Workers = 1,
    progress: Progress = silent,
) -> Audit:
    """Audit one or more models on the same photos, and write ``out/report.html``.

    Parameters
    ----------
    models : path, ModelReference, Classifier or Subject, a sequence of these, or a mapping from names to them
        Folders of models, what else :func:`pfungst.models.load` takes, or models in memory.
    photos : path or DataSet
        A data set on disk, of which ``split`` is taken, or the photos themselves.
    out : path
        The audit's folder; an interrupted one goes on there.
    config : AuditConfig, optional
    split : str
        Photos that no model has learned from; ``all`` for every one. Data sets without splits are dealt out
        by the seed.
    format : str, optional
        The layout of a data set on disk, where it is not recognised.
    images : path, optional
        The folder of its photos, where they do not lie beside the annotation file.
    include_seen : bool
        Keep photos that a model has learned from; they are left out otherwise, and counted in the report.
    classes : sequence of str, optional
        Default: all that a model and the photos have in common.
    rules : sequence of str
        Rules of the heatmaps: none, one for all models, or one for each.
    title : str, optional
    surveys : path, optional
        A folder of surveys that other calls share; default ``out``.
    workers, progress
        As everywhere.

    Returns
    -------
    Audit
        ``audit.problems`` is the verdict.

    Raises
    ------
    ConfigError
        If models share a name or have no class in common with the photos, rules do not fit, or ``out`` was
        begun with another configuration.
    ModelError, DataError
        If a model or the photos cannot be read, or a model's folder changes meanwhile.
    """
    config = config or AuditConfig()
    chosen = _referred(_listed(models))
    with ExitStack() as stack:
        for model in (item for item in chosen if isinstance(item, ModelReference)):
            stack.enter_context(unchanged_model(model.spec, model.identify))
        examined = subjects(chosen, rules, names=tuple(models) if isinstance(models, Mapping) else ())
        data = new_photos(
            photos, {subject.name: subject.classifier for subject in examined}, include_seen=include_seen,
            looks=True, split=split, format=format, images=images, random_state=config.random_state,
            progress=progress,
        )  # fmt: skip
        result = audit_models(
            examined,
            data,
            out,
            config,
            split=split,
            classes=classes,
            title=title,
            surveys=surveys,
            workers=workers,
            progress=progress,
        )
        write_report(out)
    return result


def compare(
    before: str | Path,
    after: str | Path,
    out: str | Path | None = None,
    *,
    random_state: int = 0,
) -> Comparison:
    """Hold two audits against each other.

    Parameters
    ----------
    before, after : path
        Folders of finished audits.
    out : path, optional
        Gets ``comparison.json`` and ``comparison.html``.
    random_state : int
        Seed of the intervals.

    Raises
    ------
    DataError
        If a folder is no audit.
    ConfigError
        If they have no class in common.
    """
    result = compare_audits(before, after, bootstrap=BootstrapConfig(random_state=random_state))
    if out is not None:
        result.save(out)
        write_comparison(result, out)
    return result


def subjects(
    models: Sequence[Model], rules: Sequence[str] = (), *, names: Sequence[str] = ()
) -> list[Subject]:
    """Models as subjects of an audit: folders are loaded and named after themselves, or as ``names`` say.

    Raises
    ------
    ConfigError
        If there are neither none, one nor as many rules.
    """
    chosen = rules_for(len(models), rules)
    referred = _referred(models)
    found = [_subject(*parts) for parts in zip(referred, _own_names(referred), chosen, strict=True)]
    named = names or [subject.name for subject in found]
    return [replace(subject, name=name) for subject, name in zip(found, named, strict=True)]


def _own_names(models: Sequence[_Referred]) -> list[str]:
    """Folders are called after themselves, models in memory are numbered."""
    folders = iter(headings([Path(model.spec) for model in models if isinstance(model, ModelReference)]))
    return [
        next(folders) if isinstance(model, ModelReference) else f"model {number}"
        for number, model in enumerate(models, 1)
    ]


def _referred(models: Sequence[Model]) -> list[_Referred]:
    """The same models; a path or name as the reference that it stands for."""
    return [ModelReference(spec=str(model)) if isinstance(model, (str, Path)) else model for model in models]


def _subject(model: _Referred, name: str, rule: str) -> Subject:
    if isinstance(model, Subject):
        return model if rule == DEFAULT_RULE else replace(model, rule=rule)
    if isinstance(model, ModelReference):
        classifier = model.load()
        identity = model.identity(classifier)
        return Subject(name=name, classifier=classifier, kind=identity["kind"], identity=identity, rule=rule)
    return Subject(name=name, classifier=model, rule=rule)


def headings(models: Sequence[Path]) -> list[str]:
    """Names of the model folders, with the folder above where two are the same."""
    names = [path.resolve().name for path in models]
    longer = [f"{path.resolve().parent.name}/{name}" for path, name in zip(models, names, strict=True)]
    chosen = [name if names.count(name) == 1 else other for name, other in zip(names, longer, strict=True)]
    return [
        name if chosen.count(name) == 1 else f"{name} ({column})" for column, name in enumerate(chosen, 1)
    ]


def rules_for(count: int, rules: Sequence[str]) -> list[str]:
    """The rule of each of ``count`` models; without any, the models' own.

    Raises
    ------
    ConfigError
        If there are neither none, one nor as many.
    """
    if len(rules) not in (0, 1, count):
        raise ConfigError(f"{len(rules)} rules for {count} models", allowed=f"one --rule for all, or {count}")
    return list(rules) if len(rules) == count else list(rules or [DEFAULT_RULE]) * count


def _listed(models: Model | Sequence[Model] | Mapping[str, Model]) -> list[Model]:
    if isinstance(models, Mapping):
        return list(models.values())
    return list(models) if isinstance(models, (list, tuple)) else [models]  # type: ignore[list-item]
