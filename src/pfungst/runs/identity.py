"""What tells one model, one data set, one photo from another: compared when a run is taken up again."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pfungst.contract.storage import ARRAYS_FILE, DESCRIPTION_FILE, file_sha256, read_description
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


def model_identity(folder: str | Path, *, views: str | None = None) -> dict[str, Any]:
    """Kind of a model folder and SHA-256 of its two files, as they are now.

    Parameters
    ----------
    folder : path
        What ``pfungst train`` or ``convert`` wrote.
    views : str, optional
        How a network looks at a photo, where that is chosen at the call.

    Raises
    ------
    ModelError
        If it is no readable model folder.
    """
    place = Path(folder)
    description = read_description(place)
    try:
        identity = {
            "kind": description["kind"],
            "description_sha256": file_sha256(place / DESCRIPTION_FILE),
            "arrays_sha256": file_sha256(place / ARRAYS_FILE),
        }
    except OSError as error:
        raise ModelError(
            place, f"cannot be read ({error.strerror})", hint="the model's original copy"
        ) from error
    return identity if views is None else identity | {"views": views}


@contextlib.contextmanager
def unchanged_model(folder: str | Path, *, views: str | None = None) -> Iterator[dict[str, Any]]:
    """The identity of a model for the block in which it is loaded and used; checked again at its end.

    A model is loaded once, so that a file that is exchanged in the meantime changes no number; but then the
    folder is no longer what the numbers are about, and that is said.

    Raises
    ------
    ModelError
        At the end, if the folder has changed or is gone.

    Examples
    --------
    ::

        with unchanged_model("model") as identity:
            classifier = load_model("model")
            run_items(..., configuration={"model": identity})
    """
    before = model_identity(folder, views=views)
    yield before
    hint = "the numbers are those of the model that was loaded; keep a copy of it, or run again"
    try:
        after = model_identity(folder, views=views)
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
