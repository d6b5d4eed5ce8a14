"""The photos that a model has learned from, as hashes: small, and telling nothing else about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.images.dataset import DataSet, Record
from pfungst.images.digests import Look, each, look_of
from pfungst.images.twins import Hashes, nearest
from pfungst.progress import Progress, silent

_CONTENTS, _LOOKS = "seen.contents", "seen.looks"


@dataclass(frozen=True, eq=False)
class SeenPhotos:
    """Photos, each as 64 bits of its file's SHA-256 and 64 bits of its looks.

    Attributes
    ----------
    contents : (n,) uint64
        In ascending order.
    looks : (n,) uint64
        Perceptual hashes (:func:`~pfungst.images.digests.look_of`), in ascending order; 0 where a photo has
        no look to be told by.
    """

    contents: Hashes
    looks: Hashes

    @classmethod
    def of(cls, *sets: DataSet, workers: int = 4, progress: Progress = silent) -> SeenPhotos:
        """The photos of data sets; those that cannot be read are not among them.

        Parameters
        ----------
        sets : DataSet
        workers : int
            Threads that read photos.
        progress : Progress
        """
        records = {record.path: record for data in sets for record in data.with_digests(workers=workers)}
        paths = [path for path, record in records.items() if record.digest is not None]
        looks = each(paths, look_of, stage="looks", workers=workers, progress=progress)
        return cls(
            contents=_sorted(record.digest.short for record in records.values() if record.digest is not None),
            looks=_sorted(look.upright for look in looks if isinstance(look, Look)),
        )

    def __len__(self) -> int:
        return len(self.contents)

    def has(self, record: Record) -> bool:
        """Whether a record's very file is among them; False where its digest was not taken."""
        if record.digest is None or not len(self):
            return False
        place = int(np.searchsorted(self.contents, record.digest.short))
        return place < len(self) and bool(self.contents[place] == record.digest.short)

    def alike(self, records: Iterable[Record], *, workers: int = 4, progress: Progress = silent) -> list[str]:
        """Ids of the records that look like one of them, or like its mirror image."""
        asked = tuple(records)
        paths = [record.path for record in asked]
        found = each(paths, look_of, stage="looks", workers=workers, progress=progress)
        pairs = zip(asked, found, strict=True)
        known = [(record.id, look) for record, look in pairs if isinstance(look, Look)]
        upright = np.array([look.upright for _, look in known], dtype=np.uint64)
        mirrored = np.array([look.mirrored for _, look in known], dtype=np.uint64)
        near = (nearest(upright, self.looks) >= 0) | (nearest(mirrored, self.looks) >= 0)
        return [identity for (identity, _), hit in zip(known, near, strict=True) if hit]

    def arrays(self) -> dict[str, NDArray[np.uint64]]:
        """Both, by the names under which a model folder keeps them."""
        return {_CONTENTS: self.contents, _LOOKS: self.looks}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> SeenPhotos | None:
        """What :meth:`arrays` gave; None if it is not there or is not that."""
        contents, looks = arrays.get(_CONTENTS), arrays.get(_LOOKS)
        if contents is None or looks is None:
            return None
        if any(array.dtype != np.uint64 or array.ndim != 1 for array in (contents, looks)):
            return None
        return cls(contents=np.sort(contents), looks=np.sort(looks))


def _sorted(hashes: Iterable[np.uint64]) -> Hashes:
    return np.unique(np.array(list(hashes), dtype=np.uint64))
