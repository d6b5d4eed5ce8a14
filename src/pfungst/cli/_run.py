"""What all commands share: exit codes, error messages, JSON output."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import typer

from pfungst.errors import ConfigError, Failure, PfungstError

EXIT_ERROR, EXIT_USAGE, EXIT_INCOMPLETE, EXIT_GATE = 1, 2, 3, 4
EXIT_INTERRUPTED, EXIT_STOPPED = 130, 143
"""Exit codes: 0 done; 1 stopped by an error; 2 wrong usage; 3 done, but some inputs failed; 4 done, and what
`--fail-on` or `--fail-if` names was found; 130 interrupted (Ctrl-C); 143 stopped (SIGTERM)."""


_SHOWN_FAILURES = 20


@dataclass
class Settings:
    """What options of every command say, and whether the system asked the process to end."""

    debug: bool = False
    wide: bool = False
    stopped: bool = False


settings = Settings()
Number = TypeVar("Number", int, float)


def guarded(app: Callable[[], Any]) -> NoReturn:
    """Run the command line; a :class:`PfungstError` prints as one message, without a traceback."""
    with contextlib.suppress(ValueError, OSError):  # not in the main thread: who calls us sees to it
        signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except PfungstError as error:
        if settings.debug:
            raise
        typer.secho(f"pfungst: {error}", err=True, fg="red")
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as ended:
        if ended.code == EXIT_INTERRUPTED:  # typer has met the interrupt before us, and says nothing
            _interrupted()
        raise
    except BrokenPipeError:
        sys.exit(EXIT_ERROR)
    sys.exit(0)


def _stop(_number: int, _frame: object) -> NoReturn:
    """End as Ctrl-C does: workers stopped, the run's manifest written."""
    settings.stopped = True
    raise KeyboardInterrupt


def _interrupted() -> NoReturn:
    typer.echo(f"pfungst: {'stopped' if settings.stopped else 'interrupted'}", err=True)
    sys.exit(EXIT_STOPPED if settings.stopped else EXIT_INTERRUPTED)


def write_json(target: str, content: Any) -> None:
    """Write numbers as JSON to a file, or to standard output for ``-``; NaN and infinity become null."""
    from pfungst.contract.plain import to_json
    from pfungst.writing import write_whole

    text = to_json(content)
    if target == "-":
        typer.echo(text, nl=False)
    else:
        write_whole(target, text)


def finish(failures: Sequence[Failure | PfungstError | str]) -> None:
    """List what failed, at the end; exit 3 if anything did."""
    tell_failures(failures)
    if failures:
        raise typer.Exit(EXIT_INCOMPLETE)


def tell_failures(failures: Sequence[Failure | PfungstError | str]) -> None:
    """How many problems there were, failed or mended, and the first of them, on standard error."""
    if not failures:
        return
    typer.secho(f"{len(failures)} problem{'' if len(failures) == 1 else 's'}:", err=True, fg="yellow")
    for failure in failures[:_SHOWN_FAILURES]:
        typer.echo(f"  {failure}", err=True)
    if len(failures) > _SHOWN_FAILURES:
        typer.echo(f"  and {len(failures) - _SHOWN_FAILURES} more (--json lists all)", err=True)


def comma_list(text: str | None) -> tuple[str, ...] | None:
    """``"a, b"`` as ``("a", "b")``; None stays None."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers(option: str, text: str, kind: Callable[[str], Number]) -> list[Number]:
    """The numbers of a list with commas.

    Raises
    ------
    ConfigError
        If a part is no number; ``option`` is named.
    """
    try:
        return [kind(part) for part in comma_list(text) or ()]
    except ValueError as error:
        raise ConfigError(f"{option} {text}", allowed="numbers separated by commas") from error


def print_notes(lines: Iterable[str]) -> None:
    """Remarks below a table, one a line."""
    for line in lines:
        typer.echo(line)
