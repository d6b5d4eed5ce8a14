"""Options that several commands share, and how they are resolved."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pfungst.errors import ConfigError

if TYPE_CHECKING:
    from pfungst.audits.survey import SurveyConfig
    from pfungst.contract.classifier import Classifier
    from pfungst.models import ModelReference
    from pfungst.runs.executor import Workers as Crew

Workers = Annotated[int, typer.Option(min=0, help="Processes; 0 takes one for each processor.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Work on a Dask cluster instead: its scheduler (tcp://host:8786) or "
        "scheduler file. Needs pfungst[dask].",
    ),
]
JsonTarget = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the numbers as JSON; '-' for standard output."),
]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Layout of the photo set, if it is not recognised: voc, coco, yolo, …"),
]
Images = Annotated[
    Path | None,
    typer.Option("--images", help="Folder of the photos, where they do not lie beside the annotation file."),
]
SurveyFolder = Annotated[
    Path | None,
    typer.Option(
        "--survey",
        metavar="DIR",
        help="Folder of surveys that commands share, such as an audit's --out; default this command's --out.",
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same numbers.")]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--classes", "--class", metavar="NAME",
        help="Only this class; may be given several times, or with several names separated by commas.",
    ),
]  # fmt: skip


Weights = Annotated[
    list[Path] | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Weights (.safetensors, .pth) of torchvision:NAME or timm:NAME; once for each such model.",
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", metavar="FILE", help="Names of such a network's outputs, one a line."),
]
MODEL_HELP = (
    "Model folder that `pfungst train` or `convert` wrote, a Hugging Face folder, or torchvision:NAME or "
    "timm:NAME with --weights."
)


def crew(workers: int, scheduler: str | None) -> Crew:
    """Who works: the processes that ``--workers`` asks for, or the cluster of ``--scheduler``."""
    from pfungst.runs.executor import Cluster, default_workers

    return Cluster(scheduler) if scheduler is not None else workers or default_workers()


@contextlib.contextmanager
def loaded_model(
    model: Path | ModelReference,
    views: str | None = None,
    *,
    weights: Sequence[Path] | None = None,
    labels: Path | None = None,
) -> Iterator[tuple[Classifier, dict[str, Any]]]:
    """A model and its identity; at the end, its files must still be those that were loaded."""
    from pfungst.models import references
    from pfungst.runs.identity import unchanged_model

    (found,) = references([model], weights or (), labels) if isinstance(model, Path) else [model]
    with unchanged_model(found.spec, found.identify):
        classifier = with_views(found.load(), views)
        yield classifier, found.identity(classifier)


def survey_config(
    rule: str | None, seed: int, *, edits: bool = False, margin: float = 0.0, photos: bool = False
) -> SurveyConfig:
    """What a command asks of a survey; commands of the same rule, seed and margin share one."""
    from pfungst.audits.survey import KEPT_PIXELS, ContextConfig, SurveyConfig

    return SurveyConfig(
        options={} if rule is None else {"rule": rule},
        errors=False,
        context=ContextConfig(edits=edits, margin=margin, random_state=seed),
        kept_pixels=KEPT_PIXELS if photos else 0,
    )


def survey_place(survey: Path | None, out: Path | None, name: str) -> Path | None:
    """Where the survey of a model of that name lies: in ``--survey``, else in ``--out``."""
    from pfungst.audits.schema import survey_name

    folder = survey or out
    return None if folder is None else folder / survey_name(name)


def with_views(classifier: Classifier, views: str | None) -> Any:
    """The classifier scoring by the named views, if any are named."""
    if views is None:
        return classifier
    change = getattr(classifier, "with_views", None)
    if change is None:
        raise ConfigError(f"--views {views} for a model that sees the whole photo", hint="no --views")
    return change(views)


def headings(models: Sequence[Path]) -> list[str]:
    """Names of the model folders, with the folder above where two are the same."""
    from pfungst.front.auditing import headings as named

    return named(models)


def rule_options(names: Sequence[str], rules: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rule of each model as options of its heatmaps; without any, the models' own."""
    from pfungst.front.auditing import rules_for

    chosen = rules_for(len(names), rules) if rules else []
    return {name: {"rule": rule} for name, rule in zip(names, chosen, strict=False)}
