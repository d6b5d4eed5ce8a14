"""What people hand in, made what the rooms work with: photos, models and photo sets, wherever they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageOps

from pfungst.contract.classifier import Classifier, ImageArray
from pfungst.contract.seen import unseen
from pfungst.contract.storage import model_identity
from pfungst.errors import ConfigError
from pfungst.images import DataSet, decode, open_dataset
from pfungst.models import load
from pfungst.progress import Progress, silent
from pfungst.runs.identity import unchanged_model

Picture: TypeAlias = str | Path | Image.Image | ArrayLike
"""A photo: its file, a Pillow image, or an array of numbers from 0 to 255."""

Photos: TypeAlias = str | Path | DataSet
"""A photo set on disk, or one that is open."""

Model: TypeAlias = str | Path | Classifier
"""A model's folder, or a classifier."""


def as_image(picture: Picture) -> ImageArray:
    """A photo as the classifiers take it.

    Parameters
    ----------
    picture : path, PIL.Image.Image or array
        A Pillow image is turned as its EXIF data say, and laid on white where it is transparent. An array is
        ``(height, width)`` grey, ``(height, width, 3)`` RGB, rows from the top, whole numbers from 0 to 255.

    Returns
    -------
    (height, width, 3) uint8

    Raises
    ------
    ImageError
        If a file cannot be decoded.
    ConfigError
        If an array is no photo; the message says what it is.

    Examples
    --------
    >>> as_image(np.zeros((4, 6), dtype=np.uint8)).shape
    (4, 6, 3)
    """
    if isinstance(picture, (str, Path)):
        return decode(picture)
    if isinstance(picture, Image.Image):
        return _from_pillow(picture)
    return _from_array(np.asarray(picture))


def _from_pillow(picture: Image.Image) -> ImageArray:
    turned = ImageOps.exif_transpose(picture).convert("RGBA")
    ground = Image.new("RGBA", turned.size, "white")
    flat = Image.alpha_composite(ground, turned).convert("RGB")
    pixels: ImageArray = np.array(flat, dtype=np.uint8)
    return pixels


def _from_array(array: np.ndarray[Any, Any]) -> ImageArray:
    grey = array[..., None] if array.ndim == 2 else array
    if grey.ndim != 3 or grey.shape[2] not in (1, 3) or not grey.size:
        hint = (
            "image.transpose(1, 2, 0)"
            if array.ndim == 3 and array.shape[0] in (1, 3)
            else "one photo at a time"
        )
        raise ConfigError(
            f"a photo of shape {array.shape}",
            allowed="(height, width, 3) RGB or (height, width) grey",
            hint=hint,
        )
    if grey.dtype != np.uint8 and not _is_whole(grey):
        raise ConfigError(
            f"a photo of {array.dtype} numbers",
            allowed="whole numbers from 0 to 255",
            hint="(255 * image).round()",
        )
    pixels: ImageArray = np.ascontiguousarray(np.broadcast_to(grey, (*grey.shape[:2], 3)).astype(np.uint8))
    return pixels


def _is_whole(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array holds whole numbers from 0 to 255, and not merely zeros and ones of another scale."""
    if array.dtype.kind not in "iuf":
        return False
    low, high = float(array.min()), float(array.max())
    scaled = array.dtype.kind == "f" and high <= 1
    return low >= 0 and high <= 255 and not scaled and bool((array == np.rint(array)).all())


def as_photos(
    photos: Photos,
    *,
    split: str = "test",
    format: str | None = None,  # noqa: A002 - as open_dataset
    images: str | Path | None = None,
    random_state: int = 0,
) -> DataSet:
    """Photos of a set on disk; an open set is taken as it is.

    Parameters
    ----------
    photos : path or DataSet
    split : str
        Which photos of a set on disk; ``all`` for every one. Sets without splits are dealt out.
    format : str, optional
        The layout of a set on disk, where it is not recognised (:func:`pfungst.images.open_dataset`).
    images : path, optional
        The folder of the photos of a set on disk, where they do not lie beside the annotation file.
    random_state : int
        Seed of the dealing out.
    """
    if isinstance(photos, DataSet):
        return photos
    data = open_dataset(photos, format=format, images=images)
    if split == "all":
        return data
    return (data if data.splits else data.with_random_splits(random_state=random_state)).split(split)


def new_photos(
    photos: Photos,
    models: Mapping[str, Classifier],
    *,
    include_seen: bool = False,
    looks: bool = False,
    progress: Progress = silent,
    **options: Any,
) -> DataSet:
    """The photos that models are measured on: those of a set that none of them has learned from.

    Whoever measures models asks for photos here.

    Parameters
    ----------
    photos : path or DataSet
    models : mapping of str to Classifier
        By name.
    include_seen : bool
        Keep photos that a model has learned from.
    looks : bool
        Also name photos that look like one that a model has learned from; each is decoded for it, reduced.
    progress : Progress
    options
        As for :func:`as_photos`.

    Returns
    -------
    DataSet
        What was left out is told by its ``overlap``.

    Raises
    ------
    DataError
        If the set cannot be read, or no photo is left.
    """
    return unseen(as_photos(photos, **options), models, include=include_seen, looks=looks, progress=progress)


@contextmanager
def as_model(model: Model) -> Iterator[tuple[Classifier, Mapping[str, Any]]]:
    """A classifier, and what tells it from others; a folder must stay as it is while it is in use.

    Raises
    ------
    ModelError
        If a folder cannot be loaded, or has changed at the end.
    """
    if not isinstance(model, (str, Path)):
        yield model, {}
        return
    with unchanged_model(model):
        classifier = load(model)
        yield classifier, model_identity(model, classifier)
