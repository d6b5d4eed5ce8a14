"""One list of the places that networks come from; each knows its own names and opens what they name.

A source turns what a user writes (``timm:resnet18``, a Hugging Face folder) into an :class:`Opened` network,
and a network's ``architecture``, plain JSON in a model folder, into the same module again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import nn

from pfungst.contract.deciding import Decision
from pfungst.errors import ConfigError, unknown_name
from pfungst.network.preprocess import Preprocess

_SPARE = 2**20


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of a source.

    Attributes
    ----------
    spec : str
        What the user wrote.
    weights : Path or None
        A file of weights, for sources that know architectures alone.
    random_state : int or None
        Begin with random weights of this seed where no weights are given; None refuses that.
    """

    spec: str
    weights: Path | None = None
    random_state: int | None = None


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A network as its source has it.

    Attributes
    ----------
    module : torch.nn.Module
        With its weights.
    architecture : mapping
        Plain JSON from which :meth:`Source.build` makes the module again.
    preprocess : Preprocess
        What it was trained to see.
    outputs : int
        How many scores it has.
    classes : tuple of str, or None
        Their names, where the source knows them.
    decision : {"thresholds", "highest"}
        Whether any number of classes may be on a photo, or the highest score decides.
    info : mapping
        Plain JSON on the origin.
    """

    module: nn.Module
    architecture: Mapping[str, Any]
    preprocess: Preprocess
    outputs: int
    classes: tuple[str, ...] | None = None
    decision: Decision = "highest"
    info: Mapping[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """A place that networks come from."""

    @property
    def name(self) -> str:
        """The ``type`` of its architectures."""

    @property
    def form(self) -> str:
        """What a user writes, for messages."""

    def recognise(self, spec: str) -> bool:
        """Whether a spec is meant for this source; a look at names, at most at the head of a file."""

    def files(self, spec: str) -> list[Path]:
        """The files that a spec names, for what tells one model from another."""

    def load(self, request: Request) -> Opened:
        """Open what a request names.

        Raises
        ------
        ConfigError
            If a name is unknown or a package is not installed.
        ModelError
            If a file is damaged, or would have to be executed.
        """

    def build(self, architecture: Mapping[str, Any]) -> nn.Module:
        """The module of an architecture, its weights not yet set."""

    def with_outputs(self, architecture: Mapping[str, Any], outputs: int, head: str) -> dict[str, Any]:
        """The same architecture with another number of outputs of its last layer ``head``."""


_SOURCES: dict[str, Source] = {}


def register(source: Source) -> Source:
    """Add a source of one's own, or replace one of the same name.

    Examples
    --------
    ::

        register(MySource())
        open_network("mine:net")
    """
    _SOURCES[source.name] = source
    return source


def sources() -> tuple[Source, ...]:
    """All sources in the order in which they are asked."""
    return tuple(_SOURCES.values())


def find_source(spec: str) -> Source | None:
    """The source that recognises a spec, if one does."""
    return next((source for source in _SOURCES.values() if source.recognise(spec)), None)


def source_named(name: str) -> Source:
    """The source whose architectures have the type ``name``."""
    if name not in _SOURCES:
        raise unknown_name("source of networks", name[:80], list(_SOURCES))
    return _SOURCES[name]


def is_source(name: object) -> bool:
    """Whether an architecture's type is that of a source."""
    return isinstance(name, str) and name in _SOURCES


def build_within(source: Source, architecture: Mapping[str, Any], room: int) -> nn.Module:
    """Build a network, if it has no more weights than there are numbers to fill it with.

    It is first built without storage, so that a description of a giant costs no memory.

    Raises
    ------
    ConfigError
        If it has more than twice as many weights as ``room``.
    """
    with torch.device("meta"):
        module = source.build(architecture)
    asked = sum(value.numel() for value in module.state_dict().values())
    if asked > 2 * room + _SPARE:
        raise ConfigError(
            f"the description is of {asked} weights", allowed=f"about {room}, as the file holds"
        )
    return source.build(architecture)


def needed(package: str, extra: str, what: str) -> ModuleType:
    """An optional package, or an error that says how to install it."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"{what} needs {package.split('.', maxsplit=1)[0]}, which cannot be imported ({error})",
            hint=f'pip install "pfungst[{extra}]"',
        ) from error
