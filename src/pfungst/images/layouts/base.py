"""What a layout of photos and annotations is, and the list of those that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pfungst.errors import ConfigError
from pfungst.images.dataset import DataSet
from pfungst.images.place import Place


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way to lay out photos and their labels.

    Attributes
    ----------
    name : str
        What ``format`` and ``--format`` call it.
    title : str
        What it looks like, for messages.
    recognise : callable
        From a :class:`Place` to the evidence that this layout is there, in words ("JPEGImages and
        Annotations lie in it"); empty if there is none. It may raise a
        :class:`~pfungst.errors.DataError` where it sees what it must not pass over.
    read : callable
        From a :class:`Place` to the data set.
    takes_images : bool
        Whether ``images`` may name the photos' folder.
    yields : bool
        Whether it steps back where another layout has evidence too.
    """

    name: str
    title: str
    recognise: Callable[[Place], str]
    read: Callable[[Place], DataSet]
    takes_images: bool = False
    yields: bool = False


LAYOUTS: dict[str, Layout] = {}
"""The known layouts by name, in the order in which they were registered."""


def register(layout: Layout) -> Layout:
    """Make a layout known to :func:`~pfungst.images.open_dataset`, by its name and by its evidence.

    Raises
    ------
    ConfigError
        If the name is taken, or is ``auto``.

    Examples
    --------
    ::

        register(Layout(name="mine", title="MINE.txt beside photos", recognise=find_mine, read=read_mine))
        open_dataset("photos", format="mine")
    """
    if layout.name in LAYOUTS or layout.name == "auto":
        raise ConfigError(f"a second layout of the name {layout.name!r}", allowed="a name that is not taken")
    LAYOUTS[layout.name] = layout
    return layout
