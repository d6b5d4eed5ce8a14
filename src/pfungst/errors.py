"""One family of errors: each says what was asked, what was found, what is allowed and what to try."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

_MAX_MESSAGE = 8000
_LISTED = 24
"""Of more names than that an error lists the most alike alone."""


def printable(text: str, *, most: int = 1000) -> str:
    """Text from a file as a terminal may show it: control characters escaped, too long a middle left out."""
    if len(text) > most:
        text = f"{text[: most // 2]} … {text[-most // 2 :]}"
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")


class PfungstError(Exception):
    """Base of every error that a user can cause and mend.

    Parameters
    ----------
    problem : str
        What was asked for and what stood in its way, with the value or file found.
    allowed : str, optional
        What would have been accepted.
    hint : str, optional
        What to try next.
    """

    def __init__(self, problem: str, *, allowed: str | None = None, hint: str | None = None) -> None:
        self.problem = problem
        self.allowed = allowed
        self.hint = hint
        super().__init__(problem)

    def __str__(self) -> str:
        """The whole message, one sentence per part."""
        parts = [self.problem]
        if self.allowed:
            parts.append(f"Allowed: {self.allowed}")
        if self.hint:
            parts.append(f"Try: {self.hint}")
        ended = (part if part.endswith(("?", "!")) else part.rstrip(".") + "." for part in parts)
        return printable(" ".join(ended), most=_MAX_MESSAGE)

    def __reduce__(self) -> tuple[Callable[..., PfungstError], tuple[object, ...]]:
        """Survive the way back from a worker process with all parts."""
        return _rebuild, (type(self), self.problem, self.allowed, self.hint, self.__dict__)


def _rebuild(
    kind: type[PfungstError],
    problem: str,
    allowed: str | None,
    hint: str | None,
    state: dict[str, object],
) -> PfungstError:
    error = kind.__new__(kind)
    PfungstError.__init__(error, problem, allowed=allowed, hint=hint)
    error.__dict__.update(state)
    return error


@dataclass(frozen=True)
class Failure:
    """An item (a photo, as a rule) that could not be used, and why; the work went on without it.

    It unpacks as ``item, reason``.
    """

    item: str = field(metadata={"formerly": ("image",)})
    reason: str

    def __iter__(self) -> Iterator[str]:
        """The item, then the reason."""
        yield self.item
        yield self.reason

    def __str__(self) -> str:
        """The reason, which names the item's file."""
        return self.reason


class ConfigError(PfungstError):
    """An option or argument has a value that cannot work."""


class FileError(PfungstError):
    """A file is missing, unreadable, damaged or not what it should be; ``path`` names it."""

    def __init__(
        self, path: str | Path, problem: str, *, allowed: str | None = None, hint: str | None = None
    ) -> None:
        self.path = str(path)
        super().__init__(f"{path}: {problem}", allowed=allowed, hint=hint)


class ImageError(FileError):
    """A photo cannot be decoded, or is too small or too large for what was asked."""


@contextmanager
def about_photo(path: str | Path) -> Iterator[None]:
    """Name the photo in errors about its content (too small, no contrast) that are raised in the block.

    Errors that name a file already, and wrong options, pass as they are.
    """
    try:
        yield
    except (FileError, ConfigError):
        raise
    except PfungstError as error:
        raise ImageError(path, error.problem, allowed=error.allowed, hint=error.hint) from error


class DataError(FileError):
    """A data set or its annotation is missing, broken or lacks what was asked for."""


class ModelError(FileError):
    """A model folder or weight file is missing, damaged, too new or of the wrong kind."""


def unknown_name(kind: str, name: str, known: object) -> ConfigError:
    """An error for a name that is not one of the known ones; of many, the three most alike are listed."""
    if isinstance(known, (set, frozenset)):
        known = sorted(known, key=str)
    if not isinstance(known, (list, tuple, dict)):
        return ConfigError(f"unknown {kind} {name!r}", allowed=str(known))
    names = [str(item) for item in known]
    if len(names) <= _LISTED:
        return ConfigError(f"unknown {kind} {name!r}", allowed=", ".join(names))
    return ConfigError(
        f"unknown {kind} {name!r}",
        allowed=f"{len(names)} names, the closest of them {', '.join(_closest(name, names))}",
    )


def _closest(name: str, names: Sequence[str]) -> list[str]:
    """Three names that are most alike, whatever their case; those that contain it first."""
    wanted = name.casefold()

    def distance(other: str) -> tuple[bool, float]:
        text = other.casefold()
        return wanted not in text, -SequenceMatcher(None, wanted, text).ratio()

    return sorted(names, key=distance)[:3]
