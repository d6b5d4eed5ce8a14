"""The options of commands that begin with a survey: each photo scored and explained, once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from pfungst.cli._groups import Group

if TYPE_CHECKING:
    from pfungst.audits.survey import Survey, SurveyConfig
    from pfungst.contract.classifier import Classifier
    from pfungst.images import DataSet
    from pfungst.progress import Progress
    from pfungst.runs.executor import Workers


@dataclass(frozen=True, kw_only=True)
class Shared(Group):
    """Where surveys lie."""

    panel: ClassVar[str] = "Survey"

    survey: Annotated[
        Path | None,
        typer.Option(
            "--survey",
            metavar="DIR",
            help="Folder of surveys that commands share, such as an audit's --out; default this command's "
            "--out.",
        ),
    ] = None

    def place(self, out: Path | None, name: str) -> Path | None:
        """Where the survey of a model of that name lies: in ``--survey``, else in ``--out``."""
        from pfungst.audits.schema import survey_name

        folder = self.survey or out
        return None if folder is None else folder / survey_name(name)


@dataclass(frozen=True, kw_only=True)
class Surveyed(Shared):
    """A survey of one model, by one rule."""

    rule: Annotated[str | None, typer.Option(help="Rule of the heatmaps; default the model's own.")] = None

    def of(
        self,
        classifier: Classifier,
        data: DataSet,
        name: str,
        *,
        seed: int,
        classes: Sequence[str] | None,
        identity: Mapping[str, Any],
        out: Path | None,
        workers: Workers,
        progress: Progress,
        photos: bool = False,
    ) -> Survey:
        """The survey, with small copies of the photos where they are asked for."""
        from pfungst.audits.survey import survey

        return survey(
            classifier,
            data,
            survey_config(self.rule, seed, photos=photos),
            classes=classes,
            identity=identity,
            out=self.place(out, name),
            workers=workers,
            progress=progress,
        )


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
