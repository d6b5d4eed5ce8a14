"""The pixels of surveyed photos for stages that look at them again: as kept, else decoded anew."""

from __future__ import annotations

from math import ceil, sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pfungst.contract.classifier import ImageArray
from pfungst.images.dataset import Record
from pfungst.runs.arrays import ArrayStore
from pfungst.runs.photos import decoded
from pfungst.runs.recorded import ARRAYS_FOLDER

_NAME = "photo"
"""Of the array, with the factor by which the photo is reduced behind it."""


class Copy(NamedTuple):
    """A photo, ``factor`` times smaller on both sides."""

    image: ImageArray
    factor: int


def kept_arrays(image: ImageArray, most: int) -> dict[str, NDArray[Any]]:
    """What a survey keeps of a photo's pixels: all, or means over squares so that few enough are left."""
    if not most:
        return {}
    factor = max(ceil(sqrt(image.shape[0] * image.shape[1] / most)), 1)
    copy = image if factor == 1 else np.asarray(Image.fromarray(image).reduce(factor))
    return {f"{_NAME}{factor}": copy}


class KeptPhotos:
    """Photos of a survey by their records; picklable.

    Parameters
    ----------
    folder : path
        Of the survey. A worker that does not see it decodes photos anew.
    """

    def __init__(self, folder: Path) -> None:
        self._store = ArrayStore(folder / ARRAYS_FOLDER)

    def whole(self, record: Record) -> ImageArray:
        """The photo itself, read-only.

        Raises
        ------
        ImageError
            If it was not kept as it is and cannot be decoded.
        """
        copy = self._copy(record)
        return copy.image if copy is not None and copy.factor == 1 else decoded(record.path)

    def at_least(self, record: Record, scale: float) -> Copy:
        """The photo, or a reduced copy that has at least ``scale`` of its pixels on each side.

        Raises
        ------
        ImageError
            As for :meth:`whole`.
        """
        copy = self._copy(record)
        enough = copy is not None and scale * copy.factor <= 1
        return copy if copy is not None and enough else Copy(self.whole(record), 1)

    def _copy(self, record: Record) -> Copy | None:
        for name, array in self._store.load(record.id).items():
            if name.startswith(_NAME):
                return Copy(array, int(name.removeprefix(_NAME)))
        return None
