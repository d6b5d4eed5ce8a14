"""A data set: a light list of records; photos are decoded one at a time, where they are used."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError, DataError, Failure
from pfungst.images.digests import Digest, digest_of, each
from pfungst.images.names import nearly, nfc
from pfungst.images.rectangles import Box
from pfungst.progress import Progress, silent
from pfungst.showing import listed, table_html

POSITIVE, DIFFICULT, NEGATIVE = 1, 0, -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One labelled photo.

    Attributes
    ----------
    id : str
        Unique within the data set; used in file names and tables.
    path : Path
        The photo.
    positive : frozenset of str
        Classes shown by at least one object that is not difficult.
    difficult : frozenset of str
        Classes shown by difficult objects only: label 0, ignored in training and average precision.
    boxes : tuple of Box
        Objects with their boxes; empty where the format has none.
    half_boxed : frozenset of str
        Classes of which some objects have a box and some have none, so that no measure of boxes can be taken.
    size : (int, int) or None
        ``(height, width)`` of the photo as shown; None where it was not asked for.
    digest : Digest or None
        The file's SHA-256, where it was taken (:meth:`DataSet.with_digests`); not part of what is compared.
    """

    id: str
    path: Path
    positive: frozenset[str] = frozenset()
    difficult: frozenset[str] = frozenset()
    boxes: tuple[Box, ...] = ()
    half_boxed: frozenset[str] = frozenset()
    size: tuple[int, int] | None = None
    digest: Digest | None = field(default=None, compare=False)

    def label(self, class_name: str) -> int:
        """+1 shown, 0 shown by difficult objects only, −1 not shown."""
        if class_name in self.positive:
            return POSITIVE
        return DIFFICULT if class_name in self.difficult else NEGATIVE

    def boxes_of(self, class_name: str) -> tuple[Box, ...]:
        """The boxes of all objects of one class, difficult ones among them; none if one lacks its box."""
        return () if class_name in self.half_boxed else self.known_boxes_of(class_name)

    def known_boxes_of(self, class_name: str) -> tuple[Box, ...]:
        """The boxes of one class that there are, be it that other objects of the class have none.

        For what is kept off objects as far as they are known; what is measured on objects takes
        :meth:`boxes_of`.
        """
        return tuple(box for box in self.boxes if box.class_name == class_name)


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What a data set and the photos that models have learned from have in common.

    Attributes
    ----------
    seen : tuple of str
        Ids of photos whose very files a model has learned from.
    included : bool
        Whether they are still among the records.
    alike : tuple of str
        Ids of photos that look like one that a model has learned from, or like its mirror image; they are
        among the records. Empty where looks were not compared.
    unknown : tuple of str
        Models that do not say what they have learned from.
    """

    seen: tuple[str, ...] = ()
    included: bool = False
    alike: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Labelled photos with their classes and splits.

    Attributes
    ----------
    name : str
        For titles and manifests.
    root : Path
        The folder (or annotation file) it was read from.
    classes : tuple of str
        Column order of labels and scores.
    records : tuple of Record
        In a fixed order.
    splits : mapping of str to tuple of str
        Split name to record ids; empty where the format has none.
    problems : tuple of str
        What was wrong in the files and how it was met (a clipped box, a missing photo), one line each.
    layout, evidence : str
        How the files were read, and why.
    unused : tuple of str
        Files that were not used, counted by their ending.
    overlap : Overlap or None
        Photos that a model has learned from, where that was asked (:func:`pfungst.contract.seen.unseen`).
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    records: tuple[Record, ...]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    layout: str = ""
    evidence: str = ""
    unused: tuple[str, ...] = ()
    overlap: Overlap | None = None

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        splits = f", splits {listed(list(self.splits))}" if self.splits else ""
        return (
            f"<DataSet {self.name!r}: {len(self.records)} photos, {len(self.classes)} classes "
            f"({listed(self.classes)}){splits}, {len(self.problems)} problems>"
        )

    def _repr_html_(self) -> str:
        """In a notebook: how many photos show each class, and how many of them have boxes."""
        shown = Counter(name for record in self.records for name in record.positive)
        boxed = Counter(name for record in self.records for name in {box.class_name for box in record.boxes})
        rows = [(name, shown[name], boxed[name]) for name in self.classes]
        lines = [f"{len(self.records)} photos in {self.root}"]
        lines += [f"split {name}: {len(ids)} photos" for name, ids in self.splits.items()]
        lines += [f"{len(self.problems)} problems in its files"] if self.problems else []
        return table_html(self.name, lines, ("class", "photos", "with boxes"), rows)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The problems, as what could not be used by whoever works on these photos."""
        return tuple(Failure(self.name, problem) for problem in self.problems)

    def split(self, name: str) -> DataSet:
        """The records of one split; several names joined by ``+`` are their union (``train+val``).

        Raises
        ------
        DataError
            If there is no such split.
        """
        wanted: set[str] = set()
        for part in name.split("+"):
            if part not in self.splits:
                raise DataError(
                    self.root,
                    f"no split {part!r} in data set {self.name!r}",
                    allowed=", ".join(sorted(self.splits)) or "this data set has no splits",
                    hint="a split of that list (--split, --train-split, --val-split), or seeded ones for a "
                    "data set without splits (DataSet.with_random_splits)",
                )
            wanted.update(self.splits[part])
        records = tuple(record for record in self.records if record.id in wanted)
        return replace(self, name=f"{self.name}:{name}", records=records)

    def select(self, classes: Sequence[str]) -> DataSet:
        """The same photos with only the named classes, in the given order.

        Raises
        ------
        DataError
            If a class is unknown.
        ConfigError
            If none is named, or one twice.
        """
        wanted = tuple(map(nfc, classes))
        if not wanted or len(set(wanted)) != len(wanted):
            raise ConfigError(f"classes {', '.join(wanted) or '(none)'}", allowed="at least one, each once")
        for name in wanted:
            if name not in self.classes:
                meant = nearly(name, self.classes)
                raise DataError(
                    self.root,
                    f"no class {name!r} in data set {self.name!r}",
                    allowed=", ".join(self.classes),
                    hint=None if meant is None else repr(meant),
                )
        return replace(self, classes=wanted)

    def labels(self) -> NDArray[np.int8]:
        """``(n_records, n_classes)`` of +1 (shown), 0 (difficult only), −1 (not shown)."""
        table = [[record.label(name) for name in self.classes] for record in self.records]
        return np.array(table, dtype=np.int8).reshape(len(self.records), len(self.classes))

    def with_digests(self, *, workers: int = 4, progress: Progress = silent) -> DataSet:
        """The same photos with the SHA-256 of their files, where it was not taken yet.

        A file that cannot be read has none.

        Parameters
        ----------
        workers : int
            Threads that read files.
        progress : Progress
        """
        rest = [record.path for record in self.records if record.digest is None]
        found = each(rest, digest_of, stage="files", workers=workers, progress=progress)
        new = {path: digest for path, digest in zip(rest, found, strict=True) if isinstance(digest, Digest)}
        records = (replace(record, digest=record.digest or new.get(record.path)) for record in self.records)
        return replace(self, records=tuple(records))

    def with_random_splits(
        self, fractions: Mapping[str, float] | None = None, *, random_state: int = 0
    ) -> DataSet:
        """Seeded splits by the content of the photos' files.

        A photo's place depends on its own file and the seed alone, so that adding, removing or renaming
        photos moves no other, and equal files never stand in different splits. The shares are kept on
        average. A file that cannot be read is placed by its id.

        Parameters
        ----------
        fractions : mapping, optional
            Split name to share; shares sum to 1. Default: train 0.5, val 0.25, test 0.25.
        random_state : int
            Seed; the same seed gives the same splits.

        Returns
        -------
        DataSet
            With a problem for each class that has no photo in one of the splits.
        """
        shares = dict(fractions or {"train": 0.5, "val": 0.25, "test": 0.25})
        if not np.isclose(sum(shares.values()), 1.0) or min(shares.values()) <= 0:
            raise ConfigError(
                f"split fractions {shares} do not sum to 1", allowed="positive shares with sum 1"
            )
        data = self.with_digests()
        splits = _dealt(data.records, shares, random_state)
        return replace(data, splits=splits, problems=(*self.problems, *_lacking(self, splits)))


def _dealt(
    records: Sequence[Record], shares: Mapping[str, float], random_state: int
) -> dict[str, tuple[str, ...]]:
    edges = np.cumsum(list(shares.values()))[:-1]
    places = [int(np.searchsorted(edges, _draw(record, random_state), side="right")) for record in records]
    return {
        name: tuple(record.id for record, place in zip(records, places, strict=True) if place == split)
        for split, name in enumerate(shares)
    }


def _draw(record: Record, random_state: int) -> float:
    """A number in [0, 1) that depends on the seed and on the photo's file alone."""
    content = record.id if record.digest is None else record.digest.sha256
    drawn = hashlib.sha256(f"{random_state} {content}".encode()).digest()
    return int.from_bytes(drawn[:6], "big") / 2**48


def _lacking(data: DataSet, splits: Mapping[str, Sequence[str]]) -> list[str]:
    shown = {record.id: record.positive for record in data}
    lines = []
    for split, ids in splits.items():
        there = {name for identity in ids for name in shown[identity]}
        missing = [name for name in data.classes if name not in there]
        if missing:
            lines.append(f"random split {split} has no photo of {', '.join(missing)}; try another seed")
    return lines
