"""Option groups: one parameter of a command is a bundle of options."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer
from typer.testing import CliRunner

from pfungst.cli._groups import Group, Sectioned, grouped


@dataclass(frozen=True, kw_only=True)
class Work(Group):
    panel: ClassVar[str] = "Labour"

    target: Annotated[str, typer.Argument(help="What to work on.")]
    workers: Annotated[int, typer.Option(min=0, help="Processes.")] = 0
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Repeat it.")] = None


def app(seen):
    application = typer.Typer(rich_markup_mode=None)

    @application.command(cls=Sectioned)
    @grouped
    def command(
        first: Annotated[str, typer.Argument(help="First.")],
        work: Work,
        loud: Annotated[bool, typer.Option("--loud", help="Loud.")] = False,
    ) -> None:
        """Do it."""
        seen.append((first, work, loud))

    return application


def test_options_of_a_group_reach_the_command_as_one_object():
    seen = []
    result = CliRunner().invoke(
        app(seen), ["one", "two", "--workers", "3", "--tag", "a", "--tag", "b", "--loud"]
    )
    assert result.exit_code == 0, result.output
    assert seen == [("one", Work(target="two", workers=3, tags=["a", "b"]), True)]


def test_defaults_and_checks_are_those_of_the_group():
    seen = []
    assert CliRunner().invoke(app(seen), ["one", "two"]).exit_code == 0
    assert seen[0][1] == Work(target="two")
    assert CliRunner().invoke(app(seen), ["one", "two", "--workers", "-1"]).exit_code == 2


def test_help_shows_every_option_of_a_group():
    text = CliRunner().invoke(app([]), ["--help"]).output
    assert "Do it." in text
    assert all(word in text for word in ("--workers", "--tag", "--loud", "Repeat it."))


def test_help_has_a_section_for_the_options_of_a_group():
    text = CliRunner().invoke(app([]), ["--help"]).output
    arguments, options, labour = (text.index(f"\n{name}:\n") for name in ("Arguments", "Options", "Labour"))
    assert arguments < text.index("What to work on.") < options < text.index("--loud") < labour
    assert labour < text.index("--workers")
