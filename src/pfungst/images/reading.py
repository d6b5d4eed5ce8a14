"""Open a labelled photo set of any known layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from pfungst.errors import ConfigError, DataError, unknown_name
from pfungst.images._annotated import photos_below
from pfungst.images.coco import find_coco, read_coco
from pfungst.images.dataset import DataSet
from pfungst.images.folders import read_folders
from pfungst.images.voc import find_voc, read_voc

Format = Literal["auto", "voc", "coco", "folders"]

_LAYOUTS = "VOC (JPEGImages and Annotations), COCO (instances JSON), or one folder of photos for each class"


def open_dataset(
    path: str | Path,
    *,
    format: Format | str = "auto",  # noqa: A002 - the word users know it by
    classes: Sequence[str] | None = None,
    images: str | Path | None = None,
) -> DataSet:
    """Open a labelled photo set; photos are listed, not decoded.

    Parameters
    ----------
    path : path
        A folder in PASCAL VOC layout or one that holds such a folder; a COCO instances file or its folder;
        a folder with one folder of photos for each class.
    format : {"auto", "voc", "coco", "folders"}
        The layout; "auto" recognises it in that order.
    classes : sequence of str, optional
        The classes wanted, in this order. Default: those found.
    images : path, optional
        The folder of the photos of a COCO file, where it is not beside it.

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
        If ``format`` is unknown, or ``images`` is given for another layout than COCO.

    Examples
    --------
    >>> data = open_dataset("VOCdevkit/VOC2007", classes=["horse", "person"])  # doctest: +SKIP
    >>> data.split("trainval").labels().shape  # doctest: +SKIP
    (5011, 2)
    """
    source = Path(path)
    if format not in get_args(Format):
        raise unknown_name("format", format, get_args(Format))
    if not source.exists():
        raise DataError(source, "no such folder or file")
    found = _recognise(source) if format == "auto" else format
    if images is not None and found != "coco":
        raise ConfigError(f"images = {images} with a data set of format {found!r}", allowed="only with coco")
    if found == "voc":
        data = read_voc(source)
    else:
        data = read_coco(source, images=images) if found == "coco" else read_folders(source)
    return data if classes is None else data.select(classes)


def _recognise(path: Path) -> str:
    if path.is_dir() and find_voc(path):
        return "voc"
    if find_coco(path):
        return "coco"
    if not path.is_dir():
        raise DataError(path, "is a file that is no data set", allowed=_LAYOUTS)
    _refuse_half_voc(path)
    if any(len(photo.parts) > 1 for photo in photos_below(path)):
        return "folders"
    raise DataError(path, "is not a data set of a known layout", allowed=_LAYOUTS)


def _refuse_half_voc(path: Path) -> None:
    """Without this, the photos of half a VOC set would be read as a class named JPEGImages."""
    present = [name for name in ("JPEGImages", "Annotations") if (path / name).is_dir()]
    if present:
        missing = {"JPEGImages": "Annotations", "Annotations": "JPEGImages"}[present[0]]
        raise DataError(path, f"has a folder {present[0]}, but no {missing}", allowed=_LAYOUTS)
