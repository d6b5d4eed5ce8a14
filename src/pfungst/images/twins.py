"""Photos that stand in a data set twice: equal files, and photos that look the same or mirrored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import PfungstError
from pfungst.images.dataset import DataSet, Record
from pfungst.images.digests import NEAR, Look, each, look_of
from pfungst.progress import Progress, silent

Hashes: TypeAlias = NDArray[np.uint64]
Kind: TypeAlias = Literal["equal", "near", "mirrored"]
Allowed: TypeAlias = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.bool_]]

_BLOCK = 1024
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """Two photos that are one.

    Attributes
    ----------
    one, other : str
        Their ids.
    kind : {"equal", "near", "mirrored"}
        Equal files; photos that look the same; photos that look the same when one is mirrored.
    """

    one: str
    other: str
    kind: Kind


def nearest(
    queries: Hashes, targets: Hashes, allowed: Allowed | None = None, *, most: int = NEAR
) -> NDArray[np.intp]:
    """For each query the target whose hash differs in the fewest bits.

    Two hashes that differ in less than 8 bits have at least one of their 8 bytes in common, so that only
    those that share a byte are compared.

    Parameters
    ----------
    queries, targets : (n,), (m,) uint64
        A hash of 0 is like no other.
    allowed : callable, optional
        From indices of queries ``(k, 1)`` and of targets ``(1, l)`` to the pairs that count, ``(k, l)`` bool.
    most : int
        Differences beyond this do not count; at most 7.

    Returns
    -------
    (n,) int
        Indices of targets; −1 where there is none.
    """
    index = np.full(len(queries), -1, dtype=np.intp)
    least = np.full(len(queries), most + 1, dtype=np.int64)
    for here, there in _sharing_a_byte(queries, targets):
        bits = _count_bits(queries[here, None] ^ targets[None, there])
        if allowed is not None:
            bits[~allowed(here[:, None], there[None, :])] = 65
        best = bits.argmin(axis=1)
        found = bits[np.arange(len(here)), best]
        better = found < least[here]
        index[here[better]], least[here[better]] = there[best[better]], found[better]
    return index


def _sharing_a_byte(queries: Hashes, targets: Hashes) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Indices of queries and targets with the same byte at the same place, in blocks of queries."""
    for place in range(8):
        shift = np.uint64(8 * place)
        ours, theirs = (queries >> shift) & np.uint64(255), (targets >> shift) & np.uint64(255)
        for value in np.unique(ours):
            there = np.flatnonzero((theirs == value) & (targets != 0))
            here = np.flatnonzero((ours == value) & (queries != 0))
            for start in range(0, len(here) if len(there) else 0, _BLOCK):
                yield here[start : start + _BLOCK], there


