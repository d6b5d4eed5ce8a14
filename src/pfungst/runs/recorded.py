"""Map a task over many items and keep a record of each: on disk as it is finished, taken up again later.

A run is a folder: its journal of records (:mod:`pfungst.runs.journal`) and the arrays that belong to them.
Without a folder the run lives in a temporary one, so that memory never grows with the number of items.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError, PfungstError
from pfungst.progress import Progress, silent
from pfungst.runs.executor import map_items
from pfungst.runs.journal import Journal

Item = TypeVar("Item")
RECORDS_FILE = "records.jsonl"
ARRAYS_FOLDER = "arrays"


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """What a task returns: a small record of plain JSON, and arrays too large for it."""

    record: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Run:
    """The outcome of :func:`run_items`: records in the items' order, arrays on demand, failures.

    A run without a folder of its own deletes its temporary one when it is closed or collected.
    """

    def __init__(
        self,
        folder: Path,
        order: Sequence[str],
        failures: Sequence[tuple[str, PfungstError]],
        *,
        configuration: Mapping[str, Any],
        temporary: bool = False,
    ) -> None:
        self.folder = folder
        self.configuration = dict(configuration)
        self.failures = tuple(failures)
        self._order = {name: position for position, name in enumerate(order)}
        self._delete = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        if not temporary:
            self._delete.detach()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete the folder if it is a temporary one."""
        self._delete()

    def records(self) -> list[dict[str, Any]]:
        """All records, in the order of the items."""
        from pfungst.runs.journal import read_records

        found = [
            record for record in read_records(self.folder / RECORDS_FILE) if record["image"] in self._order
        ]
        found.sort(key=lambda record: self._order[record["image"]])
        return found

    def arrays(self, key: str) -> dict[str, NDArray[Any]]:
        """The arrays of one item; empty where it has none."""
        from safetensors.numpy import load_file

        file = _array_file(self.folder, key)
        return load_file(file) if file.is_file() else {}


def open_run(folder: str | Path) -> Run:
    """A finished run from its folder alone; records in the order in which they were written.

    Raises
    ------
    DataError
        If there is no run.
    """
    from pfungst.runs.journal import read_configuration, read_records

    file = Path(folder) / RECORDS_FILE
    configuration = read_configuration(file)
    keys = [record["image"] for record in read_records(file)]
    return Run(Path(folder), keys, (), configuration=configuration)


def run_items(
    task: Callable[[Item], Finished],
    items: Sequence[Item],
    *,
    keys: Sequence[str],
    configuration: Mapping[str, Any],
    out: str | Path | None = None,
    workers: int = 1,
    progress: Progress = silent,
    stage: str = "images",
) -> Run:
    """Apply ``task`` to every item that has no record yet.

    Parameters
    ----------
    task : callable
        From an item to a :class:`Finished` whose record has the item's key as ``image``; picklable.
    items : sequence
        Small picklable things.
    keys : sequence of str
        A distinct name for each item.
    configuration : mapping
        Plain JSON: everything the records depend on; a run begun with another one is refused.
    out : path, optional
        The run's folder; default a temporary one.
    workers, progress, stage
        As for :func:`pfungst.runs.executor.map_items`.

    Raises
    ------
    ConfigError
        If the run was begun with another configuration, or a task meets a wrong option.
    """
    folder = Path(tempfile.mkdtemp(prefix="pfungst-run-") if out is None else out)
    failures: list[tuple[str, PfungstError]] = []
    with Journal(folder / RECORDS_FILE, configuration) as journal:
        left = [(key, item) for key, item in zip(keys, items, strict=True) if key not in journal.finished]
        already = len(items) - len(left)

        def tell(name: str, done: int, _total: int, /) -> None:
            progress(name, already + done, len(items))

        outcomes = map_items(task, [item for _, item in left], workers=workers, progress=tell, stage=stage)
        for (key, _), outcome in zip(left, outcomes, strict=True):
            if isinstance(outcome.error, ConfigError):
                raise outcome.error  # a wrong option would fail for every item
            if outcome.error is not None:
                failures.append((key, outcome.error))
                continue
            finished = outcome.unwrap()
            _save_arrays(folder, key, finished.arrays)
            journal.append(finished.record)
    return Run(folder, keys, failures, configuration=configuration, temporary=out is None)


def _array_file(folder: Path, key: str) -> Path:
    return folder / ARRAYS_FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"


def _save_arrays(folder: Path, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    from safetensors.numpy import save_file

    if not arrays:
        return
    file = _array_file(folder, key)
    file.parent.mkdir(exist_ok=True)
    part = file.with_suffix(".part")
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, part)
    part.replace(file)
