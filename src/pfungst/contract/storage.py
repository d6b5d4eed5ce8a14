"""A model folder: ``model.json`` (what it is, in words and numbers) and ``arrays.safetensors``.

Nothing in it is ever executed. The JSON carries a format version and the SHA-256 of the array file, so that
a folder that is newer than this library, or damaged, is refused with a message instead of a wrong answer.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst import __version__
from pfungst.contract import swap
from pfungst.errors import FileError, ModelError
from pfungst.files import parse_json, read_bounded, require_regular, shown, usable_name
from pfungst.images.seen import SeenPhotos
from pfungst.writing import write_whole

FORMAT = "pfungst-model"
FORMAT_VERSION = 1
DESCRIPTION_FILE = "model.json"
ARRAYS_FILE = "arrays.safetensors"
_MAX_DESCRIPTION_BYTES = 64 * 2**20
_MAX_ARRAYS_BYTES = 16 * 2**30
_NUMBERS = "biuf"
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """The content of a model folder: ``kind`` of model, its ``config`` (plain JSON) and named arrays.

    ``seen`` are the photos that it has learned from, None if that is not known; they lie among the arrays.
    """

    kind: str
    config: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    seen: SeenPhotos | None = None


def write_model_folder(path: str | Path, content: ModelFolder) -> Path:
    """Write a model folder so that a reader sees the old one or the new one, never half of one.

    The new folder is made beside the place and flushed to the disk; then the old one moves aside and the new
    one takes its place. Between these two moves there is none for a moment: a process killed there leaves a
    whole one with a hidden name, which the next reader or writer puts in place.

    Raises
    ------
    ModelError
        If ``path`` exists and is not an earlier model folder, or the content holds NaN or infinity, which
        no reader would accept.
    FileError
        If the disk is full or cannot be written to; the old model is still there.
    """
    from safetensors.numpy import save

    target = Path(path)
    check_finite(target, content.arrays)
    check_target(target)
    place = target.resolve()  # a link to a model folder goes on pointing to it
    kept = dict(content.arrays) | (content.seen.arrays() if content.seen is not None else {})
    arrays = save({name: np.ascontiguousarray(array) for name, array in kept.items()})
    description = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "written_by": f"pfungst {__version__}",
        "kind": content.kind,
        "config": dict(content.config),
        "arrays_sha256": hashlib.sha256(arrays).hexdigest(),
    }
    text = _json_text(target, description)
    swap.sweep(place)
    with swap.staged(place) as staging:
        write_whole(staging / ARRAYS_FILE, arrays)
        write_whole(staging / DESCRIPTION_FILE, text + "\n")
    return target


def _json_text(target: Path, description: Mapping[str, Any]) -> str:
    try:
        return json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelError(target, f"the model's config is not plain, finite JSON ({error})") from error


def check_target(path: str | Path) -> None:
    """Refuse to write where something else than a model folder is; worth a call before a long training.

    Raises
    ------
    ModelError
        If ``path`` exists and is neither a model folder nor an empty folder.
    """
    target = Path(path)
    swap.recover(target)
    if target.exists() and not is_model_folder(target) and (not target.is_dir() or any(target.iterdir())):
        raise ModelError(
            target, "exists and is not a Pfungst model, so it is not overwritten", hint="another --out"
        )


def is_model_folder(path: str | Path) -> bool:
    """Whether the folder looks like a model this library wrote."""
    return (Path(path) / DESCRIPTION_FILE).is_file()


def read_description(path: str | Path) -> dict[str, Any]:
    """The checked content of ``model.json``.

    Raises
    ------
    ModelError
        If the folder or file is missing, is not JSON, is another format, or a newer version.
    """
    source = Path(path)
    file = source / DESCRIPTION_FILE
    swap.recover(source)
    if not source.is_dir():
        raise ModelError(source, "no such model folder", hint="a folder that `pfungst train` wrote")
    if not file.is_file():
        raise ModelError(source, f"has no {DESCRIPTION_FILE}", hint="a folder that `pfungst train` wrote")
    content = read_bounded(file, _MAX_DESCRIPTION_BYTES, error=ModelError, what="a model description")
    try:
        description = parse_json(content)
    except ValueError as error:
        raise ModelError(file, f"is not readable JSON ({error})", hint="the model's original copy") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ModelError(file, "is not the description of a Pfungst model", allowed=f'"format": "{FORMAT}"')
    version = description.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelError(file, f"has format version {shown(version)}", allowed=f"1 to {FORMAT_VERSION}")
    if version > FORMAT_VERSION:
        raise ModelError(
            file,
            f"has format version {version}, newer than this pfungst {__version__} reads",
            allowed=f"1 to {FORMAT_VERSION}",
            hint="a newer release of pfungst",
        )
    if not isinstance(description.get("kind"), str) or not isinstance(description.get("config"), dict):
        raise ModelError(file, "lacks its kind or its config", hint="the model's original copy")
    return description


def read_model_folder(path: str | Path, *, kind: str | None = None) -> ModelFolder:
    """Read and check a model folder.

    Parameters
    ----------
    path : path
        The folder.
    kind : str, optional
        The kind it must be.

    Raises
    ------
    ModelError
        If anything is missing, damaged, newer, of another kind, or holds NaN or infinity.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    description = read_description(path)
    if kind is not None and description["kind"] != kind:
        raise ModelError(path, f"is a model of kind {shown(description['kind'])}", allowed=kind)
    file = Path(path) / ARRAYS_FILE
    if not file.exists():
        raise ModelError(path, f"has no {ARRAYS_FILE}", hint="the model's original copy")
    if _digest(file, _MAX_ARRAYS_BYTES) != description.get("arrays_sha256"):
        raise ModelError(
            file,
            "is damaged: its SHA-256 is not the one that model.json states",
            hint="the model's original copy, or train again",
        )
    try:
        arrays = load_file(file)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ModelError(file, f"is not a readable safetensors file ({error})") from error
    check_finite(file, arrays)
    _check_numbers(file, arrays)
    seen = SeenPhotos.from_arrays(arrays)
    own = {name: array for name, array in arrays.items() if not name.startswith("seen.")}
    return ModelFolder(kind=description["kind"], config=description["config"], arrays=own, seen=seen)


