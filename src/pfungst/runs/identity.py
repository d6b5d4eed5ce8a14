"""What tells one model, one data set, one photo from another: compared when a run is taken up again."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pfungst.contract.storage import file_sha256, model_identity
from pfungst.errors import DataError, FileError, ModelError
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
            classifier = load_model("model")
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


def file_identity(path: Path) -> dict[str, Any]:
    """Size, time of change and SHA-256 of a file.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    try:
        state = path.stat()
        return {"bytes": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": file_sha256(path)}
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from error


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
    try:
        state = path.stat()
    except OSError:
        return False
    if state.st_size != before["bytes"]:
        return False
    if state.st_mtime_ns == before["mtime_ns"]:
        return True
    unchanged: bool = file_sha256(path) == before["sha256"]
    return unchanged
