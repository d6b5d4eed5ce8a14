"""The options that say which model a command works with, shared by all that take one or several."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from pfungst.cli._groups import Group
from pfungst.errors import ConfigError

if TYPE_CHECKING:
    from pfungst.contract.classifier import Classifier
    from pfungst.models import ModelReference

_WHAT = (
    "`pfungst train` or `convert` wrote, a Hugging Face folder, or torchvision:NAME or timm:NAME "
    "with --weights"
)


@dataclass(frozen=True, kw_only=True)
class Weighed(Group):
    """What models known by name alone need beside it."""

    panel: ClassVar[str] = "Model"

    weights: Annotated[
        list[Path] | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="Weights (.safetensors, .pth) of torchvision:NAME or timm:NAME; once for each such model.",
        ),
    ] = None
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="Names of such a network's outputs, one a line."),
    ] = None

    def references(self, models: Sequence[Path]) -> list[ModelReference]:
        """The models as what can be loaded, with their weights and labels."""
        from pfungst.models import references

        return references(models, self.weights or (), self.labels)


@dataclass(frozen=True, kw_only=True)
class Model(Weighed):
    """One model."""

    model: Annotated[Path, typer.Argument(help=f"Model folder that {_WHAT}.")]

    @property
    def name(self) -> str:
        """What it is called in tables, and in the folder of its records."""
        return headings([self.model])[0]

    @contextlib.contextmanager
    def loaded(self, views: str | None = None) -> Iterator[tuple[Classifier, dict[str, Any]]]:
        """The classifier and its identity; at the end, its files must still be those that were loaded."""
        (found,) = self.references([self.model])
        with _loaded(found, views) as pair:
            yield pair


@dataclass(frozen=True, kw_only=True)
class Models(Weighed):
    """One model or several, side by side."""

    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help=f"One model or several, side by side: folders that {_WHAT}."),
    ]

    @property
    def names(self) -> list[str]:
        """What they are called in tables, and in the folders of their records."""
        return headings(self.models)

    @contextlib.contextmanager
    def loaded(self) -> Iterator[dict[str, tuple[Classifier, dict[str, Any]]]]:
        """Classifier and identity of each, by name."""
        with contextlib.ExitStack() as stack:
            pairs = [
                stack.enter_context(_loaded(found, views=None)) for found in self.references(self.models)
            ]
            yield dict(zip(self.names, pairs, strict=True))

    def options(self, rules: Sequence[str] | None) -> dict[str, dict[str, Any]]:
        """The rule of each as options of its heatmaps; without any, the models' own."""
        from pfungst.front.auditing import rules_for

        chosen = rules_for(len(self.names), rules) if rules else []
        return {name: {"rule": rule} for name, rule in zip(self.names, chosen, strict=False)}


def headings(models: Sequence[Path]) -> list[str]:
    """Names of the model folders, with the folder above where two are the same."""
    from pfungst.front.auditing import headings as named

    return named(models)


@contextlib.contextmanager
def _loaded(found: ModelReference, views: str | None) -> Iterator[tuple[Classifier, dict[str, Any]]]:
    from pfungst.runs.identity import unchanged_model

    with unchanged_model(found.spec, found.identify):
        classifier = _with_views(found.load(), views)
        yield classifier, found.identity(classifier)


def _with_views(classifier: Classifier, views: str | None) -> Any:
    """The classifier scoring by the named views, if any are named."""
    if views is None:
        return classifier
    change = getattr(classifier, "with_views", None)
    if change is None:
        raise ConfigError(f"--views {views} for a model that sees the whole photo", hint="no --views")
    return change(views)
