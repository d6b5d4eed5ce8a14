"""Open a labelled photo set of any known layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pfungst.errors import ConfigError, DataError, unknown_name
from pfungst.images.dataset import DataSet
from pfungst.images.layouts import LAYOUTS, Layout, Place
from pfungst.images.leftovers import leftovers
from pfungst.images.tree import Tree

_SHOWN = 4


def open_dataset(
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - the word users know it by
    classes: Sequence[str] | None = None,
    images: str | Path | None = None,
) -> DataSet:
    """Open a labelled photo set; photos are listed, and asked for their size, but not decoded.

    Parameters
    ----------
    path : path
        A folder of photos with their annotations, or an annotation file; see :data:`LAYOUTS` for what is
        known.
    format : str, optional
        The layout, by its name. Default (or "auto"): the one that there is evidence for; where there is
        evidence for none or for two, the place is refused and the message says what was seen.
    classes : sequence of str, optional
        The classes wanted, in this order. Default: those found.
    images : path, optional
        The folder of the photos, where they do not lie beside the annotation file.

    Returns
    -------
    DataSet
        With what was wrong in the files, and how it was met, in ``problems``.

    Raises
    ------
    DataError
        If the path does not exist, its layout is not recognised, nothing in it can be used, or a class is
        not in it.
    ConfigError
        If ``format`` is unknown, or ``images`` is given for a layout whose photos have their place.

    Examples
    --------
    >>> data = open_dataset("VOCdevkit/VOC2007", classes=["horse", "person"])  # doctest: +SKIP
    >>> data.split("trainval").labels().shape  # doctest: +SKIP
    (5011, 2)
    """
    source = Path(path)
    asked = format or "auto"
    if asked not in ("auto", *LAYOUTS):
        raise unknown_name("format", asked, ("auto", *LAYOUTS))
    if not source.exists():
        raise DataError(source, "no such folder or file")
    if images is not None and not Path(images).is_dir():
        raise DataError(images, "no such folder of photos")
    place = Place(source, images=None if images is None else Path(images))
    layout, evidence = _recognised(place) if asked == "auto" else (LAYOUTS[asked], "as asked for")
    if images is not None and not layout.takes_images:
        takers = " or ".join(name for name, item in LAYOUTS.items() if item.takes_images)
        raise ConfigError(
            f"images = {images} with a data set of format {layout.name!r}", allowed=f"only with {takers}"
        )
    data = _with_leftovers(layout.read(place), place, layout, evidence)
    return data if classes is None else data.select(classes)


def _recognised(place: Place) -> tuple[Layout, str]:
    """The layout that there is evidence for, and the evidence."""
    found = [(layout, evidence) for layout in LAYOUTS.values() if not layout.yields
             if (evidence := layout.recognise(place))]  # fmt: skip
    if not found:
        found = [(layout, evidence) for layout in LAYOUTS.values() if layout.yields
                 if (evidence := layout.recognise(place))]  # fmt: skip
    if len(found) == 1:
        return found[0]
    if found:
        seen = "; ".join(f"{layout.name}, since {evidence}" for layout, evidence in found)
        names = " or ".join(layout.name for layout, _ in found)
        raise DataError(
            place.path, f"can be read in more than one way: {seen}", hint=f"format (--format) {names}"
        )
    known = "; ".join(f"{layout.name}: {layout.title}" for layout in LAYOUTS.values())
    if not place.path.is_dir():
        raise DataError(place.path, "is a file that is no data set", allowed=known)
    what = f"is not a data set of a known layout: it holds {_content(place.tree)}"
    raise DataError(place.path, what, allowed=known)


def _content(tree: Tree) -> str:
    """How many photos and other files a folder holds, in words."""
    endings = Counter(path.suffix.lower() or "(none)" for path in tree.others)
    others = [f"{count} ending in {ending}" for ending, count in endings.most_common(_SHOWN)]
    more = ["others"] if len(endings) > _SHOWN else []
    return f"{len(tree.photos)} photos" + (f" and files, {', '.join(others + more)}" if others else "")


def _with_leftovers(data: DataSet, place: Place, layout: Layout, evidence: str) -> DataSet:
    """The data set that says how it was read, and what was not."""
    problems: tuple[str, ...] = data.problems
    unused: tuple[str, ...] = ()
    if place.path.is_dir():
        used = {place.relative(path) for path in (*place.read, *(record.path for record in data))
                if path.is_relative_to(place.path)}  # fmt: skip
        left, rest = leftovers(place.tree, used)
        problems, unused = (*problems, *place.tree.problems, *left), tuple(rest)
    return replace(data, layout=layout.name, evidence=evidence, problems=problems, unused=unused)
