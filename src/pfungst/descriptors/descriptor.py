"""What a local descriptor is: a configuration that describes photos, and the register of its kinds.

A kind of a user's own is a frozen dataclass derived from :class:`Descriptor` (or, for squares on a regular
grid, from :class:`~pfungst.descriptors.grid.GridDescriptor`) that is registered under its name. It can then
be trained with, stored in model folders, explained and audited like those that come with the library.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError, PfungstError, unknown_name
from pfungst.files import shown

FloatArray = NDArray[np.float32]
Area = tuple[int, int, int, int]
"""``(top, left, bottom, right)`` of a rectangle of pixels, half-open."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Descriptors:
    """The local descriptors L of one photo and where they look.

    Attributes
    ----------
    values : (N, d) float32
        One descriptor a row.
    areas : (N, 4) int32
        ``left, top, right, bottom`` of each receptive field, half-open, in pixels of the original photo and
        clipped to it.
    shape : (int, int)
        ``(height, width)`` of the original photo.
    places : (N,) int, optional
        Which of the descriptor's :class:`Places` each one was taken at, ascending; None where it has none.
    """

    values: FloatArray
    areas: NDArray[np.int32]
    shape: tuple[int, int]
    places: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def transformed(self, function: Callable[[FloatArray], FloatArray]) -> Descriptors:
        """The same places with other values, such as a PCA projection."""
        return Descriptors(
            values=function(self.values), areas=self.areas, shape=self.shape, places=self.places
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """Descriptors that were taken again at some places.

    Attributes
    ----------
    places : (n,) int
        Distinct numbers of places.
    kept : (n,) bool
        At which of them there is a descriptor.
    values : (kept.sum(), d) float32
        Those, in the order of ``places``.
    """

    places: NDArray[np.intp]
    kept: NDArray[np.bool_]
    values: FloatArray


class Places(Protocol):
    """The places at which descriptors of photos of one shape are taken, whatever a photo shows."""

    @property
    def n_places(self) -> int:
        """How many; descriptors are numbered by them."""

    def count(self, area: Area) -> int:
        """How many of them see any pixel of ``area``."""

    def take(self, image: NDArray[np.uint8], area: Area) -> Taken:
        """The descriptors that see any pixel of ``area``, as in a description of the whole ``image``."""


class Descriptor(ABC):
    """A kind of local descriptor with its settings; derived classes are frozen dataclasses of plain values.

    Attributes
    ----------
    name : str
        What model folders and the command line call the kind.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def size(self) -> int:
        """d, how many numbers a descriptor has."""

    @abstractmethod
    def describe(self, image: NDArray[np.uint8]) -> Descriptors:
        """The descriptors of a photo, ``(height, width, 3)`` uint8 RGB.

        Raises
        ------
        PfungstError
            If the photo has no descriptor.
        """

    def places(self, shape: tuple[int, int]) -> Places | None:
        """Where descriptors of a photo of this ``(height, width)`` are taken, so that few can be taken again.

        None, the default, if they cannot: an edited photo is then described as a whole.
        """
        del shape
        return None

    def as_dict(self) -> dict[str, Any]:
        """Name and settings as plain JSON; :func:`descriptor_from_dict` reads it."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]


def described(descriptor: Descriptor, image: NDArray[np.uint8]) -> Descriptors:
    """The descriptors of a photo, checked: a kind of a user's own may make any mistake.

    Raises
    ------
    PfungstError
        If the photo has no descriptor.
    ConfigError
        If shapes do not fit, or there is NaN or infinity.
    """
    found = descriptor.describe(image)
    count = len(found)
    if not count:
        raise PfungstError(f"the photo has no descriptor of kind {descriptor.name!r}")
    shapes = found.values.shape, found.areas.shape
    if shapes != ((count, descriptor.size), (count, 4)):
        raise ConfigError(
            f"descriptor {descriptor.name!r} gave values of shape {shapes[0]}, areas of shape {shapes[1]}",
            allowed=f"(N, {descriptor.size}) and (N, 4)",
        )
    if not np.isfinite(np.vdot(found.values, found.values)):
        raise ConfigError(f"descriptor {descriptor.name!r} gave NaN or infinity", allowed="finite numbers")
    return found


Kind = TypeVar("Kind", bound=type[Descriptor])
_KINDS: dict[str, type[Descriptor]] = {}


def register_descriptor(kind: Kind) -> Kind:
    """Make a kind of descriptor known by its name; also as a decorator.

    Raises
    ------
    ConfigError
        If it has no name, or another kind has it already.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @register_descriptor
    ... @dataclass(frozen=True)
    ... class Grey(Descriptor):
    ...     name = "grey"
    ...     side: int = 4
    ...
    ...     @property
    ...     def size(self):
    ...         return self.side**2
    ...
    ...     def describe(self, image):
    ...         patch = image[: self.side, : self.side].mean(axis=2, dtype=np.float32).reshape(1, -1)
    ...         area = np.array([[0, 0, self.side, self.side]], np.int32)
    ...         return Descriptors(values=patch, areas=area, shape=image.shape[:2])
    >>> descriptor_from_dict({"name": "grey", "side": 3}).size
    9
    >>> del _KINDS["grey"]
    """
    name = getattr(kind, "name", None)
    if not isinstance(name, str) or not name:
        raise ConfigError(f"the descriptor {kind.__name__} without a name", hint='name = "..." in its class')
    known = _KINDS.get(name)
    if known is not None and (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
        raise ConfigError(
            f"a second descriptor named {name!r}", allowed=f"names other than {', '.join(_KINDS)}"
        )
    _KINDS[name] = kind
    return kind


def descriptor_kind(name: object) -> type[Descriptor]:
    """The kind of that name.

    Raises
    ------
    ConfigError
        If no kind of that name is registered.
    """
    if not isinstance(name, str) or name not in _KINDS:
        error = unknown_name("descriptor", name if isinstance(name, str) else shown(name), list(_KINDS))
        error.hint = "importing the module that registers it first"
        raise error
    return _KINDS[name]


def descriptor_from_dict(settings: Mapping[str, Any]) -> Descriptor:
    """A descriptor from what :meth:`Descriptor.as_dict` gave; lists become tuples.

    Raises
    ------
    ConfigError
        If the kind or a setting is unknown, or a setting's value cannot work.
    """
    kind = descriptor_kind(settings.get("name"))
    values = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in settings.items()
        if key != "name"
    }
    known = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(
            f"descriptor {kind.name} has no setting {', '.join(map(shown, unknown))}",
            allowed=", ".join(known) or "no settings",
        )
    return kind(**values)
