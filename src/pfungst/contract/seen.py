"""A model remembers the photos that it has learned from; no measurement takes them for new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pfungst.contract.classifier import Classifier
from pfungst.errors import DataError
from pfungst.images.dataset import DataSet, Overlap
from pfungst.images.seen import SeenPhotos
from pfungst.progress import Progress, silent

_SHOWN = 3


def seen_by(classifier: Classifier | Any) -> SeenPhotos | None:
    """The photos that a classifier has learned from; None if it does not say."""
    seen = getattr(classifier, "seen", None)
    return seen if isinstance(seen, SeenPhotos) else None


def unseen(
    data: DataSet,
    models: Mapping[str, Classifier],
    *,
    include: bool = False,
    looks: bool = False,
    progress: Progress = silent,
) -> DataSet:
    """The photos of a data set that no model has learned from; whoever measures models asks for them here.

    Photos are compared by the content of their files, so that it does not matter what they are called, where
    they lie, or in which split they stand. A data set that comes from here is given back as it is.

    Parameters
    ----------
    data : DataSet
    models : mapping of str to Classifier
        By name.
    include : bool
        Whether photos that a model has learned from stay; they are named as a problem then too.
    looks : bool
        Whether photos that merely look like one of those are named; each photo is decoded for it, reduced.
    progress : Progress

    Returns
    -------
    DataSet
        With what was found as ``overlap``, and in ``problems``.

    Raises
    ------
    DataError
        If no photo is left.
    """
    if data.overlap is not None:
        return data
    memories = {name: seen_by(model) for name, model in models.items()}
    known = [memory for memory in memories.values() if memory is not None]
    data = data.with_digests(progress=progress) if known else data
    seen = [record.id for record in data if any(memory.has(record) for memory in known)]
    known_ids = set(seen)
    left = [record for record in data if record.id not in known_ids]
    if seen and not left and not include:
        raise DataError(
            data.root,
            f"a model has learned from all {len(data)} photos of {data.name}",
            hint="other photos, or include_seen (--include-seen)",
        )
    alike = [name for memory in known if looks for name in memory.alike(left, progress=progress)]
    overlap = Overlap(
        seen=tuple(seen),
        included=include,
        alike=tuple(dict.fromkeys(alike)),
        unknown=tuple(name for name, memory in memories.items() if memory is None),
    )
    return replace(
        data,
        records=data.records if include else tuple(left),
        overlap=overlap,
        problems=(*data.problems, *overlap_problems(overlap)),
    )


def overlap_problems(overlap: Overlap) -> list[str]:
    """A line for photos that a model has learned from, and one for those that look like them."""
    lines = []
    if overlap.seen:
        what = "measured all the same" if overlap.included else "left out"
        lines.append(f"{_counted(overlap.seen)} that a model has learned from; {what}")
    if overlap.alike:
        lines.append(f"{_counted(overlap.alike)} that look like photos that a model has learned from")
    return lines


def _counted(ids: tuple[str, ...]) -> str:
    more = ", …" if len(ids) > _SHOWN else ""
    return f"{len(ids)} photos ({', '.join(ids[:_SHOWN])}{more})"
