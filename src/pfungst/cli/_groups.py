"""Option groups: a dataclass of options that several commands share, taken as one parameter.

A command that is :func:`grouped` states ``photos: Photos`` where ``Photos`` is a :class:`Group`; on the
command line that is every option of the group, and the command gets them as one object.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeVar, get_type_hints

from typer.core import TyperCommand
from typer.models import OptionInfo

Result = TypeVar("Result")


class Group:
    """Base of option groups: frozen dataclasses whose fields are ``Annotated`` as Typer takes parameters.

    Attributes
    ----------
    panel : str or None
        Heading of the group's options in ``--help``.
    """

    panel: ClassVar[str | None] = None


class Sectioned(TyperCommand):
    """A command whose help has its own options first, then a section for each group's."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, own options, and the groups' under their headings."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(_heading(parameter), []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _heading(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or "Options"


def grouped(command: Callable[..., Result]) -> Callable[..., Result]:
    """The command with each parameter that is a :class:`Group` replaced by the group's own options."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if inspect.isclass(kind) and issubclass(kind, Group)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        own = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
        parameters += _options_of(groups[name]) if name in groups else [own]

    @functools.wraps(command)
    def with_groups(**given: Any) -> Result:
        built = {name: _built(kind, given) for name, kind in groups.items()}
        return command(**given, **built)

    return _signed(with_groups, parameters)


def also(
    command: Callable[..., Result], kind: type[Group], use: Callable[[Any], None]
) -> Callable[..., Result]:
    """The command with a group's options beside its own; ``use`` gets them before it starts."""
    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
        for name, parameter in inspect.signature(command).parameters.items()
    ]

    @functools.wraps(command)
    def with_more(**given: Any) -> Result:
        use(_built(kind, given))
        return command(**given)

    return _signed(with_more, own + _options_of(kind))


def _signed(command: Callable[..., Result], parameters: list[inspect.Parameter]) -> Callable[..., Result]:
    """The command with that signature, which Typer reads."""
    vars(command).pop("__wrapped__", None)  # Typer would read the signature of the inner one
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _options_of(kind: type[Group]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
            annotation=_under(kind.panel, hints[field.name]),
        )
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
    ]


def _under(panel: str | None, hint: Any) -> Any:
    """The same annotation with its option below the panel's heading; arguments stay together."""
    (info,) = hint.__metadata__
    if panel is None or not isinstance(info, OptionInfo):
        return hint
    placed = copy.copy(info)
    placed.rich_help_panel = panel
    return Annotated[hint.__origin__, placed]


def _built(kind: type[Group], given: dict[str, Any]) -> Group:
    """The group's object; its options are taken out of what was given."""
    return kind(**{field.name: given.pop(field.name) for field in dataclasses.fields(kind)})  # type: ignore[arg-type]
