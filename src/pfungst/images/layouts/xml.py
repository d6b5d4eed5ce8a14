"""One VOC annotation: an XML file with a photo's name, size and objects, of which nothing is believed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pfungst.errors import DataError
from pfungst.files import read_bounded
from pfungst.images.assembly import Assembly, class_problem, stated_size
from pfungst.images.fitting import Size, has_inside
from pfungst.images.records import MENDED, Labelled, in_order
from pfungst.images.rectangles import Rectangle

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_MAX_BYTES = 4 * 2**20


class BrokenXml(Exception):  # noqa: N818 - never leaves the reader
    """One annotation cannot be used; the text says why."""


class Node:
    """An XML element whose children are found whatever the case of their tags."""

    def __init__(self, element: Element) -> None:
        self._element = element

    def iter_named(self, tag: str) -> Iterator[Node]:
        """Children with that tag."""
        for child in self._element:
            if isinstance(child.tag, str) and _plain(child.tag) == tag:
                yield Node(child)

    def child(self, tag: str) -> Node | None:
        """First child with that tag."""
        return next(self.iter_named(tag), None)

    def text(self, tag: str) -> str:
        """Text of the first child with that tag; empty if there is none."""
        child = self.child(tag)
        return "" if child is None else (child._element.text or "").strip()

    @property
    def size(self) -> Size | None:
        """The photo's size as stated."""
        stated = self.child("size")
        return (
            None
            if stated is None
            else stated_size(*(number(stated.text(tag)) for tag in ("height", "width")))
        )

    def objects(self, found: Assembly, where: str) -> list[Labelled]:
        """The objects that have a usable name; for the others a problem is noted."""
        items = (_labelled(item, found, where) for item in self.iter_named("object"))
        return [item for item in items if item is not None]


def parse(file: Path) -> Node:
    """The root of an annotation.

    Raises
    ------
    BrokenXml
        If it cannot be read, is not well-formed, declares a DTD, or is no ``<annotation>``.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        content = read_bounded(file, _MAX_BYTES, error=DataError, what="an annotation")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of decoders that a declared encoding may name
            root = fromstring(content, forbid_dtd=True)
    except DataError as error:
        raise BrokenXml(error.problem.removeprefix(f"{file}: ")) from error
    except DefusedXmlException as error:
        raise BrokenXml("declares a DTD or an entity, which is refused") from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise BrokenXml(f"is not well-formed XML ({error})") from error
    if _plain(root.tag) != "annotation":
        raise BrokenXml(f"has the root tag <{root.tag[:40]}> instead of <annotation>")
    return Node(root)


def _plain(tag: str) -> str:
    """A tag in lower case, without a namespace."""
    return tag.rpartition("}")[2].lower()


def _labelled(item: Node, found: Assembly, where: str) -> Labelled | None:
    name = item.text("name")
    if not name:
        found.note(where, "an object has no name; object left out")
        return None
    if problem := class_problem(name):
        found.note(where, f"{problem}; object left out")
        return None
    difficult = item.text("difficult").lower() in ("1", "true")
    corners = item.child("bndbox")
    box = None if corners is None else _box(corners, found, where)
    return Labelled(class_name=name, difficult=difficult, box=box)


def _box(corners: Node, found: Assembly, where: str) -> Rectangle:
    """From corners that are 1-based and inclusive; swapped ones are mended before they become edges."""
    given = Rectangle.of(number(corners.text(tag)) for tag in ("xmin", "ymin", "xmax", "ymax"))
    box = in_order(given)
    if not has_inside(box):
        return box  # not even a pixel was drawn; widened by one, it would pass for an object
    if box.edges != given.edges:
        found.count(MENDED, where)
    return Rectangle(left=box.left - 1, top=box.top - 1, right=box.right, bottom=box.bottom)


def number(text: str) -> float:
    """The number that a text states, NaN if it states none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