def _count_bits(values: Hashes) -> NDArray[np.int64]:
    """How many of the 64 bits are set: in pairs, in fours, in bytes, then added up by a product."""
    ones = [np.uint64(mask) for mask in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F)]
    counts = values - ((values >> np.uint64(1)) & ones[0])
    counts = (counts & ones[1]) + ((counts >> np.uint64(2)) & ones[1])
    counts = (counts + (counts >> np.uint64(4))) & ones[2]
    total: NDArray[np.int64] = ((counts * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)
    return total


def find_twins(
    data: DataSet,
    *,
    looks: bool = True,
    workers: int = 1,
    progress: Progress = silent,
    told: Callable[[PfungstError], object] | None = None,
) -> list[Twins]:
    """Photos of a data set that are one, each with one that stands before it.

    Equal files count wherever they stand; photos that look the same, where they stand in different splits or
    the set has none. Photos that cannot be read have no twin.

    Parameters
    ----------
    data : DataSet
    looks : bool
        Whether photos are decoded, reduced, to compare their looks too.
    workers : int
        Threads that read photos.
    progress : Progress
    told : callable, optional
        Told why photos could not be decoded.
    """
    data = data.with_digests(workers=workers, progress=progress)
    equal = _equal(data.records)
    if not looks:
        return equal
    again = {pair.other for pair in equal}
    rest = [record for record in data if record.id not in again]
    found = each([record.path for record in rest], look_of, stage="looks", workers=workers, progress=progress)
    for error in found:
        if told is not None and isinstance(error, PfungstError):
            told(error)
    seen = [(record, look) for record, look in zip(rest, found, strict=True) if isinstance(look, Look)]
    return equal + _alike(data, [record for record, _ in seen], [look for _, look in seen])


def _equal(records: Sequence[Record]) -> list[Twins]:
    first: dict[str, str] = {}
    pairs = []
    for record in records:
        if record.digest is None:
            continue
        one = first.setdefault(record.digest.sha256, record.id)
        if one != record.id:
            pairs.append(Twins(one=one, other=record.id, kind="equal"))
    return pairs


def _alike(data: DataSet, records: Sequence[Record], looks: Sequence[Look]) -> list[Twins]:
    upright = np.array([look.upright for look in looks], dtype=np.uint64)
    mirrored = np.array([look.mirrored for look in looks], dtype=np.uint64)
    marks = split_marks(data, records)

    def apart(here: NDArray[np.intp], there: NDArray[np.intp]) -> NDArray[np.bool_]:
        pairs: NDArray[np.bool_] = (there < here) & ((marks[here] & marks[there]) == 0)
        return pairs

    by_look, by_mirror = (nearest(hashes, upright, apart) for hashes in (upright, mirrored))
    pairs = []
    for here, record in enumerate(records):
        there = by_look[here] if by_look[here] >= 0 else by_mirror[here]
        if there >= 0:
            kind: Kind = "near" if by_look[here] >= 0 else "mirrored"
            pairs.append(Twins(one=records[there].id, other=record.id, kind=kind))
    return pairs


def split_marks(data: DataSet, records: Sequence[Record]) -> Hashes:
    """A bit for each split that a photo stands in, (n,)."""
    splits = list(_own_splits(data).values())[:64]
    return np.array(
        [sum(1 << place for place, ids in enumerate(splits) if record.id in ids) for record in records],
        dtype=np.uint64,
    )


def _own_splits(data: DataSet) -> dict[str, set[str]]:
    """The splits that hold no other one, as ``trainval`` holds ``train``."""
    members = {name: set(ids) for name, ids in data.splits.items() if ids}
    return {name: ids for name, ids in members.items() if not any(other < ids for other in members.values())}


def twin_problems(data: DataSet, twins: Sequence[Twins]) -> list[str]:
    """A line for each kind of twins and each pair of splits, and for twins with different labels."""
    records = {record.id: record for record in data}
    home = {identity: name for name, ids in _own_splits(data).items() for identity in ids}
    groups: dict[tuple[str, str, str], list[Twins]] = {}
    for pair in twins:
        one, other = sorted((home.get(pair.one, ""), home.get(pair.other, "")), key=[*data.splits, ""].index)
        groups.setdefault((pair.kind, one, other), []).append(pair)
    problems = [_line(*key, pairs) for key, pairs in groups.items()]
    unlike = [pair for pair in twins if records[pair.one].positive != records[pair.other].positive]
    if unlike:
        problems.append(f"{len(unlike)} photos stand there twice with different labels ({_named(unlike)})")
    return problems


def shared_files(data: DataSet, *, workers: int = 4, progress: Progress = silent) -> DataSet:
    """The same data set with equal files that stand in different splits among its problems.

    Parameters
    ----------
    data : DataSet
    workers : int
        Threads that read files.
    progress : Progress
    """
    data = data.with_digests(workers=workers, progress=progress)
    marks = dict(zip((record.id for record in data), split_marks(data, data.records).tolist(), strict=True))
    apart = [pair for pair in _equal(data.records) if not marks[pair.one] & marks[pair.other]]
    return replace(data, problems=(*data.problems, *twin_problems(data, apart)))


def _line(kind: str, one: str, other: str, pairs: Sequence[Twins]) -> str:
    what = {
        "equal": "are equal files",
        "near": "look the same",
        "mirrored": "look the same when one is mirrored",
    }[kind]
    where = f" in {one} and {other}" if one != other else f" in {one}" if one else ""
    return f"{len(pairs)} pairs of photos{where} {what} ({_named(pairs)})"


def _named(pairs: Sequence[Twins]) -> str:
    shown = ", ".join(f"{pair.one} and {pair.other}" for pair in pairs[:_SHOWN])
    return f"{shown}, …" if len(pairs) > _SHOWN else shown
