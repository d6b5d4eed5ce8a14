"""What tells one model, one data set, one photo from another: compared when a run is taken up again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pfungst.contract.storage import file_sha256, model_identity
from pfungst.errors import DataError, FileError, ImageError, ModelError
from pfungst.files import is_file
from pfungst.images.dataset import DataSet, Record


def data_identity(data: DataSet) -> dict[str, Any]:
    """Name, number, ids and annotations of a data set's photos, the latter two as SHA-256.

    The files themselves are identified one by one as they are read (:func:`file_identity`), so that a photo
    that could not be read may be mended and the run taken up again. The place of the folder does not count.
    """
    return {
        "name": data.name,
        "images": len(data),
        "ids_sha256": _sha256(record.id for record in data),
        "annotations_sha256": _sha256(_annotation(data, record) for record in data),
    }


def _annotation(data: DataSet, record: Record) -> str:
    labels = [record.label(name) for name in data.classes]
    boxes = [
        [box.class_name, box.left, box.top, box.right, box.bottom, box.difficult] for box in record.boxes
    ]
    return json.dumps([list(data.classes), labels, boxes])


def _sha256(lines: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


@contextlib.contextmanager
def unchanged_model(
    folder: str | Path, identify: Callable[[str | Path], dict[str, Any]] = model_identity
) -> Iterator[None]:
    """Make sure that a model folder stays the same in the block in which it is loaded and used.

    A model is loaded once, so that files which are exchanged in the meantime change no number; but then the
    folder is no longer what the numbers are about, and that is said.

    Parameters
    ----------
    folder : path
        The model.
    identify : callable
        What tells it from another; default the SHA-256 of a model folder's files.

    Raises
    ------
    ModelError
        At the end, if the folder has changed or is gone.

    Examples
    --------
    ::

        with unchanged_model("model"):
            classifier = load("model")
            measure_quality(classifier, data, identity=model_identity("model", classifier))
    """
    before = identify(folder)
    yield
    hint = "the numbers are those of the model that was loaded; keep a copy of it, or run again"
    try:
        after = identify(folder)
    except FileError as error:
        raise ModelError(folder, f"was changed while it was in use: {error.problem}", hint=hint) from error
    changed = [name for name in before if before[name] != after.get(name)]
    if changed:
        raise ModelError(folder, f"was changed while it was in use ({', '.join(changed)} differ)", hint=hint)


FileIdentity: TypeAlias = dict[str, Any]
"""``bytes``, ``mtime_ns`` and ``sha256`` of a file."""

_MAX_PHOTO_BYTES = 2 * 2**30
_MAX_KNOWN = 1_000_000
_known: dict[str, FileIdentity] = {}


def known_identity(path: Path) -> FileIdentity | None:
    """What this process has learned of a file already."""
    return _known.get(str(path))


def learn_identity(path: Path, identity: Mapping[str, Any]) -> None:
    """Keep a file's identity, so that no later run of this process hashes the file again."""
    if len(_known) >= _MAX_KNOWN:
        _known.pop(next(iter(_known)))
    _known[str(path)] = dict(identity)


def file_identity(path: Path, known: FileIdentity | None = None) -> FileIdentity:
    """Size, time of change and SHA-256 of a file, which is not read if the first two are as they were known.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    try:
        state = path.stat()
        if known is not None and _unchanged(state, known):
            return known
        return {"bytes": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": file_sha256(path)}
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from error


def read_photo_file(path: Path) -> tuple[bytes, os.stat_result]:
    """The bytes of a photo's file, and the state that the file was in when they were read.

    Raises
    ------
    ImageError
        If it is no regular file of at most 2 GiB, or cannot be read.
    """
    if not is_file(path):
        raise ImageError(path, "is not a file" if os.path.exists(path) else "no such file")
    try:
        with path.open("rb") as stream:
            state = os.fstat(stream.fileno())
            content = stream.read(_MAX_PHOTO_BYTES + 1)
    except OSError as error:
        raise ImageError(path, f"cannot be opened ({error.strerror})") from error
    if len(content) > _MAX_PHOTO_BYTES:
        raise ImageError(path, "is too large for a photo", allowed=f"at most {_MAX_PHOTO_BYTES >> 30} GiB")
    return content, state


def identity_of(content: bytes, state: os.stat_result, known: FileIdentity | None = None) -> FileIdentity:
    """The identity of a file that has been read; hashed only if it is not the known one."""
    if known is not None and _unchanged(state, known):
        return known
    digest = hashlib.sha256(content).hexdigest()
    return {"bytes": len(content), "mtime_ns": state.st_mtime_ns, "sha256": digest}


def is_unchanged(path: Path, known: Mapping[str, Any]) -> bool:
    """Whether a file's size and time of change are still those of an identity."""
    try:
        return _unchanged(path.stat(), known)
    except OSError:
        return False


def _unchanged(state: os.stat_result, known: Mapping[str, Any]) -> bool:
    return bool(state.st_size == known["bytes"] and state.st_mtime_ns == known["mtime_ns"])


def require_same_files(files: Sequence[tuple[Path, Mapping[str, Any]]]) -> None:
    """Refuse to go on with a run whose photos are no longer those it was begun with.

    Size and time of change are compared first; only where the size is the same and the time is not is the
    content read.

    Raises
    ------
    DataError
        Naming the first of the files that differ.
    """
    changed = [path for path, before in files if not _same(path, before)]
    if changed:
        others = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise DataError(
            changed[0],
            f"has changed since this run measured it{others}",
            allowed="the photos that the run was begun with",
            hint="another --out folder for the changed photos",
        )


def _same(path: Path, before: Mapping[str, Any]) -> bool:
    """Whether the file is the one that a record was made from; if so, its identity is learned."""
    try:
        state = path.stat()
        if state.st_size != before["bytes"]:
            return False
        now = file_identity(path, dict(before) if _unchanged(state, before) else known_identity(path))
    except (OSError, FileError):
        return False
    if now["sha256"] == before["sha256"]:
        learn_identity(path, now)
        return True
    return False
