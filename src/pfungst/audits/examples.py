"""Which photo shows a problem best to a person: its object whole, of a good size, and alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pfungst.audits.schema import Photo
from pfungst.images.rectangles import Box

_EDGE = 0.01
"""Of a side: a box closer than that to it counts as cut off."""
_SMALL, _LARGE = 0.05, 0.6
"""Shares of the photo between which an object is neither a speck nor the whole picture."""


def clearest(images: Sequence[str], class_name: str, photos: Mapping[str, Photo]) -> str:
    """The clearest of photos that tell something, those that tell most first; empty if there is none.

    Among the more telling half, the first of those with most in their favour: the class alone, no object of
    it cut off by the photo's edge, and its largest one neither a speck nor the whole picture.

    Parameters
    ----------
    images : sequence of str
        Photo ids, the most telling first.
    class_name : str
    photos : mapping of str to Photo
        By id; photos that are not in it are passed over.
    """
    known = [photos[image] for image in images if image in photos]
    telling = known[: max(1, (len(known) + 1) // 2)]
    best = max(telling, key=lambda photo: clarity(photo, class_name), default=None)
    return "" if best is None else best.id


def clarity(photo: Photo, class_name: str) -> int:
    """How much speaks for a photo as an example, 0 to 3."""
    boxes = [box for box in photo.boxes if box.class_name == class_name]
    alone = set(photo.positive) <= {class_name} and all(box in boxes for box in photo.boxes)
    if not boxes:
        return int(alone)
    area = max(box.area for box in boxes)
    return (
        alone
        + (not any(_cut(box, photo) for box in boxes))
        + (_SMALL <= area / (photo.width * photo.height) <= _LARGE)
    )


def _cut(box: Box, photo: Photo) -> bool:
    x, y = _EDGE * photo.width, _EDGE * photo.height
    inside = box.left > x and box.top > y and box.right < photo.width - x and box.bottom < photo.height - y
    return not inside
