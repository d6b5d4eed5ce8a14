"""Arrays of many items in one folder, in shards of bounded size.

An item's arrays are first a file of their own, which is on the disk before the item's record is. When enough
of them have come together they are packed: one safetensors file with a tensor ``<item>/<array>`` for each,
and the small files go. At any moment every finished item can be read from one or the other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import DataError
from pfungst.writing import make_folder, remove_parts, write_whole, writing

_SHARDS, _LOOSE = "shard-*.safetensors", "item-*.safetensors"


class ArrayStore:
    """The arrays of a run.

    Parameters
    ----------
    folder : path
        Made with the first arrays.
    durable : bool
        Wait for the disk after each write.

    Attributes
    ----------
    shard_items, shard_bytes : int
        Items are packed when there are so many, or so many bytes, of them.
    """

    shard_items = 64
    shard_bytes = 32 * 2**20

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder, self._durable = folder, durable
        self._loose: dict[str, int] = {}
        self._shards: dict[str, Path] | None = None

    def recover(self, finished: Container[str]) -> None:
        """Put the folder in order after an interruption.

        Deleted are half-written files, arrays of items without a record, and small files whose items are in
        the last shard already (the packing was interrupted before it had deleted them).

        Raises
        ------
        DataError
            If a file is damaged.
        """
        if not self.folder.is_dir():
            return
        shards = self._shard_files()
        packed = set(_items(shards[-1])) if shards else set()
        with writing(self.folder):
            remove_parts(self.folder)
            for file in sorted(self.folder.glob(_LOOSE)):
                keys = _items(file)
                if keys and keys[0] in finished and keys[0] not in packed:
                    self._loose[keys[0]] = file.stat().st_size
                else:
                    file.unlink()

    def save(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write one item's arrays; they are on the disk when this returns.

        Raises
        ------
        FileError
            If the disk is full or cannot be written to; nothing half-written is left.
        """
        if not arrays:
            return
        from safetensors.numpy import save

        make_folder(self.folder)
        content = save({f"{key}/{name}": np.ascontiguousarray(array) for name, array in arrays.items()})
        write_whole(self._loose_file(key), content, durable=self._durable)
        self._loose[key] = len(content)

    def holds(self, key: str) -> bool:
        """Whether there are arrays of an item."""
        return self._loose_file(key).is_file() or key in self._index()

    def pack_if_full(self) -> None:
        """Pack the small files if there are enough of them."""
        if len(self._loose) >= self.shard_items or sum(self._loose.values()) >= self.shard_bytes:
            self._pack()

    def _pack(self) -> None:
        from safetensors.numpy import load_file, save

        tensors: dict[str, NDArray[Any]] = {}
        for key in self._loose:
            tensors |= load_file(self._loose_file(key))
        number = max((int(file.stem.rpartition("-")[2]) + 1 for file in self._shard_files()), default=0)
        file = self.folder / _SHARDS.replace("*", f"{number:06d}")
        write_whole(file, save(tensors), durable=self._durable)
        self._shards = None
        with writing(self.folder):
            for key in self._loose:
                self._loose_file(key).unlink(missing_ok=True)
        self._loose = {}

    def load(self, key: str) -> dict[str, NDArray[Any]]:
        """The arrays of one item; empty where it has none.

        Raises
        ------
        DataError
            If a file is damaged.
        """
        loose = self._loose_file(key)
        file = loose if loose.is_file() else self._index().get(key)
        return {} if file is None else _read(file, key)

    def _loose_file(self, key: str) -> Path:
        return self.folder / _LOOSE.replace("*", hashlib.sha256(key.encode()).hexdigest()[:24])

    def _shard_files(self) -> list[Path]:
        return sorted(self.folder.glob(_SHARDS))

    def _index(self) -> dict[str, Path]:
        """The shard of each packed item; of two, the later one."""
        if self._shards is None:
            self._shards = {key: file for file in self._shard_files() for key in _items(file)}
        return self._shards


def digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of names, types, shapes and numbers of some arrays."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _items(file: Path) -> list[str]:
    """The items that a file has arrays of."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as stream:
            return list(dict.fromkeys(name.rpartition("/")[0] for name in stream.keys()))  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _damaged(file, error) from error


def _read(file: Path, key: str) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError, safe_open

    found: dict[str, NDArray[Any]] = {}
    try:
        with safe_open(file, framework="numpy") as stream:
            for tensor in stream.keys():  # noqa: SIM118 - no mapping
                item, _, name = tensor.rpartition("/")
                if item == key:
                    found[name] = stream.get_tensor(tensor)
    except (SafetensorError, OSError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise _damaged(file, error) from error  # types that NumPy lacks raise almost anything
    return found


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError(file, f"is damaged ({error})", hint="a new --out folder, or deleting this one")