def _check_numbers(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Real numbers that stay finite in float32, in which models compute."""
    for name, array in arrays.items():
        if array.dtype.kind not in _NUMBERS:
            raise ModelError(file, f"array {shown(name)} holds {array.dtype}", allowed="real numbers")
        if array.dtype == np.float64 and array.size and np.abs(array).max() > _LARGEST:
            raise ModelError(
                file, f"array {shown(name)} holds numbers beyond float32", allowed=f"at most {_LARGEST:.3g}"
            )


def checked_classes(classes: object) -> tuple[str, ...]:
    """Class names of a model: distinct and printable.

    Raises
    ------
    ValueError
        With the reason.
    """
    names = tuple(classes) if isinstance(classes, (list, tuple)) else ()
    wrong = [name for name in names if not usable_name(name)]
    if wrong or not names or len(set(names)) != len(names):
        found = shown(wrong[0]) if wrong else shown(classes)
        raise ValueError(f"class names {found} are not distinct, printable and of at most 200 characters")
    return names


def _digest(file: Path, limit: int) -> str:
    require_regular(file, limit, error=ModelError, what="part of a model")
    try:
        return file_sha256(file)
    except OSError as error:
        raise ModelError(file, f"cannot be read ({error.strerror})") from error


def check_finite(file: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse NaN and infinity, naming the array."""
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise ModelError(
                file,
                f"array {name!r} holds NaN or infinity",
                hint="the model's original copy, or train again",
            )


def require_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]], names: Iterable[str]) -> None:
    """Refuse a folder that lacks one of the named arrays."""
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ModelError(path, f"lacks the arrays {', '.join(missing)}", hint="the model's original copy")


def file_sha256(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes.

    Raises
    ------
    FileError
        If it is no regular file: a pipe or a device would not end.
    OSError
        If it cannot be read.
    """
    file = Path(path)
    if not stat.S_ISREG(file.stat().st_mode):
        raise FileError(file, "is not a file, so it has no checksum")
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def model_identity(path: str | Path, classifier: Any = None) -> dict[str, Any]:
    """What tells a model from another: its kind, the SHA-256 of its folder's two files, its views.

    Parameters
    ----------
    path : path
        The model's folder, as it is now.
    classifier : Classifier, optional
        The model itself, for the views that were chosen when it was loaded.

    Raises
    ------
    ModelError
        If it is no readable model folder.
    """
    folder = Path(path)
    identity: dict[str, Any] = {
        "kind": read_description(folder)["kind"],
        "description_sha256": _digest(folder / DESCRIPTION_FILE, _MAX_DESCRIPTION_BYTES),
        "arrays_sha256": _digest(folder / ARRAYS_FILE, _MAX_ARRAYS_BYTES),
    }
    return identity if classifier is None else identity | {"views": getattr(classifier, "views", None)}
